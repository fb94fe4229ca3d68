/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.json and the labels of a model, from a folder or fetched into memory, checked: every
 * failure names the file and the field. Immutable once read; any thread may use it.
 */
#ifndef DIC_ML_MODEL_SPEC_H
#define DIC_ML_MODEL_SPEC_H

#include "base/err.h"
#include "base/str.h"
#include "model_files.h"
#include "tensor_spec.h"

#include <stdint.h>

enum {
    DIC_MODEL_JSON_BYTES = 64 * 1024,
    DIC_MODEL_LABELS_BYTES = 64 * 1024 * 1024,
    DIC_MODEL_NAME_BYTES = 200, /* of a file, and of each text of model.json */
};

struct dic_model_spec {
    char *name;
    char *version;
    char *model_path;   /* to open: .xml or .onnx */
    char *model_origin; /* the same for messages: where it came from */
    char *weights_path; /* NULL for ONNX */
    char *input_name;
    char *output_name;
    char *sha256; /* of the model file named in model.json (weights where there are any), 64 hex */
    bool logits;  /* softmax is ours to apply */
    struct dic_tensor_spec tensor;
    uint32_t classes;
    struct dic_str *labels; /* classes of them */
    char *labels_text;
    char *summary_json; /* {"name":…,"version":…,"sha256":…}, as it stands in every result */
};

/* Verifies the sha256 of each file that model.json states. Labels: one a line, 1 to 256 bytes of
 * UTF-8; their count must equal output.classes. */
DIC_MUST_USE enum dic_code dic_model_spec_read(const char *folder, struct dic_model_spec **spec_out,
                                               struct dic_err *err);
/* The same for files that were fetched; they must stay open while they are opened by path. */
DIC_MUST_USE enum dic_code dic_model_spec_read_files(const struct dic_model_files *files,
                                                     struct dic_model_spec **spec_out,
                                                     struct dic_err *err);
void dic_model_spec_destroy(struct dic_model_spec *spec); /* NULL is fine */

/* What model.json calls its files: names in its own folder, never paths. */
struct dic_model_names {
    char of[DIC_MODEL_FILE_COUNT][DIC_MODEL_NAME_BYTES + 1]; /* empty: there is none */
};
/* origin is the folder, for messages. */
DIC_MUST_USE enum dic_code dic_model_names_read(const char *origin, struct dic_str json,
                                                struct dic_model_names *out, struct dic_err *err);

#endif
