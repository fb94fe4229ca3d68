/* SPDX-License-Identifier: Apache-2.0 */
#include "dead_letters.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "chunk_work.h"
#include "give_up.h"
#include "job/limits.h"
#include "json/json_write.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    RECEIVE_WAIT_MS = 20000,
    AFTER_FAILURE_MS = 5000,
    STEP_MS = 50, /* a stop is noticed so soon */
};

struct dic_dead_letters {
    struct dic_dead_letters_options options;
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool ended;
};

/* ---- one chunk ---- */

static enum dic_code load(const struct dic_dead_letters_options *options,
                          const struct dic_delivery *delivery, struct dic_chunk_work **work_out,
                          struct dic_err *err)
{
    const struct dic_job_store *jobs = &options->jobs;
    const struct dic_message *message = &delivery->message;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf job_memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf chunk_memory;
    struct dic_job job = {0};
    struct dic_chunk chunk = {0};
    dic_buf_init(&job_memory, DIC_JOB_RECORD_BYTES);
    dic_buf_init(&chunk_memory, DIC_CHUNK_RECORD_BYTES);
    DIC_TRY(jobs->ops->peek(jobs->impl, message->job_id, &job, &job_memory, err));
    DIC_TRY(jobs->ops->get_chunk(jobs->impl, message->job_id, message->chunk, &chunk, &chunk_memory,
                                 err));
    if (chunk.booked) {
        return dic_fail(err, DIC_E_CONFLICT, "the chunk is already booked");
    }
    return dic_chunk_work_new_damaged(delivery, &job.params, &chunk, work_out, err);
}

static enum dic_code book(const struct dic_dead_letters_options *options,
                          struct dic_chunk_work *work, const char *reason, const char **outcome_out,
                          struct dic_err *err)
{
    static const char *const words[] = {
        [DIC_BOOKED] = "booked", [DIC_BOOK_LATE] = "late", [DIC_BOOK_CLOSED] = "closed"};
    struct dic_chunk_outcome outcome;
    enum dic_book_result result = DIC_BOOK_CLOSED;
    dic_chunk_work_set_errors(work, DIC_ROW_POISON, reason);
    dic_chunk_outcome_init(&outcome, work, options->model);
    const struct dic_booking booking = {
        .chunk = work->delivery.message.chunk,
        .failed = outcome.failed,
        .rows = dic_buf_view(&outcome.rows),
        .model_json = dic_str(options->model->summary_json),
    };
    enum dic_code code = dic_buf_check(&outcome.rows, err);
    if (code == DIC_OK) {
        code = options->jobs.ops->book(options->jobs.impl, work->delivery.message.job_id, &booking,
                                       &result, err);
    }
    dic_chunk_outcome_clean_up(&outcome);
    *outcome_out = words[result];
    return code;
}

/* For people: what was given up, and why. */
static enum dic_code keep_copy(const struct dic_dead_letters_options *options,
                               const struct dic_delivery *delivery, const char *reason,
                               const char *outcome, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    const struct dic_message *message = &delivery->message;
    char key[96];
    char body[DIC_MESSAGE_BODY_SIZE];
    dic_buf_init(&text, 8192);
    struct dic_json_writer writer = dic_json_writer(&text);
    dic_message_write(message, body);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_raw(&writer, "message", dic_str(body));
    dic_json_put_text(&writer, "reason", reason);
    dic_json_put_text(&writer, "outcome", outcome);
    dic_json_put_time(&writer, "sent_at", delivery->sent_ms);
    dic_json_put_time(&writer, "given_up_at", dic_clock_wall_ms(options->clock));
    dic_json_end_object(&writer);
    dic_buf_append_byte(&text, '\n');
    if (message->kind == DIC_MESSAGE_CHUNK) {
        snprintf(key, sizeof key, "dlq/" DIC_TENANT "/%s/%" PRIu32, message->job_id,
                 message->chunk);
    } else {
        snprintf(key, sizeof key, "dlq/" DIC_TENANT "/%s/plan", message->job_id);
    }
    return options->results.ops->put(options->results.impl, dic_str(key), dic_buf_view(&text),
                                     false, err);
}

static void log_settled(const struct dic_delivery *delivery, const char *outcome)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "chunk_given_up");
    dic_log_str(&log, "job_id", delivery->message.job_id);
    dic_log_int(&log, "chunk", delivery->message.chunk);
    dic_log_str(&log, "outcome", outcome);
    dic_log_end(&log);
}

/* What is stored of the chunk cannot be read, and not even be made rows of. */
static enum dic_code settle_unread(const struct dic_dead_letters_options *options,
                                   const struct dic_delivery *delivery, const struct dic_err *why,
                                   struct dic_err *err)
{
    char reason[DIC_REASON_SIZE];
    dic_give_up_reason(reason, "a chunk", DIC_MAX_RECEIVES, why);
    bool failed = false;
    DIC_TRY(dic_give_up_job(&options->jobs, delivery->message.job_id, reason, &failed, err));
    return failed ? keep_copy(options, delivery, reason, "job failed", err) : DIC_OK;
}

static enum dic_code settle_chunk(const struct dic_dead_letters_options *options,
                                  const struct dic_delivery *delivery, struct dic_err *err)
{
    struct dic_chunk_work *work = NULL;
    struct dic_err why = {0};
    char reason[DIC_REASON_SIZE];
    const char *outcome = "closed";
    enum dic_code code = load(options, delivery, &work, &why);
    if (dic_is_work_gone(code)) {
        return DIC_OK; /* booked by now, stopped or gone: nothing is left to account for */
    }
    if (code == DIC_E_INTERNAL) {
        return settle_unread(options, delivery, &why, err);
    }
    if (code != DIC_OK) {
        return dic_fail(err, code, "%s", why.msg);
    }
    dic_give_up_reason(reason, "the chunk", DIC_MAX_RECEIVES, &work->damage);
    code = book(options, work, reason, &outcome, err);
    dic_chunk_work_destroy(work);
    DIC_TRY(code);
    log_settled(delivery, outcome);
    return keep_copy(options, delivery, reason, outcome, err);
}

/* Its workers died, or could not even note that they gave up. */
static enum dic_code settle_plan(const struct dic_dead_letters_options *options,
                                 const struct dic_delivery *delivery, struct dic_err *err)
{
    char reason[DIC_REASON_SIZE];
    dic_give_up_reason(reason, "the job's plan", DIC_MAX_RECEIVES, NULL);
    bool failed = false;
    DIC_TRY(dic_give_up_plan(&options->jobs, &options->queue, delivery->message.job_id, reason,
                             &failed, err));
    return failed ? keep_copy(options, delivery, reason, "job failed", err) : DIC_OK;
}

static enum dic_code settle_kind(const struct dic_dead_letters_options *options,
                                 const struct dic_delivery *delivery, struct dic_err *err)
{
    switch (delivery->message.kind) {
    case DIC_MESSAGE_PLAN:
        return settle_plan(options, delivery, err);
    case DIC_MESSAGE_SEAL:
        return DIC_OK; /* the sweeper seals what is stopping, for as long as it takes */
    case DIC_MESSAGE_CHUNK:
    default:
        return settle_chunk(options, delivery, err);
    }
}

enum dic_code dic_dead_letters_settle(const struct dic_dead_letters_options *options,
                                      const struct dic_delivery *delivery, struct dic_err *err)
{
    if (!delivery->understood) {
        return DIC_OK; /* told of by the queue, once */
    }
    DIC_TRY(settle_kind(options, delivery, err));
    enum dic_code code = options->dead.ops->remove(options->dead.impl, delivery->receipt, err);
    return code == DIC_E_NOT_FOUND ? DIC_OK : code; /* it comes again, and finds itself booked */
}

/* ---- the thread ---- */

static void rest(struct dic_dead_letters *letters, int64_t ms)
{
    for (int64_t slept = 0; slept < ms && !atomic_load(&letters->stopping); slept += STEP_MS) {
        dic_sleep_ms(STEP_MS);
    }
}

static void *letters_loop(void *arg)
{
    struct dic_dead_letters *letters = arg;
    const struct dic_job_queue *dead = &letters->options.dead;
    while (!atomic_load(&letters->stopping)) {
        struct dic_delivery delivery;
        struct dic_err err = {0};
        size_t count = 0;
        enum dic_code code = dead->ops->receive(
            dead->impl, &delivery, 1, letters->options.visibility_s, RECEIVE_WAIT_MS, &count, &err);
        if (code == DIC_OK && count > 0) {
            code = dic_dead_letters_settle(&letters->options, &delivery, &err);
        }
        if (code != DIC_OK && !atomic_load(&letters->stopping)) {
            dic_log_message(DIC_LOG_WARN, "dead_letter_failed", "%s", err.msg);
            rest(letters, AFTER_FAILURE_MS);
        }
    }
    atomic_store(&letters->ended, true);
    return NULL;
}

struct dic_dead_letters *dic_dead_letters_start(const struct dic_dead_letters_options *options)
{
    struct dic_dead_letters *letters = dic_calloc(1, sizeof *letters);
    letters->options = *options;
    dic_thread_start(&letters->thread, "dead-letters", letters_loop, letters);
    return letters;
}

void dic_dead_letters_stop(struct dic_dead_letters *letters)
{
    if (letters == NULL) {
        return;
    }
    atomic_store(&letters->stopping, true);
    while (!atomic_load(&letters->ended)) {
        /* Again and again: it may have been about to wait when the last wake-up came. */
        letters->options.dead.ops->wake(letters->options.dead.impl);
        dic_sleep_ms(5);
    }
    dic_thread_join(letters->thread);
    dic_free(letters);
}
