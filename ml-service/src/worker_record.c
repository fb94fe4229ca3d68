/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/log.h"

enum { BOOK_TRIES = 5 };

static void remove_active(struct dic_worker *worker, struct dic_chunk_work *work)
{
    DIC_GUARD(&worker->lock);
    if (work->prev_active != NULL) {
        work->prev_active->next_active = work->next_active;
    } else {
        worker->active = work->next_active;
    }
    if (work->next_active != NULL) {
        work->next_active->prev_active = work->prev_active;
    }
    worker->counts.chunks_in_work--;
    pthread_cond_broadcast(&worker->capacity);
    if (worker->active == NULL) {
        pthread_cond_broadcast(&worker->to_record); /* at the end: nothing more will come */
    }
}

static void log_chunk(const struct dic_worker *worker, const struct dic_chunk_work *work,
                      const struct dic_chunk_outcome *outcome, const char *event, int64_t record_ns)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, event);
    dic_log_str(&log, "job_id", work->delivery.message.job_id);
    dic_log_int(&log, "chunk", work->delivery.message.chunk);
    dic_log_int(&log, "receive_count", work->delivery.receive_count);
    dic_log_int(&log, "images", work->image_count);
    dic_log_int(&log, "succeeded", outcome->succeeded);
    dic_log_int(&log, "failed", outcome->failed);
    dic_log_int(&log, "bytes", outcome->bytes);
    dic_log_ms(&log, "queue_ms", work->queued_ns);
    dic_log_ms(&log, "fetch_ms", outcome->fetch_ns);
    dic_log_ms(&log, "decode_ms", outcome->decode_ns);
    dic_log_ms(&log, "infer_ms", outcome->infer_ns);
    dic_log_ms(&log, "record_ms", record_ns);
    dic_log_ms(&log, "total_ms", dic_clock_mono_ns(worker->options.clock) - work->started_ns);
    dic_log_end(&log);
}

static enum dic_code book_with_retries(struct dic_worker *worker, const struct dic_chunk_work *work,
                                       const struct dic_booking *booking,
                                       enum dic_book_result *result_out, struct dic_err *err)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    enum dic_code code = DIC_OK;
    for (int i = 0; i < BOOK_TRIES; i++) {
        code = jobs->ops->book(jobs->impl, work->delivery.message.job_id, booking, result_out, err);
        if (code == DIC_OK || !err->retryable) {
            return code;
        }
        dic_sleep_ms(200 << i);
    }
    return code;
}

static const char *note_booking(struct dic_worker *worker, const struct dic_chunk_outcome *outcome,
                                enum dic_book_result result)
{
    DIC_GUARD(&worker->lock);
    if (result == DIC_BOOKED) {
        worker->counts.chunks_booked++;
        worker->counts.rows_succeeded += outcome->succeeded;
        worker->counts.rows_failed += outcome->failed;
        return "chunk_done";
    }
    worker->counts.chunks_late++;
    return result == DIC_BOOK_LATE ? "chunk_late" : "chunk_closed";
}

static void book(struct dic_worker *worker, struct dic_chunk_work *work)
{
    struct dic_chunk_outcome outcome;
    dic_chunk_outcome_init(&outcome, work, worker->options.model);
    struct dic_booking booking = {
        .chunk = work->delivery.message.chunk,
        .succeeded = outcome.succeeded,
        .failed = outcome.failed,
        .unknown = outcome.unknown,
        .rows = dic_buf_view(&outcome.rows),
        .model_json = dic_str(worker->options.model->summary_json),
        .labels = outcome.labels,
        .label_count = outcome.label_count,
        .receipt = work->delivery.receipt,
    };
    struct dic_err err = {0};
    enum dic_book_result result = DIC_BOOK_CLOSED;
    int64_t before = dic_clock_mono_ns(worker->options.clock);
    enum dic_code code = dic_buf_check(&outcome.rows, &err);
    if (code == DIC_OK) {
        code = book_with_retries(worker, work, &booking, &result, &err);
    }
    if (code == DIC_OK) {
        int64_t record_ns = dic_clock_mono_ns(worker->options.clock) - before;
        log_chunk(worker, work, &outcome, note_booking(worker, &outcome, result), record_ns);
        if (!worker->options.jobs.ops->is_local) { /* a local store has removed it in one go */
            dic_leases_remove(worker->leases, &work->delivery);
        }
    } else if (dic_is_work_gone(code)) {
        dic_leases_remove(worker->leases, &work->delivery);
    } else {
        dic_delivery_log_failure("chunk_not_booked", &work->delivery, &err);
        dic_leases_try_later(worker->leases, &work->delivery);
    }
    dic_chunk_outcome_clean_up(&outcome);
}

static void log_put_off(const struct dic_chunk_work *work, uint32_t later_s)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "chunk_put_off");
    dic_log_str(&log, "job_id", work->delivery.message.job_id);
    dic_log_int(&log, "chunk", work->delivery.message.chunk);
    dic_log_int(&log, "receive_count", work->delivery.receive_count);
    dic_log_int(&log, "seconds", later_s);
    dic_log_end(&log);
}

/* Of a stopped job it will be found closed and removed by whoever takes it. */
static void let_go(struct dic_worker *worker, const struct dic_chunk_work *work, uint32_t later_s)
{
    if (later_s > 0) {
        dic_leases_give_back(worker->leases, &work->delivery, later_s);
        log_put_off(work, later_s);
    } else if (atomic_load(&worker->draining)) {
        dic_leases_hand_back(worker->leases, &work->delivery);
        atomic_store(&worker->handed_back, true);
    } else {
        dic_leases_give_back(worker->leases, &work->delivery, 0);
    }
}

static void record(struct dic_worker *worker, struct dic_chunk_work *work)
{
    const bool abandoned = dic_chunk_work_any_abandoned(work);
    /* A disk that fails now is not a service that comes back in a minute. */
    const bool may_wait = !abandoned && !worker->options.jobs.ops->is_local;
    const uint32_t later_s = may_wait ? dic_chunk_work_put_off_s(work) : 0;
    if (!abandoned && later_s == 0) {
        book(worker, work);
    } else {
        let_go(worker, work, later_s);
        DIC_GUARD(&worker->lock);
        worker->counts.chunks_released++;
    }
    dic_leases_forget(worker->leases, &work->delivery); /* of what a local store has removed */
    remove_active(worker, work);
    dic_chunk_work_destroy(work);
}

void *dic_worker_record_run(void *arg)
{
    struct dic_worker *worker = arg;
    for (;;) {
        dic_lock(&worker->lock);
        while (worker->record_head == NULL && !(worker->pollers_ended && worker->active == NULL)) {
            dic_cond_wait_ms(&worker->to_record, &worker->lock, -1);
        }
        struct dic_chunk_work *work = worker->record_head;
        if (work != NULL) {
            worker->record_head = work->next;
            worker->record_tail = worker->record_head == NULL ? NULL : worker->record_tail;
        }
        dic_unlock(&worker->lock);
        if (work == NULL) {
            return NULL;
        }
        record(worker, work);
    }
}
