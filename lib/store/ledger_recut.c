/* SPDX-License-Identifier: Apache-2.0 */
/* A list that is cut as somebody before has begun to. */
#include "store/ledger_impl.h"

#include <inttypes.h>

void dic_ledger_recut_init(struct dic_ledger_recut *recut)
{
    *recut = (struct dic_ledger_recut){0};
    dic_buf_init(&recut->lines, 0);
}

void dic_ledger_recut_clean_up(struct dic_ledger_recut *recut)
{
    dic_buf_clean_up(&recut->lines);
}

static enum dic_code copy_lines(const struct dic_new_job *job, struct dic_buf *out,
                                struct dic_err *err)
{
    size_t bytes = job->keys.len;
    for (uint32_t i = 0; job->segment != NULL && i < job->segment->chunk_count; i++) {
        bytes += job->segment->chunks[i].lines.len;
    }
    dic_buf_init(out, bytes + 1);
    dic_buf_append_str(out, job->keys);
    for (uint32_t i = 0; job->segment != NULL && i < job->segment->chunk_count; i++) {
        dic_buf_append_str(out, job->segment->chunks[i].lines);
    }
    return dic_buf_check(out, err);
}

static int64_t count_lines(struct dic_str lines)
{
    int64_t count = 0;
    for (size_t i = 0; i < lines.len; i++) {
        count += lines.ptr[i] == '\n';
    }
    return count;
}

/* The bytes of the first `count` lines. */
static size_t bytes_of(struct dic_str lines, uint32_t count)
{
    size_t bytes = 0;
    while (count > 0 && bytes < lines.len) {
        count -= lines.ptr[bytes++] == '\n';
    }
    return bytes;
}

static void cut_segment(struct dic_ledger_recut *recut, uint32_t images, uint32_t cut)
{
    struct dic_str rest = dic_buf_view(&recut->lines);
    struct dic_segment_plan *segment = &recut->segment;
    segment->is_last = true;
    segment->chunks = recut->chunks;
    for (uint32_t first = 0; first < images; first += cut) {
        const uint32_t count = images - first < cut ? images - first : cut;
        const size_t bytes = bytes_of(rest, count);
        recut->chunks[segment->chunk_count++] =
            (struct dic_chunk_plan){first, count, dic_str_len(rest.ptr, bytes)};
        rest = dic_str_skip(rest, bytes);
    }
}

enum dic_code dic_ledger_recut(const struct dic_new_job *job, int64_t cut,
                               struct dic_ledger_recut *out, struct dic_err *err)
{
    if (cut < 1 || cut > DIC_MAX_CHUNK_IMAGES) {
        return dic_fail(err, DIC_E_INTERNAL,
                        "the item of this Idempotency-Key says CHUNK_IMAGES %" PRId64
                        ", allowed are 1 to %d",
                        cut, DIC_MAX_CHUNK_IMAGES);
    }
    DIC_TRY(copy_lines(job, &out->lines, err));
    const int64_t images = count_lines(dic_buf_view(&out->lines));
    out->job = *job;
    out->job.chunk_images = (uint32_t)cut;
    out->job.segment = NULL;
    out->job.keys = dic_str_len("", 0);
    if (images <= cut * DIC_SEGMENT_CHUNKS) {
        cut_segment(out, (uint32_t)images, (uint32_t)cut);
        out->job.segment = &out->segment;
    } else {
        out->job.keys = dic_buf_view(&out->lines);
    }
    return DIC_OK;
}
