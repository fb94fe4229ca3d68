/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/mem.h"
#include "give_up.h"
#include "planner.h"

/* The job ends FAILED, or this is tried again. */
static void give_up(struct dic_worker *worker, const struct dic_delivery *delivery,
                    const struct dic_err *last)
{
    struct dic_err err = {0};
    char reason[DIC_REASON_SIZE];
    dic_give_up_reason(reason, "the job's plan", delivery->receive_count, last);
    bool failed = false;
    enum dic_code code = dic_give_up_plan(&worker->options.jobs, &worker->options.queue,
                                          delivery->message.job_id, reason, &failed, &err);
    if (code == DIC_OK) {
        dic_leases_remove(worker->leases, delivery);
    } else {
        dic_delivery_log_failure("plan_not_given_up", delivery, &err);
        dic_leases_try_later(worker->leases, delivery);
    }
}

/* A job that gets further with each attempt is not one that fails, however often it is tried. */
static void plan_failed(struct dic_worker *worker, const struct dic_delivery *delivery,
                        unsigned segments, const struct dic_err *err)
{
    dic_delivery_log_failure("plan_failed", delivery, err);
    if (delivery->receive_count < DIC_MAX_RECEIVES) {
        dic_leases_try_later(worker->leases, delivery);
    } else if (segments > 0) {
        dic_leases_hand_back(worker->leases, delivery);
    } else {
        give_up(worker, delivery, err);
    }
}

static void hand_back(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    dic_leases_hand_back(worker->leases, delivery);
    atomic_store(&worker->handed_back, true);
}

static void plan(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    const struct dic_worker_options *options = &worker->options;
    atomic_uint segments = 0;
    struct dic_planner planner = {
        .jobs = options->jobs,
        .queue = options->queue,
        .images = options->images,
        .chunk_images = options->chunk_images,
        .stop = &worker->draining,
        .segments = &segments,
        .steps = &worker->plan_steps,
    };
    struct dic_err err = {0};
    bool done = false;
    enum dic_code code = dic_planner_run(&planner, delivery->message.job_id, &done, &err);
    if (code != DIC_OK && !dic_is_work_gone(code)) {
        plan_failed(worker, delivery, atomic_load(&segments), &err);
    } else if (code == DIC_OK && !done) {
        hand_back(worker, delivery);
    } else {
        dic_leases_remove(worker->leases, delivery);
    }
}

static void take_up(struct dic_worker *worker, const struct dic_delivery *delivery)
{
    if (atomic_load(&worker->draining)) {
        hand_back(worker, delivery); /* there may be many */
    } else if (delivery->receive_count > DIC_MAX_RECEIVES) {
        give_up(worker, delivery, NULL); /* to try may have been what ended so many workers */
    } else {
        plan(worker, delivery);
    }
}

void *dic_worker_plan_run(void *arg)
{
    struct dic_worker *worker = arg;
    for (;;) {
        dic_lock(&worker->lock);
        while (worker->plans == NULL && !worker->pollers_ended) {
            dic_cond_wait_ms(&worker->to_plan, &worker->lock, -1);
        }
        struct dic_plan_item *item = worker->plans;
        dic_unlock(&worker->lock);
        if (item == NULL) {
            return NULL;
        }
        take_up(worker, &item->delivery);
        dic_lock(&worker->lock);
        worker->plans = item->next;
        pthread_cond_broadcast(&worker->capacity); /* a drain waits for it */
        dic_unlock(&worker->lock);
        dic_free(item);
    }
}
