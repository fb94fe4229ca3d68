/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "store/job_queue.h"

static const struct dic_message sample = {
    .kind = DIC_MESSAGE_CHUNK, .job_id = "abcdefghijklmnopqrstuvwxyz", .chunk = 4294967295U};

static void a_message_survives_the_wire(void **state)
{
    (void)state;
    for (int kind = DIC_MESSAGE_PLAN; kind <= DIC_MESSAGE_SEAL; kind++) {
        char body[DIC_MESSAGE_BODY_SIZE];
        struct dic_message message = sample;
        struct dic_message read = {0};
        message.kind = (enum dic_message_kind)kind;
        size_t len = dic_message_write(&message, body);
        assert_ok(dic_message_parse(dic_str_len(body, len), &read, NULL));
        assert_int_equal(read.kind, kind);
        assert_string_equal(read.job_id, sample.job_id);
        assert_true(read.chunk == sample.chunk);
    }
}

static void a_message_that_was_handed_back_carries_its_past(void **state)
{
    (void)state;
    static const struct {
        uint32_t receives;
        int64_t sent_ms;
    } cases[] = {{0, 0}, {1, 0}, {0, 1}, {UINT32_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[DIC_MESSAGE_BODY_SIZE];
        struct dic_message message = sample;
        struct dic_message read = {.earlier_receives = 7, .first_sent_ms = 7};
        message.earlier_receives = cases[i].receives;
        message.first_sent_ms = cases[i].sent_ms;
        size_t len = dic_message_write(&message, body);
        assert_int_equal(len, strlen(body));
        assert_int_equal(strstr(body, "receives") != NULL, i > 0);
        assert_ok(dic_message_parse(dic_str_len(body, len), &read, NULL));
        assert_true(read.chunk == sample.chunk);
        assert_true(read.earlier_receives == cases[i].receives);
        assert_true(read.first_sent_ms == cases[i].sent_ms);
        for (size_t cut = 0; cut < len; cut++) {
            assert_code(dic_message_parse(dic_str_len(body, cut), &read, NULL), DIC_E_MALFORMED);
        }
    }
}

static void every_truncation_of_a_message_is_refused(void **state)
{
    (void)state;
    char body[DIC_MESSAGE_BODY_SIZE];
    size_t len = dic_message_write(&sample, body);
    for (size_t i = 0; i < len; i++) {
        struct dic_message read = {0};
        assert_code(dic_message_parse(dic_str_len(body, i), &read, NULL), DIC_E_MALFORMED);
    }
}

static void a_newer_message_is_unsupported_and_a_foreign_one_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum dic_code code;
    } cases[] = {
        {"{\"v\":2,\"kind\":\"chunk\",\"job\":\"x\",\"chunk\":1}", DIC_E_UNSUPPORTED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"dance\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":1}",
         DIC_E_UNSUPPORTED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"chunk\",\"job\":\"../../etc\",\"chunk\":1}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"chunk\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":-1}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"chunk\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":4294967296}",
         DIC_E_MALFORMED},
        {"{\"v\":0,\"kind\":\"chunk\"}", DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"other\",\"kind\":\"plan\",\"job\":\"abcdefghijklmnopqrstuvwxyz\","
         "\"chunk\":0}",
         DIC_E_UNSUPPORTED},
        {"{\"v\":1,\"tenant\":7,\"kind\":\"plan\",\"job\":\"abcdefghijklmnopqrstuvwxyz\","
         "\"chunk\":0}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"kind\":\"plan\",\"job\":\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":0}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"plan\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":0,\"receives\":-1}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"plan\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":0,\"receives\":4294967296}",
         DIC_E_MALFORMED},
        {"{\"v\":1,\"tenant\":\"default\",\"kind\":\"plan\",\"job\":"
         "\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":0,\"sent\":\"now\"}",
         DIC_E_MALFORMED},
        {"[]", DIC_E_MALFORMED},
        {"hello", DIC_E_MALFORMED},
        {"{\"Records\":[]}", DIC_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_message read = {0};
        struct dic_err err = {0};
        assert_code(dic_message_parse(dic_str(cases[i].body), &read, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_the_wire),
        cmocka_unit_test(a_message_that_was_handed_back_carries_its_past),
        cmocka_unit_test(every_truncation_of_a_message_is_refused),
        cmocka_unit_test(a_newer_message_is_unsupported_and_a_foreign_one_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
