/* SPDX-License-Identifier: Apache-2.0 */
#include "job/job.h"

#include "test.h"

#include "base/buf.h"
#include "json/json_read.h"

static void every_state_has_a_word_that_is_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < DIC_JOB_STATE_COUNT; i++) {
        enum dic_job_state read = DIC_JOB_STATE_COUNT;
        const char *word = dic_job_state_word((enum dic_job_state)i);
        assert_ok(dic_job_state_parse(dic_str(word), &read, NULL));
        assert_int_equal(read, i);
        for (size_t len = 0; len < strlen(word); len++) {
            assert_code(dic_job_state_parse(dic_str_len(word, len), &read, NULL), DIC_E_INTERNAL);
        }
    }
    struct dic_err err = {0};
    enum dic_job_state read = DIC_JOB_ACCEPTED;
    assert_code(dic_job_state_parse(dic_str("running"), &read, &err), DIC_E_INTERNAL);
    assert_string_equal(err.msg, "unknown job state 'running' in the store");
}

static void states_go_where_the_model_says(void **state)
{
    (void)state;
    static const struct {
        enum dic_job_state state;
        bool open;
        bool terminal;
        enum dic_job_state sealed;
        const char *queued_status; /* before the first chunk is booked */
        const char *running_status;
        const char *with_failures;
    } rows[] = {
        {DIC_JOB_ACCEPTED, true, false, DIC_JOB_ACCEPTED, "queued", "running", "running"},
        {DIC_JOB_PLANNING, true, false, DIC_JOB_PLANNING, "queued", "running", "running"},
        {DIC_JOB_RUNNING, true, false, DIC_JOB_RUNNING, "queued", "running", "running"},
        {DIC_JOB_FINALIZING, false, false, DIC_JOB_FINALIZING, "running", "running", "running"},
        {DIC_JOB_SUCCEEDED, false, true, DIC_JOB_SUCCEEDED, "succeeded", "succeeded",
         "completed_with_failures"},
        {DIC_JOB_CANCELLING, false, false, DIC_JOB_CANCELLED, "cancelling", "cancelling",
         "cancelling"},
        {DIC_JOB_CANCELLED, false, true, DIC_JOB_CANCELLED, "cancelled", "cancelled", "cancelled"},
        {DIC_JOB_EXPIRING, false, false, DIC_JOB_EXPIRED, "running", "running", "running"},
        {DIC_JOB_EXPIRED, false, true, DIC_JOB_EXPIRED, "expired", "expired", "expired"},
        {DIC_JOB_FAILING, false, false, DIC_JOB_FAILED, "running", "running", "running"},
        {DIC_JOB_FAILED, false, true, DIC_JOB_FAILED, "failed", "failed", "failed"},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], DIC_JOB_STATE_COUNT);
    for (size_t i = 0; i < DIC_JOB_STATE_COUNT; i++) {
        struct dic_job job = {.state = rows[i].state};
        assert_int_equal(dic_job_is_open(rows[i].state), rows[i].open);
        assert_int_equal(dic_job_is_terminal(rows[i].state), rows[i].terminal);
        assert_int_equal(dic_job_sealed_state(rows[i].state), rows[i].sealed);
        assert_string_equal(dic_job_api_status(&job), rows[i].queued_status);
        job.started_ms = 1;
        assert_string_equal(dic_job_api_status(&job), rows[i].running_status);
        job.totals.failed = 1;
        assert_string_equal(dic_job_api_status(&job), rows[i].with_failures);
    }
}

static void a_job_id_is_26_characters_of_base32(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"abcdefghijklmnopqrstuvwxyz", true},  {"22222222222222222222222777", true},
        {"abcdefghijklmnopqrstuvwxy", false},  {"abcdefghijklmnopqrstuvwxyza", false},
        {"Abcdefghijklmnopqrstuvwxyz", false}, {"0bcdefghijklmnopqrstuvwxyz", false},
        {"1bcdefghijklmnopqrstuvwxyz", false}, {"8bcdefghijklmnopqrstuvwxyz", false},
        {"abcdefghijklmnopqrstuvwxy/", false}, {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dic_job_id_valid(dic_str(cases[i].text)), cases[i].valid);
    }
}

static void a_key_is_1_to_1024_bytes_of_utf8_without_nul(void **state)
{
    (void)state;
    char key[DIC_MAX_KEY_BYTES + 1];
    struct dic_err err = {0};
    memset(key, 'k', sizeof key);
    assert_code(dic_key_check(dic_str_len(key, 0), "s3_keys[3]", &err), DIC_E_INVALID);
    assert_string_equal(err.field, "s3_keys[3]");
    assert_string_equal(err.msg, "s3_keys[3] has 0 bytes, a key has 1 to 1024");
    assert_ok(dic_key_check(dic_str_len(key, 1), "k", NULL));
    assert_ok(dic_key_check(dic_str_len(key, 1023), "k", NULL));
    assert_ok(dic_key_check(dic_str_len(key, 1024), "k", NULL));
    assert_code(dic_key_check(dic_str_len(key, 1025), "k", NULL), DIC_E_INVALID);
    assert_code(dic_key_check(dic_str_len("ab\0c", 4), "k", &err), DIC_E_INVALID);
    assert_string_equal(err.msg, "k holds U+0000 at byte 2");
    assert_code(dic_key_check(dic_str("a\xC3"), "k", &err), DIC_E_INVALID);
    assert_string_equal(err.msg, "k is not valid UTF-8");
}

static void any_image_is_one_line_that_is_read_back(void **state)
{
    (void)state;
    static const char *const keys[] = {"plain",    "two\nlines",  "\"quoted\\\"",
                                       "\x01\x7F", "caf\xC3\xA9", "{\"k\":1}"};
    struct dic_buf out;
    dic_buf_init(&out, 10000);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (int with_id = 0; with_id < 2; with_id++) {
            const struct dic_image image = {dic_str(keys[i]), dic_str(with_id ? keys[5 - i] : "")};
            struct dic_json *json = NULL;
            struct dic_str text = {0};
            dic_buf_clear(&out);
            dic_image_line_write(&out, &image);
            assert_ptr_equal(strchr(out.ptr, '\n'), out.ptr + out.len - 1);
            assert_ok(dic_json_parse(dic_buf_view(&out), &json, NULL));
            const struct dic_json *key = with_id ? dic_json_member(json, "k") : json;
            assert_ok(dic_json_get_str(key, "k", &text, NULL));
            assert_view(text, keys[i]);
            if (with_id) {
                assert_ok(dic_json_get_str(dic_json_member(json, "id"), "id", &text, NULL));
                assert_view(text, keys[5 - i]);
            }
            dic_json_destroy(json);
        }
    }
    dic_buf_clean_up(&out);
}

static void every_row_error_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < DIC_ROW_ERROR_COUNT; i++) {
        const char *word = dic_row_error_word((enum dic_row_error)i);
        assert_true(strlen(word) > 0 &&
                    strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(word));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(word, dic_row_error_word((enum dic_row_error)j));
        }
    }
    assert_true(dic_row_error_retryable(DIC_ROW_FETCH_FAILED));
    assert_true(dic_row_error_retryable(DIC_ROW_DECODE_TIMEOUT));
    assert_false(dic_row_error_retryable(DIC_ROW_CORRUPT_IMAGE));
    assert_false(dic_row_error_retryable(DIC_ROW_POISON));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_has_a_word_that_is_read_back),
        cmocka_unit_test(states_go_where_the_model_says),
        cmocka_unit_test(a_job_id_is_26_characters_of_base32),
        cmocka_unit_test(a_key_is_1_to_1024_bytes_of_utf8_without_nul),
        cmocka_unit_test(any_image_is_one_line_that_is_read_back),
        cmocka_unit_test(every_row_error_has_a_word_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
