/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on the table in memory, and its faults. */
#include "table_suite.h"

#include "table_memory.h"
#include "test.h"

#include <stdio.h>

struct dic_table dic_table_suite_open(void)
{
    struct dic_table table = {0};
    dic_table_memory_new((struct dic_table_memory_hook){0}, &table);
    return table;
}

void dic_table_suite_close(struct dic_table table)
{
    table.ops->destroy(table.impl);
}

/* ---- faults, and a look at all items ---- */

struct script {
    enum dic_table_fault fault;
    const char *op; /* that it strikes */
    char asked[200];
};

static enum dic_table_fault decide(void *context, const char *op, struct dic_str pk)
{
    struct script *script = context;
    size_t len = strlen(script->asked);
    snprintf(script->asked + len, sizeof script->asked - len, "%s:%.*s ", op, DIC_STR_ARGS(pk));
    return strcmp(op, script->op) == 0 ? script->fault : DIC_TABLE_GO_ON;
}

static enum dic_code write_number(struct dic_table table, const char *pk, int64_t number,
                                  bool is_put, bool *applied_out)
{
    const struct dic_change changes[] = {
        {.kind = DIC_SET_NUMBER, .name = "obd", .number = number},
        {.kind = DIC_SET_NUMBER, .name = "obs", .number = 1},
    };
    const struct dic_table_write write = {dic_str(pk), changes, 2, NULL, 0};
    return is_put ? table.ops->put(table.impl, &write, applied_out, NULL, NULL)
                  : table.ops->update(table.impl, &write, applied_out, NULL, NULL);
}

static int64_t number_in(struct dic_table table, const char *pk)
{
    struct dic_item item;
    dic_item_init(&item);
    assert_ok(table.ops->get(table.impl, dic_str(pk), &item, NULL));
    int64_t number = dic_item_number(&item, "obd", -1);
    dic_item_clean_up(&item);
    return number;
}

static void a_write_fails_without_effect_or_with_it_as_it_is_told(void **state)
{
    (void)state;
    for (int is_put = 0; is_put < 2; is_put++) {
        struct script script = {.op = is_put ? "put" : "update", .fault = DIC_TABLE_FAIL};
        struct dic_table table = {0};
        bool applied = true;
        dic_table_memory_new((struct dic_table_memory_hook){decide, &script}, &table);
        assert_code(write_number(table, "a", 1, is_put, &applied), DIC_E_UPSTREAM);
        assert_false(applied);
        assert_int_equal(number_in(table, "a"), -1);
        script.fault = DIC_TABLE_APPLY_FAIL;
        assert_code(write_number(table, "a", 2, is_put, &applied), DIC_E_UPSTREAM);
        assert_false(applied);
        assert_int_equal(number_in(table, "a"), 2);
        script.fault = DIC_TABLE_GO_ON;
        assert_ok(write_number(table, "a", 3, is_put, &applied));
        assert_true(applied);
        assert_int_equal(number_in(table, "a"), 3);
        table.ops->destroy(table.impl);
    }
}

static enum dic_code count_visit(void *context, struct dic_str pk, struct dic_str sort_text,
                                 int64_t sort_number, struct dic_err *err)
{
    (void)pk;
    (void)sort_text;
    (void)sort_number;
    (void)err;
    ++*(int *)context;
    return DIC_OK;
}

static void every_operation_asks_the_hook_and_fails_when_told_so(void **state)
{
    (void)state;
    struct script script = {.op = "", .fault = DIC_TABLE_FAIL};
    struct dic_table table = {0};
    struct dic_item items[2];
    const struct dic_str pks[2] = {dic_str("a"), dic_str("b")};
    const struct dic_table_query query = {
        .index = "outbox", .partition_number = 1, .to_number = 9, .limit = 9};
    bool applied = false;
    int visited = 0;
    dic_item_init(&items[0]);
    dic_item_init(&items[1]);
    dic_table_memory_new((struct dic_table_memory_hook){decide, &script}, &table);
    assert_ok(write_number(table, "a", 1, true, &applied));
    assert_ok(table.ops->get_many(table.impl, pks, 2, items, NULL));
    assert_ok(table.ops->query(table.impl, &query, count_visit, &visited, NULL));
    assert_ok(table.ops->ping(table.impl, NULL));
    assert_int_equal(visited, 1);
    assert_string_equal(script.asked,
                        "put:a get_many:a get_many:b query:outbox query_item:a ping: ");
    script.op = "query_item"; /* an index that lags behind */
    assert_ok(table.ops->query(table.impl, &query, count_visit, &visited, NULL));
    assert_int_equal(visited, 1);
    script.op = "query";
    assert_code(table.ops->query(table.impl, &query, count_visit, &visited, NULL), DIC_E_UPSTREAM);
    script.op = "get_many";
    assert_code(table.ops->get_many(table.impl, pks, 2, items, NULL), DIC_E_UPSTREAM);
    script.op = "get";
    assert_code(table.ops->get(table.impl, pks[0], items, NULL), DIC_E_UPSTREAM);
    script.op = "ping";
    assert_code(table.ops->ping(table.impl, NULL), DIC_E_UPSTREAM);
    dic_item_clean_up(&items[0]);
    dic_item_clean_up(&items[1]);
    table.ops->destroy(table.impl);
}

static enum dic_code note_item(void *context, const struct dic_item *item, struct dic_err *err)
{
    struct script *script = context;
    size_t len = strlen(script->asked);
    (void)err;
    snprintf(script->asked + len, sizeof script->asked - len, "%.*s=%d ",
             DIC_STR_ARGS(dic_item_text(item, "pk")), (int)dic_item_number(item, "obd", -1));
    return dic_str_is(dic_item_text(item, "pk"), script->op) ? DIC_E_CONFLICT : DIC_OK;
}

static void all_items_are_walked_over_in_order(void **state)
{
    (void)state;
    struct script script = {.op = ""};
    struct dic_table table = dic_table_suite_open();
    bool applied = false;
    assert_ok(write_number(table, "b", 2, true, &applied));
    assert_ok(write_number(table, "a", 1, true, &applied));
    assert_ok(write_number(table, "c", 3, true, &applied));
    assert_ok(dic_table_memory_each(&table, note_item, &script, NULL));
    assert_string_equal(script.asked, "a=1 b=2 c=3 ");
    script = (struct script){.op = "b"};
    assert_code(dic_table_memory_each(&table, note_item, &script, NULL), DIC_E_CONFLICT);
    assert_string_equal(script.asked, "a=1 b=2 ");
    dic_table_suite_close(table);
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_fails_without_effect_or_with_it_as_it_is_told),
        cmocka_unit_test(every_operation_asks_the_hook_and_fails_when_told_so),
        cmocka_unit_test(all_items_are_walked_over_in_order),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

int main(void)
{
    return dic_run_table_suite() + run_own_tests();
}
