/* SPDX-License-Identifier: Apache-2.0 */
#include "table_suite.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct dic_table table;
static struct dic_item item;
static struct dic_err err;

static int open_table(void **state)
{
    (void)state;
    table = dic_table_suite_open();
    dic_item_init(&item);
    err = (struct dic_err){0};
    return 0;
}

static int close_table(void **state)
{
    (void)state;
    dic_item_clean_up(&item);
    dic_table_suite_close(table);
    return 0;
}

/* ---- short ways to write ---- */

static struct dic_change set_text(const char *name, const char *text)
{
    return (struct dic_change){.kind = DIC_SET_TEXT, .name = name, .text = dic_str(text)};
}

static struct dic_change set_number(const char *name, int64_t number)
{
    return (struct dic_change){.kind = DIC_SET_NUMBER, .name = name, .number = number};
}

static struct dic_change add_number(const char *name, int64_t number)
{
    return (struct dic_change){.kind = DIC_ADD_NUMBER, .name = name, .number = number};
}

static struct dic_change set_map(const char *name)
{
    return (struct dic_change){.kind = DIC_SET_MAP, .name = name};
}

static struct dic_change set_entry(const char *name, const char *key, const char *text)
{
    return (struct dic_change){
        .kind = DIC_SET_MAP_ENTRY, .name = name, .key = dic_str(key), .text = dic_str(text)};
}

static struct dic_change remove_attribute(const char *name)
{
    return (struct dic_change){.kind = DIC_REMOVE, .name = name};
}

#define CHANGES(...)                                     \
    .changes = (const struct dic_change[]){__VA_ARGS__}, \
    .change_count = sizeof((const struct dic_change[]){__VA_ARGS__}) / sizeof(struct dic_change)
#define CONDS(...)                                   \
    .conds = (const struct dic_cond[]){__VA_ARGS__}, \
    .cond_count = sizeof((const struct dic_cond[]){__VA_ARGS__}) / sizeof(struct dic_cond)
#define WRITE(key, ...) (&(struct dic_table_write){.pk = dic_str(key), __VA_ARGS__})

static bool applied(enum dic_code (*operation)(void *impl, const struct dic_table_write *write,
                                               bool *applied_out, struct dic_item *item_out,
                                               struct dic_err *err),
                    const struct dic_table_write *write)
{
    bool was_applied = false;
    enum dic_code code = operation(table.impl, write, &was_applied, &item, &err);
    if (code != DIC_OK) {
        print_error("%s\n", err.msg);
    }
    assert_int_equal(code, DIC_OK);
    return was_applied;
}

static bool put(const struct dic_table_write *write)
{
    return applied(table.ops->put, write);
}

static bool update(const struct dic_table_write *write)
{
    return applied(table.ops->update, write);
}

static enum dic_code update_code(const struct dic_table_write *write)
{
    bool was_applied = true;
    enum dic_code code = table.ops->update(table.impl, write, &was_applied, NULL, &err);
    assert_true(code == DIC_OK || !was_applied);
    return code;
}

static enum dic_code put_code(const struct dic_table_write *write)
{
    bool was_applied = true;
    enum dic_code code = table.ops->put(table.impl, write, &was_applied, NULL, &err);
    assert_true(code == DIC_OK || !was_applied);
    return code;
}

static void get(const char *pk)
{
    assert_ok(table.ops->get(table.impl, dic_str(pk), &item, &err));
}

/* ---- items ---- */

static void an_item_is_read_as_it_was_put(void **state)
{
    (void)state;
    static const char odd[] =
        "quote \" back \\ tab \t line \n \x01 \x7f caf\xC3\xA9 \xF0\x9F\x90\xB1";
    assert_true(put(
        WRITE("M#default#a b/%+",
              CHANGES(set_text("text", odd), set_text("empty", ""), set_number("least", INT64_MIN),
                      set_number("most", INT64_MAX), set_map("none"), set_map("map"),
                      set_entry("map", odd, "1"), set_entry("map", "k", "")))));
    get("M#default#a b/%+");
    assert_true(item.exists);
    assert_view(dic_item_text(&item, "pk"), "M#default#a b/%+");
    assert_view(dic_item_text(&item, "text"), odd);
    assert_view(dic_item_text(&item, "empty"), "");
    assert_non_null(dic_item_text(&item, "empty").ptr);
    assert_true(dic_item_number(&item, "least", 0) == INT64_MIN);
    assert_true(dic_item_number(&item, "most", 0) == INT64_MAX);
    assert_true(dic_item_has(&item, "none"));
    assert_int_equal(dic_item_map_size(&item, "none"), 0);
    assert_int_equal(dic_item_map_size(&item, "map"), 2);
    assert_view(dic_item_map_get(&item, "map", dic_str(odd)), "1");
    assert_view(dic_item_map_get(&item, "map", dic_str("k")), "");
    assert_null(dic_item_map_get(&item, "map", dic_str("K")).ptr);
}

static void an_absent_item_does_not_exist(void **state)
{
    (void)state;
    assert_true(put(WRITE("a", CHANGES(set_text("t", "1")))));
    get("a");
    get("A");
    assert_false(item.exists);
    assert_false(dic_item_has(&item, "t"));
}

static void a_put_replaces_the_whole_item(void **state)
{
    (void)state;
    assert_true(put(WRITE("a", CHANGES(set_text("t", "1"), set_number("n", 1)))));
    assert_true(put(WRITE("a", CHANGES(set_number("n", 2)))));
    get("a");
    assert_int_equal(dic_item_number(&item, "n", 0), 2);
    assert_false(dic_item_has(&item, "t"));
}

static void a_refused_put_changes_nothing_and_tells_what_is_there(void **state)
{
    (void)state;
    const struct dic_cond absent = {.kind = DIC_COND_ABSENT, .name = "pk"};
    assert_true(put(WRITE("a", CHANGES(set_text("t", "first")), CONDS(absent))));
    assert_false(put(WRITE("a", CHANGES(set_text("t", "second")), CONDS(absent))));
    assert_true(item.exists);
    assert_view(dic_item_text(&item, "t"), "first");
    get("a");
    assert_view(dic_item_text(&item, "t"), "first");
}

static void a_refused_write_of_an_absent_item_tells_that_it_is_absent(void **state)
{
    (void)state;
    const struct dic_cond there = {.kind = DIC_COND_EXISTS, .name = "pk"};
    assert_false(update(WRITE("a", CHANGES(set_text("t", "x")), CONDS(there))));
    assert_false(item.exists);
    assert_false(put(WRITE("a", CHANGES(set_text("t", "x")), CONDS(there))));
    assert_false(item.exists);
    get("a");
    assert_false(item.exists);
}

/* ---- changes ---- */

static void an_update_makes_the_item_and_tells_the_new_one(void **state)
{
    (void)state;
    assert_true(update(WRITE("a", CHANGES(set_text("t", "x"), add_number("n", 5)))));
    assert_true(item.exists);
    assert_view(dic_item_text(&item, "t"), "x");
    assert_int_equal(dic_item_number(&item, "n", 0), 5);
}

static void every_change_does_what_it_says_and_leaves_the_rest(void **state)
{
    (void)state;
    assert_true(put(
        WRITE("a", CHANGES(set_text("text", "1"), set_number("number", 1), set_map("map"),
                           set_entry("map", "one", "1"), set_text("gone", "x"),
                           set_text("kept", "k"), set_map("full"), set_entry("full", "x", "y")))));
    assert_true(update(WRITE("a", CHANGES(set_text("text", "2"), add_number("number", -3),
                                          set_entry("map", "two", "2"), remove_attribute("gone"),
                                          remove_attribute("never"), set_number("new", 7),
                                          add_number("sum", 4), set_map("full")))));
    for (int i = 0; i < 2; i++) { /* the answer of the update, and what is read after it */
        assert_view(dic_item_text(&item, "text"), "2");
        assert_int_equal(dic_item_number(&item, "number", 0), -2);
        assert_int_equal(dic_item_map_size(&item, "map"), 2);
        assert_view(dic_item_map_get(&item, "map", dic_str("one")), "1");
        assert_view(dic_item_map_get(&item, "map", dic_str("two")), "2");
        assert_false(dic_item_has(&item, "gone"));
        assert_false(dic_item_has(&item, "never"));
        assert_view(dic_item_text(&item, "kept"), "k");
        assert_int_equal(dic_item_number(&item, "new", 0), 7);
        assert_int_equal(dic_item_number(&item, "sum", 0), 4);
        assert_true(dic_item_has(&item, "full"));
        assert_int_equal(dic_item_map_size(&item, "full"), 0);
        get("a");
    }
}

static void a_change_may_turn_an_attribute_into_another_kind(void **state)
{
    (void)state;
    assert_true(put(WRITE("a", CHANGES(set_text("v", "1")))));
    assert_true(update(WRITE("a", CHANGES(set_number("v", 2)))));
    assert_null(dic_item_text(&item, "v").ptr);
    assert_true(update(WRITE("a", CHANGES(set_map("v")))));
    assert_int_equal(dic_item_number(&item, "v", -1), -1);
    assert_true(update(WRITE("a", CHANGES(set_entry("v", "k", "3")))));
    assert_view(dic_item_map_get(&item, "v", dic_str("k")), "3");
    assert_true(update(WRITE("a", CHANGES(set_entry("v", "k", "4")))));
    assert_view(dic_item_map_get(&item, "v", dic_str("k")), "4");
    assert_int_equal(dic_item_map_size(&item, "v"), 1);
}

static void a_change_that_cannot_be_made_is_an_error_and_nothing_changes(void **state)
{
    (void)state;
    assert_true(put(WRITE("a", CHANGES(set_text("t", "x"), set_number("n", 1)))));
    assert_code(update_code(WRITE("a", CHANGES(set_number("n", 2), add_number("t", 1)))),
                DIC_E_INTERNAL);
    assert_code(update_code(WRITE("a", CHANGES(set_number("n", 2), set_entry("m", "k", "v")))),
                DIC_E_INTERNAL);
    assert_code(update_code(WRITE("a", CHANGES(set_number("n", 2), set_entry("t", "k", "v")))),
                DIC_E_INTERNAL);
    assert_code(update_code(WRITE("b", CHANGES(set_entry("m", "k", "v")))), DIC_E_INTERNAL);
    get("a");
    assert_int_equal(dic_item_number(&item, "n", 0), 1);
    get("b");
    assert_false(item.exists);
}

static void what_no_table_can_do_is_refused(void **state)
{
    (void)state;
    char long_key[DIC_TABLE_KEY_MAX_BYTES + 2] = {0};
    memset(long_key, 'k', DIC_TABLE_KEY_MAX_BYTES + 1);
    const struct dic_change t = set_text("t", "x");
    assert_code(update_code(WRITE("a", CHANGES(t, remove_attribute("t")))), DIC_E_INTERNAL);
    assert_code(update_code(WRITE("a", CHANGES(set_map("m"), set_entry("m", "k", "v")))),
                DIC_E_INTERNAL);
    assert_code(
        update_code(WRITE("a", CHANGES(set_entry("m", "k", "v"), set_entry("m", "k", "w")))),
        DIC_E_INTERNAL);
    assert_code(update_code(WRITE("a", CHANGES(set_text("pk", "b")))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(add_number("n", 1)))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(remove_attribute("n")))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(set_entry("m", "k", "v")))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(t), CONDS({.kind = DIC_COND_TEXT_IN, .name = "t"}))),
                DIC_E_INTERNAL);
    assert_code(put_code(WRITE("", CHANGES(t))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("\xFF", CHANGES(t))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(set_text("t", "\xC3")))), DIC_E_INTERNAL);
    assert_code(put_code(WRITE("a", CHANGES(set_map("m"), set_entry("m", "\x80", "v")))),
                DIC_E_INTERNAL);
    assert_code(put_code(WRITE(long_key, CHANGES(t))), DIC_E_INTERNAL);
    assert_code(table.ops->get(table.impl, dic_str(""), &item, &err), DIC_E_INTERNAL);
    long_key[DIC_TABLE_KEY_MAX_BYTES] = '\0';
    assert_code(put_code(WRITE(long_key, CHANGES(t))), DIC_OK);
    get(long_key);
    assert_true(item.exists);
}

/* ---- conditions ---- */

static const struct {
    struct dic_cond cond;
    bool holds; /* for the item below */
} conditions[] = {
    {{DIC_COND_EXISTS, "pk", {0}, {0}, 0, false}, true},
    {{DIC_COND_ABSENT, "pk", {0}, {0}, 0, false}, false},
    {{DIC_COND_EXISTS, "t", {0}, {0}, 0, false}, true},
    {{DIC_COND_EXISTS, "x", {0}, {0}, 0, false}, false},
    {{DIC_COND_ABSENT, "t", {0}, {0}, 0, false}, false},
    {{DIC_COND_ABSENT, "x", {0}, {0}, 0, false}, true},
    {{DIC_COND_EXISTS, "m", {0}, {0}, 0, false}, true},
    {{DIC_COND_EXISTS, "m", {"3", 1}, {0}, 0, false}, true},
    {{DIC_COND_EXISTS, "m", {"4", 1}, {0}, 0, false}, false},
    {{DIC_COND_ABSENT, "m", {"3", 1}, {0}, 0, false}, false},
    {{DIC_COND_ABSENT, "m", {"4", 1}, {0}, 0, false}, true},
    {{DIC_COND_ABSENT, "x", {"4", 1}, {0}, 0, false}, true},
    {{DIC_COND_EXISTS, "t", {"4", 1}, {0}, 0, false}, false},
    {{DIC_COND_TEXT_IN, "t", {0}, {"OPEN"}, 0, false}, true},
    {{DIC_COND_TEXT_IN, "t", {0}, {"1", "2", "3", "4", "5", "6", "7", "OPEN"}, 0, false}, true},
    {{DIC_COND_TEXT_IN, "t", {0}, {"open", "OPE", "OPENX", ""}, 0, false}, false},
    {{DIC_COND_TEXT_IN, "x", {0}, {"OPEN", ""}, 0, false}, false},
    {{DIC_COND_TEXT_IN, "n", {0}, {"5"}, 0, false}, false},
    {{DIC_COND_TEXT_IN, "m", {"3", 1}, {"three"}, 0, false}, true},
    {{DIC_COND_TEXT_IN, "m", {"3", 1}, {"four"}, 0, false}, false},
    {{DIC_COND_NUMBER_EQ, "n", {0}, {0}, 5, false}, true},
    {{DIC_COND_NUMBER_EQ, "n", {0}, {0}, 4, false}, false},
    {{DIC_COND_NUMBER_EQ, "x", {0}, {0}, 0, false}, false},
    {{DIC_COND_NUMBER_EQ, "t", {0}, {0}, 0, false}, false},
    {{DIC_COND_NUMBER_LESS, "n", {0}, {0}, 6, false}, true},
    {{DIC_COND_NUMBER_LESS, "n", {0}, {0}, 5, false}, false},
    {{DIC_COND_NUMBER_LESS, "x", {0}, {0}, 5, false}, false},
    {{DIC_COND_NUMBER_LESS, "big", {0}, {0}, INT64_MAX, false}, true},
    {{DIC_COND_NUMBER_EQ, "big", {0}, {0}, INT64_MAX - 1, false}, true},
    {{DIC_COND_NUMBER_EQ, "big", {0}, {0}, INT64_MAX, false}, false},
};

static void every_condition_holds_when_it_should_and_only_then(void **state)
{
    (void)state;
    assert_true(
        put(WRITE("a", CHANGES(set_text("t", "OPEN"), set_number("n", 5), set_map("m"),
                               set_entry("m", "3", "three"), set_number("big", INT64_MAX - 1)))));
    for (size_t i = 0; i < COUNT(conditions); i++) {
        const struct dic_table_write write = {.pk = dic_str("a"),
                                              CHANGES(add_number("count", 1)),
                                              .conds = &conditions[i].cond,
                                              .cond_count = 1};
        const int64_t before = i == 0 ? 0 : dic_item_number(&item, "count", 0);
        if (update(&write) != conditions[i].holds) {
            print_error("condition %zu\n", i);
            fail();
        }
        assert_true(item.exists);
        assert_int_equal(dic_item_number(&item, "count", 0), before + conditions[i].holds);
    }
}

static void conditions_are_joined_by_and_in_groups_of_which_one_is_enough(void **state)
{
    (void)state;
    const struct dic_cond yes = {.kind = DIC_COND_EXISTS, .name = "pk"};
    const struct dic_cond no = {.kind = DIC_COND_ABSENT, .name = "pk"};
    struct dic_cond or_yes = yes;
    struct dic_cond or_no = no;
    or_yes.or_else = or_no.or_else = true;
    assert_true(put(WRITE("a", CHANGES(set_text("t", "x")))));
    assert_true(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(yes, yes))));
    assert_false(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(yes, no))));
    assert_false(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(no, yes))));
    assert_true(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(no, or_yes))));
    assert_true(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(yes, or_no))));
    assert_false(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(yes, no, or_yes, no))));
    assert_true(
        update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(yes, no, or_no, or_yes, yes))));
    assert_false(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(no, or_yes, no, or_no))));
    assert_true(update(WRITE("a", CHANGES(add_number("n", 1)), CONDS(or_yes))));
    assert_int_equal(dic_item_number(&item, "n", 0), 5);
}

/* ---- many items, large items ---- */

static void any_number_of_items_is_read_at_once(void **state)
{
    (void)state;
    enum { MANY = 229 };
    static char names[MANY][16];
    static struct dic_str pks[MANY];
    static struct dic_item items[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "S#%d", i == MANY - 1 ? 0 : i); /* one of them twice */
        pks[i] = dic_str(names[i]);
        dic_item_init(&items[i]);
        if (i % 3 != 1) {
            assert_true(put(WRITE(names[i], CHANGES(set_number("n", i), set_text("t", names[i])))));
        }
    }
    static const size_t counts[] = {0, 1, 99, 100, 101, MANY};
    for (size_t c = 0; c < COUNT(counts); c++) {
        assert_ok(table.ops->get_many(table.impl, pks, counts[c], items, &err));
        for (size_t i = 0; i < counts[c]; i++) {
            assert_true(items[i].exists == (i % 3 != 1));
            assert_view(dic_item_text(&items[i], "t"), i % 3 != 1 ? names[i] : "");
        }
    }
    for (int i = 0; i < MANY; i++) {
        dic_item_clean_up(&items[i]);
    }
}

static void items_of_many_kilobytes_are_read_together(void **state)
{
    (void)state;
    enum { MANY = 60, BYTES = 350 * 1024 }; /* over the 16 MB of one answer of DynamoDB's */
    static struct dic_item items[MANY];
    static char names[MANY][8];
    static struct dic_str pks[MANY];
    char *text = dic_calloc(BYTES + 1, 1);
    memset(text, 'x', BYTES);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        pks[i] = dic_str(names[i]);
        dic_item_init(&items[i]);
        assert_ok(put_code(WRITE(names[i], CHANGES(set_text("t", text)))));
    }
    assert_ok(table.ops->get_many(table.impl, pks, MANY, items, &err));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(dic_item_text(&items[i], "t").len, BYTES);
        dic_item_clean_up(&items[i]);
    }
    dic_free(text);
}

/* What DynamoDB counts: "pk" + "k", and "t" + the text. */
static void an_item_of_400_kib_is_stored_and_one_byte_more_is_too_large(void **state)
{
    (void)state;
    const size_t most = DIC_TABLE_ITEM_MAX_BYTES - 4;
    char *text = dic_calloc(most + 2, 1);
    memset(text, 'x', most + 1);
    assert_code(put_code(WRITE("k", CHANGES(set_text("t", text)))), DIC_E_TOO_LARGE);
    get("k");
    assert_false(item.exists);
    text[most] = '\0';
    assert_ok(put_code(WRITE("k", CHANGES(set_text("t", text)))));
    assert_code(update_code(WRITE("k", CHANGES(set_text("u", "v")))), DIC_E_TOO_LARGE);
    get("k");
    assert_int_equal(dic_item_text(&item, "t").len, most);
    assert_false(dic_item_has(&item, "u"));
    dic_free(text);
}

static void a_map_of_thousands_of_entries_is_read_in_full(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    static struct dic_change changes[MANY + 1];
    static char keys[MANY][8];
    changes[0] = set_map("full");
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        changes[i + 1] = set_entry("full", keys[i], keys[i]);
    }
    const struct dic_table_write write = {dic_str("T"), changes, MANY + 1, NULL, 0};
    assert_true(put(&write));
    get("T");
    assert_int_equal(dic_item_map_size(&item, "full"), MANY);
    struct dic_str key;
    struct dic_str value;
    for (size_t i = 0; dic_item_map_at(&item, "full", i, &key, &value); i++) {
        assert_true(dic_str_eq(key, value));
    }
    assert_false(dic_item_map_at(&item, "full", MANY, &key, &value));
    assert_view(dic_item_map_get(&item, "full", dic_str("3999")), "3999");
}

/* ---- many at once ---- */

enum { THREADS = 8, ROUNDS = 25 };
static atomic_int wins[ROUNDS];
static atomic_int failures;

static void *compete(void *arg)
{
    const struct dic_cond open = {.kind = DIC_COND_TEXT_IN, .name = "st", .words = {"OPEN"}};
    const struct dic_cond first = {.kind = DIC_COND_ABSENT, .name = "c", .key = dic_str("1")};
    struct dic_item seen;
    dic_item_init(&seen);
    for (int i = 0; i < ROUNDS; i++) {
        char pk[16];
        bool won = false;
        snprintf(pk, sizeof pk, "S#%d", i);
        const struct dic_table_write write = {
            .pk = dic_str(pk),
            CHANGES(set_entry("c", "1", arg), add_number("nd", 1)),
            CONDS(open, first)};
        if (table.ops->update(table.impl, &write, &won, &seen, NULL) != DIC_OK) {
            atomic_fetch_add(&failures, 1);
        }
        const struct dic_str winner = dic_item_map_get(&seen, "c", dic_str("1"));
        if (winner.len == 0 || dic_str_is(winner, arg) != won) {
            atomic_fetch_add(&failures, 1);
        }
        atomic_fetch_add(&wins[i], won ? 1 : 0);
        if (table.ops->update(table.impl, WRITE("sum", CHANGES(add_number("n", 1))), &won, NULL,
                              NULL) != DIC_OK) {
            atomic_fetch_add(&failures, 1);
        }
    }
    dic_item_clean_up(&seen);
    return NULL;
}

static void of_many_conditional_writers_exactly_one_wins_and_no_addition_is_lost(void **state)
{
    (void)state;
    static char *names[THREADS] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    pthread_t threads[THREADS];
    for (int i = 0; i < ROUNDS; i++) {
        char pk[16];
        snprintf(pk, sizeof pk, "S#%d", i);
        atomic_store(&wins[i], 0);
        assert_true(put(WRITE(pk, CHANGES(set_text("st", "OPEN"), set_map("c")))));
    }
    for (int i = 0; i < THREADS; i++) {
        dic_thread_start(&threads[i], "compete", compete, names[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        dic_thread_join(threads[i]);
    }
    assert_int_equal(atomic_load(&failures), 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(atomic_load(&wins[i]), 1);
    }
    get("sum");
    assert_int_equal(dic_item_number(&item, "n", 0), THREADS * ROUNDS);
}

/* ---- indexes ---- */

struct seen {
    char text[400];
    size_t stop_after; /* 0: never */
    size_t count;
};

static enum dic_code note(void *context, struct dic_str pk, struct dic_str sort_text,
                          int64_t sort_number, struct dic_err *error)
{
    struct seen *seen = context;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%.*s=%.*s%" PRId64 " ", DIC_STR_ARGS(pk),
             DIC_STR_ARGS(sort_text), sort_number);
    seen->count++;
    return seen->count == seen->stop_after ? dic_fail(error, DIC_E_CONFLICT, "enough") : DIC_OK;
}

/* Indexes follow a moment later: so it is asked again until the answer is right, or 10 s passed. */
static void expect(const struct dic_table_query *query, const char *expected)
{
    struct seen seen = {0};
    for (int i = 0; i < 200; i++) {
        seen = (struct seen){0};
        assert_ok(table.ops->query(table.impl, query, note, &seen, &err));
        if (strcmp(seen.text, expected) == 0) {
            return;
        }
        dic_sleep_ms(50);
    }
    assert_string_equal(seen.text, expected);
}

static void put_due(const char *pk, int64_t partition, int64_t due)
{
    assert_true(put(WRITE(pk, CHANGES(set_number("obs", partition), set_number("obd", due)))));
}

static void the_outbox_is_read_in_order_within_its_bounds(void **state)
{
    (void)state;
    put_due("c", 3, 30);
    put_due("a", 3, 100);
    put_due("b", 3, -20);
    put_due("d", 4, 40);
    assert_true(put(WRITE("e", CHANGES(set_number("obs", 3)))));
    assert_true(put(WRITE("f", CHANGES(set_number("obd", 3)))));
    struct dic_table_query query = {.index = "outbox",
                                    .partition_number = 3,
                                    .from_number = -1000,
                                    .to_number = 1000,
                                    .limit = 9};
    expect(&query, "b=-20 c=30 a=100 ");
    query.newest_first = true;
    expect(&query, "a=100 c=30 b=-20 ");
    query.limit = 2;
    expect(&query, "a=100 c=30 ");
    query.limit = 9;
    query.from_number = -20;
    query.to_number = 30;
    expect(&query, "c=30 b=-20 ");
    query.from_number = -19;
    query.to_number = 29;
    expect(&query, "");
    query.from_number = INT64_MIN;
    query.to_number = INT64_MAX;
    query.partition_number = 5;
    expect(&query, "");
    query.partition_number = 4;
    expect(&query, "d=40 ");
}

static void an_item_without_the_indexs_attributes_is_not_in_it(void **state)
{
    (void)state;
    const struct dic_table_query query = {
        .index = "outbox", .partition_number = 0, .from_number = 0, .to_number = 1000, .limit = 9};
    put_due("a", 0, 1);
    put_due("b", 0, 2);
    expect(&query, "a=1 b=2 ");
    assert_true(update(WRITE("a", CHANGES(remove_attribute("obs"), remove_attribute("obd")))));
    expect(&query, "b=2 ");
    assert_true(update(WRITE("b", CHANGES(set_number("obd", 1001)))));
    expect(&query, "");
}

static void put_listed(const char *pk, const char *partition, const char *sort, const char *status)
{
    assert_true(put(WRITE(
        pk, CHANGES(set_text("lst", partition), set_text("crt", sort), set_text("st", status)))));
}

static void the_listing_is_read_in_order_within_bounds_and_by_status(void **state)
{
    (void)state;
    put_listed("x", "L#default", "0003#x", "RUNNING");
    put_listed("y", "L#default", "0001#y", "SUCCEEDED");
    put_listed("z", "L#default", "0002#z", "RUNNING");
    put_listed("w", "L#other", "0002#w", "RUNNING");
    struct dic_table_query query = {.index = "listing",
                                    .partition_text = dic_str("L#default"),
                                    .newest_first = true,
                                    .limit = 9};
    expect(&query, "x=0003#x0 z=0002#z0 y=0001#y0 ");
    query.newest_first = false;
    expect(&query, "y=0001#y0 z=0002#z0 x=0003#x0 ");
    query.from_text = dic_str("0002#z");
    expect(&query, "z=0002#z0 x=0003#x0 ");
    query.to_text = dic_str("0002#z");
    expect(&query, "z=0002#z0 ");
    query.from_text = dic_str("");
    expect(&query, "y=0001#y0 z=0002#z0 ");
    query.to_text = dic_str("");
    query.status_in[0] = "RUNNING";
    expect(&query, "z=0002#z0 x=0003#x0 ");
    query.limit = 1; /* of those that match */
    expect(&query, "z=0002#z0 ");
    query.status_in[0] = "FAILED";
    expect(&query, "");
    query.status_in[1] = "SUCCEEDED";
    expect(&query, "y=0001#y0 ");
}

static void an_index_is_read_over_many_pages(void **state)
{
    (void)state;
    enum { MANY = 120 };
    struct dic_table_query query = {
        .index = "listing", .partition_text = dic_str("L"), .status_in = {"RARE"}, .limit = 7};
    for (int i = 0; i < MANY; i++) {
        char pk[16];
        char sort[16];
        snprintf(pk, sizeof pk, "p%d", i);
        snprintf(sort, sizeof sort, "%03d", i);
        put_listed(pk, "L", sort, i % 17 == 0 ? "RARE" : "COMMON");
    }
    expect(&query, "p0=0000 p17=0170 p34=0340 p51=0510 p68=0680 p85=0850 p102=1020 ");
    query.limit = UINT32_MAX;
    expect(&query, "p0=0000 p17=0170 p34=0340 p51=0510 p68=0680 p85=0850 p102=1020 p119=1190 ");
}

static void a_visit_that_fails_ends_the_query_with_its_error(void **state)
{
    (void)state;
    const struct dic_table_query query = {
        .index = "outbox", .partition_number = 1, .from_number = 0, .to_number = 9, .limit = 9};
    struct seen seen = {.stop_after = 2};
    put_due("a", 1, 1);
    put_due("b", 1, 2);
    put_due("c", 1, 3);
    expect(&query, "a=1 b=2 c=3 ");
    assert_code(table.ops->query(table.impl, &query, note, &seen, &err), DIC_E_CONFLICT);
    assert_string_equal(err.msg, "enough");
    assert_string_equal(seen.text, "a=1 b=2 ");
}

static void an_index_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct dic_table_query query = {.index = "other", .limit = 1};
    struct seen seen = {0};
    assert_code(table.ops->query(table.impl, &query, note, &seen, &err), DIC_E_INTERNAL);
    query = (struct dic_table_query){.index = "outbox", .status_in = {"RUNNING"}, .limit = 1};
    assert_code(table.ops->query(table.impl, &query, note, &seen, &err), DIC_E_INTERNAL);
    query = (struct dic_table_query){.index = "listing", .limit = 1};
    assert_code(table.ops->query(table.impl, &query, note, &seen, &err), DIC_E_INTERNAL);
}

static void a_table_that_is_there_answers_a_ping(void **state)
{
    (void)state;
    assert_ok(table.ops->ping(table.impl, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int dic_run_table_suite(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_item_is_read_as_it_was_put),
        TEST(an_absent_item_does_not_exist),
        TEST(a_put_replaces_the_whole_item),
        TEST(a_refused_put_changes_nothing_and_tells_what_is_there),
        TEST(a_refused_write_of_an_absent_item_tells_that_it_is_absent),
        TEST(an_update_makes_the_item_and_tells_the_new_one),
        TEST(every_change_does_what_it_says_and_leaves_the_rest),
        TEST(a_change_may_turn_an_attribute_into_another_kind),
        TEST(a_change_that_cannot_be_made_is_an_error_and_nothing_changes),
        TEST(what_no_table_can_do_is_refused),
        TEST(every_condition_holds_when_it_should_and_only_then),
        TEST(conditions_are_joined_by_and_in_groups_of_which_one_is_enough),
        TEST(any_number_of_items_is_read_at_once),
        TEST(items_of_many_kilobytes_are_read_together),
        TEST(an_item_of_400_kib_is_stored_and_one_byte_more_is_too_large),
        TEST(a_map_of_thousands_of_entries_is_read_in_full),
        TEST(of_many_conditional_writers_exactly_one_wins_and_no_addition_is_lost),
        TEST(the_outbox_is_read_in_order_within_its_bounds),
        TEST(an_item_without_the_indexs_attributes_is_not_in_it),
        TEST(the_listing_is_read_in_order_within_bounds_and_by_status),
        TEST(an_index_is_read_over_many_pages),
        TEST(a_visit_that_fails_ends_the_query_with_its_error),
        TEST(an_index_that_is_not_there_is_refused),
        TEST(a_table_that_is_there_answers_a_ping),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
