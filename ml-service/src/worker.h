/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue worker: takes messages, puts the images of a chunk through the pipeline, books the
 * outcome, removes the message. Several chunks are in work at a time, so that lanes never wait for
 * a chunk's end. Threads: pollers (receive and load), recorders (write rows and book), one planner
 * (cuts jobs into chunks), one keeper (heartbeats; watches for jobs that were stopped).
 */
#ifndef DIC_ML_WORKER_H
#define DIC_ML_WORKER_H

#include "base/buf.h"
#include "base/clock.h"
#include "model_spec.h"
#include "pipeline.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_worker_options {
    struct dic_job_store jobs;
    struct dic_job_queue queue;
    struct dic_blob_store images;
    struct dic_pipeline *pipeline;      /* borrowed */
    const struct dic_model_spec *model; /* borrowed */
    const struct dic_clock *clock;
    uint32_t window_images; /* no further chunk is taken while so many images are unfinished */
    uint32_t max_chunks;    /* in work at the same time */
    uint32_t pollers;
    uint32_t recorders;
    uint32_t chunk_images; /* how the planner cuts, ≤ DIC_MAX_CHUNK_IMAGES */
    uint32_t watch_ms;     /* how often stopped jobs are looked for */
    uint32_t visibility_s; /* a message is hidden so long; renewed at each third of it */
};

struct dic_worker;

void dic_worker_start(const struct dic_worker_options *options, struct dic_worker **worker_out);
/* Takes no further message, finishes the images in hand, hands unfinished chunks back, and returns
 * when all threads have ended. */
void dic_worker_drain(struct dic_worker *worker);
/* Begins that, and returns at once. */
void dic_worker_let_go(struct dic_worker *worker);
void dic_worker_destroy(struct dic_worker *worker); /* drains first; NULL is fine */

struct dic_worker_counts {
    uint64_t chunks_booked;
    uint64_t chunks_late;     /* somebody else had been first */
    uint64_t chunks_released; /* given back unfinished */
    uint64_t rows_succeeded;
    uint64_t rows_failed;
    uint64_t chunks_in_work;
    uint64_t images_in_work;
};
void dic_worker_counts(struct dic_worker *worker, struct dic_worker_counts *out);
const struct dic_pipeline *dic_worker_pipeline(const struct dic_worker *worker);
/* Prometheus text of these and the pipeline's counts; context is the worker. */
void dic_worker_metrics(void *worker, struct dic_buf *out);

#endif
