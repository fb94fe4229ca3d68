/* SPDX-License-Identifier: Apache-2.0 */
/* A body of POST /submit that is taken satisfies every bound of docs/limits.md, and its stored form
 * says the same as the body: submitted again, it has the same hash. */
#include "fuzz.h"
#include "json/json_write.h"
#include "submit_request.h"

#include <string.h>

static enum dic_code check_tag(void *context, struct dic_str name, const struct dic_json *value,
                               struct dic_err *err)
{
    struct dic_str text = {0};
    (void)context; /* nothing to keep, and nothing fails */
    (void)err;
    FUZZ_CHECK(name.len >= 1 && name.len <= DIC_MAX_TAG_NAME_BYTES);
    FUZZ_CHECK(dic_json_get_str(value, "tag", &text, NULL) == DIC_OK);
    FUZZ_CHECK(text.len <= DIC_MAX_TAG_VALUE_BYTES);
    return DIC_OK;
}

static void check_key(struct dic_str key)
{
    FUZZ_CHECK(key.len >= 1 && key.len <= DIC_MAX_KEY_BYTES && dic_fuzz_is_utf8(key));
    FUZZ_CHECK(memchr(key.ptr, '\0', key.len) == NULL);
}

static void check_globs(const struct dic_json *globs)
{
    for (size_t i = 0; globs != NULL && i < dic_json_size(globs); i++) {
        struct dic_str glob = {0};
        FUZZ_CHECK(i < DIC_MAX_GLOBS);
        FUZZ_CHECK(dic_json_get_str(dic_json_at(globs, i), "glob", &glob, NULL) == DIC_OK);
        FUZZ_CHECK(glob.len >= 1 && glob.len <= DIC_MAX_GLOB_BYTES);
    }
}

static void check_bounds(const struct dic_submit_request *request)
{
    const struct dic_job_params *params = &request->params;
    FUZZ_CHECK(params->top_k >= 1 && params->top_k <= DIC_MAX_TOP_K);
    FUZZ_CHECK(params->deadline_ms >= 0 && params->deadline_ms <= DIC_MAX_DEADLINE_S * 1000LL);
    FUZZ_CHECK(params->max_failures >= -1 && params->max_failures <= DIC_MAX_JOB_IMAGES);
    FUZZ_CHECK(params->confidence_threshold >= 0 && params->confidence_threshold <= 1);
    FUZZ_CHECK(dic_fuzz_is_json(params->spec_json));
    FUZZ_CHECK(strlen(request->hash) == 64);
    check_globs(request->include);
    check_globs(request->exclude);
    if (request->tags != NULL) {
        FUZZ_CHECK(dic_json_size(request->tags) <= DIC_MAX_TAGS);
        FUZZ_CHECK(dic_json_each(request->tags, check_tag, NULL, NULL) == DIC_OK);
    }
    if (params->source == DIC_SOURCE_KEYS) {
        FUZZ_CHECK(dic_json_size(request->keys) >= 1);
        FUZZ_CHECK(dic_json_size(request->keys) <= DIC_MAX_INLINE_KEYS);
        for (size_t i = 0; i < dic_json_size(request->keys); i++) {
            check_key(dic_submit_request_key(request, i));
        }
    } else if (params->source == DIC_SOURCE_MANIFEST) {
        check_key(request->manifest);
    } else if (request->prefix.len > 0) {
        check_key(request->prefix);
    }
}

/* The request in our own words: the stored form's members, and the rest. */
static void write_again(const struct dic_submit_request *request, struct dic_buf *out)
{
    struct dic_str spec = request->params.spec_json; /* {…} */
    struct dic_json_writer json = dic_json_writer(out);
    dic_json_begin_object(&json, NULL);
    dic_json_put_text(&json, "job_type", "image_classification");
    dic_json_put_int(&json, "top_k", request->params.top_k);
    if (request->params.deadline_ms > 0) {
        dic_json_put_int(&json, "deadline_seconds", request->params.deadline_ms / 1000);
    }
    if (request->params.max_failures >= 0) {
        dic_json_put_int(&json, "max_failures", request->params.max_failures);
    }
    if (request->keys != NULL) {
        dic_json_begin_array(&json, "s3_keys");
        for (size_t i = 0; i < dic_json_size(request->keys); i++) {
            dic_json_put_str(&json, NULL, dic_submit_request_key(request, i));
        }
        dic_json_end_array(&json);
    }
    dic_buf_printf(out, ",\"confidence_threshold\":%.17g", request->params.confidence_threshold);
    if (spec.len > 2) {
        dic_buf_append_byte(out, ',');
        dic_buf_append_str(out, dic_str_len(spec.ptr + 1, spec.len - 2));
    }
    dic_buf_append_byte(out, '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_submit_request_clean_up) struct dic_submit_request request;
    DIC_CLEANUP(dic_submit_request_clean_up) struct dic_submit_request again = {0};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    struct dic_err err = {0};
    dic_buf_init(&text, 1024 * 1024 + 8 * len);
    enum dic_code code = dic_submit_request_parse(dic_fuzz_view(bytes, len), &request, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        check_bounds(&request);
        write_again(&request, &text);
        code = dic_submit_request_parse(dic_buf_view(&text), &again, &err);
        FUZZ_CHECK(code == DIC_OK && strcmp(again.hash, request.hash) == 0);
    }
    return 0;
}
