/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapter adds to aws/s3.h; the suite in tests/contract runs it on a server. */
#include "store/blob_store_s3.h"

#include "aws_environment.h"
#include "fake_http.h"
#include "test.h"

static struct fake_clock fake_clock;
static struct fake_http http;
static struct dic_aws_environment environment;
static struct dic_aws *aws;
static struct dic_blob_store store;
static atomic_bool cancelled;

static int open_store(void **state)
{
    (void)state;
    environment = test_aws_environment();
    fake_clock_init(&fake_clock, 1700000000000);
    fake_http_init(&http, &fake_clock);
    const struct dic_aws_options options = {
        .environment = &environment,
        .http = http.client,
        .clock = &fake_clock.clock,
        .sleep_ms = fake_clock_sleep,
        .sleep_context = &fake_clock,
    };
    assert_ok(dic_aws_new(&options, &aws, NULL));
    atomic_store(&cancelled, false);
    const struct dic_s3_options s3 = {.aws = aws, .bucket = "photos", .cancel = &cancelled};
    assert_ok(dic_blob_store_s3_new(&s3, &store, NULL));
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    store.ops->destroy(store.impl);
    dic_aws_destroy(aws);
    fake_http_clean_up(&http);
    return 0;
}

static void answer(int status, const char *headers, const char *body)
{
    fake_http_script(&http,
                     (struct fake_http_answer){.status = status, .headers = headers, .body = body});
}

static void keys_of_1_to_1024_bytes_are_asked_for_and_others_are_invalid(void **state)
{
    (void)state;
    char text[1025];
    static const size_t lengths[] = {0, 1, 1023, 1024, 1025};
    struct dic_buf out;
    struct dic_blob_info info;
    uint32_t expires_s = 0;
    dic_buf_init(&out, 100000);
    memset(text, 'k', sizeof text);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const struct dic_str key = dic_str_len(text, lengths[i]);
        const bool is_legal = lengths[i] >= 1 && lengths[i] <= 1024;
        const enum dic_code expected = is_legal ? DIC_OK : DIC_E_INVALID;
        const struct dic_blob_upload upload = {key, dic_str("image/png"), 1, 60};
        if (is_legal) {
            answer(200, "etag: \"0a\"\n", "x");
            answer(206, "etag: \"0a\"\ncontent-range: bytes 0-0/1\n", "x");
            answer(200, "etag: \"0a\"\ncontent-length: 1\n", NULL);
            answer(200, "etag: \"0a\"\n", NULL);
            answer(204, NULL, NULL);
        }
        assert_code(store.ops->get(store.impl, key, 9, &out, NULL, NULL), expected);
        assert_code(store.ops->get_range(store.impl, key, 0, 1, NULL, &out, NULL), expected);
        assert_code(store.ops->head(store.impl, key, &info, NULL), expected);
        assert_code(store.ops->put(store.impl, key, dic_str("x"), false, NULL), expected);
        assert_code(store.ops->remove(store.impl, key, NULL), expected);
        assert_code(store.ops->presign_put(store.impl, &upload, &out, &expires_s, NULL), expected);
    }
    assert_int_equal(http.record_count, 3 * 5);
    dic_buf_clean_up(&out);
}

static void size_and_tag_are_handed_on(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info = {0};
    dic_buf_init(&out, 100);
    answer(200, "etag: \"0a\"\ncontent-length: 3\n", "abc");
    answer(200, "etag: \"0b\"\ncontent-length: 77\n", NULL);
    assert_ok(store.ops->get(store.impl, dic_str("k"), 3, &out, &info, NULL));
    assert_int_equal(info.size_bytes, 3);
    assert_string_equal(info.etag, "\"0a\"");
    assert_ok(store.ops->head(store.impl, dic_str("k"), &info, NULL));
    assert_int_equal(info.size_bytes, 77);
    assert_string_equal(info.etag, "\"0b\"");
    dic_buf_clean_up(&out);
}

static void reads_are_cancelled_and_writes_are_not(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info;
    dic_buf_init(&out, 100);
    atomic_store(&cancelled, true);
    answer(200, "etag: \"0a\"\n", NULL);
    answer(204, NULL, NULL);
    assert_code(store.ops->get(store.impl, dic_str("k"), 3, &out, NULL, NULL), DIC_E_CONFLICT);
    assert_code(store.ops->get_range(store.impl, dic_str("k"), 0, 1, NULL, &out, NULL),
                DIC_E_CONFLICT);
    assert_code(store.ops->head(store.impl, dic_str("k"), &info, NULL), DIC_E_CONFLICT);
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("x"), false, NULL));
    assert_ok(store.ops->remove(store.impl, dic_str("k"), NULL));
    dic_buf_clean_up(&out);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_of_1_to_1024_bytes_are_asked_for_and_others_are_invalid),
        CASE(size_and_tag_are_handed_on),
        CASE(reads_are_cancelled_and_writes_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
