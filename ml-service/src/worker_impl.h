/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a worker: worker.c (life and receiving), worker_intake.c (what becomes of a
 * message), worker_plan.c, worker_record.c and worker_keeper.c (a kind of thread each). */
#ifndef DIC_ML_WORKER_IMPL_H
#define DIC_ML_WORKER_IMPL_H

#include "base/thread.h"
#include "chunk_work.h"
#include "leases.h"
#include "worker.h"

enum {
    DIC_WORKER_THREADS_MAX = 16, /* of each kind */
};

/* A PLAN message that waits for the planner or is being planned. */
struct dic_plan_item {
    struct dic_delivery delivery;
    struct dic_lease lease;
    struct dic_plan_item *next;
};

struct dic_worker {
    /* immutable after start */
    struct dic_worker_options options;
    struct dic_leases *leases;
    pthread_t pollers[DIC_WORKER_THREADS_MAX];
    pthread_t recorders[DIC_WORKER_THREADS_MAX];
    pthread_t planner;
    pthread_t keeper;
    bool joined;
    int64_t last_beat_ms; /* the keeper's */

    atomic_bool draining;
    atomic_bool handed_back; /* something, by a drain */
    atomic_int polling;      /* pollers that have not ended */
    atomic_int backlog;      /* images that the pipeline has not finished */
    atomic_uint plan_steps;  /* the planner's, of whatever job */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t capacity;
    pthread_cond_t to_record;
    pthread_cond_t to_plan;
    pthread_cond_t keep;
    struct dic_chunk_work *active; /* taken and not yet recorded */
    struct dic_chunk_work *record_head;
    struct dic_chunk_work *record_tail;
    struct dic_plan_item *plans; /* first one is being planned */
    bool pollers_ended;
    bool recorders_ended;
    struct dic_job peeked; /* the job looked at last, without its texts */
    int64_t peeked_until_ms;
    double chunk_size; /* smoothed images a chunk, to size the next receive */
    struct dic_worker_counts counts;
};

/* worker_intake.c: begins the work on a message, or ends it at once; and forgets what was seen of
 * the job looked at last. */
void dic_worker_take(struct dic_worker *worker, const struct dic_delivery *delivery);
void dic_worker_forget_peeked(struct dic_worker *worker);

/* Bodies of the threads; arg is the worker. */
void *dic_worker_record_run(void *arg);
void *dic_worker_plan_run(void *arg);
void *dic_worker_keep_run(void *arg);

#endif
