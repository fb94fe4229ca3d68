/* SPDX-License-Identifier: Apache-2.0 */
#include "dead_letters.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "chunk_work.h"
#include "job/limits.h"
#include "json/json_write.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    RECEIVE_WAIT_MS = 20000,
    AFTER_FAILURE_MS = 5000,
    STEP_MS = 50, /* a stop is noticed so soon */
    JOB_RECORD_BYTES = 1024 * 1024,
    CHUNK_RECORD_BYTES = 2 * 1024 * 1024,
};

struct dic_dead_letters {
    struct dic_dead_letters_options options;
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool ended;
};

/* ---- one chunk ---- */

static void reason_of(char out[160])
{
    snprintf(out, 160, "given up: the chunk was received %d times and never finished",
             DIC_MAX_RECEIVES);
}

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
    dic_buf_init(&job_memory, JOB_RECORD_BYTES);
    dic_buf_init(&chunk_memory, CHUNK_RECORD_BYTES);
    DIC_TRY(jobs->ops->peek(jobs->impl, message->job_id, &job, &job_memory, err));
    DIC_TRY(jobs->ops->get_chunk(jobs->impl, message->job_id, message->chunk, &chunk, &chunk_memory,
                                 err));
    if (chunk.booked) {
        return dic_fail(err, DIC_E_CONFLICT, "the chunk is already booked");
    }
    return dic_chunk_work_new(delivery, &job.params, &chunk, work_out, err);
}

static enum dic_code book(const struct dic_dead_letters_options *options,
                          struct dic_chunk_work *work, const char **outcome_out,
                          struct dic_err *err)
{
    static const char *const words[] = {
        [DIC_BOOKED] = "booked", [DIC_BOOK_LATE] = "late", [DIC_BOOK_CLOSED] = "closed"};
    struct dic_chunk_outcome outcome;
    enum dic_book_result result = DIC_BOOK_CLOSED;
    char reason[160];
    reason_of(reason);
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
                               const struct dic_delivery *delivery, const char *outcome,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    const struct dic_message *message = &delivery->message;
    char key[96];
    char body[DIC_MESSAGE_BODY_SIZE];
    char reason[160];
    dic_buf_init(&text, 4096);
    struct dic_json_writer writer = dic_json_writer(&text);
    dic_message_write(message, body);
    reason_of(reason);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_raw(&writer, "message", dic_str(body));
    dic_json_put_text(&writer, "reason", reason);
    dic_json_put_text(&writer, "outcome", outcome);
    dic_json_put_time(&writer, "sent_at", delivery->sent_ms);
    dic_json_put_time(&writer, "given_up_at", dic_clock_wall_ms(options->clock));
    dic_json_end_object(&writer);
    dic_buf_append_byte(&text, '\n');
    snprintf(key, sizeof key, "dlq/" DIC_TENANT "/%s/%" PRIu32, message->job_id, message->chunk);
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

static enum dic_code settle_chunk(const struct dic_dead_letters_options *options,
                                  const struct dic_delivery *delivery, struct dic_err *err)
{
    struct dic_chunk_work *work = NULL;
    const char *outcome = "closed";
    enum dic_code code = load(options, delivery, &work, err);
    if (code == DIC_E_NOT_FOUND || code == DIC_E_CONFLICT) {
        return DIC_OK; /* booked by now, stopped or gone: nothing is left to account for */
    }
    DIC_TRY(code);
    code = book(options, work, &outcome, err);
    dic_chunk_work_destroy(work);
    DIC_TRY(code);
    log_settled(delivery, outcome);
    return keep_copy(options, delivery, outcome, err);
}

enum dic_code dic_dead_letters_settle(const struct dic_dead_letters_options *options,
                                      const struct dic_delivery *delivery, struct dic_err *err)
{
    if (!delivery->understood) {
        dic_log_message(DIC_LOG_WARN, "dead_letter_not_understood", "received %" PRIu32 " times",
                        delivery->receive_count);
        return DIC_OK;
    }
    if (delivery->message.kind == DIC_MESSAGE_CHUNK) {
        DIC_TRY(settle_chunk(options, delivery, err));
    } else {
        DIC_TRY(options->queue.ops->send(options->queue.impl, &delivery->message, 1, err));
    }
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
