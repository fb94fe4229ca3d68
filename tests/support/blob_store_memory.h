/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blob store port in memory: takes every key that S3 takes, in S3's order. Any thread may
 * call. A hook sees each operation before it happens: it can fail it, or hold it up.
 */
#ifndef DIC_BLOB_STORE_MEMORY_H
#define DIC_BLOB_STORE_MEMORY_H

#include "store/blob_store.h"

enum dic_blob_op {
    DIC_BLOB_GET,
    DIC_BLOB_GET_RANGE,
    DIC_BLOB_HEAD,
    DIC_BLOB_PUT,
    DIC_BLOB_LIST, /* key is the prefix */
    DIC_BLOB_REMOVE,
};

/* Other than DIC_OK: the operation does nothing and returns that. Called without a lock, so it may
 * block, and may use the store. */
typedef enum dic_code (*dic_blob_hook)(void *context, enum dic_blob_op op, struct dic_str key,
                                       struct dic_err *err);

/* The caller ends it with ops->destroy. */
struct dic_blob_store dic_blob_store_memory_new(void);
/* NULL: none. To be set while nobody else uses the store. */
void dic_blob_store_memory_set_hook(struct dic_blob_store store, dic_blob_hook hook, void *context);
/* How often an operation was called, failed ones included. */
uint32_t dic_blob_store_memory_calls(struct dic_blob_store store, enum dic_blob_op op);

#endif
