/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "chunk_work.h"
#include "planner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    RECEIVE_WAIT_MS = 20000, /* SQS's longest long poll */
    MAX_THREADS = 16,
    BOOK_TRIES = 5,
    JOB_RECORD_BYTES = 1024 * 1024, /* ceiling of a job's record in memory */
    CHUNK_RECORD_BYTES = 2 * 1024 * 1024,
    PEEK_LASTS_MS = 2000,
    MAX_UNRELEASED = 64,
    FIRST_RETRY_S = 5, /* then twice as long each time, up to the visibility timeout */
    MAX_DOUBLINGS = 8,
};

/* A PLAN message that waits for the planner or is being planned. */
struct plan_item {
    struct dic_delivery delivery;
    struct plan_item *next;
};

struct dic_worker {
    /* immutable after start */
    struct dic_worker_options options;
    pthread_t pollers[MAX_THREADS];
    pthread_t recorders[MAX_THREADS];
    pthread_t planner;
    pthread_t keeper;
    bool joined;
    int64_t last_beat_ms; /* the keeper's */

    atomic_bool draining;
    atomic_int polling; /* pollers that have not ended */
    atomic_int backlog; /* images that the pipeline has not finished */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t capacity;
    pthread_cond_t to_record;
    pthread_cond_t to_plan;
    pthread_cond_t keep;
    struct dic_chunk_work *active; /* taken and not yet recorded */
    struct dic_chunk_work *record_head;
    struct dic_chunk_work *record_tail;
    struct plan_item *plans; /* first one is being planned */
    /* Messages that could not be given back: the keeper tries again. What does not fit here comes
     * back by its visibility timeout. */
    char unreleased[MAX_UNRELEASED][DIC_RECEIPT_SIZE];
    size_t unreleased_count;
    bool pollers_ended;
    bool recorders_ended;
    struct dic_job peeked; /* the job looked at last, without its texts */
    int64_t peeked_until_ms;
    double chunk_size; /* smoothed images a chunk, to size the next receive */
    struct dic_worker_counts counts;
};

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

/* ---- taking work ---- */

static void log_failure(const char *event, const struct dic_delivery *delivery,
                        const struct dic_err *err)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, event);
    dic_log_str(&log, "job_id", delivery->message.job_id);
    dic_log_int(&log, "chunk", delivery->message.chunk);
    dic_log_int(&log, "receive_count", delivery->receive_count);
    dic_log_err(&log, err);
    dic_log_end(&log);
}

/* A message that is left alone comes back after its visibility timeout; nothing is lost. */
static void remove_message(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct dic_err err = {0};
    const struct dic_job_queue *queue = &worker->options.queue;
    enum dic_code code = queue->ops->remove(queue->impl, delivery->receipt, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        log_failure("message_not_removed", delivery, &err);
    }
}

static void remember_unreleased(struct dic_worker *worker, const char *receipt)
{
    DIC_GUARD(&worker->lock);
    if (worker->unreleased_count < MAX_UNRELEASED) {
        memcpy(worker->unreleased[worker->unreleased_count++], receipt, DIC_RECEIPT_SIZE);
    }
}

static bool take_unreleased(struct dic_worker *worker, char receipt_out[DIC_RECEIPT_SIZE])
{
    DIC_GUARD(&worker->lock);
    if (worker->unreleased_count == 0) {
        return false;
    }
    memcpy(receipt_out, worker->unreleased[--worker->unreleased_count], DIC_RECEIPT_SIZE);
    return true;
}

/* So that it comes again in so many seconds. */
static void give_back(struct dic_worker *worker, const struct dic_delivery *delivery,
                      uint32_t seconds)
{
    struct dic_err err = {0};
    const struct dic_job_queue *queue = &worker->options.queue;
    enum dic_code code = queue->ops->extend(queue->impl, delivery->receipt, seconds, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        log_failure("message_not_released", delivery, &err);
        remember_unreleased(worker, delivery->receipt);
    }
}

/* Storage failed, which may pass in a moment or in an hour. */
static void try_later(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    const uint32_t before = delivery->receive_count > 0 ? delivery->receive_count - 1 : 0;
    const uint32_t seconds = (uint32_t)FIRST_RETRY_S
                             << (before < MAX_DOUBLINGS ? before : MAX_DOUBLINGS);
    const uint32_t most = worker->options.visibility_s;
    give_back(worker, delivery, seconds < most ? seconds : most);
}

static bool is_gone(enum dic_code code)
{
    return code == DIC_E_NOT_FOUND || code == DIC_E_CONFLICT;
}

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
    if (code != DIC_OK && !is_gone(code)) {
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

static void forget_peeked(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    worker->peeked_until_ms = 0;
}

static enum dic_code load_chunk(struct dic_worker *worker, const struct dic_delivery *delivery,
                                struct dic_chunk_work **work_out, struct dic_err *err)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    const char *job_id = delivery->message.job_id;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf job_memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf chunk_memory;
    dic_buf_init(&job_memory, JOB_RECORD_BYTES);
    dic_buf_init(&chunk_memory, CHUNK_RECORD_BYTES);
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
    return dic_chunk_work_new(delivery, &job.params, &chunk, work_out, err);
}

static void take_chunk(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct dic_err err = {0};
    struct dic_chunk_work *work = NULL;
    enum dic_code code = load_chunk(worker, delivery, &work, &err);
    if (is_gone(code)) {
        remove_message(worker, delivery);
        return;
    }
    if (code != DIC_OK) {
        log_failure("chunk_not_loaded", delivery, &err);
        try_later(worker, delivery);
        return;
    }
    work->started_ns = dic_clock_mono_ns(worker->options.clock);
    int64_t waited_ms = dic_clock_wall_ms(worker->options.clock) - delivery->sent_ms;
    work->queued_ns = waited_ms > 0 ? waited_ms * 1000000 : 0;
    add_active(worker, work);
    if (delivery->receive_count > DIC_MAX_RECEIVES) {
        char message[160];
        snprintf(message, sizeof message,
                 "given up: the chunk was received %" PRIu32 " times (limit %d) and never finished",
                 delivery->receive_count, DIC_MAX_RECEIVES);
        dic_chunk_work_fail_all(work, DIC_ROW_POISON, message);
    } else {
        dic_chunk_work_submit(work, worker->options.pipeline);
    }
}

static void take_plan(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    struct plan_item *item = dic_calloc(1, sizeof *item);
    item->delivery = *delivery;
    DIC_GUARD(&worker->lock);
    struct plan_item **end = &worker->plans;
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
    if (code == DIC_OK || is_gone(code)) {
        remove_message(worker, delivery);
    } else {
        log_failure("job_not_sealed", delivery, &err);
        try_later(worker, delivery);
    }
}

static void take(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    if (!delivery->understood) {
        /* Perhaps a newer version's: left in the queue, whose own limit of receives moves it on. */
        dic_log_message(DIC_LOG_WARN, "message_not_understood", "received %" PRIu32 " times",
                        delivery->receive_count);
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

/* Waits until the pipeline runs low; returns how many messages to ask for, 0 when draining. */
static size_t wait_for_capacity(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    for (;;) {
        if (atomic_load(&worker->draining)) {
            return 0;
        }
        int64_t room = (int64_t)worker->options.window_images - atomic_load(&worker->backlog);
        int64_t chunks =
            (int64_t)worker->options.max_chunks - (int64_t)worker->counts.chunks_in_work;
        if (room > 0 && chunks > 0) {
            double wanted = (double)room / (worker->chunk_size < 1 ? 1 : worker->chunk_size);
            int64_t most = chunks < DIC_RECEIVE_MAX ? chunks : DIC_RECEIVE_MAX;
            return wanted >= (double)most ? (size_t)most : wanted < 1 ? 1 : (size_t)wanted;
        }
        dic_cond_wait_ms(&worker->capacity, &worker->lock, -1);
    }
}

static void *poll_loop(void *arg)
{
    struct dic_worker *worker = arg;
    const struct dic_job_queue *queue = &worker->options.queue;
    struct dic_delivery *deliveries = dic_calloc(DIC_RECEIVE_MAX, sizeof *deliveries);
    for (;;) {
        size_t wanted = wait_for_capacity(worker);
        if (wanted == 0) {
            break;
        }
        struct dic_err err = {0};
        size_t count = 0;
        enum dic_code code =
            queue->ops->receive(queue->impl, deliveries, wanted, worker->options.visibility_s,
                                RECEIVE_WAIT_MS, &count, &err);
        if (code != DIC_OK) {
            dic_log_message(DIC_LOG_WARN, "receive_failed", "%s", err.msg);
            dic_sleep_ms(1000);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if (atomic_load(&worker->draining)) {
                give_back(worker, &deliveries[i], 0);
            } else {
                take(worker, &deliveries[i]);
            }
        }
    }
    dic_free(deliveries);
    atomic_fetch_sub(&worker->polling, 1);
    return NULL;
}

/* ---- recording ---- */

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
            remove_message(worker, &work->delivery);
        }
    } else if (is_gone(code)) {
        remove_message(worker, &work->delivery);
    } else {
        log_failure("chunk_not_booked", &work->delivery, &err);
        try_later(worker, &work->delivery);
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

static void record(struct dic_worker *worker, struct dic_chunk_work *work)
{
    const bool abandoned = dic_chunk_work_any_abandoned(work);
    /* A disk that fails now is not a service that comes back in a minute. */
    const bool may_wait = !abandoned && !worker->options.jobs.ops->is_local;
    const uint32_t later_s = may_wait ? dic_chunk_work_put_off_s(work) : 0;
    if (!abandoned && later_s == 0) {
        book(worker, work);
    } else {
        /* Of a stopped job it will be found closed and removed by whoever takes it. */
        give_back(worker, &work->delivery, later_s);
        if (later_s > 0) {
            log_put_off(work, later_s);
        }
        DIC_GUARD(&worker->lock);
        worker->counts.chunks_released++;
    }
    remove_active(worker, work);
    dic_chunk_work_destroy(work);
}

static void *record_loop(void *arg)
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

/* ---- planning ---- */

static void plan(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    const struct dic_worker_options *options = &worker->options;
    struct dic_planner planner = {
        .jobs = options->jobs,
        .queue = options->queue,
        .images = options->images,
        .chunk_images = options->chunk_images,
        .stop = &worker->draining,
    };
    struct dic_err err = {0};
    bool done = false;
    enum dic_code code = dic_planner_run(&planner, delivery->message.job_id, &done, &err);
    if (code != DIC_OK && !is_gone(code)) {
        log_failure("plan_failed", delivery, &err);
        try_later(worker, delivery);
    } else if (code == DIC_OK && !done) {
        give_back(worker, delivery, 0);
    } else {
        remove_message(worker, delivery);
    }
}

static void *plan_loop(void *arg)
{
    struct dic_worker *worker = arg;
    for (;;) {
        dic_lock(&worker->lock);
        while (worker->plans == NULL && !worker->pollers_ended) {
            dic_cond_wait_ms(&worker->to_plan, &worker->lock, -1);
        }
        struct plan_item *item = worker->plans;
        dic_unlock(&worker->lock);
        if (item == NULL) {
            return NULL;
        }
        plan(worker, &item->delivery);
        dic_lock(&worker->lock);
        worker->plans = item->next;
        dic_unlock(&worker->lock);
        dic_free(item);
    }
}

/* ---- keeping ---- */

struct watched {
    char job_id[DIC_ID_SIZE];
    char receipt[DIC_RECEIPT_SIZE];
    bool is_chunk;
};

/* Grows to the most that the worker ever held. */
struct watch_list {
    struct watched *items;
    size_t count;
    size_t capacity;
};

static void add_watched(struct watch_list *list, const struct dic_delivery *delivery, bool is_chunk)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->items = dic_realloc(list->items, list->capacity * sizeof *list->items);
    }
    struct watched *item = &list->items[list->count++];
    memcpy(item->job_id, delivery->message.job_id, DIC_ID_SIZE);
    memcpy(item->receipt, delivery->receipt, DIC_RECEIPT_SIZE);
    item->is_chunk = is_chunk;
}

/* Everything in hand: what is left out would lose its lease. */
static void snapshot(struct dic_worker *worker, struct watch_list *list)
{
    DIC_GUARD(&worker->lock);
    list->count = 0;
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        add_watched(list, &work->delivery, true);
    }
    for (struct plan_item *item = worker->plans; item != NULL; item = item->next) {
        add_watched(list, &item->delivery, false);
    }
}

/* The work may have ended meanwhile: it is found again by its receipt. */
static void abandon(struct dic_worker *worker, const char *receipt)
{
    DIC_GUARD(&worker->lock);
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        if (strcmp(work->delivery.receipt, receipt) == 0) {
            atomic_store(&work->abandon, true);
        }
    }
}

static void abandon_all(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        atomic_store(&work->abandon, true);
    }
}

static void heartbeat(struct dic_worker *worker, const struct watched *watched, size_t count)
{
    const struct dic_job_queue *queue = &worker->options.queue;
    for (size_t i = 0; i < count; i++) {
        struct dic_err err = {0};
        enum dic_code code =
            queue->ops->extend(queue->impl, watched[i].receipt, worker->options.visibility_s, &err);
        if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
            dic_log_message(DIC_LOG_WARN, "heartbeat_failed", "%s: %s", watched[i].job_id, err.msg);
        }
    }
}

static void watch_jobs(struct dic_worker *worker, const struct watched *watched, size_t count)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, JOB_RECORD_BYTES);
    for (size_t i = 0; i < count; i++) {
        struct dic_job job = {0};
        struct dic_err err = {0};
        dic_buf_clear(&memory);
        if (!watched[i].is_chunk ||
            (i > 0 && strcmp(watched[i].job_id, watched[i - 1].job_id) == 0)) {
            continue;
        }
        enum dic_code code = jobs->ops->peek(jobs->impl, watched[i].job_id, &job, &memory, &err);
        bool stopped = code == DIC_E_NOT_FOUND || (code == DIC_OK && !dic_job_is_open(job.state));
        if (stopped) {
            forget_peeked(worker);
        }
        for (size_t k = i; stopped && k < count; k++) {
            if (strcmp(watched[k].job_id, watched[i].job_id) == 0) {
                abandon(worker, watched[k].receipt);
            }
        }
    }
}

/* Until one fails again: then storage is still down, and the others would only wait for it too. */
static void release_again(struct dic_worker *worker)
{
    const struct dic_job_queue *queue = &worker->options.queue;
    char receipt[DIC_RECEIPT_SIZE];
    while (take_unreleased(worker, receipt)) {
        struct dic_err err = {0};
        enum dic_code code = queue->ops->extend(queue->impl, receipt, 0, &err);
        if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
            remember_unreleased(worker, receipt);
            return;
        }
    }
}

static void *keep_loop(void *arg)
{
    struct dic_worker *worker = arg;
    struct watch_list held = {0};
    const int64_t beat_ms = (int64_t)worker->options.visibility_s * 1000 / 3;
    const int64_t watch_ms = worker->options.watch_ms;
    for (;;) {
        dic_lock(&worker->lock);
        if (!worker->recorders_ended) {
            dic_cond_wait_ms(&worker->keep, &worker->lock, watch_ms < beat_ms ? watch_ms : beat_ms);
        }
        bool ended = worker->recorders_ended;
        dic_unlock(&worker->lock);
        if (ended) {
            break;
        }
        snapshot(worker, &held);
        watch_jobs(worker, held.items, held.count);
        release_again(worker);
        int64_t now_ms = dic_clock_mono_ms(worker->options.clock);
        if (now_ms - worker->last_beat_ms >= beat_ms) {
            heartbeat(worker, held.items, held.count);
            worker->last_beat_ms = now_ms;
        }
    }
    dic_free(held.items);
    return NULL;
}

/* ---- life ---- */

void dic_worker_start(const struct dic_worker_options *options, struct dic_worker **worker_out)
{
    struct dic_worker *worker = dic_calloc(1, sizeof *worker);
    worker->options = *options;
    worker->chunk_size = 1;
    worker->last_beat_ms = dic_clock_mono_ms(options->clock);
    if (worker->options.pollers > MAX_THREADS) {
        worker->options.pollers = MAX_THREADS;
    }
    if (worker->options.recorders > MAX_THREADS) {
        worker->options.recorders = MAX_THREADS;
    }
    dic_mutex_init(&worker->lock);
    dic_cond_init(&worker->capacity);
    dic_cond_init(&worker->to_record);
    dic_cond_init(&worker->to_plan);
    dic_cond_init(&worker->keep);
    atomic_init(&worker->polling, (int)worker->options.pollers);
    for (uint32_t i = 0; i < worker->options.pollers; i++) {
        dic_thread_start(&worker->pollers[i], "poller", poll_loop, worker);
    }
    for (uint32_t i = 0; i < worker->options.recorders; i++) {
        dic_thread_start(&worker->recorders[i], "recorder", record_loop, worker);
    }
    dic_thread_start(&worker->planner, "planner", plan_loop, worker);
    dic_thread_start(&worker->keeper, "keeper", keep_loop, worker);
    *worker_out = worker;
}

static void no_more_messages(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    worker->pollers_ended = true;
    pthread_cond_broadcast(&worker->to_record);
    pthread_cond_broadcast(&worker->to_plan);
}

static void no_more_leases(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    worker->recorders_ended = true;
    pthread_cond_broadcast(&worker->keep);
}

void dic_worker_drain(struct dic_worker *worker)
{
    if (worker->joined) {
        return;
    }
    atomic_store(&worker->draining, true);
    hungry(worker);
    abandon_all(worker);
    while (atomic_load(&worker->polling) > 0) {
        /* Again and again: a poller may have been about to wait when the last wake-up came. */
        worker->options.queue.ops->wake(worker->options.queue.impl);
        dic_sleep_ms(5);
    }
    for (uint32_t i = 0; i < worker->options.pollers; i++) {
        dic_thread_join(worker->pollers[i]);
    }
    abandon_all(worker); /* what a poller took meanwhile */
    no_more_messages(worker);
    dic_thread_join(worker->planner);
    for (uint32_t i = 0; i < worker->options.recorders; i++) {
        dic_thread_join(worker->recorders[i]);
    }
    no_more_leases(worker);
    dic_thread_join(worker->keeper);
    worker->joined = true;
}

void dic_worker_destroy(struct dic_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    dic_worker_drain(worker);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->capacity);
    pthread_cond_destroy(&worker->to_record);
    pthread_cond_destroy(&worker->to_plan);
    pthread_cond_destroy(&worker->keep);
    dic_free(worker);
}

void dic_worker_counts(struct dic_worker *worker, struct dic_worker_counts *out)
{
    DIC_GUARD(&worker->lock);
    *out = worker->counts;
    out->images_in_work = (uint64_t)atomic_load(&worker->backlog);
}

const struct dic_pipeline *dic_worker_pipeline(const struct dic_worker *worker)
{
    return worker->options.pipeline;
}
