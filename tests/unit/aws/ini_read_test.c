/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/ini_read.h"

#include "base/buf.h"
#include "test.h"

#include <stdlib.h>

static enum dic_code write_down(void *context, struct dic_str section, struct dic_str name,
                                struct dic_str value, struct dic_err *err)
{
    struct dic_buf *out = context;
    dic_buf_append_byte(out, '[');
    dic_buf_append_str(out, section);
    dic_buf_append_byte(out, ']');
    dic_buf_append_str(out, name);
    dic_buf_append_byte(out, '=');
    dic_buf_append_str(out, value);
    dic_buf_append_byte(out, '\n');
    return dic_str_is(name, "stop") ? dic_fail(err, DIC_E_CONFLICT, "stopped") : DIC_OK;
}

static void assert_read(const char *text, const char *expected)
{
    struct dic_buf out;
    dic_buf_init(&out, 4096);
    assert_ok(dic_ini_read(dic_str(text), write_down, &out, NULL));
    assert_view(dic_buf_view(&out), expected);
    dic_buf_clean_up(&out);
}

static void assert_refused(const char *text, const char *message)
{
    struct dic_buf out;
    dic_buf_init(&out, 4096);
    struct dic_err err = {0};
    assert_code(dic_ini_read(dic_str(text), write_down, &out, &err), DIC_E_MALFORMED);
    assert_string_equal(err.msg, message);
    dic_buf_clean_up(&out);
}

static void settings_come_with_their_section(void **state)
{
    (void)state;
    assert_read("[default]\nregion = eu-west-1\n[ profile b ]\r\nregion=us-east-1\r\n",
                "[default]region=eu-west-1\n[profile b]region=us-east-1\n");
    assert_read("", "");
    assert_read("[empty]\n\n", "");
    assert_read("before = any section", "[]before=any section\n");
    assert_read("[s]\na=\nb==c=", "[s]a=\n[s]b==c=\n");
}

static void comments_and_settings_of_settings_are_passed_over(void **state)
{
    (void)state;
    assert_read(
        "# c\n; d\n[s] # e\na = 1 # f\nb = 2;3#4\nc = 5 ;6\ns3 =\n  max = 7\n\td = 8\ne = 9",
        "[s]a=1\n[s]b=2;3#4\n[s]c=5\n[s]s3=\n[s]e=9\n");
}

static void lines_that_are_none_of_these_are_refused_by_number(void **state)
{
    (void)state;
    assert_refused("[a]\nb = c\nword\n", "line 3 is not a name, '=' and a value");
    assert_refused("= c\n", "line 1 is not a name, '=' and a value");
    assert_refused("\n[a\n", "line 2 is not '[', a section's name and ']'");
    assert_refused("[a] b\n", "line 1 is not '[', a section's name and ']'");
}

static void the_visitors_error_ends_the_reading(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 4096);
    assert_code(dic_ini_read(dic_str("a=1\nstop=2\nb=3"), write_down, &out, NULL), DIC_E_CONFLICT);
    assert_view(dic_buf_view(&out), "[]a=1\n[]stop=2\n");
    dic_buf_clean_up(&out);
}

static void a_text_cut_at_any_byte_is_read_within_its_bounds(void **state)
{
    (void)state;
    const char *text = "# c\n[profile a] ; d\naws_access_key_id = A # e\n nested = 1\r\nb = c\n";
    for (size_t len = 0; len <= strlen(text); len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, text, len);
        struct dic_buf out;
        dic_buf_init(&out, 4096);
        enum dic_code code = dic_ini_read(dic_str_len(copy, len), write_down, &out, NULL);
        assert_true(code == DIC_OK || code == DIC_E_MALFORMED);
        dic_buf_clean_up(&out);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_with_their_section),
        cmocka_unit_test(comments_and_settings_of_settings_are_passed_over),
        cmocka_unit_test(lines_that_are_none_of_these_are_refused_by_number),
        cmocka_unit_test(the_visitors_error_ends_the_reading),
        cmocka_unit_test(a_text_cut_at_any_byte_is_read_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
