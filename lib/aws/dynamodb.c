/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb.h"

#include "aws/dynamodb_item.h"
#include "aws/json_call.h"

#include <stdio.h>

enum {
    /* An item's 400 KB, each byte perhaps an escape of six, and what stands around it. */
    ITEM_JSON_BYTES = 4 * 1024 * 1024,
    PAGE_JSON_BYTES = 8 * 1024 * 1024,   /* of 1 MB of items */
    BATCH_JSON_BYTES = 64 * 1024 * 1024, /* of 16 MB of items */
    BATCH_TRY_MS = 15 * 1000,            /* 16 MB, at 1 MB a second */
    BATCH_TOTAL_MS = 45 * 1000,          /* so that an answer that was lost is asked for again */
    UNPROCESSED_TRIES = 8,               /* without progress */
};

/* ---- one call ---- */

static void begin_call(struct dic_json_call *call, const char *operation)
{
    dic_json_call_init(call, DIC_AWS_DYNAMODB, operation, ITEM_JSON_BYTES);
    call->max_response_bytes = ITEM_JSON_BYTES;
}

/* DynamoDB has no code of its own for an item that is too large, only words. */
static enum dic_code reaction(const struct dic_json_call *call, enum dic_code code)
{
    if (dic_json_call_failed_with(call, "ConditionalCheckFailedException")) {
        return DIC_E_CONFLICT;
    }
    switch (code) {
    case DIC_E_INVALID:
        return dic_json_call_body_has(call, "maximum allowed size") ? DIC_E_TOO_LARGE
                                                                    : DIC_E_INTERNAL;
    case DIC_E_NOT_FOUND: /* 404 without DynamoDB's own word: not its endpoint */
        return DIC_E_UPSTREAM;
    case DIC_E_CONFLICT: /* another request holds the item */
        return DIC_E_BUSY;
    default:
        return code;
    }
}

/* Not NOT_FOUND: who took it for a job that is gone would drop the job's messages. */
static enum dic_code no_table(const struct dic_dynamodb_table *table, const char *operation,
                              struct dic_err *err)
{
    (void)dic_fail(err, DIC_E_UPSTREAM,
                   "%s: there is no table '%s' at %s (ResourceNotFoundException)", operation,
                   table->name, dic_aws_endpoint(table->aws, DIC_AWS_DYNAMODB));
    if (err != NULL) {
        err->retryable = false;
    }
    return DIC_E_UPSTREAM;
}

/* CONFLICT: the condition does not hold, and root is what DynamoDB says to that. */
DIC_MUST_USE
static enum dic_code send_conditional(const struct dic_dynamodb_table *table,
                                      struct dic_json_call *call, struct dic_err *err)
{
    enum dic_code code = dic_json_call_send(table->aws, call, err);
    if (code != DIC_OK && dic_json_call_failed_with(call, "ResourceNotFoundException")) {
        return no_table(table, call->operation, err);
    }
    if (code != DIC_OK) {
        code = dic_aws_recode(err, reaction(call, code));
    }
    if (code == DIC_E_CONFLICT) {
        DIC_TRY(dic_json_call_read_root(call, err));
    }
    return code;
}

/* Of a call without a condition, none can have failed. */
DIC_MUST_USE
static enum dic_code send_call(const struct dic_dynamodb_table *table, struct dic_json_call *call,
                               struct dic_err *err)
{
    enum dic_code code = send_conditional(table, call, err);
    return code == DIC_E_CONFLICT ? dic_aws_recode(err, DIC_E_UPSTREAM) : code;
}

/* ---- reading one item ---- */

static void put_key(struct dic_json_writer *json, const struct dic_dynamodb_table *table,
                    const char *member, struct dic_str key)
{
    dic_json_begin_object(json, member);
    dic_json_begin_object(json, table->key_name);
    dic_json_put_str(json, "S", key);
    dic_json_end_object(json);
    dic_json_end_object(json);
}

static struct dic_dynamodb_source source_of(const struct dic_dynamodb_table *table,
                                            const struct dic_json_call *call)
{
    return (struct dic_dynamodb_source){call->operation, table->key_name};
}

enum dic_code dic_dynamodb_get(const struct dic_dynamodb_table *table, struct dic_str key,
                               bool consistent, const struct dic_dynamodb_reader *reader,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "GetItem");
    dic_json_put_text(&call.json, "TableName", table->name);
    put_key(&call.json, table, "Key", key);
    dic_json_put_bool(&call.json, "ConsistentRead", consistent);
    DIC_TRY(send_call(table, &call, err));
    const struct dic_json *item = dic_json_member(call.root, "Item");
    if (item == NULL) {
        return DIC_OK;
    }
    const struct dic_dynamodb_source source = source_of(table, &call);
    return dic_dynamodb_read_item(&source, item, reader, err);
}

/* ---- reading a batch ---- */

struct batch {
    const struct dic_dynamodb_table *table;
    const struct dic_str *keys;
    size_t pending[DIC_DYNAMODB_BATCH]; /* indices of keys still to be read */
    size_t count;
};

static void write_batch(const struct batch *batch, struct dic_json_call *call)
{
    struct dic_json_writer *json = &call->json;
    dic_json_begin_object(json, "RequestItems");
    dic_json_begin_object(json, batch->table->name);
    dic_json_put_bool(json, "ConsistentRead", true);
    dic_json_begin_array(json, "Keys");
    for (size_t i = 0; i < batch->count; i++) {
        put_key(json, batch->table, NULL, batch->keys[batch->pending[i]]);
    }
    dic_json_end_array(json);
    dic_json_end_object(json);
    dic_json_end_object(json);
}

/* What the answer has for the table in one of its members: NULL when it has nothing. */
DIC_MUST_USE
static enum dic_code of_table(const struct batch *batch, const struct dic_json_call *call,
                              const char *member, const struct dic_json **out, struct dic_err *err)
{
    const struct dic_json *tables = dic_json_member(call->root, member);
    if (tables == NULL || !dic_json_is_object(tables)) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has no %s", call->operation, member);
    }
    *out = dic_json_member(tables, batch->table->name);
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code read_responses(const struct batch *batch, const struct dic_json_call *call,
                                    const struct dic_dynamodb_reader *reader, struct dic_err *err)
{
    const struct dic_dynamodb_source source = source_of(batch->table, call);
    const struct dic_json *items = NULL;
    DIC_TRY(of_table(batch, call, "Responses", &items, err));
    if (items == NULL || !dic_json_is_array(items)) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has no items of table %s",
                        call->operation, batch->table->name);
    }
    for (size_t i = 0; i < dic_json_size(items); i++) {
        DIC_TRY(dic_dynamodb_read_item(&source, dic_json_at(items, i), reader, err));
    }
    return DIC_OK;
}

/* Keeps of the pending keys those that the answer lists as unprocessed. */
DIC_MUST_USE
static enum dic_code read_unprocessed(struct batch *batch, const struct dic_json_call *call,
                                      struct dic_err *err)
{
    const struct dic_dynamodb_source source = source_of(batch->table, call);
    const struct dic_json *table = NULL;
    const struct dic_json *keys = NULL;
    size_t left = 0;
    DIC_TRY(of_table(batch, call, "UnprocessedKeys", &table, err));
    if (table != NULL) {
        keys = dic_json_is_object(table) ? dic_json_member(table, "Keys") : NULL;
        if (keys == NULL || !dic_json_is_array(keys)) {
            return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has unprocessed, but no keys",
                            call->operation);
        }
    }
    for (size_t i = 0; keys != NULL && i < dic_json_size(keys); i++) {
        struct dic_str key;
        DIC_TRY(dic_dynamodb_read_key(&source, dic_json_at(keys, i), &key, err));
        size_t at = left;
        while (at < batch->count && !dic_str_eq(batch->keys[batch->pending[at]], key)) {
            at++;
        }
        if (at == batch->count) {
            return dic_fail(err, DIC_E_UPSTREAM, "%s: unprocessed key '%.*s' was not asked for",
                            call->operation, DIC_STR_ARGS(key));
        }
        const size_t index = batch->pending[at];
        batch->pending[at] = batch->pending[left];
        batch->pending[left++] = index;
    }
    batch->count = left;
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code batch_round(struct batch *batch, const struct dic_dynamodb_reader *reader,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "BatchGetItem");
    call.max_response_bytes = BATCH_JSON_BYTES;
    call.timeout_ms = BATCH_TRY_MS;
    call.total_timeout_ms = BATCH_TOTAL_MS;
    write_batch(batch, &call);
    DIC_TRY(send_call(batch->table, &call, err));
    DIC_TRY(read_responses(batch, &call, reader, err));
    return read_unprocessed(batch, &call, err);
}

enum dic_code dic_dynamodb_get_batch(const struct dic_dynamodb_table *table,
                                     const struct dic_str *keys, size_t count,
                                     const struct dic_dynamodb_reader *reader, struct dic_err *err)
{
    struct batch batch = {.table = table, .keys = keys, .count = count};
    if (count > DIC_DYNAMODB_BATCH) {
        return dic_fail(err, DIC_E_INTERNAL, "%zu keys in one batch, limit %d", count,
                        DIC_DYNAMODB_BATCH);
    }
    for (size_t i = 0; i < count; i++) {
        batch.pending[i] = i;
    }
    for (int idle = 0; batch.count > 0;) {
        const size_t before = batch.count;
        DIC_TRY(batch_round(&batch, reader, err));
        idle = batch.count < before ? 0 : idle + 1;
        if (idle == UNPROCESSED_TRIES) {
            return dic_fail(err, DIC_E_BUSY, "BatchGetItem: %zu of %zu keys unprocessed %d times",
                            batch.count, count, idle);
        }
        if (idle > 0) { /* an answer with some of the items is progress and costs no wait */
            dic_aws_back_off(table->sleep_ms, table->sleep_context, idle);
        }
    }
    return DIC_OK;
}

/* ---- writing ---- */

static void put_placeholders(struct dic_json_writer *json,
                             const struct dic_dynamodb_placeholders *placeholders)
{
    char mark[24];
    if (placeholders->name_count > 0) {
        dic_json_begin_object(json, "ExpressionAttributeNames");
        for (size_t i = 0; i < placeholders->name_count; i++) {
            snprintf(mark, sizeof mark, "#%zu", i);
            dic_json_put_str(json, mark, placeholders->names[i]);
        }
        dic_json_end_object(json);
    }
    if (placeholders->value_count > 0) {
        dic_json_begin_object(json, "ExpressionAttributeValues");
        for (size_t i = 0; i < placeholders->value_count; i++) {
            snprintf(mark, sizeof mark, ":%zu", i);
            dic_dynamodb_put_value(json, mark, &placeholders->values[i]);
        }
        dic_json_end_object(json);
    }
}

static void put_expression(struct dic_json_writer *json, const char *member, struct dic_str text)
{
    if (text.len > 0) {
        dic_json_put_str(json, member, text);
    }
}

static void write_request(const struct dic_dynamodb_table *table,
                          const struct dic_dynamodb_write *write, bool wants_item,
                          struct dic_json_writer *json)
{
    dic_json_put_text(json, "TableName", table->name);
    if (write->is_put) {
        dic_dynamodb_put_item(json, "Item", table->key_name, write);
    } else {
        put_key(json, table, "Key", write->key);
        put_expression(json, "UpdateExpression", write->update);
    }
    put_expression(json, "ConditionExpression", write->condition);
    put_placeholders(json, &write->placeholders);
    if (wants_item && !write->is_put) {
        dic_json_put_text(json, "ReturnValues", "ALL_NEW");
    }
    if (wants_item && write->condition.len > 0) {
        dic_json_put_text(json, "ReturnValuesOnConditionCheckFailure", "ALL_OLD");
    }
}

DIC_MUST_USE
static enum dic_code read_written(const struct dic_dynamodb_table *table,
                                  const struct dic_json_call *call,
                                  const struct dic_dynamodb_write *write, bool applied,
                                  const struct dic_dynamodb_reader *reader, struct dic_err *err)
{
    const struct dic_dynamodb_source source = source_of(table, call);
    const struct dic_json *item = dic_json_member(call->root, applied ? "Attributes" : "Item");
    if (item != NULL) {
        return dic_dynamodb_read_item(&source, item, reader, err);
    }
    if (!applied) { /* the item is absent, or the server does not tell it */
        return dic_dynamodb_get(table, write->key, true, reader, err);
    }
    return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has no attributes", call->operation);
}

enum dic_code dic_dynamodb_write(const struct dic_dynamodb_table *table,
                                 const struct dic_dynamodb_write *write,
                                 const struct dic_dynamodb_reader *reader, bool *applied_out,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    *applied_out = false;
    begin_call(&call, write->is_put ? "PutItem" : "UpdateItem");
    write_request(table, write, reader != NULL, &call.json);
    enum dic_code code = write->condition.len > 0 ? send_conditional(table, &call, err)
                                                  : send_call(table, &call, err);
    const bool applied = code == DIC_OK;
    if (!applied && code != DIC_E_CONFLICT) {
        return code;
    }
    if (reader != NULL && !(applied && write->is_put)) {
        DIC_TRY(read_written(table, &call, write, applied, reader, err));
    }
    *applied_out = applied;
    return DIC_OK;
}

/* ---- querying ---- */

/* DynamoDB's word for where the next page starts is an item of a few attributes. One that does not
 * move on would be asked for without an end. */
DIC_MUST_USE
static enum dic_code read_next_page(const struct dic_dynamodb_source *source,
                                    const struct dic_json *root, struct dic_buf *page,
                                    struct dic_err *err)
{
    const struct dic_json *last = dic_json_member(root, "LastEvaluatedKey");
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf next;
    dic_buf_init(&next, page->ceiling);
    if (last != NULL && !dic_json_is_null(last)) {
        DIC_TRY(dic_dynamodb_copy_key(source, last, &next, err));
        DIC_TRY(dic_buf_check(&next, err));
        if (dic_str_eq(dic_buf_view(&next), dic_buf_view(page))) {
            return dic_fail(err, DIC_E_UPSTREAM, "%s: the next page is the same again",
                            source->operation);
        }
    }
    dic_buf_clear(page);
    dic_buf_append_str(page, dic_buf_view(&next));
    return DIC_OK;
}

static void write_query(const struct dic_dynamodb_table *table,
                        const struct dic_dynamodb_query *query, const struct dic_buf *page,
                        struct dic_json_writer *json)
{
    dic_json_put_text(json, "TableName", table->name);
    dic_json_put_text(json, "IndexName", query->index);
    put_expression(json, "KeyConditionExpression", query->key_condition);
    put_expression(json, "FilterExpression", query->filter);
    put_expression(json, "ProjectionExpression", query->projection);
    put_placeholders(json, &query->placeholders);
    dic_json_put_bool(json, "ScanIndexForward", !query->newest_first);
    dic_json_put_int(json, "Limit", query->limit);
    if (page->len > 0) {
        dic_json_put_raw(json, "ExclusiveStartKey", dic_buf_view(page));
    }
}

enum dic_code dic_dynamodb_query(const struct dic_dynamodb_table *table,
                                 const struct dic_dynamodb_query *query,
                                 const struct dic_dynamodb_reader *reader, struct dic_buf *page,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "Query");
    call.max_response_bytes = PAGE_JSON_BYTES;
    write_query(table, query, page, &call.json);
    DIC_TRY(send_call(table, &call, err));
    const struct dic_dynamodb_source source = source_of(table, &call);
    const struct dic_json *items = dic_json_member(call.root, "Items");
    if (items == NULL || !dic_json_is_array(items)) {
        return dic_fail(err, DIC_E_UPSTREAM, "Query: the answer has no items");
    }
    for (size_t i = 0; i < dic_json_size(items); i++) {
        DIC_TRY(dic_dynamodb_read_item(&source, dic_json_at(items, i), reader, err));
    }
    return read_next_page(&source, call.root, page, err);
}
