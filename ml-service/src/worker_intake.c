/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/log.h"
#include "base/mem.h"
#include "give_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PEEK_LASTS_MS = 2000 };

/* ---- loading ---- */

/* True when the job is past its deadline: then it is ended here, without waiting for the sweeper.
 */
static bool expire_if_late(struct dic_worker *worker, const struct dic_job *job)
{
    int64_t now = dic_clock_wall_ms(worker->options.clock);
    if (job->params.deadline_ms == 0 || now < job->params.deadline_ms) {
        return false;
    }
    const struct dic_job_store *jobs = &worker->options.jobs;
    struct dic_err err = {0};
    enum dic_code code = jobs->ops->stop(jobs->impl, job->id, DIC_JOB_EXPIRING,
                                         DIC_STR_LIT("the deadline has passed"), &err);
    if (code == DIC_OK) {
        code = jobs->ops->seal(jobs->impl, job->id, &err);
    }
    if (code != DIC_OK && !dic_is_work_gone(code)) {
        dic_log_message(DIC_LOG_WARN, "job_not_expired", "%s: %s", job->id, err.msg);
    }
    return true;
}

/* What is asked of a job never changes, and its state is looked at again when a chunk is booked: so
 * the chunks that come one after the other share one look. Used by pollers. */
static enum dic_code peek_job(struct dic_worker *worker, const char *job_id,
                              struct dic_job *job_out, struct dic_buf *memory, struct dic_err *err)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    const int64_t now_ms = dic_clock_mono_ms(worker->options.clock);
    {
        DIC_GUARD(&worker->lock);
        if (now_ms < worker->peeked_until_ms && strcmp(worker->peeked.id, job_id) == 0) {
            *job_out = worker->peeked;
            return DIC_OK;
        }
    }
    DIC_TRY(jobs->ops->peek(jobs->impl, job_id, job_out, memory, err));
    DIC_GUARD(&worker->lock);
    worker->peeked = *job_out;
    worker->peeked.params.spec_json = dic_str(NULL); /* in memory that will not last */
    worker->peeked.model_json = dic_str(NULL);
    worker->peeked.reason = dic_str(NULL);
    worker->peeked_until_ms = now_ms + (jobs->ops->is_local ? 0 : PEEK_LASTS_MS);
    return DIC_OK;
}

void dic_worker_forget_peeked(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    worker->peeked_until_ms = 0;
}

static bool is_too_often(const struct dic_delivery *delivery)
{
    return delivery->receive_count > DIC_MAX_RECEIVES;
}

static enum dic_code load_chunk(struct dic_worker *worker, const struct dic_delivery *delivery,
                                struct dic_chunk_work **work_out, struct dic_err *err)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    const char *job_id = delivery->message.job_id;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf job_memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf chunk_memory;
    dic_buf_init(&job_memory, DIC_JOB_RECORD_BYTES);
    dic_buf_init(&chunk_memory, DIC_CHUNK_RECORD_BYTES);
    struct dic_job job = {0};
    struct dic_chunk chunk = {0};
    DIC_TRY(peek_job(worker, job_id, &job, &job_memory, err));
    if (dic_job_sealed_state(job.state) != job.state) { /* whoever stopped it may have died */
        DIC_TRY(jobs->ops->seal(jobs->impl, job_id, err));
    }
    DIC_TRY(jobs->ops->get_chunk(jobs->impl, job_id, delivery->message.chunk, &chunk, &chunk_memory,
                                 err));
    if (chunk.booked) {
        return dic_fail(err, DIC_E_CONFLICT, "the chunk is already booked");
    }
    if (!dic_job_is_open(job.state)) {
        return dic_fail(err, DIC_E_CONFLICT, "the job is %s", dic_job_state_word(job.state));
    }
    if (expire_if_late(worker, &job)) {
        return dic_fail(err, DIC_E_CONFLICT, "the job's deadline has passed");
    }
    return is_too_often(delivery)
               ? dic_chunk_work_new_damaged(delivery, &job.params, &chunk, work_out, err)
               : dic_chunk_work_new(delivery, &job.params, &chunk, work_out, err);
}

/* ---- chunks ---- */

static void hungry(void *owner)
{
    struct dic_worker *worker = owner;
    DIC_GUARD(&worker->lock);
    pthread_cond_broadcast(&worker->capacity);
}

static void finished(struct dic_chunk_work *work)
{
    struct dic_worker *worker = work->owner;
    DIC_GUARD(&worker->lock);
    work->next = NULL;
    if (worker->record_tail == NULL) {
        worker->record_head = work;
    } else {
        worker->record_tail->next = work;
    }
    worker->record_tail = work;
    pthread_cond_signal(&worker->to_record);
}

static void add_active(struct dic_worker *worker, struct dic_chunk_work *work)
{
    DIC_GUARD(&worker->lock);
    work->owner = worker;
    work->lease = (struct dic_lease){
        .delivery = &work->delivery, .line = DIC_LINE_CHUNKS, .steps = &work->unfinished};
    work->backlog = &worker->backlog;
    work->low_water = (int)worker->options.window_images;
    work->hungry = hungry;
    work->finished = finished;
    work->next_active = worker->active;
    if (worker->active != NULL) {
        worker->active->prev_active = work;
    }
    worker->active = work;
    worker->counts.chunks_in_work++;
    worker->chunk_size += 0.25 * ((double)work->image_count - worker->chunk_size);
    atomic_fetch_add(&worker->backlog, (int)work->image_count);
}

/* What is stored cannot be read, and not even be made rows of: then its job ends. */
static enum dic_code give_up_unread(struct dic_worker *worker, const struct dic_delivery *delivery,
                                    enum dic_code code, struct dic_err *err)
{
    char reason[DIC_REASON_SIZE];
    if (!is_too_often(delivery) || code != DIC_E_INTERNAL) {
        return code;
    }
    dic_give_up_reason(reason, "a chunk", delivery->receive_count, err);
    bool failed = false;
    DIC_TRY(dic_give_up_job(&worker->options.jobs, delivery->message.job_id, reason, &failed, err));
    return dic_fail(err, DIC_E_CONFLICT, "the job was given up");
}

static void give_up_chunk(struct dic_chunk_work *work)
{
    char message[DIC_REASON_SIZE];
    if (work->damage.code != DIC_OK) {
        dic_give_up_reason(message, "the chunk", work->delivery.receive_count, &work->damage);
    } else {
        snprintf(message, sizeof message,
                 "given up: the chunk was received %" PRIu32 " times (limit %d) and never finished",
                 work->delivery.receive_count, DIC_MAX_RECEIVES);
    }
    dic_chunk_work_fail_all(work, DIC_ROW_POISON, message);
}

static void take_chunk(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct dic_err err = {0};
    struct dic_chunk_work *work = NULL;
    enum dic_code code = load_chunk(worker, delivery, &work, &err);
    code = give_up_unread(worker, delivery, code, &err);
    if (dic_is_work_gone(code)) {
        dic_leases_remove(worker->leases, delivery);
        return;
    }
    if (code != DIC_OK) {
        dic_delivery_log_failure("chunk_not_loaded", delivery, &err);
        dic_leases_try_later(worker->leases, delivery);
        return;
    }
    work->started_ns = dic_clock_mono_ns(worker->options.clock);
    int64_t waited_ms = dic_clock_wall_ms(worker->options.clock) - delivery->sent_ms;
    work->queued_ns = waited_ms > 0 ? waited_ms * 1000000 : 0;
    add_active(worker, work);
    dic_leases_keep(worker->leases, &work->lease);
    if (is_too_often(delivery)) {
        give_up_chunk(work);
    } else {
        dic_chunk_work_submit(work, worker->options.pipeline);
    }
}

static void take_plan(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct dic_plan_item *item = dic_calloc(1, sizeof *item);
    item->delivery = *delivery;
    item->lease = (struct dic_lease){
        .delivery = &item->delivery, .line = DIC_LINE_PLANS, .steps = &worker->plan_steps};
    dic_leases_keep(worker->leases, &item->lease);
    DIC_GUARD(&worker->lock);
    struct dic_plan_item **end = &worker->plans;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = item;
    pthread_cond_signal(&worker->to_plan);
}

static void take_seal(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct dic_err err = {0};
    const struct dic_job_store *jobs = &worker->options.jobs;
    enum dic_code code = jobs->ops->seal(jobs->impl, delivery->message.job_id, &err);
    if (code == DIC_OK || dic_is_work_gone(code)) {
        dic_leases_remove(worker->leases, delivery);
    } else if (delivery->receive_count >= DIC_MAX_RECEIVES) {
        dic_delivery_log_failure("seal_given_up", delivery, &err);
        dic_leases_remove(worker->leases, delivery); /* the sweeper goes on trying */
    } else {
        dic_delivery_log_failure("job_not_sealed", delivery, &err);
        dic_leases_try_later(worker->leases, delivery);
    }
}

void dic_worker_take(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    if (!delivery->understood) {
        /* Perhaps a newer version's: left in the queue, whose own limit of receives moves it on,
         * and which tells of it, once. */
        return;
    }
    switch (delivery->message.kind) {
    case DIC_MESSAGE_PLAN:
        take_plan(worker, delivery);
        break;
    case DIC_MESSAGE_SEAL:
        take_seal(worker, delivery);
        break;
    case DIC_MESSAGE_CHUNK:
    default:
        take_chunk(worker, delivery);
        break;
    }
}
