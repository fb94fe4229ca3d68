/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk in the worker's hands: its images as tasks, and what becomes of them. Used by worker.c.
 */
#ifndef DIC_ML_CHUNK_WORK_H
#define DIC_ML_CHUNK_WORK_H

#include "base/buf.h"
#include "leases.h"
#include "model_spec.h"
#include "pipeline.h"
#include "json/json_read.h"
#include "store/job_queue.h"
#include "store/job_store.h"

#include <stdatomic.h>

struct dic_chunk_work {
    struct dic_delivery delivery;
    struct dic_lease lease; /* of the delivery, while it is in work */
    struct dic_job_params params;
    int64_t first_image;
    uint32_t image_count;
    struct dic_image *images; /* image_count of them */
    struct dic_task *tasks;
    struct dic_json **lines; /* keeps the parsed keys alive */
    struct dic_err damage;   /* the stored lines cannot be read; code DIC_OK: they can */
    atomic_uint unfinished;
    atomic_bool abandon; /* the job was stopped, or the worker drains */
    int64_t queued_ns;   /* time in the queue before this delivery */
    int64_t started_ns;
    atomic_int *backlog; /* the owner's count of unfinished images, shared by all its chunks */
    int low_water;       /* hungry is called when the backlog falls to it */
    void (*hungry)(void *owner);
    void (*finished)(struct dic_chunk_work *work); /* all tasks are done */
    void *owner;
    struct dic_chunk_work *next; /* in the worker's list of work to record */
    struct dic_chunk_work *prev_active;
    struct dic_chunk_work *next_active;
};

/* From a stored chunk: parses its lines and makes a task for each. DIC_E_INTERNAL: the store holds
 * something that is not a chunk. */
DIC_MUST_USE enum dic_code dic_chunk_work_new(const struct dic_delivery *delivery,
                                              const struct dic_job_params *params,
                                              const struct dic_chunk *chunk,
                                              struct dic_chunk_work **work_out,
                                              struct dic_err *err);
/* As far as the lines can be read; what cannot has an empty key. For a chunk that is given up: its
 * images are accounted for all the same. */
DIC_MUST_USE enum dic_code dic_chunk_work_new_damaged(const struct dic_delivery *delivery,
                                                      const struct dic_job_params *params,
                                                      const struct dic_chunk *chunk,
                                                      struct dic_chunk_work **work_out,
                                                      struct dic_err *err);
void dic_chunk_work_destroy(struct dic_chunk_work *work);
void dic_chunk_work_submit(struct dic_chunk_work *work, struct dic_pipeline *pipeline);
/* Makes every row this error. */
void dic_chunk_work_set_errors(struct dic_chunk_work *work, enum dic_row_error error,
                               const char *message);
/* The same, and ends all tasks, without the pipeline. */
void dic_chunk_work_fail_all(struct dic_chunk_work *work, enum dic_row_error error,
                             const char *message);
/* Seconds after which a finished chunk shall be tried again, as images could not be fetched: a
 * store that is away for some minutes shall not cost a queue full of rows. 0: its rows are final.
 */
uint32_t dic_chunk_work_put_off_s(const struct dic_chunk_work *work);
bool dic_chunk_work_any_abandoned(const struct dic_chunk_work *work);

/* The rows and counts of a finished chunk. Views in booking_out point into rows and labels. */
struct dic_chunk_outcome {
    struct dic_buf rows;
    struct dic_label_count *labels;
    size_t label_count;
    uint32_t succeeded;
    uint32_t failed;
    uint32_t unknown;
    int64_t fetch_ns;
    int64_t decode_ns;
    int64_t infer_ns;
    int64_t bytes;
};
void dic_chunk_outcome_init(struct dic_chunk_outcome *outcome, const struct dic_chunk_work *work,
                            const struct dic_model_spec *model);
void dic_chunk_outcome_clean_up(struct dic_chunk_outcome *outcome);

#endif
