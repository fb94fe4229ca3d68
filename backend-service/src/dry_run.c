/* SPDX-License-Identifier: Apache-2.0 */
#include "dry_run.h"

#include "api_common.h"

enum { MAX_HEADS = 100, MAX_LISTED = 100000, PAGE_KEYS = 1000, IMAGES_PER_SECOND = 100 };

struct count {
    int64_t images;  /* −1: not known */
    int64_t bytes;   /* −1: not known */
    int64_t sampled; /* objects that were looked at */
    int64_t missing; /* of those */
    bool is_estimate;
};

static bool any_matches(const struct dic_json *globs, struct dic_str key)
{
    for (size_t i = 0; i < dic_json_size(globs); i++) {
        struct dic_str glob = {0};
        if (dic_json_get_str(dic_json_at(globs, i), "glob", &glob, NULL) == DIC_OK &&
            dic_glob_match(glob, key)) {
            return true;
        }
    }
    return false;
}

struct listing {
    const struct dic_submit_request *body;
    struct count *count;
    struct dic_buf last;
};

static enum dic_code count_object(void *context, struct dic_str key, int64_t size_bytes,
                                  struct dic_err *err)
{
    struct listing *listing = context;
    const struct dic_submit_request *body = listing->body;
    bool included = body->include == NULL || dic_json_size(body->include) == 0 ||
                    any_matches(body->include, key);
    bool excluded = body->exclude != NULL && any_matches(body->exclude, key);
    listing->count->sampled++;
    if (included && !excluded && key.ptr[key.len - 1] != '/') {
        listing->count->images++;
        listing->count->bytes += size_bytes;
    }
    dic_buf_clear(&listing->last);
    dic_buf_append_str(&listing->last, key);
    return dic_buf_check(&listing->last, err);
}

static enum dic_code count_prefix(struct dic_api *api, const struct dic_submit_request *body,
                                  struct count *count, struct dic_err *err)
{
    struct listing listing = {.body = body, .count = count};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf from;
    enum dic_code code = DIC_OK;
    bool more = true;
    dic_buf_init(&from, DIC_MAX_KEY_BYTES * 4);
    dic_buf_init(&listing.last, DIC_MAX_KEY_BYTES * 4);
    while (code == DIC_OK && more && count->sampled < MAX_LISTED) {
        dic_buf_clear(&from);
        dic_buf_append_str(&from, dic_buf_view(&listing.last));
        code = api->images.ops->list(api->images.impl, body->prefix, dic_buf_view(&from), PAGE_KEYS,
                                     count_object, &listing, &more, err);
    }
    dic_buf_clean_up(&listing.last);
    count->is_estimate = more;
    return code;
}

/* Of a long list a sample, spread evenly from its first key on. */
static enum dic_code count_keys(struct dic_api *api, const struct dic_submit_request *body,
                                struct count *count, struct dic_err *err)
{
    size_t keys = dic_json_size(body->keys);
    size_t heads = keys < MAX_HEADS ? keys : MAX_HEADS;
    int64_t bytes = 0;
    for (size_t i = 0; i < heads; i++) {
        struct dic_blob_info info = {0};
        struct dic_str key = dic_submit_request_key(body, i * keys / heads);
        enum dic_code code = api->images.ops->head(api->images.impl, key, &info, err);
        if (code != DIC_OK && code != DIC_E_NOT_FOUND && code != DIC_E_DENIED &&
            code != DIC_E_INVALID) {
            return code; /* says nothing of the image */
        }
        count->missing += code != DIC_OK;
        bytes += code == DIC_OK ? info.size_bytes : 0;
    }
    count->sampled = (int64_t)heads;
    count->images = (int64_t)keys;
    count->is_estimate = count->sampled < count->images;
    count->bytes = (int64_t)((double)bytes * (double)keys / (double)heads);
    return DIC_OK;
}

/* How many lines a manifest has is not known without reading it. */
static enum dic_code count_manifest(struct dic_api *api, const struct dic_submit_request *body,
                                    struct count *count, struct dic_err *err)
{
    struct dic_blob_info info = {0};
    enum dic_code code = api->images.ops->head(api->images.impl, body->manifest, &info, err);
    if (code == DIC_E_NOT_FOUND) {
        return dic_fail_field(err, DIC_E_INVALID, "manifest_s3_key",
                              "there is no manifest under this key");
    }
    *count = (struct count){.images = -1, .bytes = -1, .sampled = 1, .is_estimate = true};
    return code;
}

static void write_count(struct dic_api *api, const struct count *count,
                        struct dic_response *response)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_bool(&writer, "dry_run", true);
    dic_json_put_int_or_null(&writer, "total_images", count->images);
    dic_json_put_int(&writer, "sampled", count->sampled);
    dic_json_put_int(&writer, "missing", count->missing);
    dic_json_put_bool(&writer, "is_estimate", count->is_estimate);
    dic_json_put_int_or_null(&writer, "estimated_bytes", count->bytes);
    if (count->images < 0) {
        dic_json_put_null(&writer, "estimated_cost_usd");
        dic_json_put_null(&writer, "estimated_seconds");
    } else {
        dic_json_put_real(&writer, "estimated_cost_usd",
                          (double)count->images * api->usd_per_million_images / 1e6, 6);
        /* One worker of two cores; docs/benchmarks.md has measured rates. */
        dic_json_put_int(&writer, "estimated_seconds",
                         (count->images + IMAGES_PER_SECOND - 1) / IMAGES_PER_SECOND);
    }
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
}

static enum dic_code count_images(struct dic_api *api, const struct dic_submit_request *body,
                                  struct count *count, struct dic_err *err)
{
    switch (body->params.source) {
    case DIC_SOURCE_KEYS:
        return count_keys(api, body, count, err);
    case DIC_SOURCE_PREFIX:
        return count_prefix(api, body, count, err);
    case DIC_SOURCE_MANIFEST:
        return count_manifest(api, body, count, err);
    case DIC_SOURCE_RETRY:
    default:
        return dic_fail(err, DIC_E_INTERNAL, "a submitted job has no such source");
    }
}

enum dic_code dic_dry_run(struct dic_api *api, const struct dic_submit_request *body,
                          struct dic_response *response, struct dic_err *err)
{
    struct count count = {0};
    DIC_TRY(count_images(api, body, &count, err));
    dic_api_json(response, 200);
    write_count(api, &count, response);
    return DIC_OK;
}
