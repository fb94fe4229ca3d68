/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "json/json_read.h"
#include "json/json_write.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static enum dic_code parse(struct dic_str text)
{
    struct dic_json *root = NULL;
    enum dic_code code = dic_json_parse(text, &root, NULL);
    if (code == DIC_OK) {
        dic_json_destroy(root);
    }
    return code;
}

static void depth_32_is_read_and_depth_33_is_not(void **state)
{
    (void)state;
    for (int depth = 31; depth <= 33; depth++) {
        char text[80] = "";
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(parse(dic_str_len(text, (size_t)depth * 2)) == DIC_OK, depth <= 32);
    }
}

static void brackets_inside_strings_are_no_depth(void **state)
{
    (void)state;
    assert_ok(parse(dic_str("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[\"")));
}

static void duplicate_keys_and_trailing_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"a\":1,\"a\":2}",
                                      "{\"s\":1,\"\\u0073\":2}",
                                      "1 2",
                                      "[1,]",
                                      "{,}",
                                      "\xEF\xBB\xBF{}",
                                      "'a'",
                                      "[01]",
                                      "[1.]",
                                      "[.5]",
                                      "[NaN]",
                                      "nul",
                                      "\"\x01\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_code(parse(dic_str(bad[i])), DIC_E_MALFORMED);
    }
}

static void every_truncation_of_a_document_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5e3,\"\\u00e9\\\\\",true,null],\"b\":{\"c\":\"x\"}}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_code(parse(dic_str_len(text, len)), DIC_E_MALFORMED);
    }
    assert_ok(parse(dic_str(text)));
}

static void numbers_are_typed_strictly(void **state)
{
    (void)state;
    struct dic_json *root = NULL;
    int64_t whole = 0;
    double real = 0;
    struct dic_err err = {0};
    assert_ok(dic_json_parse(dic_str("[5, 5.5, \"5\", true]"), &root, NULL));
    assert_ok(dic_json_get_int(dic_json_at(root, 0), "n", 5, 5, &whole, NULL));
    assert_code(dic_json_get_int(dic_json_at(root, 0), "n", 6, 9, &whole, &err), DIC_E_INVALID);
    assert_string_equal(err.msg, "n is 5, allowed are 6 to 9");
    for (size_t i = 1; i < 4; i++) {
        assert_code(dic_json_get_int(dic_json_at(root, i), "n", 0, 9, &whole, &err), DIC_E_INVALID);
    }
    assert_ok(dic_json_get_real(dic_json_at(root, 0), "r", 0, 5, &real, NULL));
    assert_code(dic_json_get_real(dic_json_at(root, 1), "r", 0, 5.4, &real, NULL), DIC_E_INVALID);
    dic_json_destroy(root);
}

static void whole_numbers_may_be_written_as_reals_while_they_are_exact(void **state)
{
    (void)state;
    static const char text[] =
        "[5.0, 1e3, -0.0, 9007199254740991.0, 9007199254740992.0, 1e300, 0.5]";
    static const int64_t values[] = {5, 1000, 0, 9007199254740991};
    struct dic_json *root = NULL;
    int64_t out = 0;
    assert_ok(dic_json_parse(dic_str(text), &root, NULL));
    for (size_t i = 0; i < 4; i++) {
        assert_ok(dic_json_get_int(dic_json_at(root, i), "n", INT64_MIN, INT64_MAX, &out, NULL));
        assert_int_equal(out, values[i]);
    }
    for (size_t i = 4; i < 7; i++) {
        assert_code(dic_json_get_int(dic_json_at(root, i), "n", INT64_MIN, INT64_MAX, &out, NULL),
                    DIC_E_INVALID);
    }
    dic_json_destroy(root);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_json *root = NULL;
    struct dic_str text = {0};
    static const char hostile[] = "quote\" back\\ tab\t nl\n bell\a \xC3\xA9 \xF0\x9F\x98\x80";
    dic_buf_init(&out, 10000);
    struct dic_json_writer writer = dic_json_writer(&out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "text", hostile);
    dic_json_put_text(&writer, "broken", "a\xFFz");
    dic_json_put_int(&writer, "least", INT64_MIN);
    dic_json_put_real(&writer, "nan", (double)NAN, 3);
    dic_json_begin_array(&writer, "list");
    dic_json_put_bool(&writer, NULL, true);
    dic_json_put_null(&writer, NULL);
    dic_json_end_array(&writer);
    dic_json_end_object(&writer);
    assert_ok(dic_json_parse(dic_buf_view(&out), &root, NULL));
    assert_ok(dic_json_get_str(dic_json_member(root, "text"), "text", &text, NULL));
    assert_view(text, hostile);
    assert_ok(dic_json_get_str(dic_json_member(root, "broken"), "broken", &text, NULL));
    assert_view(text, "a\xEF\xBF\xBDz");
    assert_true(dic_json_is_null(dic_json_member(root, "nan")));
    dic_json_destroy(root);
    dic_buf_clean_up(&out);
}

static void a_document_has_the_form_that_was_asked_for(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 10000);
    struct dic_json_writer writer = dic_json_writer(&out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "text", "a\"b\\c\n\r\t\x01 \x7F");
    dic_json_put_int(&writer, "negative", -1);
    dic_json_put_int(&writer, "most", INT64_MAX);
    dic_json_put_int_or_null(&writer, "known", 0);
    dic_json_put_int_or_null(&writer, "unknown", -1);
    dic_json_put_real(&writer, "real", 0.12345678, 6);
    dic_json_put_real(&writer, "infinite", (double)INFINITY, 6);
    dic_json_put_time(&writer, "at", 1767225599123);
    dic_json_put_raw(&writer, "raw", dic_str("{\"a\":[1]}"));
    dic_json_put_name(&writer, dic_str("any \"name\""));
    dic_json_begin_array(&writer, NULL);
    dic_json_put_bool(&writer, NULL, false);
    dic_json_begin_object(&writer, NULL);
    dic_json_end_object(&writer);
    dic_json_begin_array(&writer, NULL);
    dic_json_end_array(&writer);
    dic_json_end_array(&writer);
    dic_json_put_null(&writer, "last");
    dic_json_end_object(&writer);
    assert_view(dic_buf_view(&out),
                "{\"text\":\"a\\\"b\\\\c\\n\\r\\t\\u0001 \x7F\",\"negative\":-1,"
                "\"most\":9223372036854775807,\"known\":0,\"unknown\":null,\"real\":0.123457,"
                "\"infinite\":null,\"at\":\"2025-12-31T23:59:59.123Z\",\"raw\":{\"a\":[1]},"
                "\"any \\\"name\\\"\":[false,{},[]],\"last\":null}");
    dic_buf_clean_up(&out);
}

static void a_document_over_its_ceiling_is_noticed_at_the_end(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 20);
    struct dic_json_writer writer = dic_json_writer(&out);
    dic_json_begin_array(&writer, NULL);
    for (int i = 0; i < 20; i++) {
        dic_json_put_int(&writer, NULL, i);
    }
    dic_json_end_array(&writer);
    assert_code(dic_buf_check(&out, NULL), DIC_E_TOO_LARGE);
    assert_true(out.len <= 20);
    dic_buf_clean_up(&out);
}

static void values_of_another_type_are_named_as_what_they_are(void **state)
{
    (void)state;
    static const char text[] = "[{}, [], \"s\", 1, 1.5, true, null]";
    static const char *const names[] = {
        "an object", "an array", "a string", "an integer", "a number with a fraction or exponent",
        "a boolean", "null"};
    struct dic_json *root = NULL;
    assert_ok(dic_json_parse(dic_str(text), &root, NULL));
    for (size_t i = 0; i < 7; i++) {
        const struct dic_json *value = dic_json_at(root, i);
        struct dic_err err = {0};
        struct dic_str string = {0};
        int64_t whole = 0;
        double real = 0;
        bool truth = false;
        assert_string_equal(dic_json_type_name(value), names[i]);
        enum dic_code codes[] = {
            dic_json_get_str(value, "f", &string, &err),
            dic_json_get_int(value, "f", 0, 9, &whole, &err),
            dic_json_get_real(value, "f", 0, 9, &real, &err),
            dic_json_get_bool(value, "f", &truth, &err),
        };
        assert_int_equal(codes[0] == DIC_OK, i == 2);
        assert_int_equal(codes[1] == DIC_OK, i == 3);
        assert_int_equal(codes[2] == DIC_OK, i == 3 || i == 4);
        assert_int_equal(codes[3] == DIC_OK, i == 5);
        assert_int_equal(dic_json_is_object(value), i == 0);
        assert_int_equal(dic_json_is_array(value), i == 1);
        assert_int_equal(dic_json_is_string(value), i == 2);
        assert_int_equal(dic_json_is_null(value), i == 6);
        if (i != 5) {
            char expected[80];
            snprintf(expected, sizeof expected, "f must be a boolean, not %s", names[i]);
            assert_string_equal(err.msg, expected);
            assert_string_equal(err.field, "f");
        }
    }
    dic_json_destroy(root);
    dic_json_destroy(NULL);
}

static enum dic_code collect(void *context, struct dic_str name, const struct dic_json *value,
                             struct dic_err *err)
{
    struct dic_buf *names = context;
    dic_buf_append_str(names, name);
    return dic_json_is_null(value) ? dic_fail(err, DIC_E_CONFLICT, "stop") : DIC_OK;
}

static void members_are_visited_until_the_visitor_stops(void **state)
{
    (void)state;
    struct dic_json *root = NULL;
    struct dic_buf names;
    struct dic_err err = {0};
    dic_buf_init(&names, 100);
    assert_ok(dic_json_parse(dic_str("{\"b\":1,\"a\":2,\"c\":3}"), &root, NULL));
    assert_int_equal(dic_json_size(root), 3);
    assert_ok(dic_json_each(root, collect, &names, NULL));
    assert_view(dic_buf_view(&names), "bac");
    assert_null(dic_json_member(root, "d"));
    assert_null(dic_json_at(root, 0));
    dic_json_destroy(root);
    dic_buf_clear(&names);
    assert_ok(dic_json_parse(dic_str("{\"b\":1,\"a\":null,\"c\":3}"), &root, NULL));
    assert_code(dic_json_each(root, collect, &names, &err), DIC_E_CONFLICT);
    assert_view(dic_buf_view(&names), "ba");
    dic_json_destroy(root);
    dic_buf_clean_up(&names);
}

static void a_nul_byte_is_no_json(void **state)
{
    (void)state;
    struct dic_json *root = NULL;
    struct dic_err err = {0};
    assert_code(dic_json_parse(dic_str_len("1\0", 2), &root, &err), DIC_E_MALFORMED);
    assert_string_equal(err.msg, "not valid JSON: a NUL byte at byte 1");
    assert_code(parse(dic_str_len(NULL, 0)), DIC_E_MALFORMED);
}

/* y_ cases that jansson refuses, each for a reason we want: NUL in an object's key, and numbers
 * that do not fit a double or an integer of 64 bits. */
static bool is_known_refusal(const char *name)
{
    return strcmp(name, "y_object_escaped_null_in_key.json") == 0 ||
           strcmp(name, "y_object_duplicated_key.json") == 0 ||
           strcmp(name, "y_object_duplicated_key_and_value.json") == 0;
}

static void check_case(const char *folder, const char *name)
{
    static char bytes[1 << 20];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    enum dic_code code = parse(dic_str_len(bytes, len));
    bool wanted = name[0] == 'y' && !is_known_refusal(name);
    if (name[0] != 'i' && (code == DIC_OK) != wanted) {
        print_error("%s\n", name);
        fail();
    }
}

static void the_json_test_suite_is_judged_as_it_asks(void **state)
{
    (void)state;
    const char *folder = getenv("DIC_JSON_DIR");
    DIR *dir = folder == NULL ? NULL : opendir(folder);
    if (dir == NULL) {
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strstr(entry->d_name, ".json") != NULL) {
            check_case(folder, entry->d_name);
        }
    }
    closedir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_32_is_read_and_depth_33_is_not),
        cmocka_unit_test(brackets_inside_strings_are_no_depth),
        cmocka_unit_test(duplicate_keys_and_trailing_bytes_are_refused),
        cmocka_unit_test(every_truncation_of_a_document_is_refused),
        cmocka_unit_test(numbers_are_typed_strictly),
        cmocka_unit_test(whole_numbers_may_be_written_as_reals_while_they_are_exact),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_document_has_the_form_that_was_asked_for),
        cmocka_unit_test(a_document_over_its_ceiling_is_noticed_at_the_end),
        cmocka_unit_test(values_of_another_type_are_named_as_what_they_are),
        cmocka_unit_test(members_are_visited_until_the_visitor_stops),
        cmocka_unit_test(a_nul_byte_is_no_json),
        cmocka_unit_test(the_json_test_suite_is_judged_as_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
