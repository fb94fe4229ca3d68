/* SPDX-License-Identifier: Apache-2.0 */
#include "store/job_queue_sqs.h"

#include "aws/sqs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#include <string.h>

enum { URL_MAX_BYTES = 1024, REMEMBERED = 256 };

/* A receive under way; lives on its caller's stack. */
struct waiter {
    atomic_bool woken;
    struct waiter *next;
};

struct queue {
    struct dic_sqs_queue sqs;
    const struct dic_clock *clock;
    bool fair;
    char url[URL_MAX_BYTES + 1];
    pthread_mutex_t lock; /* guards what follows */
    struct waiter *waiters;
    /* Hashes of the ids of messages that are not ours, the oldest one overwritten first: such a
     * message stays in its queue, comes again and again, and is told of once. */
    uint64_t not_ours[REMEMBERED];
    size_t not_ours_count; /* ever */
};

/* ---- sending ---- */

DIC_MUST_USE
static enum dic_code send_some(const struct queue *queue, const struct dic_message *messages,
                               size_t count, struct dic_err *err)
{
    char bodies[DIC_SQS_BATCH][DIC_MESSAGE_BODY_SIZE];
    struct dic_sqs_entry entries[DIC_SQS_BATCH];
    for (size_t i = 0; i < count; i++) {
        const size_t len = dic_message_write(&messages[i], bodies[i]);
        entries[i] = (struct dic_sqs_entry){
            .body = dic_str_len(bodies[i], len),
            .group_id = dic_str(queue->fair ? messages[i].job_id : NULL),
        };
    }
    return dic_sqs_send(&queue->sqs, entries, count, err);
}

static enum dic_code send_messages(void *impl, const struct dic_message *messages, size_t count,
                                   struct dic_err *err)
{
    for (size_t at = 0; at < count; at += DIC_SQS_BATCH) {
        const size_t left = count - at;
        DIC_TRY(send_some(impl, messages + at, left < DIC_SQS_BATCH ? left : DIC_SQS_BATCH, err));
    }
    return DIC_OK;
}

/* ---- receiving ---- */

struct receiving {
    struct queue *queue;
    struct dic_delivery *out;
    size_t max;
    size_t count;
};

static bool is_known(struct queue *queue, struct dic_str id)
{
    const uint64_t hash = dic_str_hash(id); /* a collision costs one line of the log */
    DIC_GUARD(&queue->lock);
    for (size_t i = 0; i < queue->not_ours_count && i < REMEMBERED; i++) {
        if (queue->not_ours[i] == hash) {
            return true;
        }
    }
    queue->not_ours[queue->not_ours_count++ % REMEMBERED] = hash;
    return false;
}

static void log_not_ours(struct queue *queue, const struct dic_sqs_message *message,
                         const struct dic_err *why)
{
    struct dic_log log;
    if (is_known(queue, message->id)) {
        return;
    }
    dic_log_begin(&log, DIC_LOG_WARN, "message_not_ours");
    dic_log_str(&log, "queue", queue->url);
    dic_log_view(&log, "message_id", message->id);
    dic_log_int(&log, "receive_count", message->receive_count);
    dic_log_err(&log, why);
    dic_log_end(&log);
}

static enum dic_code take(void *context, const struct dic_sqs_message *message, struct dic_err *err)
{
    struct receiving *receiving = context;
    struct dic_err why = {0};
    if (receiving->count == receiving->max) {
        return dic_fail(err, DIC_E_UPSTREAM, "ReceiveMessage: more than the %zu messages asked for",
                        receiving->max);
    }
    if (message->receipt.len == 0 || message->receipt.len >= DIC_RECEIPT_SIZE) {
        return dic_fail(err, DIC_E_UPSTREAM, "ReceiveMessage: receipt of %zu bytes, limit %d",
                        message->receipt.len, DIC_RECEIPT_SIZE - 1);
    }
    struct dic_delivery *out = &receiving->out[receiving->count++];
    *out =
        (struct dic_delivery){.receive_count = message->receive_count, .sent_ms = message->sent_ms};
    memcpy(out->receipt, message->receipt.ptr, message->receipt.len);
    out->understood = dic_message_parse(message->body, &out->message, &why) == DIC_OK;
    if (!out->understood) {
        log_not_ours(receiving->queue, message, &why);
        return DIC_OK;
    }
    const uint32_t most = UINT32_MAX - out->receive_count;
    const uint32_t earlier = out->message.earlier_receives;
    out->receive_count += earlier < most ? earlier : most;
    out->sent_ms = out->message.first_sent_ms > 0 ? out->message.first_sent_ms : out->sent_ms;
    return DIC_OK;
}

static void add_waiter(struct queue *queue, struct waiter *waiter)
{
    DIC_GUARD(&queue->lock);
    waiter->next = queue->waiters;
    queue->waiters = waiter;
}

static void remove_waiter(struct queue *queue, struct waiter *waiter)
{
    DIC_GUARD(&queue->lock);
    struct waiter **link = &queue->waiters;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
}

static uint32_t whole_seconds(int64_t ms)
{
    const int64_t seconds = ms <= 0 ? 0 : (ms - 1) / 1000 + 1;
    return seconds < DIC_SQS_WAIT_MAX_S ? (uint32_t)seconds : DIC_SQS_WAIT_MAX_S;
}

/* Long polls, one after another, until there is a message, the time is over or somebody wakes. */
DIC_MUST_USE
static enum dic_code poll(const struct queue *queue, const struct waiter *waiter,
                          uint32_t visibility_s, int64_t wait_ms, struct receiving *receiving,
                          struct dic_err *err)
{
    const int64_t until = dic_clock_mono_ms(queue->clock) + wait_ms;
    int64_t left = wait_ms;
    do {
        const struct dic_sqs_receive request = {
            .max = receiving->max,
            .visibility_s = visibility_s,
            .wait_s = whole_seconds(left),
            .cancel = &waiter->woken,
        };
        enum dic_code code = dic_sqs_receive(&queue->sqs, &request, take, receiving, err);
        if (code != DIC_OK) {
            return atomic_load(&waiter->woken) && code == DIC_E_CONFLICT ? DIC_OK : code;
        }
        left = until - dic_clock_mono_ms(queue->clock);
    } while (receiving->count == 0 && left > 0 && !atomic_load(&waiter->woken));
    return DIC_OK;
}

static enum dic_code receive(void *impl, struct dic_delivery *out, size_t max,
                             uint32_t visibility_s, int64_t wait_ms, size_t *count_out,
                             struct dic_err *err)
{
    struct queue *queue = impl;
    struct waiter waiter = {0};
    struct receiving receiving = {.queue = queue, .out = out, .max = max};
    add_waiter(queue, &waiter);
    enum dic_code code = poll(queue, &waiter, visibility_s, wait_ms, &receiving, err);
    remove_waiter(queue, &waiter);
    *count_out = code == DIC_OK ? receiving.count : 0;
    return code;
}

static void wake(void *impl)
{
    struct queue *queue = impl;
    dic_lock(&queue->lock);
    for (struct waiter *waiter = queue->waiters; waiter != NULL; waiter = waiter->next) {
        atomic_store(&waiter->woken, true);
    }
    dic_unlock(&queue->lock);
    dic_aws_wake(queue->sqs.aws);
}

/* ---- leases, depth, life ---- */

static enum dic_code extend(void *impl, const char *receipt, uint32_t visibility_s,
                            struct dic_err *err)
{
    const struct queue *queue = impl;
    return dic_sqs_change_visibility(&queue->sqs, dic_str(receipt), visibility_s, err);
}

static enum dic_code remove_message(void *impl, const char *receipt, struct dic_err *err)
{
    const struct queue *queue = impl;
    return dic_sqs_delete(&queue->sqs, dic_str(receipt), err);
}

static void log_not_removed(const struct dic_message *message, const struct dic_err *why)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "message_not_removed");
    dic_log_str(&log, "job_id", message->job_id);
    dic_log_int(&log, "chunk", message->chunk);
    dic_log_err(&log, why);
    dic_log_end(&log);
}

/* SQS counts a delivery for good, and moves the message away when there were too many. In this
 * order, so that it is never lost. */
static enum dic_code hand_back(void *impl, const struct dic_delivery *delivery, struct dic_err *err)
{
    const struct queue *queue = impl;
    struct dic_err why = {0};
    if (!delivery->understood) {
        return extend(impl, delivery->receipt, 0, err);
    }
    struct dic_message anew = delivery->message;
    anew.earlier_receives = delivery->receive_count > 0 ? delivery->receive_count - 1 : 0;
    anew.first_sent_ms = delivery->sent_ms;
    DIC_TRY(send_some(queue, &anew, 1, err));
    enum dic_code code = remove_message(impl, delivery->receipt, &why);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        log_not_removed(&anew, &why); /* there are two now, of which the later one finds no work */
    }
    return DIC_OK;
}

static enum dic_code depth(void *impl, struct dic_queue_depth *out, struct dic_err *err)
{
    const struct queue *queue = impl;
    return dic_sqs_depth(&queue->sqs, &out->visible, &out->in_flight, err);
}

static void destroy(void *impl)
{
    struct queue *queue = impl;
    if (queue != NULL) {
        pthread_mutex_destroy(&queue->lock);
        dic_free(queue);
    }
}

static const struct dic_job_queue_ops sqs_ops = {
    .send = send_messages,
    .receive = receive,
    .extend = extend,
    .hand_back = hand_back,
    .remove = remove_message,
    .depth = depth,
    .wake = wake,
    .destroy = destroy,
};

static void system_sleep(void *context, int64_t ms)
{
    (void)context;
    dic_sleep_ms(ms);
}

static bool is_url(struct dic_str url)
{
    bool good = url.len <= URL_MAX_BYTES && (dic_str_starts_with(url, DIC_STR_LIT("https://")) ||
                                             dic_str_starts_with(url, DIC_STR_LIT("http://")));
    for (size_t i = 0; good && i < url.len; i++) {
        good = url.ptr[i] > ' ' && url.ptr[i] < 0x7F && url.ptr[i] != '"' && url.ptr[i] != '\\';
    }
    return good;
}

enum dic_code dic_job_queue_sqs_new(const struct dic_job_queue_sqs_options *options,
                                    struct dic_job_queue *out, struct dic_err *err)
{
    const struct dic_str url = dic_str(options->url);
    if (!is_url(url)) {
        return dic_fail_field(err, DIC_E_INVALID, "url",
                              "'%.100s' is no URL of a queue: http(s)://, at most %d bytes",
                              url.len > 0 ? url.ptr : "", URL_MAX_BYTES);
    }
    struct queue *queue = dic_calloc(1, sizeof *queue);
    memcpy(queue->url, url.ptr, url.len);
    queue->sqs = (struct dic_sqs_queue){
        .aws = options->aws,
        .url = queue->url,
        .sleep_ms = options->sleep_ms != NULL ? options->sleep_ms : system_sleep,
        .sleep_context = options->sleep_context,
    };
    queue->clock = options->clock != NULL ? options->clock : dic_clock_system();
    queue->fair = options->fair;
    dic_mutex_init(&queue->lock);
    *out = (struct dic_job_queue){&sqs_ops, queue};
    return DIC_OK;
}
