/* SPDX-License-Identifier: Apache-2.0 */
/* Source: the failed images of another job, read from its result rows. */
#include "plan_source.h"

struct scan {
    struct dic_resume *resume;
    struct dic_segment_builder *builder;
    uint32_t chunks; /* looked at in this round */
    bool full;
};

static enum dic_code add_failed(struct scan *scan, struct dic_str line, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *row = NULL;
    struct dic_image image = {0};
    DIC_TRY(dic_json_parse(line, &row, err));
    if (!dic_json_is_object(row) || dic_json_member(row, "error") == NULL) {
        return DIC_OK;
    }
    const struct dic_json *key = dic_json_member(row, "s3_key");
    const struct dic_json *id = dic_json_member(row, "id");
    if (key == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored row has no s3_key");
    }
    DIC_TRY(dic_json_get_str(key, "s3_key", &image.key, err));
    if (id != NULL) {
        DIC_TRY(dic_json_get_str(id, "id", &image.id, err));
    }
    scan->full = !dic_segment_builder_add(scan->builder, &image, 0);
    return DIC_OK;
}

static enum dic_code visit(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    struct scan *scan = context;
    struct dic_str rest = rows->failed == 0 ? dic_str(NULL) : rows->rows;
    struct dic_str line = {0};
    int64_t row = 0;
    if (scan->full) {
        return DIC_OK;
    }
    while (dic_str_split(&rest, '\n', &line)) {
        if (line.len > 0 && row++ >= scan->resume->row) {
            DIC_TRY(add_failed(scan, line, err));
            if (scan->full) {
                return DIC_OK;
            }
            scan->resume->row = row;
        }
    }
    scan->resume->chunk++;
    scan->resume->row = 0;
    scan->chunks++;
    return DIC_OK;
}

enum dic_code dic_fill_from_retry(const struct dic_plan_source *source, struct dic_resume *resume,
                                  struct dic_segment_builder *builder, struct dic_buf *after_memory,
                                  bool *ended_out, struct dic_err *err)
{
    (void)after_memory; /* no listing here */
    const struct dic_json *value = dic_json_member(source->spec, "retry_of");
    struct dic_str parent = {0};
    if (value == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored retry job names no parent");
    }
    DIC_TRY(dic_json_get_str(value, "retry_of", &parent, err));
    if (!dic_job_id_valid(parent)) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored retry job names an invalid parent");
    }
    struct scan scan = {.resume = resume, .builder = builder};
    do {
        scan.chunks = 0;
        DIC_TRY(source->jobs.ops->rows(source->jobs.impl, parent.ptr, (uint32_t)resume->chunk,
                                       DIC_SEGMENT_CHUNKS, visit, &scan, err));
        dic_plan_step(source->steps);
    } while (!scan.full && scan.chunks > 0);
    *ended_out = !scan.full;
    return DIC_OK;
}
