/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/mem.h"
#include "planner.h"

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
    enum dic_code code = DIC_OK;
    if (!atomic_load(&worker->draining)) { /* there may be many that wait */
        code = dic_planner_run(&planner, delivery->message.job_id, &done, &err);
    }
    if (code != DIC_OK && !dic_worker_is_gone(code)) {
        dic_delivery_log_failure("plan_failed", delivery, &err);
        dic_leases_try_later(worker->leases, delivery);
    } else if (code == DIC_OK && !done) {
        dic_leases_hand_back(worker->leases, delivery);
    } else {
        dic_leases_remove(worker->leases, delivery);
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
        plan(worker, &item->delivery);
        dic_lock(&worker->lock);
        worker->plans = item->next;
        dic_unlock(&worker->lock);
        dic_free(item);
    }
}
