/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_builder.h"

#include "json/json_read.h"
#include "json/json_write.h"

#include <stdio.h>
#include <string.h>

/* A line of a key of 1,024 control characters, each six bytes in JSON, with the longest id. */
enum { LINES_CEILING = DIC_SEGMENT_CHUNKS * DIC_MAX_CHUNK_IMAGES * 8192 };

void dic_segment_builder_init(struct dic_segment_builder *builder, uint32_t chunk_images,
                              int64_t first_image)
{
    memset(builder, 0, sizeof *builder);
    builder->chunk_images = chunk_images;
    builder->next_image = first_image;
    dic_buf_init(&builder->lines, LINES_CEILING);
}

void dic_segment_builder_clean_up(struct dic_segment_builder *builder)
{
    dic_buf_clean_up(&builder->lines);
}

static bool fits_last_chunk(const struct dic_segment_builder *builder, int64_t size_bytes)
{
    const struct dic_chunk_plan *last = &builder->chunks[builder->chunk_count - 1];
    return last->images < builder->chunk_images &&
           builder->chunk_bytes + size_bytes <= DIC_MAX_CHUNK_BYTES;
}

bool dic_segment_builder_add(struct dic_segment_builder *builder, const struct dic_image *image,
                             int64_t size_bytes)
{
    if (builder->chunk_count == 0 || !fits_last_chunk(builder, size_bytes)) {
        if (builder->chunk_count == DIC_SEGMENT_CHUNKS) {
            return false;
        }
        builder->line_start[builder->chunk_count] = builder->lines.len;
        builder->chunks[builder->chunk_count++].first_image = builder->next_image;
        builder->chunk_bytes = 0;
    }
    builder->chunks[builder->chunk_count - 1].images++;
    builder->chunk_bytes += size_bytes;
    builder->next_image++;
    dic_image_line_write(&builder->lines, image);
    return true;
}

void dic_segment_builder_finish(struct dic_segment_builder *builder)
{
    for (uint32_t i = 0; i < builder->chunk_count; i++) {
        size_t start = builder->line_start[i];
        size_t end = i + 1 < builder->chunk_count ? builder->line_start[i + 1] : builder->lines.len;
        builder->chunks[i].lines = dic_str_len(builder->lines.ptr + start, end - start);
    }
}

/* The key of `after` may be any bytes of UTF-8; JSON carries it. */
void dic_resume_write(const struct dic_resume *resume, struct dic_buf *out)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_int(&writer, "image", resume->image);
    dic_json_put_int(&writer, "offset", resume->offset);
    dic_json_put_int(&writer, "line", resume->line);
    dic_json_put_int(&writer, "chunk", resume->chunk);
    dic_json_put_int(&writer, "row", resume->row);
    dic_json_put_text(&writer, "etag", resume->etag);
    dic_json_put_str(&writer, "after", resume->after);
    dic_json_end_object(&writer);
}

static enum dic_code read_count(const struct dic_json *root, const char *name, int64_t *out,
                                struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, name);
    if (value == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored segment has no resume member '%s'", name);
    }
    return dic_json_get_int(value, name, 0, INT64_MAX, out, err);
}

static enum dic_code read_text(const struct dic_json *root, const char *name, struct dic_str *out,
                               struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, name);
    if (value == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored segment has no resume member '%s'", name);
    }
    return dic_json_get_str(value, name, out, err);
}

enum dic_code dic_resume_parse(struct dic_str text, struct dic_resume *resume_out,
                               struct dic_buf *memory, struct dic_err *err)
{
    *resume_out = (struct dic_resume){0};
    if (text.len == 0) {
        return DIC_OK;
    }
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    struct dic_str etag = {0};
    struct dic_str after = {0};
    DIC_TRY(dic_json_parse(text, &root, err));
    DIC_TRY(read_count(root, "image", &resume_out->image, err));
    DIC_TRY(read_count(root, "offset", &resume_out->offset, err));
    DIC_TRY(read_count(root, "line", &resume_out->line, err));
    DIC_TRY(read_count(root, "chunk", &resume_out->chunk, err));
    DIC_TRY(read_count(root, "row", &resume_out->row, err));
    DIC_TRY(read_text(root, "etag", &etag, err));
    DIC_TRY(read_text(root, "after", &after, err));
    if (etag.len >= sizeof resume_out->etag || dic_str_find(etag, '\0') != etag.len) {
        return dic_fail(err, DIC_E_INTERNAL,
                        "a stored segment's etag has %zu bytes, at most %zu without U+0000 fit",
                        etag.len, sizeof resume_out->etag - 1);
    }
    snprintf(resume_out->etag, sizeof resume_out->etag, "%.*s", DIC_STR_ARGS(etag));
    dic_buf_append_str(memory, after);
    DIC_TRY(dic_buf_check(memory, err));
    resume_out->after = dic_buf_view(memory);
    return DIC_OK;
}
