/* SPDX-License-Identifier: Apache-2.0 */
/* Listing of a folder tree in the byte order of full keys, as S3 lists. */
#ifndef DIC_LOCAL_BLOB_LIST_H
#define DIC_LOCAL_BLOB_LIST_H

#include "blob_names.h"
#include "store/blob_store.h"

struct dic_blob_listing {
    struct dic_str prefix;
    struct dic_str after;
    uint32_t limit;
    dic_blob_visit visit;
    void *context;
};

/*
 * See dic_blob_store_ops.list. Passed over are symbolic links, special files, folders that this
 * process may not read, and names that are no keys: not UTF-8, or over DIC_MAX_KEY_BYTES.
 */
DIC_MUST_USE enum dic_code dic_blob_list(struct dic_blob_names_cache *cache, int root_fd,
                                         const struct dic_blob_listing *listing, bool *more_out,
                                         struct dic_err *err);

#endif
