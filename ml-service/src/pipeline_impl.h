/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a pipeline, shared by pipeline.c (life) and pipeline_stages.c (work). */
#ifndef DIC_ML_PIPELINE_IMPL_H
#define DIC_ML_PIPELINE_IMPL_H

#include "base/thread.h"
#include "pipeline.h"

enum {
    DIC_PIPELINE_WORKERS_MAX = 64, /* of each kind */
};

/* A fetched picture on its way to a decoder; lives in a fixed array, see spares. */
struct encoded {
    struct dic_buf bytes;
    struct dic_task *task;
    struct encoded *next;
};

/* A decoded picture on its way to a lane: a tensor slot of one decoder. */
struct tensor {
    const float *values;
    uint32_t decoder;
    uint32_t slot;
    struct dic_task *task;
    struct tensor *next;
};

/* A thread that takes work when it is among the first `active` of its kind. Each has its own
 * condition, so that a wake-up cannot be lost on one that sleeps. */
struct worker {
    struct dic_pipeline *pipeline;
    uint32_t index;
    pthread_t thread;
    pthread_cond_t wake;
    bool waits;
    struct tensor *free_tensors; /* of a decoder: not in use */
};

struct dic_pipeline {
    struct dic_pipeline_options options;
    /* Guards everything down to the threads. Held for list operations only; at some hundred
     * pictures a second it is never contended, so one lock is simpler than four. */
    pthread_mutex_t lock;
    struct dic_task *first_task; /* submitted, oldest first */
    struct dic_task *last_task;
    pthread_cond_t task_came;
    struct encoded *first_encoded;
    struct encoded *last_encoded;
    uint64_t queued_images;
    uint64_t queued_bytes;
    pthread_cond_t room_came;
    struct tensor *first_tensor;
    struct tensor *last_tensor;
    bool no_more_tasks;
    bool no_more_encoded;
    bool no_more_tensors;

    struct worker fetchers[DIC_PIPELINE_WORKERS_MAX];
    struct worker decoders[DIC_PIPELINE_WORKERS_MAX];
    struct worker lanes[DIC_PIPELINE_WORKERS_MAX];
    struct encoded *encoded; /* one for each fetcher, queue place and decoder: never runs out */
    struct encoded *spares;
    struct tensor *tensors;
    float *scores; /* classes of them for each lane */

    atomic_uint active_decoders; /* written under the lock */
    atomic_uint active_lanes;
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t fetch_ns;
    atomic_uint_fast64_t decode_ns;
    atomic_uint_fast64_t infer_ns;
    atomic_uint_fast64_t fetched_bytes;
    atomic_uint_fast64_t in_work;
};

/* With the lock. */
void dic_pipeline_wake_all(struct worker *workers, uint32_t count);

/* Bodies of the threads; arg is a struct worker. */
void *dic_pipeline_fetch_run(void *arg);
void *dic_pipeline_decode_run(void *arg);
void *dic_pipeline_lane_run(void *arg);

#endif
