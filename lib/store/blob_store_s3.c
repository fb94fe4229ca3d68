/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blob_store_s3.h"

#include <string.h>

_Static_assert((int)DIC_ETAG_SIZE >= (int)DIC_S3_ETAG_SIZE, "an ETag must fit");

static enum dic_code check_key(struct dic_str key, struct dic_err *err)
{
    if (key.len < 1 || key.len > DIC_S3_MAX_KEY_BYTES) {
        return dic_fail(err, DIC_E_INVALID, "the key has %zu bytes, S3 takes 1 to %d", key.len,
                        DIC_S3_MAX_KEY_BYTES);
    }
    return DIC_OK;
}

static void take_info(const struct dic_s3_object *object, struct dic_blob_info *info_out)
{
    if (info_out != NULL) {
        info_out->size_bytes = object->size_bytes;
        memcpy(info_out->etag, object->etag, sizeof object->etag);
    }
}

static enum dic_code get(void *impl, struct dic_str key, int64_t max_bytes, struct dic_buf *out,
                         struct dic_blob_info *info_out, struct dic_err *err)
{
    struct dic_s3_object object;
    DIC_TRY(check_key(key, err));
    DIC_TRY(dic_s3_get(impl, key, max_bytes, out, &object, err));
    take_info(&object, info_out);
    return DIC_OK;
}

static enum dic_code get_range(void *impl, struct dic_str key, int64_t offset, int64_t len,
                               const char *etag, struct dic_buf *out, struct dic_err *err)
{
    DIC_TRY(check_key(key, err));
    return dic_s3_get_range(impl, key, offset, len, etag, out, err);
}

static enum dic_code head(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                          struct dic_err *err)
{
    struct dic_s3_object object;
    DIC_TRY(check_key(key, err));
    DIC_TRY(dic_s3_head(impl, key, &object, err));
    take_info(&object, info_out);
    return DIC_OK;
}

static enum dic_code put(void *impl, struct dic_str key, struct dic_str bytes, bool if_absent,
                         struct dic_err *err)
{
    DIC_TRY(check_key(key, err));
    return dic_s3_put(impl, key, bytes, if_absent, err);
}

static enum dic_code list(void *impl, struct dic_str prefix, struct dic_str after, uint32_t limit,
                          dic_blob_visit visit, void *context, bool *more_out, struct dic_err *err)
{
    const struct dic_s3_listing listing = {prefix, after, limit, visit, context};
    return dic_s3_list(impl, &listing, more_out, err);
}

static enum dic_code remove_object(void *impl, struct dic_str key, struct dic_err *err)
{
    DIC_TRY(check_key(key, err));
    return dic_s3_delete(impl, key, err);
}

static enum dic_code presign_put(void *impl, const struct dic_blob_upload *upload,
                                 struct dic_buf *url_out, uint32_t *expires_s_out,
                                 struct dic_err *err)
{
    const struct dic_s3_upload s3_upload = {
        .key = upload->key,
        .content_type = upload->content_type,
        .size_bytes = upload->size_bytes,
        .expires_s = upload->expires_s,
    };
    DIC_TRY(check_key(upload->key, err));
    return dic_s3_presign_put(impl, &s3_upload, url_out, expires_s_out, err);
}

static void destroy(void *impl)
{
    dic_s3_bucket_destroy(impl);
}

enum dic_code dic_blob_store_s3_new(const struct dic_s3_options *options,
                                    struct dic_blob_store *store_out, struct dic_err *err)
{
    static const struct dic_blob_store_ops ops = {
        .get = get,
        .get_range = get_range,
        .head = head,
        .put = put,
        .list = list,
        .remove = remove_object,
        .presign_put = presign_put,
        .destroy = destroy,
    };
    struct dic_s3_bucket *bucket = NULL;
    DIC_TRY(dic_s3_bucket_new(options, &bucket, err));
    *store_out = (struct dic_blob_store){&ops, bucket};
    return DIC_OK;
}
