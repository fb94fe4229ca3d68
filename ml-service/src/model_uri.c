/* SPDX-License-Identifier: Apache-2.0 */
#include "model_uri.h"

#include "base/str.h"

#include <string.h>

static const char scheme[] = "s3://";
static const char file_name[] = "model.json";

bool dic_model_uri_is_remote(const char *text)
{
    return strstr(text, "://") != NULL;
}

static enum dic_code bad(const char *text, const char *why, struct dic_err *err)
{
    return dic_fail_field(err, DIC_E_INVALID, "MODEL_URI", "MODEL_URI is '%.160s': %s", text, why);
}

static bool is_alphanumeric(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

static bool is_bucket(struct dic_str name)
{
    if (name.len < 3 || name.len > DIC_MODEL_BUCKET_BYTES || !is_alphanumeric(name.ptr[0]) ||
        !is_alphanumeric(name.ptr[name.len - 1])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_alphanumeric(name.ptr[i]) && strchr("-._", name.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool has_control_characters(struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* S3 takes "", "." and ".." as parts of a key; as a folder they are slips, and servers differ. */
static enum dic_code check_parts(const char *text, struct dic_str prefix, struct dic_err *err)
{
    struct dic_str rest = prefix;
    struct dic_str part = {0};
    while (dic_str_split(&rest, '/', &part)) {
        const bool is_last = rest.ptr == NULL;
        const bool is_end = is_last && part.len == 0; /* after the last '/' */
        if (!is_end && (part.len == 0 || dic_str_is(part, ".") || dic_str_is(part, ".."))) {
            return bad(text, "a folder has no empty, '.' or '..' part", err);
        }
        if (is_last && dic_str_is(part, file_name)) {
            return bad(text, "it names the folder, not the model.json in it", err);
        }
    }
    return DIC_OK;
}

enum dic_code dic_model_uri_parse(const char *text, struct dic_model_uri *out, struct dic_err *err)
{
    struct dic_str prefix = dic_str(text);
    struct dic_str bucket = {0};
    if (!dic_str_starts_with(prefix, dic_str(scheme))) {
        return bad(text, "it must be a folder or s3://bucket/folder/", err);
    }
    prefix = dic_str_skip(prefix, sizeof scheme - 1);
    if (!dic_str_split(&prefix, '/', &bucket) || !is_bucket(bucket)) {
        return bad(text,
                   "a bucket's name has 3 to 63 letters, digits, '-', '.' and '_', with a letter "
                   "or digit at both ends",
                   err);
    }
    if (!dic_utf8_valid(prefix) || has_control_characters(prefix)) {
        return bad(text, "the folder is not UTF-8 without control characters", err);
    }
    DIC_TRY(check_parts(text, prefix, err));
    const bool needs_slash = prefix.len > 0 && prefix.ptr[prefix.len - 1] != '/';
    if (prefix.len + needs_slash + sizeof file_name - 1 > DIC_MODEL_KEY_BYTES) {
        return bad(text, "the key of its model.json would be over 1024 bytes", err);
    }
    *out = (struct dic_model_uri){0};
    memcpy(out->bucket, bucket.ptr, bucket.len);
    if (prefix.len > 0) { /* an empty view may have no address */
        memcpy(out->prefix, prefix.ptr, prefix.len);
    }
    if (needs_slash) {
        out->prefix[prefix.len] = '/';
    }
    return DIC_OK;
}
