/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/log.h"
#include "base/mem.h"

enum {
    RECEIVE_WAIT_MS = 20000, /* SQS's longest long poll */
    LAST_POLL_MS = 1000, /* of a drain: others may get what is handed back, and then none comes */
};

/* ---- receiving ---- */

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

static void poll_ended(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    atomic_fetch_sub(&worker->polling, 1);
    pthread_cond_broadcast(&worker->capacity);
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
                dic_leases_hand_back(worker->leases, &deliveries[i]);
            } else {
                dic_worker_take(worker, &deliveries[i]);
            }
        }
    }
    dic_free(deliveries);
    poll_ended(worker);
    return NULL;
}

/* ---- life ---- */

void dic_worker_start(const struct dic_worker_options *options, struct dic_worker **worker_out)
{
    struct dic_worker *worker = dic_calloc(1, sizeof *worker);
    worker->options = *options;
    worker->chunk_size = options->chunk_images; /* until some were seen */
    worker->last_beat_ms = dic_clock_mono_ms(options->clock);
    if (worker->options.pollers > DIC_WORKER_THREADS_MAX) {
        worker->options.pollers = DIC_WORKER_THREADS_MAX;
    }
    if (worker->options.recorders > DIC_WORKER_THREADS_MAX) {
        worker->options.recorders = DIC_WORKER_THREADS_MAX;
    }
    worker->leases = dic_leases_new(&(struct dic_leases_options){
        .queue = options->queue, .clock = options->clock, .visibility_s = options->visibility_s});
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
        dic_thread_start(&worker->recorders[i], "recorder", dic_worker_record_run, worker);
    }
    dic_thread_start(&worker->planner, "planner", dic_worker_plan_run, worker);
    dic_thread_start(&worker->keeper, "keeper", dic_worker_keep_run, worker);
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

void dic_worker_let_go(struct dic_worker *worker)
{
    atomic_store(&worker->draining, true);
    DIC_GUARD(&worker->lock);
    pthread_cond_broadcast(&worker->capacity); /* pollers stop to wait for room */
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        atomic_store(&work->abandon, true);
    }
}

/* Before the polls are broken off: SQS goes on with a long poll whose caller has left, and what is
 * handed back would go there and stay hidden for its visibility timeout (aws/aws-sdk-js issue 2350,
 * aws/aws-sdk-net issue 1680). To a poll that still listens it comes back at once, is handed back
 * once more, and then no poll of this worker is left. */
static void await_handed_back(struct dic_worker *worker)
{
    DIC_GUARD(&worker->lock);
    while (worker->active != NULL || worker->plans != NULL) {
        dic_cond_wait_ms(&worker->capacity, &worker->lock, -1);
    }
    const int64_t until_ms = dic_clock_mono_ms(dic_clock_system()) + LAST_POLL_MS;
    int64_t left_ms = atomic_load(&worker->handed_back) ? LAST_POLL_MS : 0;
    while (left_ms > 0 && atomic_load(&worker->polling) > 0) {
        dic_cond_wait_ms(&worker->capacity, &worker->lock, left_ms);
        left_ms = until_ms - dic_clock_mono_ms(dic_clock_system());
    }
}

static void end_pollers(struct dic_worker *worker)
{
    while (atomic_load(&worker->polling) > 0) {
        /* Again and again: a poller may have been about to wait when the last wake-up came. */
        worker->options.queue.ops->wake(worker->options.queue.impl);
        dic_sleep_ms(5);
    }
    for (uint32_t i = 0; i < worker->options.pollers; i++) {
        dic_thread_join(worker->pollers[i]);
    }
}

void dic_worker_drain(struct dic_worker *worker)
{
    if (worker->joined) {
        return;
    }
    dic_worker_let_go(worker);
    await_handed_back(worker);
    end_pollers(worker);
    dic_worker_let_go(worker); /* of what a poller took meanwhile */
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
    dic_leases_destroy(worker->leases);
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
