/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a job into chunks, segment by segment, from any source of images. Holds one segment in
 * memory, so a job of ten million images is planned in constant memory. Every segment records where
 * the next one starts; so planning can stop anywhere and go on in another process.
 */
#ifndef DIC_ML_PLANNER_H
#define DIC_ML_PLANNER_H

#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

#include <stdatomic.h>

struct dic_planner {
    struct dic_job_store jobs;
    struct dic_job_queue queue;
    struct dic_blob_store images;
    uint32_t chunk_images;
    const atomic_bool *stop; /* checked between segments */
    atomic_uint *segments;   /* counts those that were stored; may be NULL */
    atomic_uint *steps;      /* and each piece of the source that was read; may be NULL */
};

/*
 * Plans until done (*done_out = true) or until *stop. A job that cannot be planned (missing or bad
 * manifest, too many images) is made to fail with the reason: that is DIC_OK and done.
 * DIC_E_UPSTREAM and the like: try again later.
 */
DIC_MUST_USE enum dic_code dic_planner_run(const struct dic_planner *planner, const char *job_id,
                                           bool *done_out, struct dic_err *err);

#endif
