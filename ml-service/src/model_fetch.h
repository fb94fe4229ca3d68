/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model out of a bucket: model.json, then the files it names, each whole and of one version (all
 * reads of a file ask for the ETag that its size came with). What may work later is tried again,
 * with waits of half a second to eight, until DIC_MODEL_PATIENCE_S pass without a byte.
 */
#ifndef DIC_ML_MODEL_FETCH_H
#define DIC_ML_MODEL_FETCH_H

#include "base/clock.h"
#include "model_files.h"
#include "model_uri.h"
#include "store/blob_store.h"

/* All files together. They are held in memory, so a task needs more than the model's size. */
#define DIC_MODEL_TOTAL_BYTES ((int64_t)2 * 1024 * 1024 * 1024)

enum {
    DIC_MODEL_PIECE_BYTES = 8 * 1024 * 1024, /* of one read */
    DIC_MODEL_PATIENCE_S = 60,
    DIC_MODEL_FETCH_S = 600, /* in all */
};

struct dic_model_fetch_options {
    struct dic_blob_store store; /* the bucket */
    const struct dic_model_uri *uri;
    const struct dic_model_files *files; /* filled */
    const struct dic_clock *clock;
    void (*sleep_ms)(void *context, int64_t ms); /* NULL: dic_sleep_ms */
    void *sleep_context;
};

/* "s3://bucket/folder", the origin of the files; the caller frees it. */
char *dic_model_fetch_origin(const struct dic_model_uri *uri);
/* An error's message begins with the object's URI. One log line a file, with its ETag. The contents
 * are judged by dic_model_spec_read_files. */
DIC_MUST_USE enum dic_code dic_model_fetch(const struct dic_model_fetch_options *options,
                                           struct dic_err *err);

#endif
