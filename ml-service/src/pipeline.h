/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of one picture: fetch (threads that block on the store) → decode (a thread that drives
 * each decoder process) → infer (lanes) → done. Stages are joined by bounded queues; no lane waits
 * for I/O; buffers are allocated once and reused. Tasks may finish in any order.
 */
#ifndef DIC_ML_PIPELINE_H
#define DIC_ML_PIPELINE_H

#include "base/err.h"
#include "classifier.h"
#include "decoder_pool.h"
#include "job/job.h"
#include "store/blob_store.h"

#include <stdatomic.h>
#include <stdint.h>

struct dic_prediction {
    uint32_t class_index;
    float confidence;
};

/* One picture. The caller owns it and keeps it alive until done was called, once, by a thread of
 * the pipeline; done must not block for long. */
struct dic_task {
    struct dic_str key;
    struct dic_str
        bytes;      /* the picture itself, kept alive like the task; ptr NULL: fetch the key */
    uint32_t top_k; /* 1 to DIC_MAX_TOP_K */
    void (*done)(struct dic_task *task);
    void *context;
    const atomic_bool *abandon; /* when true, not yet started work is skipped; may be NULL */

    /* Set by the pipeline before done: */
    bool abandoned;
    enum dic_row_error error;
    bool may_pass; /* a failed fetch that may go well later, as the store said */
    char message[200];
    bool partial;
    uint32_t prediction_count;
    struct dic_prediction predictions[DIC_MAX_TOP_K]; /* best first; equal ones by class index */
    int64_t size_bytes;
    int64_t fetch_ns;
    int64_t decode_ns;
    int64_t infer_ns;

    struct dic_task *next; /* the pipeline's own */
    void *stage;           /* the pipeline's own */
};

struct dic_pipeline_options {
    struct dic_blob_store images;
    struct dic_decoder_pool *decoders; /* borrowed */
    uint32_t decoder_count;            /* how many of the pool exist */
    uint32_t tensors_per_decoder;
    struct dic_classifier classifier; /* borrowed */
    uint32_t fetchers;
    uint32_t queue_images;    /* encoded pictures that may wait for a decoder */
    uint64_t queue_bytes;     /* and their bytes together */
    uint32_t active_decoders; /* at the start; 0: all */
    uint32_t active_lanes;
};

struct dic_pipeline;

void dic_pipeline_start(const struct dic_pipeline_options *options,
                        struct dic_pipeline **pipeline_out);
/* Never blocks; the caller bounds how many tasks it has out. */
void dic_pipeline_submit(struct dic_pipeline *pipeline, struct dic_task *task);
/* How many decoders and lanes take work from now on (the rest sleep). */
void dic_pipeline_set_split(struct dic_pipeline *pipeline, uint32_t decoders, uint32_t lanes);

struct dic_pipeline_counts {
    uint64_t done;
    uint64_t failed;
    uint64_t fetch_ns; /* sums over all pictures */
    uint64_t decode_ns;
    uint64_t infer_ns;
    uint64_t fetched_bytes;
    uint64_t in_work; /* submitted and not finished */
    uint32_t active_decoders;
    uint32_t active_lanes;
};
void dic_pipeline_counts(const struct dic_pipeline *pipeline, struct dic_pipeline_counts *out);
/* Finishes what was submitted, then ends the threads. */
void dic_pipeline_destroy(struct dic_pipeline *pipeline); /* NULL is fine */

#endif
