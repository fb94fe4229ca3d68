/* SPDX-License-Identifier: Apache-2.0 */
#include "submit_request.h"

#include "json/json_write.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPEC_BYTES = 256 * 1024, MAX_FAILURES = DIC_MAX_JOB_IMAGES, SHA256_BYTES = 32 };

static const char job_type[] = "image_classification";

static enum dic_code check_member(void *context, struct dic_str name, const struct dic_json *value,
                                  struct dic_err *err)
{
    static const char *const known[] = {"job_type",
                                        "s3_keys",
                                        "s3_prefix",
                                        "include",
                                        "exclude",
                                        "manifest_s3_key",
                                        "top_k",
                                        "tags",
                                        "deadline_seconds",
                                        "max_failures",
                                        "confidence_threshold"};
    (void)context;
    (void)value;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (dic_str_is(name, known[i])) {
            return DIC_OK;
        }
    }
    if (dic_str_is(name, "webhook_url")) {
        return dic_fail_field(
            err, DIC_E_INVALID, "webhook_url",
            "webhook_url is not supported yet; use GET /status with Prefer: wait");
    }
    char field[64];
    snprintf(field, sizeof field, "%.*s", (int)(name.len < 60 ? name.len : 60), name.ptr);
    return dic_fail_field(err, DIC_E_INVALID, field, "unknown member '%s'", field);
}

static enum dic_code check_job_type(const struct dic_json *root, struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, "job_type");
    struct dic_str text = {0};
    if (value == NULL) {
        return dic_fail_field(err, DIC_E_INVALID, "job_type",
                              "job_type is missing; it must be '%s'", job_type);
    }
    DIC_TRY(dic_json_get_str(value, "job_type", &text, err));
    if (!dic_str_is(text, job_type)) {
        return dic_fail_field(err, DIC_E_INVALID, "job_type", "job_type is '%.*s', allowed is '%s'",
                              (int)(text.len < 60 ? text.len : 60), text.ptr, job_type);
    }
    return DIC_OK;
}

/* ---- where the images come from ---- */

static enum dic_code check_keys(const struct dic_json *keys, struct dic_err *err)
{
    if (!dic_json_is_array(keys)) {
        return dic_fail_field(err, DIC_E_INVALID, "s3_keys", "s3_keys must be an array, not %s",
                              dic_json_type_name(keys));
    }
    size_t count = dic_json_size(keys);
    if (count < 1 || count > DIC_MAX_INLINE_KEYS) {
        return dic_fail_field(
            err, DIC_E_INVALID, "s3_keys",
            "s3_keys has %zu entries, allowed are 1 to %d; use manifest_s3_key or "
            "s3_prefix for more",
            count, DIC_MAX_INLINE_KEYS);
    }
    for (size_t i = 0; i < count; i++) {
        char field[32];
        struct dic_str key = {0};
        snprintf(field, sizeof field, "s3_keys[%zu]", i);
        DIC_TRY(dic_json_get_str(dic_json_at(keys, i), field, &key, err));
        DIC_TRY(dic_key_check(key, field, err));
    }
    return DIC_OK;
}

static enum dic_code check_globs(const struct dic_json *globs, const char *name,
                                 struct dic_err *err)
{
    if (globs == NULL) {
        return DIC_OK;
    }
    if (!dic_json_is_array(globs)) {
        return dic_fail_field(err, DIC_E_INVALID, name, "%s must be an array, not %s", name,
                              dic_json_type_name(globs));
    }
    if (dic_json_size(globs) > DIC_MAX_GLOBS) {
        return dic_fail_field(err, DIC_E_INVALID, name,
                              "%s has %zu patterns, at most %d are allowed", name,
                              dic_json_size(globs), DIC_MAX_GLOBS);
    }
    for (size_t i = 0; i < dic_json_size(globs); i++) {
        char field[32];
        struct dic_str glob = {0};
        snprintf(field, sizeof field, "%s[%zu]", name, i);
        DIC_TRY(dic_json_get_str(dic_json_at(globs, i), field, &glob, err));
        if (glob.len < 1 || glob.len > DIC_MAX_GLOB_BYTES) {
            return dic_fail_field(err, DIC_E_INVALID, field,
                                  "%s has %zu bytes, allowed are 1 to %d", field, glob.len,
                                  DIC_MAX_GLOB_BYTES);
        }
    }
    return DIC_OK;
}

static enum dic_code check_prefix(struct dic_submit_request *out, const struct dic_json *value,
                                  struct dic_err *err)
{
    DIC_TRY(dic_json_get_str(value, "s3_prefix", &out->prefix, err));
    /* The empty prefix is the whole bucket. */
    return out->prefix.len == 0 ? DIC_OK : dic_key_check(out->prefix, "s3_prefix", err);
}

static enum dic_code check_source(struct dic_submit_request *out, struct dic_err *err)
{
    const struct dic_json *prefix = dic_json_member(out->root, "s3_prefix");
    const struct dic_json *manifest = dic_json_member(out->root, "manifest_s3_key");
    out->keys = dic_json_member(out->root, "s3_keys");
    out->include = dic_json_member(out->root, "include");
    out->exclude = dic_json_member(out->root, "exclude");
    int sources = (out->keys != NULL) + (prefix != NULL) + (manifest != NULL);
    if (sources != 1) {
        return dic_fail_field(
            err, DIC_E_INVALID, "s3_keys",
            "exactly one of s3_keys, s3_prefix and manifest_s3_key must be given, "
            "not %d of them",
            sources);
    }
    if (prefix == NULL && (out->include != NULL || out->exclude != NULL)) {
        const char *name = out->include != NULL ? "include" : "exclude";
        return dic_fail_field(err, DIC_E_INVALID, name, "%s goes with s3_prefix only", name);
    }
    DIC_TRY(check_globs(out->include, "include", err));
    DIC_TRY(check_globs(out->exclude, "exclude", err));
    if (out->keys != NULL) {
        out->params.source = DIC_SOURCE_KEYS;
        return check_keys(out->keys, err);
    }
    if (prefix != NULL) {
        out->params.source = DIC_SOURCE_PREFIX;
        return check_prefix(out, prefix, err);
    }
    out->params.source = DIC_SOURCE_MANIFEST;
    DIC_TRY(dic_json_get_str(manifest, "manifest_s3_key", &out->manifest, err));
    return dic_key_check(out->manifest, "manifest_s3_key", err);
}

/* ---- numbers and tags ---- */

static enum dic_code optional_int(const struct dic_json *root, const char *name, int64_t min,
                                  int64_t max, int64_t fallback, int64_t *out, struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, name);
    *out = fallback;
    return value == NULL ? DIC_OK : dic_json_get_int(value, name, min, max, out, err);
}

static enum dic_code check_numbers(struct dic_submit_request *out, struct dic_err *err)
{
    const struct dic_json *threshold = dic_json_member(out->root, "confidence_threshold");
    int64_t top_k = 0;
    int64_t seconds = 0;
    DIC_TRY(optional_int(out->root, "top_k", 1, DIC_MAX_TOP_K, DIC_DEFAULT_TOP_K, &top_k, err));
    DIC_TRY(optional_int(out->root, "deadline_seconds", 1, DIC_MAX_DEADLINE_S, 0, &seconds, err));
    DIC_TRY(optional_int(out->root, "max_failures", 0, MAX_FAILURES, -1, &out->params.max_failures,
                         err));
    out->params.top_k = (uint32_t)top_k;
    out->params.deadline_ms = seconds * 1000;
    return threshold == NULL ? DIC_OK
                             : dic_json_get_real(threshold, "confidence_threshold", 0, 1,
                                                 &out->params.confidence_threshold, err);
}

static enum dic_code check_tag(void *context, struct dic_str name, const struct dic_json *value,
                               struct dic_err *err)
{
    (void)context;
    struct dic_str text = {0};
    if (name.len < 1 || name.len > DIC_MAX_TAG_NAME_BYTES) {
        return dic_fail_field(err, DIC_E_INVALID, "tags",
                              "a tag's name has %zu bytes, allowed are 1 to %d", name.len,
                              DIC_MAX_TAG_NAME_BYTES);
    }
    if (dic_json_get_str(value, "tags", &text, NULL) != DIC_OK) {
        return dic_fail_field(err, DIC_E_INVALID, "tags",
                              "the value of tag '%.64s' must be a string, not %s", name.ptr,
                              dic_json_type_name(value));
    }
    if (text.len > DIC_MAX_TAG_VALUE_BYTES) {
        return dic_fail_field(err, DIC_E_INVALID, "tags",
                              "the value of tag '%.64s' has %zu bytes, at most %d are allowed",
                              name.ptr, text.len, DIC_MAX_TAG_VALUE_BYTES);
    }
    return DIC_OK;
}

static enum dic_code check_tags(struct dic_submit_request *out, struct dic_err *err)
{
    out->tags = dic_json_member(out->root, "tags");
    if (out->tags == NULL) {
        return DIC_OK;
    }
    if (!dic_json_is_object(out->tags)) {
        return dic_fail_field(err, DIC_E_INVALID, "tags", "tags must be an object, not %s",
                              dic_json_type_name(out->tags));
    }
    if (dic_json_size(out->tags) > DIC_MAX_TAGS) {
        return dic_fail_field(err, DIC_E_INVALID, "tags",
                              "there are %zu tags, at most %d are allowed",
                              dic_json_size(out->tags), DIC_MAX_TAGS);
    }
    return dic_json_each(out->tags, check_tag, NULL, err);
}

/* ---- canonical form ---- */

static void write_globs(struct dic_json_writer *writer, const char *name,
                        const struct dic_json *globs)
{
    if (globs == NULL) {
        return;
    }
    dic_json_begin_array(writer, name);
    for (size_t i = 0; i < dic_json_size(globs); i++) {
        struct dic_str glob = {0};
        if (dic_json_get_str(dic_json_at(globs, i), name, &glob, NULL) == DIC_OK) {
            dic_json_put_str(writer, NULL, glob);
        }
    }
    dic_json_end_array(writer);
}

struct tag {
    struct dic_str name;
    struct dic_str value;
};

struct tags {
    struct tag list[DIC_MAX_TAGS];
    size_t count;
};

static enum dic_code collect_tag(void *context, struct dic_str name, const struct dic_json *value,
                                 struct dic_err *err)
{
    struct tags *tags = context;
    struct tag *tag = &tags->list[tags->count++]; /* check_tags has counted them */
    tag->name = name;
    return dic_json_get_str(value, "tags", &tag->value, err);
}

static int by_name(const void *a, const void *b)
{
    const struct tag *left = a;
    const struct tag *right = b;
    return dic_str_compare(left->name, right->name);
}

/* In the order of their names: members of an object have no order of their own. */
static enum dic_code write_tags(struct dic_json_writer *writer, const struct dic_json *object,
                                struct dic_err *err)
{
    struct tags tags = {0};
    DIC_TRY(dic_json_each(object, collect_tag, &tags, err));
    qsort(tags.list, tags.count, sizeof tags.list[0], by_name);
    dic_json_begin_object(writer, "tags");
    for (size_t i = 0; i < tags.count; i++) {
        dic_json_put_name(writer, tags.list[i].name);
        dic_json_put_str(writer, NULL, tags.list[i].value);
    }
    dic_json_end_object(writer);
    return DIC_OK;
}

static enum dic_code write_spec(struct dic_submit_request *out, struct dic_err *err)
{
    struct dic_json_writer writer = dic_json_writer(&out->spec);
    dic_json_begin_object(&writer, NULL);
    if (out->params.source == DIC_SOURCE_PREFIX) {
        dic_json_put_str(&writer, "s3_prefix", out->prefix);
        write_globs(&writer, "include", out->include);
        write_globs(&writer, "exclude", out->exclude);
    } else if (out->params.source == DIC_SOURCE_MANIFEST) {
        dic_json_put_str(&writer, "manifest_s3_key", out->manifest);
    }
    if (out->tags != NULL) {
        DIC_TRY(write_tags(&writer, out->tags, err));
    }
    dic_json_end_object(&writer);
    out->params.spec_json = dic_buf_view(&out->spec);
    return dic_buf_check(&out->spec, err);
}

/* Two requests are the same when they ask for the same, however they were written. */
static enum dic_code hash_request(struct dic_submit_request *out, struct dic_err *err)
{
    unsigned char digest[SHA256_BYTES];
    char numbers[160];
    int len = snprintf(numbers, sizeof numbers, "%d %u %.17g %lld %lld ", (int)out->params.source,
                       out->params.top_k, out->params.confidence_threshold,
                       (long long)out->params.deadline_ms, (long long)out->params.max_failures);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(hash, numbers, (size_t)len) == 1 &&
                EVP_DigestUpdate(hash, out->spec.ptr, out->spec.len) == 1;
    for (size_t i = 0; good && out->keys != NULL && i < dic_json_size(out->keys); i++) {
        struct dic_str key = dic_submit_request_key(out, i);
        good = EVP_DigestUpdate(hash, key.ptr, key.len) == 1 &&
               EVP_DigestUpdate(hash, "", 1) == 1; /* a NUL: no key holds one */
    }
    good = good && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (!good) {
        return dic_fail(err, DIC_E_INTERNAL, "the request cannot be hashed");
    }
    for (int i = 0; i < SHA256_BYTES; i++) {
        snprintf(out->hash + 2 * i, 3, "%02x", digest[i]);
    }
    return DIC_OK;
}

struct dic_str dic_submit_request_key(const struct dic_submit_request *request, size_t index)
{
    struct dic_str key = {0};
    /* Cannot fail: every key was checked to be a string. */
    if (dic_json_get_str(dic_json_at(request->keys, index), "s3_keys", &key, NULL) != DIC_OK) {
        return dic_str(NULL);
    }
    return key;
}

enum dic_code dic_submit_request_parse(struct dic_str body, struct dic_submit_request *out,
                                       struct dic_err *err)
{
    memset(out, 0, sizeof *out);
    dic_buf_init(&out->spec, MAX_SPEC_BYTES);
    if (body.len == 0) {
        return dic_fail(err, DIC_E_MALFORMED, "the body is empty; it must be a JSON object");
    }
    DIC_TRY(dic_json_parse(body, &out->root, err));
    if (!dic_json_is_object(out->root)) {
        return dic_fail(err, DIC_E_INVALID, "the body must be a JSON object, not %s",
                        dic_json_type_name(out->root));
    }
    DIC_TRY(dic_json_each(out->root, check_member, NULL, err));
    DIC_TRY(check_job_type(out->root, err));
    DIC_TRY(check_source(out, err));
    DIC_TRY(check_numbers(out, err));
    DIC_TRY(check_tags(out, err));
    DIC_TRY(write_spec(out, err));
    return hash_request(out, err);
}

void dic_submit_request_clean_up(struct dic_submit_request *request)
{
    dic_json_destroy(request->root);
    dic_buf_clean_up(&request->spec);
}
