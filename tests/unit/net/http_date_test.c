/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_date.h"

#include "test.h"

static void assert_date(const char *text, int64_t expected_ms)
{
    int64_t ms = -1;
    assert_true(dic_http_date_parse(dic_str(text), &ms));
    assert_int_equal(ms, expected_ms);
}

static void dates_of_the_fixed_form_are_read(void **state)
{
    (void)state;
    assert_date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777000); /* RFC 9110's example */
    assert_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    assert_date("Thu, 29 Feb 2024 23:59:59 GMT", 1709251199000);
}

static void anything_else_is_no_date(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",  "Sun, 06 Nov 1994 08:49:37 GMT ",
        "sun, 06 Nov 1994 08:49:37 GMT",  "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",  "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 31 Apr 1994 08:49:37 GMT",  "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",  "Sun, 06 Nob 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",  "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",  "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 199a 08:49:37 GMT",  "Sun, -6 Nov 1994 08:49:37 GMT",
        "2026-01-01T00:00:00Z",           "0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 0;
        assert_false(dic_http_date_parse(dic_str(bad[i]), &ms));
    }
}

static void a_date_cut_at_any_byte_is_no_date(void **state)
{
    (void)state;
    const char *date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (size_t len = 0; len < strlen(date); len++) {
        int64_t ms = 0;
        assert_false(dic_http_date_parse(dic_str_len(date, len), &ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_of_the_fixed_form_are_read),
        cmocka_unit_test(anything_else_is_no_date),
        cmocka_unit_test(a_date_cut_at_any_byte_is_no_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
