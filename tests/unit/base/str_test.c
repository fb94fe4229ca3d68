/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static void utf8_is_judged_as_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xC3\xA9",
                                       "\xE2\x82\xAC",
                                       "\xF0\x9F\x98\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xEF\xBB\xBF",
                                       "\x7F"};
    static const char *const bad[] = {
        "\x80",         "\xC3",         "\xC0\xAF",     "\xC1\x81",
        "\xE0\x80\xAF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80",     "\xFF",         "\xE2\x82",     "\xF0\x9F\x98",
        "\xC3(",        "a\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(dic_utf8_valid(dic_str(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(dic_utf8_valid(dic_str(bad[i])));
    }
}

static void numbers_are_parsed_within_their_bounds_only(void **state)
{
    (void)state;
    uint64_t value = 0;
    assert_ok(dic_parse_u64(dic_str("7"), 7, 9, &value, NULL));
    assert_int_equal(value, 7);
    assert_ok(dic_parse_u64(dic_str("18446744073709551615"), 0, UINT64_MAX, &value, NULL));
    assert_true(value == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "6",
                                      "10",
                                      "+7",
                                      "-7",
                                      " 7",
                                      "7 ",
                                      "0x7",
                                      "7.0",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "000000000000000000007"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dic_err err = {0};
        assert_code(dic_parse_u64(dic_str(bad[i]), 7, 9, &value, &err), DIC_E_INVALID);
        assert_non_null(strstr(err.msg, "from 7 to 9"));
    }
}

static void globs_match_whole_keys(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *key;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "a/b", true},
        {"*.jpg", "x/y.jpg", true},
        {"*.jpg", "x.jpgx", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "aXcYb", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"**", "anything", true},
        {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
        {"a\\", "a\\", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dic_glob_match(dic_str(cases[i].pattern), dic_str(cases[i].key)),
                         cases[i].matches);
    }
}

static void splitting_gives_every_part_once(void **state)
{
    (void)state;
    struct dic_str rest = dic_str("a,,b,");
    struct dic_str part;
    const char *expected[] = {"a", "", "b", ""};
    for (int i = 0; i < 4; i++) {
        assert_true(dic_str_split(&rest, ',', &part));
        assert_view(part, expected[i]);
    }
    assert_false(dic_str_split(&rest, ',', &part));
}

static void trimming_takes_spaces_and_tabs_at_both_ends(void **state)
{
    (void)state;
    assert_view(dic_str_trim(dic_str(" \t a b\t ")), "a b");
    assert_view(dic_str_trim(dic_str("a")), "a");
    assert_view(dic_str_trim(dic_str(" \t ")), "");
    assert_view(dic_str_trim(dic_str("")), "");
    assert_view(dic_str_trim(dic_str("\na\r")), "\na\r");
}

static void comparing_is_by_unsigned_bytes_and_prefixes_come_first(void **state)
{
    (void)state;
    static const char *const ordered[] = {"", "a", "a-", "a/", "a0", "ab", "b", "\xC3\xA9"};
    const int count = sizeof ordered / sizeof ordered[0];
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = dic_str_compare(dic_str(ordered[i]), dic_str(ordered[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

/* Of the authors' own list of test vectors (RFC 9923). */
static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(dic_str_hash(dic_str("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(dic_str_hash(dic_str("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(dic_str_hash(dic_str("foobar")) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_judged_as_rfc_3629_says),
        cmocka_unit_test(numbers_are_parsed_within_their_bounds_only),
        cmocka_unit_test(globs_match_whole_keys),
        cmocka_unit_test(splitting_gives_every_part_once),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_at_both_ends),
        cmocka_unit_test(comparing_is_by_unsigned_bytes_and_prefixes_come_first),
        cmocka_unit_test(the_hash_is_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
