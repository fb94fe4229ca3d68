/* SPDX-License-Identifier: Apache-2.0 */
#include "dead_letters.h"

#include "aws/aws_settings.h"
#include "aws/sqs.h"
#include "base/clock.h"
#include "base/mem.h"
#include "job/job.h"
#include "store/aws_store.h"
#include "store/blob_store_s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAGE = 1000,
    PAGE_BYTES = PAGE * 1100,
    KEY_BYTES = 128,
    COPY_BYTES = 64 * 1024,
    HIDDEN_S = 300, /* longer than looking at DIC_DEAD_MESSAGES_MAX takes */
    WAIT_S = 1,     /* a receive without a wait looks at some of the queue's servers only */
    RECEIPT_BYTES = 2048,
};

#define PREFIX "dlq/" DIC_TENANT "/"

struct dic_dead_store {
    struct dic_aws_store_settings settings;
    struct dic_aws_environment environment;
    struct dic_http_client http;
    struct dic_aws *aws;
    struct dic_blob_store results;
    struct dic_sqs_queue dead;
    struct dic_sqs_queue queue;
};

/* ---- opening ---- */

static void sleep_ms(void *context, int64_t ms)
{
    (void)context;
    dic_sleep_ms(ms);
}

/* The rows of the services' table that are needed here: neither images nor jobs are asked for. */
static enum dic_code read_settings(struct dic_dead_store *store, struct dic_err *err)
{
    static const char *const needed[] = {"RESULT_BUCKET", "JOB_QUEUE_URL", "JOB_DLQ_URL",
                                         "FAIR_QUEUE"};
    size_t count = 0;
    for (size_t i = 0; i < dic_aws_store_settings_count; i++) {
        const struct dic_setting *row = &dic_aws_store_settings_table[i];
        for (size_t j = 0; j < sizeof needed / sizeof needed[0]; j++) {
            if (strcmp(row->name, needed[j]) == 0) {
                DIC_TRY(dic_settings_read(row, 1, &store->settings, err));
            }
        }
    }
    const struct dic_setting *aws = dic_aws_settings(&count);
    return dic_settings_read(aws, count, &store->environment, err);
}

static enum dic_code connect_all(struct dic_dead_store *store, struct dic_err *err)
{
    DIC_TRY(read_settings(store, err));
    const char *ca_bundle = store->environment.ca_bundle;
    const struct dic_http_client_options http = {
        .ca_bundle = ca_bundle[0] != '\0' ? ca_bundle : NULL, .max_idle_handles = 2};
    DIC_TRY(dic_http_client_curl_new(&http, &store->http, err));
    const struct dic_aws_options aws = {
        .environment = &store->environment, .http = store->http, .clock = dic_clock_system()};
    DIC_TRY(dic_aws_new(&aws, &store->aws, err));
    const struct dic_s3_options s3 = {.aws = store->aws, .bucket = store->settings.result_bucket};
    DIC_TRY(dic_blob_store_s3_new(&s3, &store->results, err));
    store->dead = (struct dic_sqs_queue){
        .aws = store->aws, .url = store->settings.job_dlq_url, .sleep_ms = sleep_ms};
    store->queue = (struct dic_sqs_queue){
        .aws = store->aws, .url = store->settings.job_queue_url, .sleep_ms = sleep_ms};
    return DIC_OK;
}

enum dic_code dic_dead_store_open(struct dic_dead_store **out, struct dic_err *err)
{
    struct dic_dead_store *store = dic_calloc(1, sizeof *store);
    enum dic_code code = connect_all(store, err);
    if (code != DIC_OK) {
        dic_dead_store_close(store);
        return code;
    }
    *out = store;
    return DIC_OK;
}

void dic_dead_store_close(struct dic_dead_store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->results.ops != NULL) {
        store->results.ops->destroy(store->results.impl);
    }
    dic_aws_destroy(store->aws);
    if (store->http.ops != NULL) {
        store->http.ops->destroy(store->http.impl);
    }
    dic_free(store);
}

void dic_dead_store_cleanup(struct dic_dead_store **store)
{
    dic_dead_store_close(*store);
}

/* ---- copies ---- */

/* False for a key that no worker of this version wrote. */
static bool parse_key(struct dic_str key, struct dic_dead_copy *out)
{
    const struct dic_str prefix = DIC_STR_LIT(PREFIX);
    struct dic_str rest = dic_str_skip(key, prefix.len);
    struct dic_str job = {0};
    uint64_t chunk = 0;
    if (!dic_str_starts_with(key, prefix) || !dic_str_split(&rest, '/', &job) ||
        !dic_job_id_valid(job) || rest.ptr == NULL ||
        dic_parse_u64(rest, 0, UINT32_MAX, &chunk, NULL) != DIC_OK) {
        return false;
    }
    *out = (struct dic_dead_copy){.key = key, .chunk = (uint32_t)chunk};
    memcpy(out->job, job.ptr, DIC_ID_LEN);
    return true;
}

/* Keys of a page end in NUL, which no key has. */
static enum dic_code keep_key(void *context, struct dic_str key, int64_t size_bytes,
                              struct dic_err *err)
{
    struct dic_buf *keys = context;
    (void)size_bytes; /* the port's signature */
    dic_buf_append_str(keys, key);
    dic_buf_append_byte(keys, '\0');
    return dic_buf_check(keys, err);
}

static enum dic_code visit_page(struct dic_str keys, int64_t chunk, dic_dead_copy_visit visit,
                                void *context, struct dic_err *err)
{
    struct dic_str key;
    struct dic_dead_copy copy;
    while (dic_str_split(&keys, '\0', &key)) {
        if (parse_key(key, &copy) && (chunk < 0 || chunk == copy.chunk)) {
            DIC_TRY(visit(context, &copy, err));
        }
    }
    return DIC_OK;
}

static void set_after(struct dic_buf *after, struct dic_str keys)
{
    struct dic_str key;
    struct dic_str last = {0};
    while (dic_str_split(&keys, '\0', &key)) {
        last = key.len > 0 ? key : last;
    }
    if (last.len > 0) {
        dic_buf_clear(after);
        dic_buf_append_str(after, last);
    }
}

static enum dic_code visit_pages(struct dic_dead_store *store, const struct dic_dead_filter *filter,
                                 struct dic_buf *keys, struct dic_buf *after,
                                 dic_dead_copy_visit visit, void *context, struct dic_err *err)
{
    const struct dic_blob_store *results = &store->results;
    char prefix[KEY_BYTES];
    bool more = true;
    snprintf(prefix, sizeof prefix, PREFIX "%s%s", filter->job != NULL ? filter->job : "",
             filter->job != NULL ? "/" : "");
    while (more) {
        dic_buf_clear(keys);
        DIC_TRY(results->ops->list(results->impl, dic_str(prefix), dic_buf_view(after), PAGE,
                                   keep_key, keys, &more, err));
        set_after(after, dic_buf_view(keys));
        DIC_TRY(visit_page(dic_buf_view(keys), filter->chunk, visit, context, err));
    }
    return DIC_OK;
}

enum dic_code dic_dead_copies(struct dic_dead_store *store, const struct dic_dead_filter *filter,
                              dic_dead_copy_visit visit, void *context, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf keys;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf after;
    dic_buf_init(&keys, PAGE_BYTES);
    dic_buf_init(&after, DIC_MAX_KEY_BYTES);
    return visit_pages(store, filter, &keys, &after, visit, context, err);
}

static enum dic_code take_first_job(void *context, struct dic_str key, int64_t size_bytes,
                                    struct dic_err *err)
{
    char *job_out = context;
    struct dic_dead_copy copy;
    (void)size_bytes; /* the port's signature */
    (void)err;
    if (job_out[0] == '\0' && parse_key(key, &copy)) {
        memcpy(job_out, copy.job, DIC_ID_SIZE);
    }
    return DIC_OK;
}

enum dic_code dic_dead_next_job(struct dic_dead_store *store, const char *after,
                                char job_out[DIC_ID_SIZE], struct dic_err *err)
{
    const struct dic_blob_store *results = &store->results;
    char from[KEY_BYTES];
    bool more = false;
    /* '0' is the byte behind '/': past all copies of that job. */
    snprintf(from, sizeof from, PREFIX "%s0", after);
    job_out[0] = '\0';
    return results->ops->list(results->impl, DIC_STR_LIT(PREFIX),
                              dic_str(after[0] != '\0' ? from : ""), PAGE, take_first_job, job_out,
                              &more, err);
}

enum dic_code dic_dead_copy_read(struct dic_dead_store *store, const struct dic_dead_copy *copy,
                                 struct dic_buf *out, struct dic_err *err)
{
    return store->results.ops->get(store->results.impl, copy->key, COPY_BYTES, out, NULL, err);
}

enum dic_code dic_dead_copy_remove(struct dic_dead_store *store, const struct dic_dead_copy *copy,
                                   struct dic_err *err)
{
    enum dic_code code = store->results.ops->remove(store->results.impl, copy->key, err);
    return code == DIC_E_NOT_FOUND ? DIC_OK : code;
}

/* ---- messages ---- */

struct receiving {
    const struct dic_dead_filter *filter;
    dic_dead_message_visit visit;
    void *context;
    struct dic_buf held; /* receipts to give back, a line each */
    size_t seen;
};

static bool is_meant(const struct dic_dead_filter *filter, const struct dic_dead_message *message)
{
    if (filter->job == NULL) {
        return true;
    }
    const struct dic_message *what = &message->message;
    return message->understood && strcmp(what->job_id, filter->job) == 0 &&
           (filter->chunk < 0 || (what->kind == DIC_MESSAGE_CHUNK && filter->chunk == what->chunk));
}

static enum dic_code take(void *context, const struct dic_sqs_message *received,
                          struct dic_err *err)
{
    struct receiving *receiving = context;
    struct dic_dead_message message = {
        .id = received->id,
        .body = received->body,
        .receipt = received->receipt,
        .receive_count = received->receive_count,
        .sent_ms = received->sent_ms,
    };
    enum dic_code code = DIC_OK;
    message.understood = dic_message_parse(message.body, &message.message, &message.why) == DIC_OK;
    receiving->seen++;
    if (is_meant(receiving->filter, &message)) {
        code = receiving->visit(receiving->context, &message, err);
    }
    if (!message.settled) {
        dic_buf_append_str(&receiving->held, message.receipt);
        dic_buf_append_byte(&receiving->held, '\n');
    }
    return code;
}

static enum dic_code receive_all(const struct dic_dead_store *store, struct receiving *receiving,
                                 bool *more_out, struct dic_err *err)
{
    const struct dic_sqs_receive request = {
        .max = DIC_SQS_BATCH, .visibility_s = HIDDEN_S, .wait_s = WAIT_S};
    *more_out = true;
    while (receiving->seen < DIC_DEAD_MESSAGES_MAX) {
        const size_t before = receiving->seen;
        DIC_TRY(dic_sqs_receive(&store->dead, &request, take, receiving, err));
        if (receiving->seen == before) {
            *more_out = false;
            return DIC_OK;
        }
    }
    return DIC_OK;
}

/* Those whose call fails come back by themselves, a little later. */
static void give_back(const struct dic_dead_store *store, struct dic_str receipts)
{
    struct dic_str receipt;
    while (dic_str_split(&receipts, '\n', &receipt)) {
        if (receipt.len > 0 &&
            dic_sqs_change_visibility(&store->dead, receipt, 0, NULL) != DIC_OK) {
            continue;
        }
    }
}

enum dic_code dic_dead_messages(struct dic_dead_store *store, const struct dic_dead_filter *filter,
                                dic_dead_message_visit visit, void *context, bool *more_out,
                                struct dic_err *err)
{
    struct receiving receiving = {.filter = filter, .visit = visit, .context = context};
    dic_buf_init(&receiving.held, (size_t)DIC_DEAD_MESSAGES_MAX * RECEIPT_BYTES);
    enum dic_code code = receive_all(store, &receiving, more_out, err);
    give_back(store, dic_buf_view(&receiving.held));
    dic_buf_clean_up(&receiving.held);
    return code;
}

enum dic_code dic_dead_message_send(struct dic_dead_store *store, struct dic_dead_message *message,
                                    struct dic_err *err)
{
    const bool in_group = store->settings.fair_queue != 0 && message->understood;
    const struct dic_sqs_entry entry = {
        .body = message->body,
        .group_id = dic_str(in_group ? message->message.job_id : NULL),
    };
    DIC_TRY(dic_sqs_send(&store->queue, &entry, 1, err));
    return dic_dead_message_remove(store, message, err);
}

enum dic_code dic_dead_message_remove(struct dic_dead_store *store,
                                      struct dic_dead_message *message, struct dic_err *err)
{
    enum dic_code code = dic_sqs_delete(&store->dead, message->receipt, err);
    message->settled = code == DIC_OK || code == DIC_E_NOT_FOUND;
    return message->settled ? DIC_OK : code;
}
