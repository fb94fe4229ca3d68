/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"

#include "base/mem.h"
#include "test.h"

#include <stdio.h>

static struct dic_item item;

static int open_item(void **state)
{
    (void)state;
    dic_item_init(&item);
    return 0;
}

static int close_item(void **state)
{
    (void)state;
    dic_item_clean_up(&item);
    dic_item_clean_up(&item); /* a second time does nothing */
    return 0;
}

static void an_attribute_is_found_by_name_and_kind(void **state)
{
    (void)state;
    dic_item_add_text(&item, dic_str("t"), dic_str("text"));
    dic_item_add_number(&item, dic_str("n"), -7);
    dic_item_add_map(&item, dic_str("m"));
    assert_view(dic_item_text(&item, "t"), "text");
    assert_null(dic_item_text(&item, "n").ptr);
    assert_null(dic_item_text(&item, "m").ptr);
    assert_null(dic_item_text(&item, "te").ptr);
    assert_int_equal(dic_item_number(&item, "n", 1), -7);
    assert_int_equal(dic_item_number(&item, "t", 1), 1);
    assert_int_equal(dic_item_number(&item, "x", 1), 1);
    assert_true(dic_item_has(&item, "m"));
    assert_false(dic_item_has(&item, ""));
    assert_int_equal(dic_item_map_size(&item, "t"), 0);
    assert_null(dic_item_map_get(&item, "t", dic_str("k")).ptr);
}

static void the_entries_of_two_maps_do_not_mix_and_are_no_attributes(void **state)
{
    (void)state;
    struct dic_str key;
    struct dic_str value;
    dic_item_add_map(&item, dic_str("a"));
    dic_item_add_map_entry(&item, dic_str("a"), dic_str("1"), dic_str("one"));
    dic_item_add_map_entry(&item, dic_str("a"), dic_str("b"), dic_str("two"));
    dic_item_add_map(&item, dic_str("b"));
    dic_item_add_map_entry(&item, dic_str("b"), dic_str("1"), dic_str(""));
    dic_item_add_number(&item, dic_str("n"), 5);
    assert_int_equal(dic_item_map_size(&item, "a"), 2);
    assert_int_equal(dic_item_map_size(&item, "b"), 1);
    assert_view(dic_item_map_get(&item, "a", dic_str("b")), "two");
    assert_non_null(dic_item_map_get(&item, "b", dic_str("1")).ptr);
    assert_null(dic_item_map_get(&item, "b", dic_str("b")).ptr);
    assert_false(dic_item_has(&item, "1"));
    assert_int_equal(dic_item_number(&item, "n", 0), 5);
    assert_true(dic_item_map_at(&item, "a", 1, &key, &value));
    assert_view(key, "b");
    assert_view(value, "two");
    assert_false(dic_item_map_at(&item, "a", 2, &key, &value));
    assert_false(dic_item_map_at(&item, "b", 1, &key, &value));
    assert_false(dic_item_map_at(&item, "n", 0, &key, &value));
}

static void an_entry_makes_its_map_when_it_was_not_added(void **state)
{
    (void)state;
    dic_item_add_text(&item, dic_str("m"), dic_str("not the map"));
    dic_item_add_map_entry(&item, dic_str("map"), dic_str("k"), dic_str("v"));
    assert_view(dic_item_map_get(&item, "map", dic_str("k")), "v");
    assert_int_equal(dic_item_map_size(&item, "map"), 1);
}

static void an_item_can_be_filled_again_after_it_was_cleared(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        dic_item_clear(&item);
        assert_false(item.exists);
        assert_false(dic_item_has(&item, "a99"));
        for (int i = 0; i < 100; i++) { /* more than its memory at first */
            char name[8];
            snprintf(name, sizeof name, "a%d", i);
            dic_item_add_number(&item, dic_str(name), i + round);
        }
        assert_int_equal(dic_item_number(&item, "a0", -1), round);
        assert_int_equal(dic_item_number(&item, "a99", -1), 99 + round);
    }
}

static void what_is_over_twice_a_tables_limit_is_left_out_and_told(void **state)
{
    (void)state;
    enum { MOST = 2 * DIC_TABLE_ITEM_MAX_BYTES };
    char *text = dic_calloc(MOST + 1, 1);
    memset(text, 'x', MOST);
    dic_item_add_text(&item, dic_str("t"), dic_str_len(text, MOST - 1));
    assert_ok(dic_buf_check(&item.memory, NULL));
    assert_int_equal(dic_item_text(&item, "t").len, MOST - 1);
    dic_item_add_number(&item, dic_str("n"), 1);
    assert_code(dic_buf_check(&item.memory, NULL), DIC_E_TOO_LARGE);
    assert_false(dic_item_has(&item, "n"));
    dic_item_add_map_entry(&item, dic_str("m"), dic_str("k"), dic_str("v"));
    assert_int_equal(dic_item_map_size(&item, "m"), 0);
    assert_int_equal(dic_item_text(&item, "t").len, MOST - 1);
    dic_item_clear(&item);
    dic_item_add_map_entry(&item, dic_str("m"), dic_str("k"), dic_str_len(text, MOST - 1));
    assert_code(dic_buf_check(&item.memory, NULL), DIC_E_TOO_LARGE);
    assert_int_equal(dic_item_map_size(&item, "m"), 0);
    dic_free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_item, close_item)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_attribute_is_found_by_name_and_kind),
        TEST(the_entries_of_two_maps_do_not_mix_and_are_no_attributes),
        TEST(an_entry_makes_its_map_when_it_was_not_added),
        TEST(an_item_can_be_filled_again_after_it_was_cleared),
        TEST(what_is_over_twice_a_tables_limit_is_left_out_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
