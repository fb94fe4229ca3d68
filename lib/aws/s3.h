/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of Amazon S3 that the project needs, typed (API Reference, version 2006-03-01). On
 * AWS's own endpoints a bucket is part of the host name when its name is a DNS label; with an
 * endpoint that was set, or another name, it stands in the path. Any thread may call, and blocks.
 *
 * Errors: NOT_FOUND (no such key), DENIED (403, or a key that encrypts it may not be used),
 * CONFLICT (a condition did not hold), TOO_LARGE, INVALID (a key that S3 cannot hold), BUSY,
 * TIMEOUT, UPSTREAM. A missing bucket and one of another region are UPSTREAM, not retryable, and
 * the message names bucket and regions: they are a deployment's fault and not an object's.
 */
#ifndef DIC_AWS_S3_H
#define DIC_AWS_S3_H

#include "aws/aws.h"

enum {
    DIC_S3_ETAG_SIZE = 80,
    DIC_S3_MAX_KEY_BYTES = 1024,
    DIC_S3_PAGE_KEYS = 1000,                  /* most of one ListObjectsV2 */
    DIC_S3_ONE_PUT_BYTES = 16 * 1024 * 1024,  /* larger objects are stored in parts */
    DIC_S3_PART_BYTES = 8 * 1024 * 1024,      /* S3 takes 5 MiB to 5 GiB, and 10,000 parts */
    DIC_S3_MAX_UPLOAD_SECONDS = 7 * 24 * 3600 /* of a presigned URL: SigV4's own bound */
};

struct dic_s3_bucket;

struct dic_s3_options {
    struct dic_aws *aws; /* borrowed */
    const char *bucket;
    const atomic_bool *cancel; /* NULL, or ends reads (never writes) when dic_aws_wake is called */
    void (*sleep_ms)(void *context, int64_t ms); /* NULL: dic_sleep_ms */
    void *sleep_context;
};
/* DIC_E_INVALID for what cannot be a bucket's name. Asks nobody. */
DIC_MUST_USE enum dic_code dic_s3_bucket_new(const struct dic_s3_options *options,
                                             struct dic_s3_bucket **out, struct dic_err *err);
void dic_s3_bucket_destroy(struct dic_s3_bucket *bucket); /* NULL is fine */

struct dic_s3_object {
    int64_t size_bytes;
    char etag[DIC_S3_ETAG_SIZE]; /* as S3 wrote it, with its quotes; empty when it gave none */
};

/* Appends the whole object, of at most max_bytes, as it is stored (Content-Encoding is not undone).
 * object_out may be NULL. */
DIC_MUST_USE enum dic_code dic_s3_get(struct dic_s3_bucket *bucket, struct dic_str key,
                                      int64_t max_bytes, struct dic_buf *out,
                                      struct dic_s3_object *object_out, struct dic_err *err);
/* Appends len bytes from offset, fewer only where the object ends. An etag that is not NULL must be
 * the object's: CONFLICT otherwise. */
DIC_MUST_USE enum dic_code dic_s3_get_range(struct dic_s3_bucket *bucket, struct dic_str key,
                                            int64_t offset, int64_t len, const char *etag,
                                            struct dic_buf *out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_s3_head(struct dic_s3_bucket *bucket, struct dic_str key,
                                       struct dic_s3_object *object_out, struct dic_err *err);
/* if_absent: CONFLICT when there is an object under the key that this very call did not write. */
DIC_MUST_USE enum dic_code dic_s3_put(struct dic_s3_bucket *bucket, struct dic_str key,
                                      struct dic_str bytes, bool if_absent, struct dic_err *err);
/* A key without an object is no error. */
DIC_MUST_USE enum dic_code dic_s3_delete(struct dic_s3_bucket *bucket, struct dic_str key,
                                         struct dic_err *err);

/* One object of a listing; the key is valid during the call. Return other than DIC_OK to stop. */
typedef enum dic_code (*dic_s3_visit)(void *context, struct dic_str key, int64_t size_bytes,
                                      struct dic_err *err);
struct dic_s3_listing {
    struct dic_str prefix;
    struct dic_str after; /* only greater keys; empty: from the first */
    uint32_t max_keys;    /* as many pages as it takes */
    dic_s3_visit visit;
    void *context;
};
/* In the order of the keys' bytes; an answer in another order is UPSTREAM. *more_out: there are
 * keys beyond the last one visited. */
DIC_MUST_USE enum dic_code dic_s3_list(struct dic_s3_bucket *bucket,
                                       const struct dic_s3_listing *listing, bool *more_out,
                                       struct dic_err *err);

/* For somebody without credentials to store one object, once, until it expires. The PUT must have
 * exactly these: Content-Type, Content-Length (size_bytes), If-None-Match: *. */
struct dic_s3_upload {
    struct dic_str key;
    struct dic_str content_type;
    int64_t size_bytes;
    uint32_t expires_s; /* at most, 1 to DIC_S3_MAX_UPLOAD_SECONDS: credentials may end before */
};
/* *expires_s_out: how long it is good for indeed. */
DIC_MUST_USE enum dic_code dic_s3_presign_put(struct dic_s3_bucket *bucket,
                                              const struct dic_s3_upload *upload,
                                              struct dic_buf *url_out, uint32_t *expires_s_out,
                                              struct dic_err *err);

#endif
