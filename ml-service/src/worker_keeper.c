/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_impl.h"

#include "base/mem.h"

#include <string.h>

/* The jobs of the chunks in hand, each once; grows to the most there ever were. */
struct job_list {
    char (*ids)[DIC_ID_SIZE];
    size_t count;
    size_t capacity;
};

static void add_job(struct job_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->ids[i], id) == 0) {
            return;
        }
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->ids = dic_realloc(list->ids, list->capacity * sizeof *list->ids);
    }
    memcpy(list->ids[list->count++], id, DIC_ID_SIZE);
}

static void list_jobs(struct dic_worker *worker, struct job_list *list)
{
    DIC_GUARD(&worker->lock);
    list->count = 0;
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        add_job(list, work->delivery.message.job_id);
    }
}

static void abandon(struct dic_worker *worker, const char *job_id)
{
    DIC_GUARD(&worker->lock);
    for (struct dic_chunk_work *work = worker->active; work != NULL; work = work->next_active) {
        if (strcmp(work->delivery.message.job_id, job_id) == 0) {
            atomic_store(&work->abandon, true);
        }
    }
}

/* The work for a job that was stopped is dropped. */
static void watch_jobs(struct dic_worker *worker, const struct job_list *list)
{
    const struct dic_job_store *jobs = &worker->options.jobs;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, DIC_JOB_RECORD_BYTES);
    for (size_t i = 0; i < list->count; i++) {
        struct dic_job job = {0};
        struct dic_err err = {0};
        dic_buf_clear(&memory);
        enum dic_code code = jobs->ops->peek(jobs->impl, list->ids[i], &job, &memory, &err);
        if (code == DIC_E_NOT_FOUND || (code == DIC_OK && !dic_job_is_open(job.state))) {
            dic_worker_forget_peeked(worker);
            abandon(worker, list->ids[i]);
        }
    }
}

void *dic_worker_keep_run(void *arg)
{
    struct dic_worker *worker = arg;
    struct job_list jobs = {0};
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
        list_jobs(worker, &jobs);
        watch_jobs(worker, &jobs);
        dic_leases_give_back_again(worker->leases);
        dic_leases_look(worker->leases);
        int64_t now_ms = dic_clock_mono_ms(worker->options.clock);
        if (now_ms - worker->last_beat_ms >= beat_ms) {
            dic_leases_renew(worker->leases);
            worker->last_beat_ms = now_ms;
        }
    }
    dic_free(jobs.ids);
    return NULL;
}
