/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "submit_request.h"

#include <stdio.h>

enum { BODY_BYTES = 32 * 1024 * 1024 };

#define HEAD "{\"job_type\":\"image_classification\""
#define KEYS HEAD ",\"s3_keys\":[\"a\"]"

/* The outcome of a body, with what a test may want to know of it. */
struct parsed {
    enum dic_code code;
    struct dic_err err;
    struct dic_job_params params;
    char spec[4096];
    char hash[65];
};

static struct parsed parse(struct dic_str body)
{
    struct parsed parsed = {0};
    DIC_CLEANUP(dic_submit_request_clean_up) struct dic_submit_request request = {0};
    parsed.code = dic_submit_request_parse(body, &request, &parsed.err);
    parsed.params = request.params;
    snprintf(parsed.spec, sizeof parsed.spec, "%.*s", DIC_STR_ARGS(request.params.spec_json));
    snprintf(parsed.hash, sizeof parsed.hash, "%s", request.hash);
    parsed.params.spec_json = dic_str(NULL);
    return parsed;
}

static struct parsed parse_text(const char *body)
{
    return parse(dic_str(body));
}

static void assert_refused(const char *body, const char *field, const char *word)
{
    struct parsed parsed = parse_text(body);
    if (parsed.code != DIC_E_INVALID || strcmp(parsed.err.field, field) != 0 ||
        strstr(parsed.err.msg, word) == NULL) {
        print_error("%.200s: code %d, field '%s', message '%s'\n", body, parsed.code,
                    parsed.err.field, parsed.err.msg);
        fail();
    }
}

/* {"job_type":…,"NAME":[ "x", … ] with count elements, or an object with count members. */
static struct parsed parse_list(const char *name, size_t count, const char *element)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf body;
    dic_buf_init(&body, BODY_BYTES);
    dic_buf_printf(&body, "%s,\"%s\":[",
                   strcmp(name, "s3_keys") == 0 ? HEAD : HEAD ",\"s3_prefix\":\"\"", name);
    for (size_t i = 0; i < count; i++) {
        dic_buf_printf(&body, "%s\"%s\"", i > 0 ? "," : "", element);
    }
    dic_buf_append_text(&body, "]}");
    return parse(dic_buf_view(&body));
}

/* HEAD, prefix, count times the byte, suffix. */
static struct parsed parse_long(const char *prefix, size_t count, const char *suffix)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf body;
    dic_buf_init(&body, BODY_BYTES);
    dic_buf_append_text(&body, prefix);
    for (size_t i = 0; i < count; i++) {
        dic_buf_append_byte(&body, 'x');
    }
    dic_buf_append_text(&body, suffix);
    return parse(dic_buf_view(&body));
}

static void what_is_not_said_has_its_default(void **state)
{
    (void)state;
    struct parsed parsed = parse_text(KEYS "}");
    assert_ok(parsed.code);
    assert_int_equal(parsed.params.source, DIC_SOURCE_KEYS);
    assert_int_equal(parsed.params.top_k, 5);
    assert_true(parsed.params.confidence_threshold == 0);
    assert_int_equal(parsed.params.deadline_ms, 0);
    assert_int_equal(parsed.params.max_failures, -1);
    assert_string_equal(parsed.spec, "{}");
}

static void everything_that_is_said_is_kept(void **state)
{
    (void)state;
    struct parsed parsed = parse_text(
        HEAD ",\"s3_prefix\":\"p/\",\"include\":[\"*.jpg\"],\"exclude\":[\"\\\"\"],\"top_k\":7,"
             "\"confidence_threshold\":0.25,\"deadline_seconds\":60,\"max_failures\":0,"
             "\"tags\":{\"a\":\"b\"}}");
    assert_ok(parsed.code);
    assert_int_equal(parsed.params.source, DIC_SOURCE_PREFIX);
    assert_int_equal(parsed.params.top_k, 7);
    assert_true(parsed.params.confidence_threshold == 0.25);
    assert_int_equal(parsed.params.deadline_ms, 60000);
    assert_int_equal(parsed.params.max_failures, 0);
    assert_string_equal(parsed.spec, "{\"s3_prefix\":\"p/\",\"include\":[\"*.jpg\"],"
                                     "\"exclude\":[\"\\\"\"],\"tags\":{\"a\":\"b\"}}");
}

static void a_manifest_is_a_source(void **state)
{
    (void)state;
    struct parsed parsed = parse_text(HEAD ",\"manifest_s3_key\":\"lists/m.jsonl\"}");
    assert_ok(parsed.code);
    assert_int_equal(parsed.params.source, DIC_SOURCE_MANIFEST);
    assert_string_equal(parsed.spec, "{\"manifest_s3_key\":\"lists/m.jsonl\"}");
}

static void every_truncation_of_a_body_is_malformed(void **state)
{
    (void)state;
    static const char text[] = HEAD ",\"s3_keys\":[\"a\",\"\\u00e9\"],\"top_k\":5,"
                                    "\"confidence_threshold\":0.5,\"tags\":{\"a\":\"b\"}}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_code(parse(dic_str_len(text, len)).code, DIC_E_MALFORMED);
    }
    assert_ok(parse_text(text).code);
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"[]", "1", "\"x\"", "null", "true", "1.5"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_refused(bodies[i], "", "must be a JSON object");
    }
}

static void the_job_type_must_be_the_one_there_is(void **state)
{
    (void)state;
    assert_refused("{\"s3_keys\":[\"a\"]}", "job_type", "missing");
    assert_refused("{\"job_type\":\"video\",\"s3_keys\":[\"a\"]}", "job_type",
                   "allowed is 'image_classification'");
    assert_refused("{\"job_type\":\"Image_classification\",\"s3_keys\":[\"a\"]}", "job_type",
                   "allowed is");
    assert_refused("{\"job_type\":\"image_classification\\u0000\",\"s3_keys\":[\"a\"]}", "job_type",
                   "allowed is");
    assert_refused("{\"job_type\":null,\"s3_keys\":[\"a\"]}", "job_type", "not null");
}

static void exactly_one_source_is_wanted(void **state)
{
    (void)state;
    assert_refused(HEAD "}", "s3_keys", "not 0 of them");
    assert_refused(KEYS ",\"s3_prefix\":\"\"}", "s3_keys", "not 2 of them");
    assert_refused(KEYS ",\"manifest_s3_key\":\"m\"}", "s3_keys", "not 2 of them");
    assert_refused(KEYS ",\"s3_prefix\":\"\",\"manifest_s3_key\":\"m\"}", "s3_keys",
                   "not 3 of them");
    assert_refused(HEAD ",\"s3_prefix\":null}", "s3_prefix", "not null");
}

static void globs_go_with_a_prefix_only(void **state)
{
    (void)state;
    assert_refused(KEYS ",\"include\":[\"*\"]}", "include", "s3_prefix only");
    assert_refused(KEYS ",\"exclude\":[]}", "exclude", "s3_prefix only");
    assert_refused(HEAD ",\"manifest_s3_key\":\"m\",\"include\":[]}", "include", "s3_prefix only");
}

static void unknown_members_are_named(void **state)
{
    (void)state;
    assert_refused(KEYS ",\"colour\":1}", "colour", "unknown member 'colour'");
    assert_refused(KEYS ",\"Top_k\":1}", "Top_k", "unknown member");
    assert_refused(KEYS ",\"\":1}", "", "unknown member ''");
    assert_refused(KEYS ",\"webhook_url\":\"https://example.com\"}", "webhook_url",
                   "not supported yet");
    struct parsed parsed = parse_long(KEYS ",\"", 5000, "\":1}");
    assert_code(parsed.code, DIC_E_INVALID);
}

static void one_to_10000_keys_are_taken(void **state)
{
    (void)state;
    assert_code(parse_list("s3_keys", 0, "k").code, DIC_E_INVALID);
    assert_ok(parse_list("s3_keys", 1, "k").code);
    assert_ok(parse_list("s3_keys", 9999, "k").code);
    assert_ok(parse_list("s3_keys", 10000, "k").code);
    struct parsed parsed = parse_list("s3_keys", 10001, "k");
    assert_code(parsed.code, DIC_E_INVALID);
    assert_string_equal(parsed.err.field, "s3_keys");
    assert_non_null(strstr(parsed.err.msg, "10001 entries, allowed are 1 to 10000"));
}

static void the_key_that_is_wrong_is_named_by_its_index(void **state)
{
    (void)state;
    assert_refused(HEAD ",\"s3_keys\":\"a\"}", "s3_keys", "must be an array, not a string");
    assert_refused(HEAD ",\"s3_keys\":[\"a\",\"b\",7]}", "s3_keys[2]", "not an integer");
    assert_refused(HEAD ",\"s3_keys\":[[\"a\"]]}", "s3_keys[0]", "not an array");
    assert_refused(HEAD ",\"s3_keys\":[\"a\",\"\"]}", "s3_keys[1]", "");
    assert_refused(HEAD ",\"s3_keys\":[\"a\\u0000b\"]}", "s3_keys[0]", "");
}

static void a_key_has_1_to_1024_bytes(void **state)
{
    (void)state;
    assert_ok(parse_long(HEAD ",\"s3_keys\":[\"", 1023, "\"]}").code);
    assert_ok(parse_long(HEAD ",\"s3_keys\":[\"", 1024, "\"]}").code);
    assert_code(parse_long(HEAD ",\"s3_keys\":[\"", 1025, "\"]}").code, DIC_E_INVALID);
    assert_ok(parse_long(HEAD ",\"manifest_s3_key\":\"", 1024, "\"}").code);
    assert_code(parse_long(HEAD ",\"manifest_s3_key\":\"", 0, "\"}").code, DIC_E_INVALID);
    assert_code(parse_long(HEAD ",\"manifest_s3_key\":\"", 1025, "\"}").code, DIC_E_INVALID);
}

static void a_prefix_has_0_to_1024_bytes(void **state)
{
    (void)state;
    assert_ok(parse_long(HEAD ",\"s3_prefix\":\"", 0, "\"}").code);
    assert_ok(parse_long(HEAD ",\"s3_prefix\":\"", 1024, "\"}").code);
    assert_code(parse_long(HEAD ",\"s3_prefix\":\"", 1025, "\"}").code, DIC_E_INVALID);
}

static void a_glob_list_has_0_to_16_patterns(void **state)
{
    (void)state;
    assert_ok(parse_list("include", 0, "*").code);
    assert_ok(parse_list("include", 15, "*").code);
    assert_ok(parse_list("include", 16, "*").code);
    assert_code(parse_list("include", 17, "*").code, DIC_E_INVALID);
    assert_ok(parse_list("exclude", 16, "*").code);
    assert_code(parse_list("exclude", 17, "*").code, DIC_E_INVALID);
    assert_refused(HEAD ",\"s3_prefix\":\"\",\"include\":\"*\"}", "include", "must be an array");
}

static void a_glob_has_1_to_256_bytes(void **state)
{
    (void)state;
    assert_ok(parse_long(HEAD ",\"s3_prefix\":\"\",\"include\":[\"", 255, "\"]}").code);
    assert_ok(parse_long(HEAD ",\"s3_prefix\":\"\",\"include\":[\"", 256, "\"]}").code);
    assert_code(parse_long(HEAD ",\"s3_prefix\":\"\",\"include\":[\"", 257, "\"]}").code,
                DIC_E_INVALID);
    assert_refused(HEAD ",\"s3_prefix\":\"\",\"exclude\":[\"*\",\"\"]}", "exclude[1]", "1 to 256");
    assert_refused(HEAD ",\"s3_prefix\":\"\",\"exclude\":[1]}", "exclude[0]", "not an integer");
}

static void check_bounds(const char *name, long long min, long long max)
{
    const long long taken[] = {min, min + 1, max - 1, max};
    const long long refused[] = {min - 1, max + 1};
    char body[256];
    for (size_t i = 0; i < 4; i++) {
        snprintf(body, sizeof body, KEYS ",\"%s\":%lld}", name, taken[i]);
        assert_ok(parse_text(body).code);
    }
    for (size_t i = 0; i < 2; i++) {
        char bounds[80];
        snprintf(body, sizeof body, KEYS ",\"%s\":%lld}", name, refused[i]);
        snprintf(bounds, sizeof bounds, "%lld, allowed are %lld to %lld", refused[i], min, max);
        assert_refused(body, name, bounds);
    }
}

static void whole_numbers_are_taken_within_their_bounds(void **state)
{
    (void)state;
    check_bounds("top_k", 1, 100);
    check_bounds("deadline_seconds", 1, 1209600);
    check_bounds("max_failures", 0, 10000000);
}

static void numbers_of_another_kind_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"top_k", "deadline_seconds", "max_failures"};
    static const char *const values[] = {"5.5", "5e-1", "\"5\"", "true", "null", "[5]", "{}"};
    char body[256];
    for (size_t n = 0; n < 3; n++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            snprintf(body, sizeof body, KEYS ",\"%s\":%s}", names[n], values[v]);
            assert_refused(body, names[n], "must be an integer");
        }
    }
    assert_code(parse_text(KEYS ",\"top_k\":9223372036854775808}").code, DIC_E_MALFORMED);
}

static void a_threshold_lies_within_0_and_1(void **state)
{
    (void)state;
    static const char *const taken[] = {"0", "1", "0.0", "1.0", "5e-324", "0.9999999999999999"};
    static const char *const refused[] = {"-5e-324", "1.0000000000000002", "2", "-1", "1e308"};
    char body[256];
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        snprintf(body, sizeof body, KEYS ",\"confidence_threshold\":%s}", taken[i]);
        assert_ok(parse_text(body).code);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(body, sizeof body, KEYS ",\"confidence_threshold\":%s}", refused[i]);
        assert_refused(body, "confidence_threshold", "allowed are 0 to 1");
    }
    assert_refused(KEYS ",\"confidence_threshold\":\"0.5\"}", "confidence_threshold", "a number");
}

static struct parsed parse_tags(size_t count)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf body;
    dic_buf_init(&body, BODY_BYTES);
    dic_buf_append_text(&body, KEYS ",\"tags\":{");
    for (size_t i = 0; i < count; i++) {
        dic_buf_printf(&body, "%s\"t%zu\":\"v\"", i > 0 ? "," : "", i);
    }
    dic_buf_append_text(&body, "}}");
    return parse(dic_buf_view(&body));
}

static void there_are_0_to_16_tags_of_64_and_512_bytes(void **state)
{
    (void)state;
    assert_ok(parse_tags(0).code);
    assert_ok(parse_tags(15).code);
    assert_ok(parse_tags(16).code);
    assert_code(parse_tags(17).code, DIC_E_INVALID);
    assert_ok(parse_long(KEYS ",\"tags\":{\"", 64, "\":\"\"}}").code);
    assert_code(parse_long(KEYS ",\"tags\":{\"", 65, "\":\"\"}}").code, DIC_E_INVALID);
    assert_ok(parse_long(KEYS ",\"tags\":{\"t\":\"", 512, "\"}}").code);
    assert_code(parse_long(KEYS ",\"tags\":{\"t\":\"", 513, "\"}}").code, DIC_E_INVALID);
    assert_refused(KEYS ",\"tags\":{\"\":\"v\"}}", "tags", "name has 0 bytes");
    assert_refused(KEYS ",\"tags\":[]}", "tags", "must be an object");
    assert_refused(KEYS ",\"tags\":{\"size\":1}}", "tags", "tag 'size' must be a string");
}

static void the_hash_is_that_of_what_is_asked_and_not_of_how(void **state)
{
    (void)state;
    struct parsed first = parse_text(KEYS ",\"top_k\":5,\"tags\":{\"a\":\"1\",\"b\":\"2\"}}");
    struct parsed other =
        parse_text("{ \"tags\" : {\"b\":\"2\",\"\\u0061\":\"1\"},\n"
                   "\"s3_keys\":[\"\\u0061\"],\"job_type\":\"image_classification\"}");
    assert_int_equal(strlen(first.hash), 64);
    assert_string_equal(first.hash, other.hash);
    assert_string_equal(other.spec, "{\"tags\":{\"a\":\"1\",\"b\":\"2\"}}");
}

static void requests_that_differ_have_different_hashes(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        KEYS "}",
        KEYS ",\"top_k\":6}",
        KEYS ",\"confidence_threshold\":0.1}",
        KEYS ",\"confidence_threshold\":0.10000000000000002}",
        KEYS ",\"deadline_seconds\":1}",
        KEYS ",\"max_failures\":0}",
        KEYS ",\"tags\":{\"a\":\"b\"}}",
        KEYS ",\"tags\":{\"a\":\"c\"}}",
        HEAD ",\"s3_keys\":[\"b\"]}",
        HEAD ",\"s3_keys\":[\"a\",\"b\"]}",
        HEAD ",\"s3_keys\":[\"b\",\"a\"]}",
        HEAD ",\"s3_keys\":[\"ab\"]}",
        HEAD ",\"s3_prefix\":\"a\"}",
        HEAD ",\"s3_prefix\":\"a\",\"include\":[\"x\"]}",
        HEAD ",\"s3_prefix\":\"a\",\"exclude\":[\"x\"]}",
        HEAD ",\"manifest_s3_key\":\"a\"}",
    };
    enum { COUNT = sizeof bodies / sizeof bodies[0] };
    static struct parsed parsed[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        parsed[i] = parse_text(bodies[i]);
        assert_ok(parsed[i].code);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(parsed[i].hash, parsed[k].hash);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(everything_that_is_said_is_kept),
        cmocka_unit_test(a_manifest_is_a_source),
        cmocka_unit_test(every_truncation_of_a_body_is_malformed),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(the_job_type_must_be_the_one_there_is),
        cmocka_unit_test(exactly_one_source_is_wanted),
        cmocka_unit_test(globs_go_with_a_prefix_only),
        cmocka_unit_test(unknown_members_are_named),
        cmocka_unit_test(one_to_10000_keys_are_taken),
        cmocka_unit_test(the_key_that_is_wrong_is_named_by_its_index),
        cmocka_unit_test(a_key_has_1_to_1024_bytes),
        cmocka_unit_test(a_prefix_has_0_to_1024_bytes),
        cmocka_unit_test(a_glob_list_has_0_to_16_patterns),
        cmocka_unit_test(a_glob_has_1_to_256_bytes),
        cmocka_unit_test(whole_numbers_are_taken_within_their_bounds),
        cmocka_unit_test(numbers_of_another_kind_are_refused),
        cmocka_unit_test(a_threshold_lies_within_0_and_1),
        cmocka_unit_test(there_are_0_to_16_tags_of_64_and_512_bytes),
        cmocka_unit_test(the_hash_is_that_of_what_is_asked_and_not_of_how),
        cmocka_unit_test(requests_that_differ_have_different_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
