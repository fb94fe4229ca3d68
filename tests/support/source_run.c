/* SPDX-License-Identifier: Apache-2.0 */
#include "source_run.h"

#include <stdlib.h>

enum { MOST_SEGMENTS = 100000 };

/* Leaves room for so many images. */
static void fill_up(struct dic_segment_builder *builder, uint32_t room)
{
    const struct dic_image dummy = {.key = DIC_STR_LIT("dummy")};
    for (uint32_t i = room; i < DIC_SEGMENT_CHUNKS * builder->chunk_images; i++) {
        if (!dic_segment_builder_add(builder, &dummy, 0)) {
            abort();
        }
    }
}

static enum dic_code run_segment(dic_source_fill fill, const struct dic_plan_source *source,
                                 const struct dic_source_cut *cut, uint32_t segment,
                                 struct dic_buf *resume_io, struct dic_buf *lines_out,
                                 bool *ended_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf after;
    DIC_CLEANUP(dic_segment_builder_clean_up) struct dic_segment_builder builder;
    struct dic_resume resume = {0};
    dic_buf_init(&after, DIC_MAX_KEY_BYTES * 4);
    DIC_TRY(dic_resume_parse(dic_buf_view(resume_io), &resume, &after, err));
    dic_segment_builder_init(&builder, cut->chunk_images, resume.image);
    if (segment == 0) {
        fill_up(&builder, cut->first);
    }
    size_t start = builder.lines.len;
    DIC_TRY(fill(source, &resume, &builder, &after, ended_out, err));
    resume.image = builder.next_image;
    dic_buf_clear(resume_io);
    dic_resume_write(&resume, resume_io);
    dic_buf_append_str(lines_out, dic_str_skip(dic_buf_view(&builder.lines), start));
    return DIC_OK;
}

enum dic_code dic_source_run(dic_source_fill fill, const struct dic_plan_source *source,
                             const struct dic_source_cut *cut, struct dic_buf *lines_out,
                             struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf resume;
    bool ended = false;
    dic_buf_init(&resume, DIC_RESUME_BYTES);
    for (uint32_t segment = 0; !ended; segment++) {
        if (segment == MOST_SEGMENTS) {
            return dic_fail(err, DIC_E_INTERNAL, "the source does not end");
        }
        DIC_TRY(run_segment(fill, source, cut, segment, &resume, lines_out, &ended, err));
        if (!ended && cut->between != NULL) {
            cut->between(cut->context, segment);
        }
    }
    return dic_buf_check(lines_out, err);
}
