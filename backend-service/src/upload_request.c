/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_request.h"

#include "base/mem.h"
#include "job/job.h"
#include "job/limits.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_SIZE = 64 };

/* What the decoders read; see ml-service/src/image_decode.c. */
static const char *const content_types[] = {"image/jpeg", "image/png", "image/webp", "image/gif",
                                            "image/bmp"};

static enum dic_code check_member(void *context, struct dic_str name, const struct dic_json *value,
                                  struct dic_err *err)
{
    const char *const *known = context;
    (void)value; /* its reader checks it */
    for (; *known != NULL; known++) {
        if (dic_str_is(name, *known)) {
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_INVALID, "uploads", "unknown member '%.*s'",
                          (int)(name.len < 60 ? name.len : 60), name.len > 0 ? name.ptr : "");
}

static enum dic_code check_members(const struct dic_json *value, const char *field,
                                   const char *const *known, struct dic_err *err)
{
    if (!dic_json_is_object(value)) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s must be an object, not %s", field,
                              dic_json_type_name(value));
    }
    return dic_json_each(value, check_member, (void *)(uintptr_t)known, err);
}

static enum dic_code required(const struct dic_json *object, const char *name, const char *field,
                              const struct dic_json **out, struct dic_err *err)
{
    *out = dic_json_member(object, name);
    return *out != NULL ? DIC_OK
                        : dic_fail_field(err, DIC_E_INVALID, field, "%s is missing", field);
}

/* A name that every store and every file system takes as it is, and that leads nowhere else. */
static enum dic_code check_name(struct dic_str name, const char *field, struct dic_err *err)
{
    if (name.len < 1 || name.len > DIC_MAX_UPLOAD_NAME_BYTES) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s has %zu bytes, allowed are 1 to %d",
                              field, name.len, DIC_MAX_UPLOAD_NAME_BYTES);
    }
    if (name.ptr[0] == '.') {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s starts with '.'", field);
    }
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char byte = (unsigned char)name.ptr[i];
        if (byte == '/' || byte < 0x20 || byte == 0x7F) {
            return dic_fail_field(err, DIC_E_INVALID, field,
                                  "%s has the byte 0x%02x at %zu; '/' and control characters are "
                                  "not allowed",
                                  field, (unsigned)byte, i);
        }
    }
    return dic_key_check(name, field, err);
}

static enum dic_code check_type(struct dic_str *type, const char *field, struct dic_err *err)
{
    for (size_t i = 0; i < sizeof content_types / sizeof content_types[0]; i++) {
        if (dic_str_is(*type, content_types[i])) {
            *type = dic_str(content_types[i]);
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_INVALID, field,
                          "%s is '%.*s', allowed are image/jpeg, image/png, image/webp, image/gif "
                          "and image/bmp",
                          field, (int)(type->len < 60 ? type->len : 60),
                          type->len > 0 ? type->ptr : "");
}

static enum dic_code parse_file(const struct dic_json *value, size_t index,
                                struct dic_upload_file *out, struct dic_err *err)
{
    static const char *const known[] = {"name", "content_type", "size_bytes", NULL};
    char field[FIELD_SIZE];
    const struct dic_json *member = NULL;
    snprintf(field, sizeof field, "uploads[%zu]", index);
    DIC_TRY(check_members(value, field, known, err));
    snprintf(field, sizeof field, "uploads[%zu].name", index);
    DIC_TRY(required(value, "name", field, &member, err));
    DIC_TRY(dic_json_get_str(member, field, &out->name, err));
    DIC_TRY(check_name(out->name, field, err));
    snprintf(field, sizeof field, "uploads[%zu].content_type", index);
    DIC_TRY(required(value, "content_type", field, &member, err));
    DIC_TRY(dic_json_get_str(member, field, &out->content_type, err));
    DIC_TRY(check_type(&out->content_type, field, err));
    snprintf(field, sizeof field, "uploads[%zu].size_bytes", index);
    DIC_TRY(required(value, "size_bytes", field, &member, err));
    return dic_json_get_int(member, field, 1, DIC_MAX_IMAGE_BYTES, &out->size_bytes, err);
}

enum dic_code dic_upload_request_parse(struct dic_str body, struct dic_upload_request *out,
                                       struct dic_err *err)
{
    static const char *const known[] = {"uploads", NULL};
    const struct dic_json *list = NULL;
    memset(out, 0, sizeof *out);
    if (body.len == 0) {
        return dic_fail(err, DIC_E_MALFORMED, "the body is empty; it must be a JSON object");
    }
    DIC_TRY(dic_json_parse(body, &out->root, err));
    DIC_TRY(check_members(out->root, "the body", known, err));
    DIC_TRY(required(out->root, "uploads", "uploads", &list, err));
    if (!dic_json_is_array(list)) {
        return dic_fail_field(err, DIC_E_INVALID, "uploads", "uploads must be an array, not %s",
                              dic_json_type_name(list));
    }
    const size_t count = dic_json_size(list);
    if (count < 1 || count > DIC_MAX_UPLOADS) {
        return dic_fail_field(err, DIC_E_INVALID, "uploads",
                              "uploads has %zu entries, allowed are 1 to %d", count,
                              DIC_MAX_UPLOADS);
    }
    out->files = dic_calloc(count, sizeof *out->files);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        DIC_TRY(parse_file(dic_json_at(list, i), i, &out->files[i], err));
    }
    return DIC_OK;
}

void dic_upload_request_clean_up(struct dic_upload_request *request)
{
    dic_json_destroy(request->root);
    dic_free(request->files);
}
