/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that are text, one image a line: the request's own key list, and a client's manifest. */
#include "plan_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 1024 * 1024 };

/* Reads a piece of the text at *offset. */
typedef enum dic_code (*read_piece)(const struct dic_plan_source *source,
                                    const struct dic_resume *resume, int64_t offset,
                                    struct dic_buf *out, struct dic_err *err);
typedef enum dic_code (*parse_line)(struct dic_str line, struct dic_json **json_out,
                                    struct dic_image *image_out, struct dic_err *err);

static bool is_blank(struct dic_str line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r') {
            return false;
        }
    }
    return true;
}

static enum dic_code add_line(struct dic_str line, parse_line parse, struct dic_resume *resume,
                              struct dic_segment_builder *builder, bool *full_out,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *json = NULL;
    struct dic_image image = {0};
    struct dic_err why = {0};
    *full_out = false;
    if (!is_blank(line)) {
        if (parse(line, &json, &image, &why) != DIC_OK) {
            return dic_fail_field(err, DIC_E_INVALID, "manifest_s3_key",
                                  "manifest line %" PRId64 ": %s", resume->line + 1, why.msg);
        }
        *full_out = !dic_segment_builder_add(builder, &image, 0);
    }
    return DIC_OK;
}

/* Lines of one piece; the last one without its newline is left for the next piece. */
static enum dic_code add_piece(struct dic_str piece, bool is_end, parse_line parse,
                               struct dic_resume *resume, struct dic_segment_builder *builder,
                               bool *full_out, struct dic_err *err)
{
    size_t used = 0;
    *full_out = false;
    while (used < piece.len) {
        struct dic_str rest = dic_str_skip(piece, used);
        size_t len = dic_str_find(rest, '\n');
        bool cut = len == rest.len;
        if (cut && !is_end && len <= DIC_MAX_MANIFEST_LINE_BYTES) {
            break;
        }
        if (len > DIC_MAX_MANIFEST_LINE_BYTES) {
            return dic_fail_field(err, DIC_E_INVALID, "manifest_s3_key",
                                  "manifest line %" PRId64 " is longer than %d bytes",
                                  resume->line + 1, DIC_MAX_MANIFEST_LINE_BYTES);
        }
        DIC_TRY(add_line(dic_str_len(rest.ptr, len), parse, resume, builder, full_out, err));
        if (*full_out) {
            return DIC_OK;
        }
        size_t step = cut ? len : len + 1;
        used += step;
        resume->offset += (int64_t)step;
        resume->line++;
    }
    return DIC_OK;
}

static enum dic_code fill(const struct dic_plan_source *source, read_piece read, parse_line parse,
                          struct dic_resume *resume, struct dic_segment_builder *builder,
                          bool *ended_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf piece;
    dic_buf_init(&piece, PIECE_BYTES);
    bool full = false;
    *ended_out = false;
    while (!full && !*ended_out) {
        dic_buf_clear(&piece);
        DIC_TRY(read(source, resume, resume->offset, &piece, err));
        dic_plan_step(source->steps);
        bool is_end = piece.len < PIECE_BYTES;
        DIC_TRY(add_piece(dic_buf_view(&piece), is_end, parse, resume, builder, &full, err));
        *ended_out = is_end && !full;
    }
    return DIC_OK;
}

/* ---- the request's own keys ---- */

static enum dic_code read_keys(const struct dic_plan_source *source,
                               const struct dic_resume *resume, int64_t offset, struct dic_buf *out,
                               struct dic_err *err)
{
    (void)resume; /* the list cannot change */
    return source->jobs.ops->get_keys(source->jobs.impl, source->job->id, offset, PIECE_BYTES, out,
                                      err);
}

static enum dic_code parse_key_line(struct dic_str line, struct dic_json **json_out,
                                    struct dic_image *image_out, struct dic_err *err)
{
    DIC_TRY(dic_json_parse(line, json_out, err));
    return dic_json_get_str(*json_out, "key", &image_out->key, err);
}

enum dic_code dic_fill_from_keys(const struct dic_plan_source *source, struct dic_resume *resume,
                                 struct dic_segment_builder *builder, struct dic_buf *after_memory,
                                 bool *ended_out, struct dic_err *err)
{
    (void)after_memory; /* no listing here */
    return fill(source, read_keys, parse_key_line, resume, builder, ended_out, err);
}

/* ---- a client's manifest ---- */

static enum dic_code manifest_key(const struct dic_plan_source *source, struct dic_str *key_out,
                                  struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(source->spec, "manifest_s3_key");
    if (value == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored manifest job names no manifest");
    }
    return dic_json_get_str(value, "manifest_s3_key", key_out, err);
}

static enum dic_code read_manifest(const struct dic_plan_source *source,
                                   const struct dic_resume *resume, int64_t offset,
                                   struct dic_buf *out, struct dic_err *err)
{
    struct dic_str key = {0};
    DIC_TRY(manifest_key(source, &key, err));
    enum dic_code code = source->images.ops->get_range(source->images.impl, key, offset,
                                                       PIECE_BYTES, resume->etag, out, err);
    if (code == DIC_E_CONFLICT) {
        return dic_fail_field(err, DIC_E_CONFLICT, "manifest_s3_key",
                              "the manifest changed while the job was being planned");
    }
    return code;
}

/* The key of "s3://bucket/key"; the bucket is the deployment's own and not compared. */
static enum dic_code parse_source_ref(struct dic_str ref, struct dic_str *key_out,
                                      struct dic_err *err)
{
    const struct dic_str scheme = DIC_STR_LIT("s3://");
    struct dic_str rest = dic_str_skip(ref, scheme.len);
    size_t slash = dic_str_find(rest, '/');
    if (!dic_str_starts_with(ref, scheme) || slash == 0 || slash == rest.len) {
        return dic_fail_field(err, DIC_E_INVALID, "source-ref",
                              "source-ref is not of the form s3://bucket/key");
    }
    *key_out = dic_str_skip(rest, slash + 1);
    return DIC_OK;
}

static enum dic_code parse_object_line(const struct dic_json *json, struct dic_image *image_out,
                                       struct dic_err *err)
{
    const struct dic_json *key = dic_json_member(json, "s3_key");
    const struct dic_json *ref = dic_json_member(json, "source-ref");
    const struct dic_json *id = dic_json_member(json, "id");
    struct dic_str text = {0};
    if ((key == NULL) == (ref == NULL)) {
        return dic_fail(err, DIC_E_INVALID,
                        "an object must have exactly one of s3_key, source-ref");
    }
    if (key != NULL) {
        DIC_TRY(dic_json_get_str(key, "s3_key", &image_out->key, err));
    } else {
        DIC_TRY(dic_json_get_str(ref, "source-ref", &text, err));
        DIC_TRY(parse_source_ref(text, &image_out->key, err));
    }
    if (id != NULL) {
        DIC_TRY(dic_json_get_str(id, "id", &image_out->id, err));
        if (image_out->id.len < 1 || image_out->id.len > DIC_MAX_ROW_ID_BYTES) {
            return dic_fail_field(err, DIC_E_INVALID, "id", "id has %zu bytes, allowed are 1 to %d",
                                  image_out->id.len, DIC_MAX_ROW_ID_BYTES);
        }
    }
    return DIC_OK;
}

enum dic_code dic_manifest_line_parse(struct dic_str line, struct dic_json **json_out,
                                      struct dic_image *image_out, struct dic_err *err)
{
    DIC_TRY(dic_json_parse(line, json_out, err));
    if (dic_json_is_string(*json_out)) {
        DIC_TRY(dic_json_get_str(*json_out, "key", &image_out->key, err));
    } else if (dic_json_is_object(*json_out)) {
        DIC_TRY(parse_object_line(*json_out, image_out, err));
    } else {
        return dic_fail(err, DIC_E_INVALID, "a line must be a string or an object, not %s",
                        dic_json_type_name(*json_out));
    }
    return dic_key_check(image_out->key, "key", err);
}

enum dic_code dic_fill_from_manifest(const struct dic_plan_source *source,
                                     struct dic_resume *resume, struct dic_segment_builder *builder,
                                     struct dic_buf *after_memory, bool *ended_out,
                                     struct dic_err *err)
{
    (void)after_memory;            /* no listing here */
    if (resume->etag[0] == '\0') { /* the first piece: pin the object's content */
        struct dic_str key = {0};
        struct dic_blob_info info = {0};
        DIC_TRY(manifest_key(source, &key, err));
        DIC_TRY(source->images.ops->head(source->images.impl, key, &info, err));
        snprintf(resume->etag, sizeof resume->etag, "%s", info.etag);
    }
    return fill(source, read_manifest, dic_manifest_line_parse, resume, builder, ended_out, err);
}
