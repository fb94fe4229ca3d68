/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a planner's source as the planner does, segment by segment. */
#ifndef DIC_SOURCE_RUN_H
#define DIC_SOURCE_RUN_H

#include "plan_source.h"

/* How a source is to be cut. */
struct dic_source_cut {
    uint32_t first; /* images of the first segment, at most 32 × chunk_images */
    uint32_t chunk_images;
    /* NULL, or called after each segment with its number, from 0. */
    void (*between)(void *context, uint32_t segment);
    void *context;
};

/* To its end; appends the lines of all images. Positions pass through their stored form from one
 * segment to the next. */
DIC_MUST_USE enum dic_code dic_source_run(dic_source_fill fill,
                                          const struct dic_plan_source *source,
                                          const struct dic_source_cut *cut,
                                          struct dic_buf *lines_out, struct dic_err *err);

#endif
