/* SPDX-License-Identifier: Apache-2.0 */
/* DynamoDB's answers, through the table's adapter: items hold what the answer says. */
#include "base/buf.h"
#include "fuzz_aws.h"
#include "store/table_dynamodb.h"

#include <string.h>

static void check_item(const struct dic_item *item)
{
    struct dic_str key = {0};
    struct dic_str value = {0};
    FUZZ_CHECK(item->exists || item->count == 0);
    if (item->exists) {
        FUZZ_CHECK(dic_item_has(item, "pk"));
    }
    for (size_t i = 0; dic_item_map_at(item, "c", i, &key, &value); i++) {
        FUZZ_CHECK(dic_fuzz_is_utf8(key) && dic_fuzz_is_utf8(value));
        FUZZ_CHECK(dic_item_map_get(item, "c", key).ptr != NULL);
    }
    FUZZ_CHECK(dic_fuzz_is_utf8(dic_item_text(item, "st")));
}

static enum dic_code visit(void *context, struct dic_str pk, struct dic_str sort_text,
                           int64_t sort_number, struct dic_err *err)
{
    uint32_t *count = context;
    (void)sort_number; /* any */
    (void)err;         /* nothing fails here */
    FUZZ_CHECK(dic_fuzz_is_utf8(pk) && dic_fuzz_is_utf8(sort_text));
    ++*count;
    return DIC_OK;
}

static enum dic_code query(const struct dic_table *table, struct dic_err *err)
{
    const struct dic_table_query outbox = {
        .index = "outbox", .partition_number = 3, .to_number = 1000, .limit = 5};
    uint32_t count = 0;
    enum dic_code code = table->ops->query(table->impl, &outbox, visit, &count, err);
    FUZZ_CHECK(count <= outbox.limit);
    return code;
}

static enum dic_code call(const struct dic_table *table, uint8_t choice, struct dic_item *items,
                          struct dic_err *err)
{
    static const struct dic_str pks[] = {{"a", 1}, {"b", 1}};
    const struct dic_change changes[] = {{.kind = DIC_SET_TEXT, .name = "st", .text = {"x", 1}}};
    const struct dic_cond conds[] = {{.kind = DIC_COND_ABSENT, .name = "pk"}};
    const struct dic_table_write write = {pks[0], changes, 1, conds, 1};
    bool applied = false;
    switch (choice % 5) {
    case 0:
        return table->ops->get(table->impl, pks[0], &items[0], err);
    case 1:
        return table->ops->get_many(table->impl, pks, 2, items, err);
    case 2:
        return table->ops->put(table->impl, &write, &applied, &items[0], err);
    case 3:
        return table->ops->update(table->impl, &write, &applied, &items[0], err);
    default:
        return query(table, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_fuzz_aws_close) struct dic_fuzz_aws fuzz;
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_item items[2];
    struct dic_table table = {0};
    struct dic_err err = {0};
    uint8_t choice = dic_fuzz_byte(&rest);
    dic_fuzz_aws_open(&fuzz, rest);
    dic_item_init(&items[0]);
    dic_item_init(&items[1]);
    const struct dic_table_dynamodb_options options = {fuzz.aws, "jobs", dic_fuzz_aws_sleep, &fuzz};
    FUZZ_CHECK(dic_table_dynamodb_new(&options, &table, NULL) == DIC_OK);
    enum dic_code code = call(&table, choice, items, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        check_item(&items[0]);
        check_item(&items[1]);
    }
    table.ops->destroy(table.impl);
    dic_item_clean_up(&items[0]);
    dic_item_clean_up(&items[1]);
    return 0;
}
