/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model that was fetched, held in memory: without names, without a place on a disk
 * (a task's root may be read-only), seen by this process and its children alone, and gone with
 * them, whatever ends them. They count as memory of the process. See docs/adr/0016.
 */
#ifndef DIC_ML_MODEL_FILES_H
#define DIC_ML_MODEL_FILES_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

enum dic_model_file {
    DIC_MODEL_JSON,
    DIC_MODEL_LABELS,
    DIC_MODEL_NETWORK, /* .xml or .onnx */
    DIC_MODEL_WEIGHTS,
    DIC_MODEL_FILE_COUNT,
};

struct dic_model_files {
    char *origin; /* the folder they are from, for messages: "s3://bucket/folder" */
    int fds[DIC_MODEL_FILE_COUNT];
};

/* Empty files; the origin is copied. */
DIC_MUST_USE enum dic_code dic_model_files_new(const char *origin, struct dic_model_files **out,
                                               struct dic_err *err);
void dic_model_files_destroy(struct dic_model_files *files); /* NULL is fine */

DIC_MUST_USE enum dic_code dic_model_files_write(const struct dic_model_files *files,
                                                 enum dic_model_file file, int64_t offset,
                                                 struct dic_str bytes, struct dic_err *err);
/* A path by which this process can open the file; the caller frees it. */
char *dic_model_files_path(const struct dic_model_files *files, enum dic_model_file file);

#endif
