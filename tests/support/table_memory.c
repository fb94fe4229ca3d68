/* SPDX-License-Identifier: Apache-2.0 */
#include "table_memory.h"

#include "base/mem.h"
#include "base/thread.h"
#include "table_memory_row.h"

#include <string.h>

struct memory {
    struct dic_table_memory_hook hook;
    pthread_mutex_t lock;  /* guards what follows */
    struct dic_row **rows; /* by pk */
    size_t count;
    size_t capacity;
};

/* ---- the table ---- */

/* Where the key is, or would be. */
static size_t place_of(const struct memory *memory, struct dic_str pk, bool *there_out)
{
    size_t low = 0;
    size_t high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dic_str_compare(dic_row_view(memory->rows[middle]->pk), pk) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *there_out = low < memory->count && dic_str_eq(dic_row_view(memory->rows[low]->pk), pk);
    return low;
}

static const struct dic_row *find_row(const struct memory *memory, struct dic_str pk)
{
    bool there = false;
    size_t at = place_of(memory, pk, &there);
    return there ? memory->rows[at] : NULL;
}

/* Takes the row. */
static void store_row(struct memory *memory, struct dic_row *row)
{
    bool there = false;
    size_t at = place_of(memory, dic_row_view(row->pk), &there);
    if (there) {
        dic_row_destroy(memory->rows[at]);
    } else {
        if (memory->count == memory->capacity) {
            memory->capacity = memory->capacity == 0 ? 64 : memory->capacity * 2;
            memory->rows = dic_realloc(memory->rows, memory->capacity * sizeof(struct dic_row *));
        }
        memmove(&memory->rows[at + 1], &memory->rows[at],
                (memory->count - at) * sizeof(struct dic_row *));
        memory->count++;
    }
    memory->rows[at] = row;
}

static enum dic_table_fault ask(const struct memory *memory, const char *op, struct dic_str pk)
{
    return memory->hook.decide == NULL ? DIC_TABLE_GO_ON
                                       : memory->hook.decide(memory->hook.context, op, pk);
}

static enum dic_code failed(const char *op, struct dic_str pk, struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "%s of '%.*s' failed as it was told to", op,
                    DIC_STR_ARGS(pk));
}

/* ---- writes ---- */

/* All changes are tried on a copy: a write happens as a whole or not at all. */
static enum dic_code change_row(struct memory *memory, const struct dic_table_write *write,
                                const struct dic_row *before, struct dic_item *item_out,
                                struct dic_err *err)
{
    DIC_CLEANUP(dic_row_cleanup)
    struct dic_row *row = before == NULL ? dic_row_new(write->pk) : dic_row_copy(before);
    for (size_t i = 0; i < write->change_count; i++) {
        DIC_TRY(dic_row_apply(row, &write->changes[i], err));
    }
    size_t bytes = dic_row_bytes(row);
    if (bytes > DIC_TABLE_ITEM_MAX_BYTES) {
        return dic_fail(err, DIC_E_TOO_LARGE, "item '%s' is %zu bytes, limit %d", row->pk.ptr,
                        bytes, DIC_TABLE_ITEM_MAX_BYTES);
    }
    if (item_out != NULL) {
        dic_row_to_item(row, item_out);
    }
    store_row(memory, row);
    row = NULL;
    return DIC_OK;
}

static enum dic_code write_row(struct memory *memory, const struct dic_table_write *write,
                               bool is_put, bool *applied_out, struct dic_item *item_out,
                               struct dic_err *err)
{
    DIC_GUARD(&memory->lock);
    const struct dic_row *there = find_row(memory, write->pk);
    *applied_out = dic_row_conds_hold(there, write);
    if (!*applied_out) {
        if (item_out != NULL) {
            dic_row_to_item(there, item_out);
        }
        return DIC_OK;
    }
    if (is_put) {
        if (item_out != NULL) {
            dic_item_clear(item_out);
        }
        return change_row(memory, write, NULL, NULL, err);
    }
    return change_row(memory, write, there, item_out, err);
}

/* ---- operations ---- */

static enum dic_code write_op(struct memory *memory, const char *op,
                              const struct dic_table_write *write, bool is_put, bool *applied_out,
                              struct dic_item *item_out, struct dic_err *err)
{
    *applied_out = false;
    DIC_TRY(dic_table_write_check(write, is_put, err));
    enum dic_table_fault fault = ask(memory, op, write->pk);
    if (fault == DIC_TABLE_FAIL) {
        return failed(op, write->pk, err);
    }
    enum dic_code code = write_row(memory, write, is_put, applied_out, item_out, err);
    if (code != DIC_OK) {
        *applied_out = false;
        return code;
    }
    if (fault == DIC_TABLE_APPLY_FAIL) {
        *applied_out = false;
        if (item_out != NULL) {
            dic_item_clear(item_out);
        }
        return failed(op, write->pk, err);
    }
    return DIC_OK;
}

static enum dic_code put(void *impl, const struct dic_table_write *write, bool *applied_out,
                         struct dic_item *item_out, struct dic_err *err)
{
    return write_op(impl, "put", write, true, applied_out, item_out, err);
}

static enum dic_code update(void *impl, const struct dic_table_write *write, bool *applied_out,
                            struct dic_item *item_out, struct dic_err *err)
{
    return write_op(impl, "update", write, false, applied_out, item_out, err);
}

static enum dic_code read_row(struct memory *memory, const char *op, struct dic_str pk,
                              struct dic_item *item_out, struct dic_err *err)
{
    DIC_TRY(dic_table_key_check(pk, err));
    dic_item_clear(item_out);
    if (ask(memory, op, pk) != DIC_TABLE_GO_ON) {
        return failed(op, pk, err);
    }
    DIC_GUARD(&memory->lock);
    dic_row_to_item(find_row(memory, pk), item_out);
    return DIC_OK;
}

static enum dic_code get(void *impl, struct dic_str pk, struct dic_item *item_out,
                         struct dic_err *err)
{
    return read_row(impl, "get", pk, item_out, err);
}

static enum dic_code get_many(void *impl, const struct dic_str *pks, size_t count,
                              struct dic_item *items_out, struct dic_err *err)
{
    for (size_t i = 0; i < count; i++) {
        DIC_TRY(read_row(impl, "get_many", pks[i], &items_out[i], err));
    }
    return DIC_OK;
}

static enum dic_code ping(void *impl, struct dic_err *err)
{
    const struct dic_str none = DIC_STR_LIT("");
    return ask(impl, "ping", none) == DIC_TABLE_GO_ON ? DIC_OK : failed("ping", none, err);
}

/* ---- queries ---- */

struct hit {
    struct dic_row_text pk;
    struct dic_row_text sort_text;
    int64_t sort_number;
};

struct hits {
    struct hit *list; /* owned */
    size_t count;
};

static void hits_cleanup(struct hits *hits)
{
    for (size_t i = 0; i < hits->count; i++) {
        dic_free(hits->list[i].pk.ptr);
        dic_free(hits->list[i].sort_text.ptr);
    }
    dic_free(hits->list);
}

static const struct dic_row_attribute *of_kind(const struct dic_row *row, const char *name,
                                               enum dic_attr_kind kind)
{
    const struct dic_row_attribute *attribute = dic_row_find(row, name);
    return attribute != NULL && attribute->kind == kind ? attribute : NULL;
}

static bool in_outbox(const struct dic_table_query *query,
                      const struct dic_row_attribute *partition,
                      const struct dic_row_attribute *sort)
{
    return partition->number == query->partition_number && sort->number >= query->from_number &&
           sort->number <= query->to_number;
}

static bool in_listing(const struct dic_table_query *query, const struct dic_row *row,
                       const struct dic_row_attribute *partition,
                       const struct dic_row_attribute *sort)
{
    const struct dic_str at = dic_row_view(sort->text);
    const struct dic_row_attribute *status = of_kind(row, "st", DIC_ATTR_TEXT);
    return dic_str_eq(dic_row_view(partition->text), query->partition_text) &&
           (query->from_text.len == 0 || dic_str_compare(at, query->from_text) >= 0) &&
           (query->to_text.len == 0 || dic_str_compare(at, query->to_text) <= 0) &&
           (query->status_in[0] == NULL ||
            (status != NULL &&
             dic_row_text_is_one_of(dic_row_view(status->text), query->status_in)));
}

/* < 0: a comes before b; equal sort keys by pk. */
static int compare_hits(const struct hit *a, const struct hit *b)
{
    int order = dic_str_compare(dic_row_view(a->sort_text), dic_row_view(b->sort_text));
    order =
        order != 0 ? order : (a->sort_number > b->sort_number) - (a->sort_number < b->sort_number);
    return order != 0 ? order : dic_str_compare(dic_row_view(a->pk), dic_row_view(b->pk));
}

static void insert_hit(struct hits *hits, struct hit hit, bool newest_first)
{
    size_t at = hits->count;
    hits->list = dic_realloc(hits->list, (hits->count + 1) * sizeof *hits->list);
    for (; at > 0 && (compare_hits(&hits->list[at - 1], &hit) > 0) != newest_first; at--) {
        hits->list[at] = hits->list[at - 1];
    }
    hits->list[at] = hit;
    hits->count++;
}

static void collect(struct memory *memory, const struct dic_table_query *query, bool of_text,
                    struct hits *hits)
{
    const enum dic_attr_kind kind = of_text ? DIC_ATTR_TEXT : DIC_ATTR_NUMBER;
    DIC_GUARD(&memory->lock);
    for (size_t i = 0; i < memory->count; i++) {
        const struct dic_row *row = memory->rows[i];
        const struct dic_row_attribute *partition = of_kind(row, of_text ? "lst" : "obs", kind);
        const struct dic_row_attribute *sort = of_kind(row, of_text ? "crt" : "obd", kind);
        if (partition == NULL || sort == NULL ||
            !(of_text ? in_listing(query, row, partition, sort)
                      : in_outbox(query, partition, sort))) {
            continue;
        }
        struct hit hit = {dic_row_text_copy(dic_row_view(row->pk)),
                          dic_row_text_copy(dic_row_view(sort->text)), sort->number};
        insert_hit(hits, hit, query->newest_first);
    }
}

static enum dic_code query_index(void *impl, const struct dic_table_query *query,
                                 dic_table_visit visit, void *context, struct dic_err *err)
{
    DIC_CLEANUP(hits_cleanup) struct hits hits = {0};
    bool of_text = false;
    DIC_TRY(dic_table_query_check(query, &of_text, err));
    if (ask(impl, "query", dic_str(query->index)) != DIC_TABLE_GO_ON) {
        return failed("query", dic_str(query->index), err);
    }
    collect(impl, query, of_text, &hits);
    uint32_t visited = 0;
    for (size_t i = 0; i < hits.count && visited < query->limit; i++) {
        const struct hit *hit = &hits.list[i];
        if (ask(impl, "query_item", dic_row_view(hit->pk)) != DIC_TABLE_GO_ON) {
            continue;
        }
        visited++;
        DIC_TRY(visit(context, dic_row_view(hit->pk), dic_row_view(hit->sort_text),
                      hit->sort_number, err));
    }
    return DIC_OK;
}

/* ---- life ---- */

static void destroy(void *impl)
{
    struct memory *memory = impl;
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < memory->count; i++) {
        dic_row_destroy(memory->rows[i]);
    }
    dic_free(memory->rows);
    pthread_mutex_destroy(&memory->lock);
    dic_free(memory);
}

static const struct dic_table_ops memory_ops = {
    .get = get,
    .get_many = get_many,
    .put = put,
    .update = update,
    .query = query_index,
    .ping = ping,
    .destroy = destroy,
};

void dic_table_memory_new(struct dic_table_memory_hook hook, struct dic_table *out)
{
    struct memory *memory = dic_calloc(1, sizeof *memory);
    memory->hook = hook;
    dic_mutex_init(&memory->lock);
    *out = (struct dic_table){&memory_ops, memory};
}

/* The keys first and then each item by itself, so that visit may use the table. */
enum dic_code dic_table_memory_each(const struct dic_table *table, dic_table_memory_visit visit,
                                    void *context, struct dic_err *err)
{
    DIC_CLEANUP(hits_cleanup) struct hits keys = {0};
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    struct memory *memory = table->impl;
    dic_item_init(&item);
    dic_lock(&memory->lock);
    keys.list = dic_calloc(memory->count + 1, sizeof *keys.list);
    for (; keys.count < memory->count; keys.count++) {
        keys.list[keys.count].pk = dic_row_text_copy(dic_row_view(memory->rows[keys.count]->pk));
    }
    dic_unlock(&memory->lock);
    enum dic_code code = DIC_OK;
    for (size_t i = 0; i < keys.count && code == DIC_OK; i++) {
        dic_lock(&memory->lock);
        dic_row_to_item(find_row(memory, dic_row_view(keys.list[i].pk)), &item);
        dic_unlock(&memory->lock);
        code = item.exists ? visit(context, &item, err) : DIC_OK;
    }
    return code;
}
