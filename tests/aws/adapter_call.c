/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For integration/test_fault_table.py: makes single calls of the adapters for S3, SQS and DynamoDB,
 * with the credentials, region and endpoints of its environment. Reads a call as a JSON object a
 * line and writes what came of it as another.
 *
 * Nobody waits for real: a sleep moves the monotonic clock and returns at once, and an exchange
 * for which the caller has no patience is cut short, and the clock moved by all of its timeout. So
 * the deadlines are the product's own, and elapsed_ms is what they would have cost.
 */
#include "aws/aws.h"
#include "aws/aws_settings.h"
#include "base/clock.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/blob_store_s3.h"
#include "store/job_queue_sqs.h"
#include "store/table_dynamodb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE = 64 * 1024,
    MAX_REPORT = 16 * 1024 * 1024,
    MAX_OBJECT = 1024 * 1024,
    MAX_MESSAGES = 10,
    MAX_KEYS = 100,
};

/* ---- time that passes at once ---- */

struct world {
    struct dic_http_client curl;
    struct dic_clock clock;
    int64_t skipped_ms;
    int64_t patience_ms; /* with exchanges number skip + 1 to skip + count */
    int64_t patience_skip;
    int64_t patience_count;
    int64_t exchanges;
};

static int64_t wall_ms(void *impl)
{
    (void)impl;
    return dic_clock_wall_ms(dic_clock_system());
}

static int64_t mono_ns(void *impl)
{
    const struct world *world = impl;
    return dic_clock_mono_ns(dic_clock_system()) + world->skipped_ms * 1000000;
}

static void skip_ms(void *context, int64_t ms)
{
    struct world *world = context;
    world->skipped_ms += ms;
}

static enum dic_code send_request(void *impl, const struct dic_http_request *request,
                                  struct dic_http_response *response, struct dic_err *err)
{
    struct world *world = impl;
    struct dic_http_request shorter = *request;
    const int64_t number = ++world->exchanges - world->patience_skip;
    const bool is_short =
        number > 0 && number <= world->patience_count && request->timeout_ms > world->patience_ms;
    const int64_t begun_ms = dic_clock_mono_ms(&world->clock);
    if (is_short) {
        shorter.timeout_ms = world->patience_ms;
    }
    const enum dic_code code = world->curl.ops->send(world->curl.impl, &shorter, response, err);
    const int64_t took_ms = dic_clock_mono_ms(&world->clock) - begun_ms;
    if (is_short && code == DIC_E_TIMEOUT && took_ms < request->timeout_ms) {
        skip_ms(world, request->timeout_ms - took_ms);
    }
    return code;
}

static void wake(void *impl)
{
    const struct world *world = impl;
    world->curl.ops->wake(world->curl.impl);
}

static void destroy(void *impl)
{
    const struct world *world = impl;
    world->curl.ops->destroy(world->curl.impl);
}

/* ---- the adapters ---- */

struct adapters {
    struct world *world;
    const struct dic_aws_environment *environment;
    struct dic_aws *aws;
    struct dic_blob_store blobs;
    struct dic_job_queue queue;
    struct dic_table table;
};

static void close_ports(struct adapters *adapters)
{
    if (adapters->blobs.ops != NULL) {
        adapters->blobs.ops->destroy(adapters->blobs.impl);
    }
    if (adapters->queue.ops != NULL) {
        adapters->queue.ops->destroy(adapters->queue.impl);
    }
    if (adapters->table.ops != NULL) {
        adapters->table.ops->destroy(adapters->table.impl);
    }
    adapters->blobs.ops = NULL;
    adapters->queue.ops = NULL;
    adapters->table.ops = NULL;
}

/* As a program that is just started: nothing is known of clocks, rates and credentials. */
static enum dic_code start(struct adapters *adapters, struct dic_err *err)
{
    static const struct dic_http_client_ops http = {send_request, wake, destroy};
    const struct dic_aws_options options = {
        .environment = adapters->environment,
        .http = {&http, adapters->world},
        .clock = &adapters->world->clock,
        .sleep_ms = skip_ms,
        .sleep_context = adapters->world,
    };
    close_ports(adapters);
    dic_aws_destroy(adapters->aws);
    adapters->aws = NULL;
    return dic_aws_new(&options, &adapters->aws, err);
}

struct names {
    char bucket[64];
    char queue_url[512];
    char table[256];
};

static enum dic_code open_ports(struct adapters *adapters, const struct names *names,
                                struct dic_err *err)
{
    struct world *world = adapters->world;
    close_ports(adapters);
    const struct dic_s3_options s3 = {
        .aws = adapters->aws, .bucket = names->bucket, .sleep_ms = skip_ms, .sleep_context = world};
    DIC_TRY(dic_blob_store_s3_new(&s3, &adapters->blobs, err));
    const struct dic_job_queue_sqs_options sqs = {.aws = adapters->aws,
                                                  .url = names->queue_url,
                                                  .clock = &world->clock,
                                                  .sleep_ms = skip_ms,
                                                  .sleep_context = world};
    DIC_TRY(dic_job_queue_sqs_new(&sqs, &adapters->queue, err));
    const struct dic_table_dynamodb_options dynamodb = {
        .aws = adapters->aws, .table = names->table, .sleep_ms = skip_ms, .sleep_context = world};
    return dic_table_dynamodb_new(&dynamodb, &adapters->table, err);
}

/* ---- what a line says ---- */

static struct dic_str text_of(const struct dic_json *line, const char *name)
{
    struct dic_str text = {"", 0};
    const struct dic_json *value = dic_json_member(line, name);
    if (value != NULL && dic_json_get_str(value, name, &text, NULL) != DIC_OK) {
        abort();
    }
    return text;
}

static int64_t number_of(const struct dic_json *line, const char *name)
{
    int64_t number = 0;
    const struct dic_json *value = dic_json_member(line, name);
    if (value != NULL && dic_json_get_int(value, name, 0, INT64_MAX, &number, NULL) != DIC_OK) {
        abort();
    }
    return number;
}

static void copy_text(const struct dic_json *line, const char *name, char *out, size_t size)
{
    const struct dic_str text = text_of(line, name);
    if (text.len >= size) {
        abort();
    }
    snprintf(out, size, "%.*s", DIC_STR_ARGS(text));
}

/* ---- calls: each reads its arguments from line and adds what it got to out ---- */

typedef enum dic_code (*make_call)(struct adapters *adapters, const struct dic_json *line,
                                   struct dic_json_writer *out, struct dic_err *err);

static enum dic_code open_call(struct adapters *adapters, const struct dic_json *line,
                               struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    struct names names;
    if (number_of(line, "goes_on") == 0) {
        DIC_TRY(start(adapters, err));
    }
    copy_text(line, "bucket", names.bucket, sizeof names.bucket);
    copy_text(line, "queue_url", names.queue_url, sizeof names.queue_url);
    copy_text(line, "table", names.table, sizeof names.table);
    return open_ports(adapters, &names, err);
}

static enum dic_code pass_call(struct adapters *adapters, const struct dic_json *line,
                               struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    (void)err;
    skip_ms(adapters->world, number_of(line, "ms"));
    return DIC_OK;
}

static enum dic_code get_object(struct adapters *adapters, const struct dic_json *line,
                                struct dic_json_writer *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    struct dic_blob_info info = {0};
    const int64_t len = number_of(line, "len");
    dic_buf_init(&bytes, MAX_OBJECT);
    const struct dic_blob_store *blobs = &adapters->blobs;
    if (len > 0) {
        DIC_TRY(blobs->ops->get_range(blobs->impl, text_of(line, "key"), number_of(line, "offset"),
                                      len, NULL, &bytes, err));
    } else {
        DIC_TRY(blobs->ops->get(blobs->impl, text_of(line, "key"), number_of(line, "max_bytes"),
                                &bytes, &info, err));
    }
    dic_json_put_str(out, "value", dic_buf_view(&bytes));
    return DIC_OK;
}

static enum dic_code head_object(struct adapters *adapters, const struct dic_json *line,
                                 struct dic_json_writer *out, struct dic_err *err)
{
    struct dic_blob_info info = {0};
    const struct dic_blob_store *blobs = &adapters->blobs;
    DIC_TRY(blobs->ops->head(blobs->impl, text_of(line, "key"), &info, err));
    dic_json_put_int(out, "value", info.size_bytes);
    dic_json_put_text(out, "etag", info.etag);
    return DIC_OK;
}

static enum dic_code put_object(struct adapters *adapters, const struct dic_json *line,
                                struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    const struct dic_str text = text_of(line, "text");
    const int64_t repeat = number_of(line, "repeat");
    const struct dic_blob_store *blobs = &adapters->blobs;
    dic_buf_init(&bytes, SIZE_MAX);
    for (int64_t i = 0; i < repeat; i++) {
        dic_buf_append_str(&bytes, text);
    }
    return blobs->ops->put(blobs->impl, text_of(line, "key"), dic_buf_view(&bytes),
                           number_of(line, "if_absent") != 0, err);
}

static enum dic_code put_key(void *context, struct dic_str key, int64_t size_bytes,
                             struct dic_err *err)
{
    (void)size_bytes;
    (void)err;
    dic_json_put_str(context, NULL, key);
    return DIC_OK;
}

static enum dic_code list_objects(struct adapters *adapters, const struct dic_json *line,
                                  struct dic_json_writer *out, struct dic_err *err)
{
    bool more = false;
    const struct dic_blob_store *blobs = &adapters->blobs;
    dic_json_begin_array(out, "value");
    const enum dic_code code =
        blobs->ops->list(blobs->impl, text_of(line, "prefix"), dic_str_len("", 0),
                         (uint32_t)number_of(line, "limit"), put_key, out, &more, err);
    dic_json_end_array(out);
    dic_json_put_bool(out, "more", more);
    return code;
}

static enum dic_code delete_object(struct adapters *adapters, const struct dic_json *line,
                                   struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    const struct dic_blob_store *blobs = &adapters->blobs;
    return blobs->ops->remove(blobs->impl, text_of(line, "key"), err);
}

static enum dic_code send_messages(struct adapters *adapters, const struct dic_json *line,
                                   struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    struct dic_message messages[MAX_MESSAGES];
    const size_t count = (size_t)number_of(line, "count");
    for (size_t i = 0; i < count && i < MAX_MESSAGES; i++) {
        messages[i] = (struct dic_message){.kind = DIC_MESSAGE_CHUNK, .chunk = (uint32_t)i};
        memset(messages[i].job_id, 'a', DIC_ID_LEN);
    }
    return adapters->queue.ops->send(adapters->queue.impl, messages, count, err);
}

static enum dic_code receive_messages(struct adapters *adapters, const struct dic_json *line,
                                      struct dic_json_writer *out, struct dic_err *err)
{
    struct dic_delivery deliveries[MAX_MESSAGES];
    size_t count = 0;
    const struct dic_job_queue *queue = &adapters->queue;
    DIC_TRY(queue->ops->receive(queue->impl, deliveries, (size_t)number_of(line, "max"),
                                (uint32_t)number_of(line, "visibility_s"),
                                number_of(line, "wait_ms"), &count, err));
    dic_json_begin_array(out, "receipts");
    for (size_t i = 0; i < count; i++) {
        dic_json_put_text(out, NULL, deliveries[i].receipt);
    }
    dic_json_end_array(out);
    dic_json_put_int(out, "value", (int64_t)count);
    return DIC_OK;
}

static enum dic_code change_visibility(struct adapters *adapters, const struct dic_json *line,
                                       struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    char receipt[DIC_RECEIPT_SIZE];
    copy_text(line, "receipt", receipt, sizeof receipt);
    return adapters->queue.ops->extend(adapters->queue.impl, receipt,
                                       (uint32_t)number_of(line, "visibility_s"), err);
}

static enum dic_code delete_message(struct adapters *adapters, const struct dic_json *line,
                                    struct dic_json_writer *out, struct dic_err *err)
{
    (void)out;
    char receipt[DIC_RECEIPT_SIZE];
    copy_text(line, "receipt", receipt, sizeof receipt);
    return adapters->queue.ops->remove(adapters->queue.impl, receipt, err);
}

static enum dic_code queue_depth(struct adapters *adapters, const struct dic_json *line,
                                 struct dic_json_writer *out, struct dic_err *err)
{
    (void)line;
    struct dic_queue_depth depth = {0};
    DIC_TRY(adapters->queue.ops->depth(adapters->queue.impl, &depth, err));
    dic_json_put_int(out, "value", depth.visible);
    return DIC_OK;
}

static enum dic_code get_item(struct adapters *adapters, const struct dic_json *line,
                              struct dic_json_writer *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    DIC_TRY(adapters->table.ops->get(adapters->table.impl, text_of(line, "pk"), &item, err));
    dic_json_put_bool(out, "exists", item.exists);
    dic_json_put_int(out, "value", dic_item_number(&item, "n", -1));
    return DIC_OK;
}

static enum dic_code get_many(struct adapters *adapters, const struct dic_json *line,
                              struct dic_json_writer *out, struct dic_err *err)
{
    struct dic_str keys[MAX_KEYS];
    struct dic_item items[MAX_KEYS];
    int64_t sum = 0;
    const struct dic_json *list = dic_json_member(line, "pks");
    const size_t count = dic_json_size(list);
    for (size_t i = 0; i < count && i < MAX_KEYS; i++) {
        dic_item_init(&items[i]);
        if (dic_json_get_str(dic_json_at(list, i), "pks", &keys[i], NULL) != DIC_OK) {
            abort();
        }
    }
    const enum dic_code code =
        adapters->table.ops->get_many(adapters->table.impl, keys, count, items, err);
    for (size_t i = 0; i < count && i < MAX_KEYS; i++) {
        sum += dic_item_number(&items[i], "n", 0);
        dic_item_clean_up(&items[i]);
    }
    dic_json_put_int(out, "value", sum);
    return code;
}

/* As the ledger writes: under a condition that the write makes false. */
static enum dic_code write_item(struct adapters *adapters, const struct dic_json *line,
                                struct dic_json_writer *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    bool applied = false;
    const bool is_put = number_of(line, "put") != 0;
    const struct dic_change changes[] = {
        {.kind = is_put ? DIC_SET_NUMBER : DIC_ADD_NUMBER, .name = "n", .number = 1},
        {.kind = DIC_SET_TEXT, .name = "mark", .text = text_of(line, "mark")},
    };
    const struct dic_cond absent[] = {{.kind = DIC_COND_ABSENT, .name = is_put ? "pk" : "mark"}};
    const struct dic_table_write write = {
        .pk = text_of(line, "pk"),
        .changes = changes,
        .change_count = sizeof changes / sizeof *changes,
        .conds = absent,
        .cond_count = 1,
    };
    dic_item_init(&item);
    const struct dic_table_ops *ops = adapters->table.ops;
    DIC_TRY((is_put ? ops->put : ops->update)(adapters->table.impl, &write, &applied, &item, err));
    dic_json_put_bool(out, "applied", applied);
    dic_json_put_bool(out, "ours", dic_str_eq(dic_item_text(&item, "mark"), text_of(line, "mark")));
    return DIC_OK;
}

static enum dic_code put_hit(void *context, struct dic_str pk, struct dic_str sort_text,
                             int64_t sort_number, struct dic_err *err)
{
    (void)sort_text;
    (void)sort_number;
    (void)err;
    dic_json_put_str(context, NULL, pk);
    return DIC_OK;
}

static enum dic_code query_items(struct adapters *adapters, const struct dic_json *line,
                                 struct dic_json_writer *out, struct dic_err *err)
{
    const struct dic_table_query query = {
        .index = "outbox",
        .partition_number = number_of(line, "partition"),
        .to_number = INT64_MAX,
        .limit = (uint32_t)number_of(line, "limit"),
    };
    dic_json_begin_array(out, "value");
    const enum dic_code code =
        adapters->table.ops->query(adapters->table.impl, &query, put_hit, out, err);
    dic_json_end_array(out);
    return code;
}

static const struct {
    const char *name;
    make_call make;
} calls[] = {
    {"Open", open_call},
    {"Pass", pass_call},
    {"GetObject", get_object},
    {"HeadObject", head_object},
    {"PutObject", put_object},
    {"ListObjectsV2", list_objects},
    {"DeleteObject", delete_object},
    {"SendMessageBatch", send_messages},
    {"ReceiveMessage", receive_messages},
    {"ChangeMessageVisibility", change_visibility},
    {"DeleteMessage", delete_message},
    {"GetQueueAttributes", queue_depth},
    {"GetItem", get_item},
    {"BatchGetItem", get_many},
    {"WriteItem", write_item},
    {"Query", query_items},
};

static make_call call_named(struct dic_str name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (dic_str_is(name, calls[i].name)) {
            return calls[i].make;
        }
    }
    abort();
}

/* ---- lines ---- */

static void answer(struct adapters *adapters, const struct dic_json *line)
{
    struct world *world = adapters->world;
    struct dic_err err = {0};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf report;
    dic_buf_init(&report, MAX_REPORT);
    world->patience_ms = number_of(line, "patience_ms");
    world->patience_skip = number_of(line, "patience_skip");
    world->patience_count = number_of(line, "patience_count");
    world->exchanges = 0;
    const int64_t begun_ms = dic_clock_mono_ms(&world->clock);
    struct dic_json_writer out = dic_json_writer(&report);
    dic_json_begin_object(&out, NULL);
    const enum dic_code code = call_named(text_of(line, "call"))(adapters, line, &out, &err);
    dic_json_put_text(&out, "code", dic_outcome(code)->word);
    dic_json_put_text(&out, "message", code == DIC_OK ? "" : err.msg);
    dic_json_put_bool(&out, "retryable", code != DIC_OK && err.retryable);
    dic_json_put_int(&out, "elapsed_ms", dic_clock_mono_ms(&world->clock) - begun_ms);
    dic_json_end_object(&out);
    printf("%s\n", report.ptr);
    fflush(stdout);
}

static void serve(struct adapters *adapters)
{
    static char line[MAX_LINE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        DIC_CLEANUP(dic_json_cleanup) struct dic_json *object = NULL;
        if (dic_json_parse(dic_str_len(line, strcspn(line, "\n")), &object, NULL) != DIC_OK) {
            abort();
        }
        answer(adapters, object);
    }
}

static enum dic_code run(struct dic_err *err)
{
    size_t count = 0;
    const struct dic_setting *rows = dic_aws_settings(&count);
    struct dic_aws_environment environment;
    struct world world = {.clock = {wall_ms, mono_ns, &world}};
    struct adapters adapters = {.world = &world, .environment = &environment};
    DIC_TRY(dic_settings_read(rows, count, &environment, err));
    const struct dic_http_client_options http = {.ca_bundle = environment.ca_bundle,
                                                 .max_idle_handles = 4};
    DIC_TRY(dic_http_client_curl_new(&http, &world.curl, err));
    serve(&adapters);
    close_ports(&adapters);
    dic_aws_destroy(adapters.aws);
    destroy(&world);
    return DIC_OK;
}

int main(void)
{
    struct dic_err err = {0};
    if (run(&err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
