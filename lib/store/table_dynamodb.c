/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table_dynamodb.h"

#include "aws/dynamodb.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/expression_dynamodb.h"

#include <string.h>

enum {
    NAME_MIN_BYTES = 3,
    NAME_MAX_BYTES = 1024, /* of an ARN; a name has 255 */
    PAGE_CEILING = 64 * 1024,
    QUERY_PAGE_ITEMS = 1000,
};

struct table {
    struct dic_dynamodb_table dynamodb;
    char name[NAME_MAX_BYTES + 1];
};

/* ---- items ---- */

static enum dic_code begin_item(void *context, struct dic_str key, struct dic_err *err)
{
    struct dic_item *item = context;
    (void)key;
    (void)err;
    dic_item_clear(item);
    item->exists = true;
    return DIC_OK;
}

static void add_to_item(struct dic_item *item, const struct dic_dynamodb_attribute *attribute)
{
    switch (attribute->kind) {
    case DIC_DYNAMODB_TEXT:
        dic_item_add_text(item, attribute->name, attribute->text);
        break;
    case DIC_DYNAMODB_NUMBER:
        dic_item_add_number(item, attribute->name, attribute->number);
        break;
    case DIC_DYNAMODB_MAP:
        dic_item_add_map(item, attribute->name);
        break;
    case DIC_DYNAMODB_ENTRY:
    default:
        dic_item_add_map_entry(item, attribute->name, attribute->key, attribute->text);
    }
}

static enum dic_code add_attribute(void *context, const struct dic_dynamodb_attribute *attribute,
                                   struct dic_err *err)
{
    struct dic_item *item = context;
    add_to_item(item, attribute);
    return dic_buf_check(&item->memory, err);
}

static struct dic_dynamodb_reader item_reader(struct dic_item *item)
{
    dic_item_clear(item);
    return (struct dic_dynamodb_reader){item, begin_item, add_attribute};
}

static enum dic_code get(void *impl, struct dic_str pk, struct dic_item *item_out,
                         struct dic_err *err)
{
    const struct table *table = impl;
    const struct dic_dynamodb_reader reader = item_reader(item_out);
    DIC_TRY(dic_table_key_check(pk, err));
    return dic_dynamodb_get(&table->dynamodb, pk, true, &reader, err);
}

/* ---- many items ---- */

/* Some of the caller's keys; one may stand there twice, then all its items are filled. */
struct some {
    const struct dic_str *pks;
    struct dic_item *items;
    size_t count;
    size_t first; /* indices of the key being read */
    size_t last;
};

static size_t index_of(const struct dic_str *pks, size_t count, struct dic_str pk)
{
    size_t at = 0;
    while (at < count && !dic_str_eq(pks[at], pk)) {
        at++;
    }
    return at;
}

static enum dic_code begin_one(void *context, struct dic_str key, struct dic_err *err)
{
    struct some *some = context;
    some->first = index_of(some->pks, some->count, key);
    if (some->first == some->count || some->items[some->first].exists) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "BatchGetItem: the answer has item '%.*s' unasked or twice",
                        DIC_STR_ARGS(key));
    }
    for (size_t i = some->first; i < some->count; i++) {
        if (dic_str_eq(some->pks[i], key)) {
            some->last = i;
            some->items[i].exists = true;
        }
    }
    return DIC_OK;
}

static enum dic_code add_to_one(void *context, const struct dic_dynamodb_attribute *attribute,
                                struct dic_err *err)
{
    struct some *some = context;
    for (size_t i = some->first; i <= some->last; i++) {
        if (dic_str_eq(some->pks[i], some->pks[some->first])) {
            DIC_TRY(add_attribute(&some->items[i], attribute, err));
        }
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code get_some(const struct table *table, struct some *some, struct dic_err *err)
{
    const struct dic_dynamodb_reader reader = {some, begin_one, add_to_one};
    struct dic_str distinct[DIC_DYNAMODB_BATCH];
    size_t count = 0;
    for (size_t i = 0; i < some->count; i++) {
        DIC_TRY(dic_table_key_check(some->pks[i], err));
        dic_item_clear(&some->items[i]);
        if (index_of(distinct, count, some->pks[i]) == count) {
            distinct[count++] = some->pks[i];
        }
    }
    return dic_dynamodb_get_batch(&table->dynamodb, distinct, count, &reader, err);
}

static enum dic_code get_many(void *impl, const struct dic_str *pks, size_t count,
                              struct dic_item *items_out, struct dic_err *err)
{
    for (size_t at = 0; at < count; at += DIC_DYNAMODB_BATCH) {
        const size_t left = count - at;
        struct some some = {.pks = pks + at,
                            .items = items_out + at,
                            .count = left < DIC_DYNAMODB_BATCH ? left : DIC_DYNAMODB_BATCH};
        DIC_TRY(get_some(impl, &some, err));
    }
    return DIC_OK;
}

/* ---- writes ---- */

DIC_MUST_USE
static enum dic_code send_write(const struct table *table, const struct dic_dynamodb_write *write,
                                struct dic_item *item_out, bool *applied_out, struct dic_err *err)
{
    if (item_out == NULL) {
        return dic_dynamodb_write(&table->dynamodb, write, NULL, applied_out, err);
    }
    const struct dic_dynamodb_reader reader = item_reader(item_out);
    return dic_dynamodb_write(&table->dynamodb, write, &reader, applied_out, err);
}

static struct dic_dynamodb_attribute attribute_of(const struct dic_change *change)
{
    static const enum dic_dynamodb_kind kinds[] = {
        [DIC_SET_TEXT] = DIC_DYNAMODB_TEXT,
        [DIC_SET_NUMBER] = DIC_DYNAMODB_NUMBER,
        [DIC_SET_MAP] = DIC_DYNAMODB_MAP,
        [DIC_SET_MAP_ENTRY] = DIC_DYNAMODB_ENTRY,
    };
    return (struct dic_dynamodb_attribute){.kind = kinds[change->kind],
                                           .name = dic_str(change->name),
                                           .key = change->key,
                                           .text = change->text,
                                           .number = change->number};
}

/* A put's changes as attributes, each map with its entries behind it. */
static size_t to_attributes(const struct dic_table_write *write, struct dic_dynamodb_attribute *out)
{
    size_t count = 0;
    for (size_t i = 0; i < write->change_count; i++) {
        const struct dic_change *change = &write->changes[i];
        if (change->kind == DIC_SET_MAP_ENTRY) {
            continue; /* comes with its map */
        }
        out[count++] = attribute_of(change);
        for (size_t k = i + 1; change->kind == DIC_SET_MAP && k < write->change_count; k++) {
            if (strcmp(write->changes[k].name, change->name) == 0) {
                out[count++] = attribute_of(&write->changes[k]);
            }
        }
    }
    return count;
}

static enum dic_code put(void *impl, const struct dic_table_write *write, bool *applied_out,
                         struct dic_item *item_out, struct dic_err *err)
{
    *applied_out = false;
    DIC_TRY(dic_table_write_check(write, true, err));
    DIC_CLEANUP(dic_expression_clean_up) struct dic_expression expression;
    DIC_CLEANUP(dic_free_cleanup)
    struct dic_dynamodb_attribute *attributes =
        dic_calloc(write->change_count + 1, sizeof *attributes);
    const struct dic_expression_parts parts = dic_expression_of_write(&expression, write, true);
    DIC_TRY(dic_buf_check(&expression.text, err));
    const struct dic_dynamodb_write request = {
        .key = write->pk,
        .is_put = true,
        .attributes = attributes,
        .attribute_count = to_attributes(write, attributes),
        .condition = parts.condition,
        .placeholders = dic_expression_placeholders(&expression),
    };
    return send_write(impl, &request, item_out, applied_out, err);
}

static enum dic_code update(void *impl, const struct dic_table_write *write, bool *applied_out,
                            struct dic_item *item_out, struct dic_err *err)
{
    *applied_out = false;
    DIC_TRY(dic_table_write_check(write, false, err));
    DIC_CLEANUP(dic_expression_clean_up) struct dic_expression expression;
    const struct dic_expression_parts parts = dic_expression_of_write(&expression, write, false);
    DIC_TRY(dic_buf_check(&expression.text, err));
    const struct dic_dynamodb_write request = {
        .key = write->pk,
        .update = parts.update,
        .condition = parts.condition,
        .placeholders = dic_expression_placeholders(&expression),
    };
    return send_write(impl, &request, item_out, applied_out, err);
}

/* ---- queries ---- */

struct visiting {
    const struct dic_table_query *query;
    const char *sort_name;
    dic_table_visit visit;
    void *context;
    struct dic_item item;
    struct dic_buf page;
    uint32_t visited;
};

static void visiting_clean_up(struct visiting *visiting)
{
    dic_item_clean_up(&visiting->item);
    dic_buf_clean_up(&visiting->page);
}

/* The items of a page are few attributes each, so one is told when the next begins. */
DIC_MUST_USE
static enum dic_code tell(struct visiting *visiting, struct dic_err *err)
{
    struct dic_item *item = &visiting->item;
    if (!item->exists || visiting->visited >= visiting->query->limit) {
        return DIC_OK;
    }
    visiting->visited++;
    item->exists = false;
    return visiting->visit(visiting->context, dic_item_text(item, "pk"),
                           dic_item_text(item, visiting->sort_name),
                           dic_item_number(item, visiting->sort_name, 0), err);
}

static enum dic_code begin_hit(void *context, struct dic_str key, struct dic_err *err)
{
    struct visiting *visiting = context;
    DIC_TRY(tell(visiting, err));
    return begin_item(&visiting->item, key, err);
}

static enum dic_code add_to_hit(void *context, const struct dic_dynamodb_attribute *attribute,
                                struct dic_err *err)
{
    struct visiting *visiting = context;
    return add_attribute(&visiting->item, attribute, err);
}

/* With a filter the items looked at say nothing about those that come of it: whole pages then. */
static uint32_t page_limit(const struct visiting *visiting)
{
    const uint32_t left = visiting->query->limit - visiting->visited;
    const bool filtered = visiting->query->status_in[0] != NULL;
    return filtered || left > QUERY_PAGE_ITEMS ? QUERY_PAGE_ITEMS : left;
}

DIC_MUST_USE
static enum dic_code visit_pages(const struct table *table, struct visiting *visiting,
                                 struct dic_dynamodb_query *request, struct dic_err *err)
{
    const struct dic_dynamodb_reader reader = {visiting, begin_hit, add_to_hit};
    while (visiting->visited < visiting->query->limit) {
        request->limit = page_limit(visiting);
        DIC_TRY(dic_dynamodb_query(&table->dynamodb, request, &reader, &visiting->page, err));
        DIC_TRY(tell(visiting, err));
        if (visiting->page.len == 0) {
            break;
        }
    }
    return DIC_OK;
}

static enum dic_code query_index(void *impl, const struct dic_table_query *query,
                                 dic_table_visit visit, void *context, struct dic_err *err)
{
    bool of_text = false;
    DIC_TRY(dic_table_query_check(query, &of_text, err));
    DIC_CLEANUP(dic_expression_clean_up) struct dic_expression expression;
    DIC_CLEANUP(visiting_clean_up)
    struct visiting visiting = {
        .query = query, .sort_name = of_text ? "crt" : "obd", .visit = visit, .context = context};
    dic_item_init(&visiting.item);
    dic_buf_init(&visiting.page, PAGE_CEILING);
    const struct dic_expression_parts parts = dic_expression_of_query(&expression, query, of_text);
    DIC_TRY(dic_buf_check(&expression.text, err));
    struct dic_dynamodb_query request = {
        .index = query->index,
        .key_condition = parts.key_condition,
        .filter = parts.filter,
        .projection = parts.projection,
        .newest_first = query->newest_first,
        .placeholders = dic_expression_placeholders(&expression),
    };
    return visit_pages(impl, &visiting, &request, err);
}

/* ---- life ---- */

/* A read of an item that is not there: needs no permission beyond those of the work. */
static enum dic_code ping(void *impl, struct dic_err *err)
{
    const struct table *table = impl;
    struct dic_item item;
    dic_item_init(&item);
    const struct dic_dynamodb_reader reader = item_reader(&item);
    enum dic_code code =
        dic_dynamodb_get(&table->dynamodb, DIC_STR_LIT("ping"), false, &reader, err);
    dic_item_clean_up(&item);
    return code;
}

static void destroy(void *impl)
{
    dic_free(impl);
}

static const struct dic_table_ops dynamodb_ops = {
    .get = get,
    .get_many = get_many,
    .put = put,
    .update = update,
    .query = query_index,
    .ping = ping,
    .destroy = destroy,
};

/* AWS's rule for names, and what an ARN has besides. */
static bool is_name(struct dic_str name)
{
    bool good = name.len >= NAME_MIN_BYTES && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("_.-:/", c) != NULL);
    }
    return good;
}

static void system_sleep(void *context, int64_t ms)
{
    (void)context;
    dic_sleep_ms(ms);
}

enum dic_code dic_table_dynamodb_new(const struct dic_table_dynamodb_options *options,
                                     struct dic_table *out, struct dic_err *err)
{
    const struct dic_str name = dic_str(options->table);
    if (!is_name(name)) {
        return dic_fail_field(err, DIC_E_INVALID, "table",
                              "'%.60s' is no name of a table: %d to %d of A-Z a-z 0-9 _ - . : /",
                              name.len > 0 ? name.ptr : "", NAME_MIN_BYTES, NAME_MAX_BYTES);
    }
    struct table *table = dic_calloc(1, sizeof *table);
    memcpy(table->name, name.ptr, name.len);
    table->dynamodb = (struct dic_dynamodb_table){
        .aws = options->aws,
        .name = table->name,
        .key_name = "pk",
        .sleep_ms = options->sleep_ms != NULL ? options->sleep_ms : system_sleep,
        .sleep_context = options->sleep_context,
    };
    *out = (struct dic_table){&dynamodb_ops, table};
    return DIC_OK;
}
