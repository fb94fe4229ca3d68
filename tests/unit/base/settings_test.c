/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/log.h"
#include "base/settings.h"
#include "capture.h"

#include <stdlib.h>
#include <unistd.h>

struct values {
    int64_t number;
    const char *text;
    double real;
};

static const struct dic_setting table[] = {
    {"T_NUMBER", DIC_SETTING_NUMBER, offsetof(struct values, number), "5", 1, 10, false,
     "a number"},
    {"T_TEXT", DIC_SETTING_TEXT, offsetof(struct values, text), NULL, 2, 4, true, "a secret text"},
    {"T_REAL", DIC_SETTING_REAL, offsetof(struct values, real), "0.5", 0, 1, false, "a real"},
};

static enum dic_code read_with(const char *name, const char *value, struct values *out,
                               struct dic_err *err)
{
    setenv("T_TEXT", "abc", 1);
    unsetenv("T_NUMBER");
    unsetenv("T_REAL");
    if (value != NULL) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
    return dic_settings_read(table, 3, out, err);
}

static void unset_and_empty_variables_take_the_fallback(void **state)
{
    (void)state;
    struct values values;
    assert_ok(read_with("T_NUMBER", "", &values, NULL));
    assert_int_equal(values.number, 5);
    assert_string_equal(values.text, "abc");
    assert_true(values.real > 0.49 && values.real < 0.51);
}

static void values_at_their_bounds_are_taken_and_beyond_them_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        bool good;
    } cases[] = {
        {"T_NUMBER", "0", false},  {"T_NUMBER", "1", true},    {"T_NUMBER", "10", true},
        {"T_NUMBER", "11", false}, {"T_NUMBER", "x", false},   {"T_NUMBER", "-1", false},
        {"T_NUMBER", "5 ", false}, {"T_TEXT", "a", false},     {"T_TEXT", "ab", true},
        {"T_TEXT", "abcd", true},  {"T_TEXT", "abcde", false}, {"T_TEXT", NULL, false},
        {"T_REAL", "1", true},     {"T_REAL", "1.01", false},  {"T_REAL", "nan", false},
        {"T_REAL", "0.5x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct values values;
        struct dic_err err = {0};
        enum dic_code code = read_with(cases[i].name, cases[i].value, &values, &err);
        assert_int_equal(code, cases[i].good ? DIC_OK : DIC_E_INVALID);
        if (!cases[i].good) {
            assert_string_equal(err.field, cases[i].name);
            assert_null(strstr(err.msg, "abcde")); /* a secret is never shown */
        }
    }
}

static void help_and_docs_name_every_variable(void **state)
{
    (void)state;
    struct dic_buf text;
    dic_buf_init(&text, 100000);
    dic_settings_help(table, 3, &text);
    dic_settings_docs(table, 3, &text);
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(text.ptr, table[i].name));
        assert_non_null(strstr(text.ptr, table[i].help));
    }
    dic_buf_clean_up(&text);
}

static void negative_numbers_are_read_where_they_are_allowed(void **state)
{
    (void)state;
    static const struct dic_setting signed_table[] = {
        {"T_NUMBER", DIC_SETTING_NUMBER, offsetof(struct values, number), "-5", -10, 10, false,
         "a number"},
    };
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"-10", true}, {"-11", false}, {"-", false}, {"--1", false}, {"+1", false}};
    struct values values;
    unsetenv("T_NUMBER");
    assert_ok(dic_settings_read(signed_table, 1, &values, NULL));
    assert_int_equal(values.number, -5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("T_NUMBER", cases[i].text, 1);
        assert_int_equal(dic_settings_read(signed_table, 1, &values, NULL) == DIC_OK,
                         cases[i].good);
    }
}

static void all_values_are_logged_but_secrets(void **state)
{
    (void)state;
    const struct values values = {7, "swordfish", 0.25};
    dic_log_set_level(DIC_LOG_INFO);
    dic_capture_begin(STDERR_FILENO);
    dic_settings_log(table, 3, &values);
    const char *text = dic_capture_end();
    assert_non_null(strstr(text, "\"event\":\"settings\",\"T_NUMBER\":7,\"T_TEXT\":\"***\","
                                 "\"T_REAL\":\"0.25\"}\n"));
    assert_null(strstr(text, "swordfish"));
    static const struct dic_setting open_text = {
        "T_TEXT", DIC_SETTING_TEXT, offsetof(struct values, text), NULL, 0, 99, false, "a text"};
    dic_capture_begin(STDERR_FILENO);
    dic_settings_log(&open_text, 1, &values);
    assert_non_null(strstr(dic_capture_end(), "\"T_TEXT\":\"swordfish\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unset_and_empty_variables_take_the_fallback),
        cmocka_unit_test(values_at_their_bounds_are_taken_and_beyond_them_refused),
        cmocka_unit_test(help_and_docs_name_every_variable),
        cmocka_unit_test(negative_numbers_are_read_where_they_are_allowed),
        cmocka_unit_test(all_values_are_logged_but_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
