/* SPDX-License-Identifier: Apache-2.0 */
#include "model_uri.h"

#include "test.h"

static void what_has_a_scheme_is_remote_and_the_rest_is_a_folder(void **state)
{
    (void)state;
    static const char *const folders[] = {"", ".", "/models/a", "models/s3:/x", "s3:", "a:/b"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        assert_false(dic_model_uri_is_remote(folders[i]));
    }
    assert_true(dic_model_uri_is_remote("s3://bucket/x"));
    assert_true(dic_model_uri_is_remote("https://bucket/x"));
}

static void bucket_and_prefix_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bucket, *prefix;
    } cases[] = {
        {"s3://abc", "abc", ""},
        {"s3://abc/", "abc", ""},
        {"s3://abc/models", "abc", "models/"},
        {"s3://abc/models/", "abc", "models/"},
        {"s3://a.b-c_9/models/my net/v1", "a.b-c_9", "models/my net/v1/"},
        {"s3://abc/a%20b/", "abc", "a%20b/"},
        {"s3://abc/a?b#c/", "abc", "a?b#c/"},
        {"s3://abc/\xc3\xa9/", "abc", "\xc3\xa9/"},
        {"s3://abc/.hidden/...", "abc", ".hidden/.../"},
        {"s3://abc/model.json/", "abc", "model.json/"},
        {"s3://abc/my-model.json", "abc", "my-model.json/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_model_uri uri;
        struct dic_err err = {0};
        if (dic_model_uri_parse(cases[i].text, &uri, &err) != DIC_OK) {
            print_error("%s\n", err.msg);
            fail();
        }
        assert_string_equal(uri.bucket, cases[i].bucket);
        assert_string_equal(uri.prefix, cases[i].prefix);
    }
}

static void what_is_wrong_is_said_with_the_setting_and_its_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"https://abc/models/", "a folder or s3://bucket/folder/"},
        {"S3://abc/models/", "a folder or s3://bucket/folder/"},
        {"x/s3://abc/models/", "a folder or s3://bucket/folder/"},
        {"s3://", "3 to 63"},
        {"s3:///models/", "3 to 63"},
        {"s3://-ab/models/", "3 to 63"},
        {"s3://ab./models/", "3 to 63"},
        {"s3://a b/models/", "3 to 63"},
        {"s3://me@abc/models/", "3 to 63"},
        {"s3://abc:80/models/", "3 to 63"},
        {"s3://\xc3\xa9t\xc3\xa9/models/", "3 to 63"},
        {"s3://abc//", "empty, '.' or '..'"},
        {"s3://abc//models/", "empty, '.' or '..'"},
        {"s3://abc/models//", "empty, '.' or '..'"},
        {"s3://abc/a//b", "empty, '.' or '..'"},
        {"s3://abc/./b", "empty, '.' or '..'"},
        {"s3://abc/..", "empty, '.' or '..'"},
        {"s3://abc/a/../b/", "empty, '.' or '..'"},
        {"s3://abc/model.json", "names the folder"},
        {"s3://abc/a/model.json", "names the folder"},
        {"s3://abc/a\nb/", "control characters"},
        {"s3://abc/a\x7f/", "control characters"},
        {"s3://abc/\xff/", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_model_uri uri;
        struct dic_err err = {0};
        const enum dic_code code = dic_model_uri_parse(cases[i].text, &uri, &err);
        if (code != DIC_E_INVALID || strcmp(err.field, "MODEL_URI") != 0 ||
            strstr(err.msg, cases[i].words) == NULL || strstr(err.msg, cases[i].text) == NULL) {
            print_error("'%s': %d '%s'\n", cases[i].text, code, err.msg);
            fail();
        }
    }
}

static void a_bucket_has_3_to_63_characters(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 2, 3, 4, 62, 63, 64};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char text[128] = "s3://";
        struct dic_model_uri uri;
        const bool good = lengths[i] >= 3 && lengths[i] <= 63;
        memset(text + 5, 'b', lengths[i]);
        memcpy(text + 5 + lengths[i], "/x", sizeof "/x");
        assert_code(dic_model_uri_parse(text, &uri, NULL), good ? DIC_OK : DIC_E_INVALID);
    }
}

/* The slash that may be left out counts. */
static void the_key_of_model_json_has_at_most_1024_bytes(void **state)
{
    (void)state;
    for (size_t slash = 0; slash < 2; slash++) {
        for (size_t key = 1023; key <= 1025; key++) {
            char text[1100] = "s3://abc/";
            const size_t folder = key - sizeof "model.json" + 1;
            struct dic_model_uri uri;
            memset(text + 9, 'f', folder - 1);
            text[9 + folder - 1] = slash ? '/' : '\0';
            assert_code(dic_model_uri_parse(text, &uri, NULL),
                        key <= 1024 ? DIC_OK : DIC_E_INVALID);
            if (key <= 1024) {
                assert_int_equal(strlen(uri.prefix), folder);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_a_scheme_is_remote_and_the_rest_is_a_folder),
        cmocka_unit_test(bucket_and_prefix_are_told_apart),
        cmocka_unit_test(what_is_wrong_is_said_with_the_setting_and_its_value),
        cmocka_unit_test(a_bucket_has_3_to_63_characters),
        cmocka_unit_test(the_key_of_model_json_has_at_most_1024_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
