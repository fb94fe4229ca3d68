/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "uri.h"

static void escapes_are_decoded_once_and_bad_ones_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *decoded; /* NULL: refused */
    } cases[] = {{"/a%2Fb", "/a/b"}, {"%41%e2%82%ac", "A\xE2\x82\xAC"},
                 {"%2541", "%41"},   {"a+b", "a+b"},
                 {"%", NULL},        {"%4", NULL},
                 {"%zz", NULL},      {"%00", NULL},
                 {"a b", NULL},      {"a\x80", NULL},
                 {"a\x7F", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_buf out;
        dic_buf_init(&out, 100);
        enum dic_code code = dic_uri_decode(dic_str(cases[i].text), false, &out, NULL);
        assert_int_equal(code, cases[i].decoded == NULL ? DIC_E_MALFORMED : DIC_OK);
        if (cases[i].decoded != NULL) {
            assert_view(dic_buf_view(&out), cases[i].decoded);
        }
        dic_buf_clean_up(&out);
    }
}

static void a_query_is_split_and_decoded(void **state)
{
    (void)state;
    struct dic_query query;
    assert_ok(dic_query_parse(dic_str("a=1&b=x+y%26&&c&d="), &query, NULL));
    assert_int_equal(query.count, 4);
    assert_view(dic_query_find(&query, dic_str("b")), "x y&");
    assert_view(dic_query_find(&query, dic_str("c")), "");
    assert_null(dic_query_find(&query, dic_str("e")).ptr);
    dic_query_clean_up(&query);
}

static void a_parameter_given_twice_and_too_many_are_refused(void **state)
{
    (void)state;
    for (int count = 31; count <= 33; count++) {
        struct dic_query query;
        struct dic_buf text;
        dic_buf_init(&text, 1000);
        for (int i = 0; i < count; i++) {
            dic_buf_printf(&text, "p%d=%d&", i, i);
        }
        assert_int_equal(dic_query_parse(dic_buf_view(&text), &query, NULL) == DIC_OK, count <= 32);
        dic_query_clean_up(&query);
        dic_buf_clean_up(&text);
    }
    struct dic_query query;
    assert_code(dic_query_parse(dic_str("a=1&%61=2"), &query, NULL), DIC_E_MALFORMED);
    dic_query_clean_up(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded_once_and_bad_ones_refused),
        cmocka_unit_test(a_query_is_split_and_decoded),
        cmocka_unit_test(a_parameter_given_twice_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
