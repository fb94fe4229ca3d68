/* SPDX-License-Identifier: Apache-2.0 */
/* Listing of a folder tree in the byte order of full keys, as S3 lists. */
#ifndef DIC_LOCAL_BLOB_LIST_H
#define DIC_LOCAL_BLOB_LIST_H

#include "store/blob_store.h"

/* Files being written have names that start with this; listings leave them out. */
#define DIC_BLOB_TEMPORARY ".dic-tmp-"

/* See dic_blob_store_ops.list. Symbolic links and special files are passed over. */
DIC_MUST_USE enum dic_code dic_blob_list(int root_fd, struct dic_str prefix, struct dic_str after,
                                         uint32_t limit, dic_blob_visit visit, void *context,
                                         bool *more_out, struct dic_err *err);

#endif
