/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a job's images come from, for the planner: each source fills a segment builder from a
 * resume position until the segment is full or the source has ended.
 */
#ifndef DIC_ML_PLAN_SOURCE_H
#define DIC_ML_PLAN_SOURCE_H

#include "json/json_read.h"
#include "segment_builder.h"
#include "store/blob_store.h"

#include <stdatomic.h>

struct dic_plan_source {
    struct dic_job_store jobs;
    struct dic_blob_store images;
    const struct dic_job *job;
    const struct dic_json *spec; /* the job's spec_json */
    atomic_uint *steps;          /* as the planner's */
};

/* So that a source which is long in filling a segment is known to be at work. */
static inline void dic_plan_step(atomic_uint *steps)
{
    if (steps != NULL) {
        atomic_fetch_add(steps, 1);
    }
}

/*
 * Moves *resume past the images that were added; *ended_out when there are no more.
 * DIC_E_MALFORMED, INVALID, NOT_FOUND, DENIED, CONFLICT: the source itself is bad, with a reason
 * that a person can act on; anything else may work later.
 */
typedef enum dic_code (*dic_source_fill)(const struct dic_plan_source *source,
                                         struct dic_resume *resume,
                                         struct dic_segment_builder *builder,
                                         struct dic_buf *after_memory, bool *ended_out,
                                         struct dic_err *err);

DIC_MUST_USE enum dic_code dic_fill_from_keys(const struct dic_plan_source *source,
                                              struct dic_resume *resume,
                                              struct dic_segment_builder *builder,
                                              struct dic_buf *after_memory, bool *ended_out,
                                              struct dic_err *err);
DIC_MUST_USE enum dic_code dic_fill_from_manifest(const struct dic_plan_source *source,
                                                  struct dic_resume *resume,
                                                  struct dic_segment_builder *builder,
                                                  struct dic_buf *after_memory, bool *ended_out,
                                                  struct dic_err *err);
/* resume->after is kept in after_memory. */
DIC_MUST_USE enum dic_code dic_fill_from_prefix(const struct dic_plan_source *source,
                                                struct dic_resume *resume,
                                                struct dic_segment_builder *builder,
                                                struct dic_buf *after_memory, bool *ended_out,
                                                struct dic_err *err);
DIC_MUST_USE enum dic_code dic_fill_from_retry(const struct dic_plan_source *source,
                                               struct dic_resume *resume,
                                               struct dic_segment_builder *builder,
                                               struct dic_buf *after_memory, bool *ended_out,
                                               struct dic_err *err);

/* One line of a manifest: "key", {"s3_key","id"?}, or Rekognition's {"source-ref":"s3://…/key"}. */
DIC_MUST_USE enum dic_code dic_manifest_line_parse(struct dic_str line, struct dic_json **json_out,
                                                   struct dic_image *image_out,
                                                   struct dic_err *err);

#endif
