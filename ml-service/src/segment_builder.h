/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers the images of one segment and where the next one starts. Used by planner.c and the
 * sources of plan_source.h. Its memory is bounded by DIC_SEGMENT_CHUNKS × chunk_images lines.
 */
#ifndef DIC_ML_SEGMENT_BUILDER_H
#define DIC_ML_SEGMENT_BUILDER_H

#include "base/buf.h"
#include "job/job.h"
#include "store/job_store.h"

/* Where a source goes on; every source uses the members it needs. Stored as JSON in the segment. */
struct dic_resume {
    int64_t image;        /* index of the next image in the job */
    int64_t offset;       /* bytes into the key list or manifest */
    int64_t line;         /* lines before it, for messages */
    int64_t chunk;        /* of the parent, for a retry */
    int64_t row;          /* rows of that chunk already looked at */
    char etag[80];        /* of the manifest */
    struct dic_str after; /* last key of a listing; may be any bytes */
};

struct dic_segment_builder {
    uint32_t chunk_images;
    struct dic_buf lines;
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    size_t line_start[DIC_SEGMENT_CHUNKS]; /* where each chunk's lines start in `lines` */
    uint32_t chunk_count;
    int64_t chunk_bytes; /* of the images of the last chunk, where sizes are known */
    int64_t next_image;
};

void dic_segment_builder_init(struct dic_segment_builder *builder, uint32_t chunk_images,
                              int64_t first_image);
void dic_segment_builder_clean_up(struct dic_segment_builder *builder);
/* False when the segment is full: the image belongs to the next one. size_bytes 0: not known. */
DIC_MUST_USE bool dic_segment_builder_add(struct dic_segment_builder *builder,
                                          const struct dic_image *image, int64_t size_bytes);
/* Fills the chunk table's views, once, after the last add. */
void dic_segment_builder_finish(struct dic_segment_builder *builder);

void dic_resume_write(const struct dic_resume *resume, struct dic_buf *out);
/* Empty text gives zeros. resume_out->after points into memory. */
DIC_MUST_USE enum dic_code dic_resume_parse(struct dic_str text, struct dic_resume *resume_out,
                                            struct dic_buf *memory, struct dic_err *err);

#endif
