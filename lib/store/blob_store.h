/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: objects by key, as in S3. Two instances exist in a deployment: the image bucket (clients'
 * keys) and the result bucket (large manifests and shards, no request can name its keys).
 * All functions may be called from any thread and may block.
 * Errors: NOT_FOUND, DENIED, TOO_LARGE (over max_bytes), INVALID (a key this adapter cannot hold),
 * UPSTREAM (may work later), CONFLICT (put with if_absent, or etag changed).
 */
#ifndef DIC_STORE_BLOB_STORE_H
#define DIC_STORE_BLOB_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIC_ETAG_SIZE = 80 };

struct dic_blob_info {
    int64_t size_bytes;
    char etag[DIC_ETAG_SIZE]; /* changes when the content does; empty when unknown */
};

/* One object of a listing; the key is valid during the call. Return other than DIC_OK to stop. */
typedef enum dic_code (*dic_blob_visit)(void *context, struct dic_str key, int64_t size_bytes,
                                        struct dic_err *err);

/* An object that somebody without access is to store, by an HTTP PUT. */
struct dic_blob_upload {
    struct dic_str key;
    struct dic_str content_type;
    int64_t size_bytes;
    uint32_t expires_s; /* from now, at most */
};

struct dic_blob_store_ops {
    /* Appends the whole object to out, at most max_bytes. info_out may be NULL. */
    enum dic_code (*get)(void *impl, struct dic_str key, int64_t max_bytes, struct dic_buf *out,
                         struct dic_blob_info *info_out, struct dic_err *err);
    /* Appends up to len bytes from offset (fewer only at the end of the object). An etag that is
     * not NULL must match. */
    enum dic_code (*get_range)(void *impl, struct dic_str key, int64_t offset, int64_t len,
                               const char *etag, struct dic_buf *out, struct dic_err *err);
    enum dic_code (*head)(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                          struct dic_err *err);
    /* Durable when it returns. */
    enum dic_code (*put)(void *impl, struct dic_str key, struct dic_str bytes, bool if_absent,
                         struct dic_err *err);
    /* Keys that start with prefix and are greater than `after` (empty: from the first), in order
     * of their bytes, at most limit. *more_out tells whether there are further ones. */
    enum dic_code (*list)(void *impl, struct dic_str prefix, struct dic_str after, uint32_t limit,
                          dic_blob_visit visit, void *context, bool *more_out, struct dic_err *err);
    /* Of a key without an object: DIC_OK or NOT_FOUND, as the adapter finds it cheaper to tell. */
    enum dic_code (*remove)(void *impl, struct dic_str key, struct dic_err *err);
    /* NULL where the store is no server of its own. Appends a URL good for one PUT of exactly this
     * upload, with the headers Content-Type, Content-Length and If-None-Match: *, for
     * *expires_s_out seconds. */
    enum dic_code (*presign_put)(void *impl, const struct dic_blob_upload *upload,
                                 struct dic_buf *url_out, uint32_t *expires_s_out,
                                 struct dic_err *err);
    void (*destroy)(void *impl);
};

/* By value; the adapter behind impl is shared. */
struct dic_blob_store {
    const struct dic_blob_store_ops *ops;
    void *impl;
};

#endif
