/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a result, as /result serves it: written once by the worker, then only spliced. */
#ifndef DIC_ML_RESULT_ROW_H
#define DIC_ML_RESULT_ROW_H

#include "base/buf.h"
#include "job/job.h"
#include "model_spec.h"
#include "pipeline.h"

/* What a row says beside the task's outcome. */
struct dic_row_context {
    int64_t index; /* of the image in its job */
    struct dic_image image;
    double confidence_threshold;
    const struct dic_model_spec *model;
};

/*
 * {"index","s3_key","id"?,"label","confidence","partial"?,"predictions":[{"label","class_index",
 * "confidence"}]} or {"index","s3_key","id"?,"error":{"code","message","retryable"}}, and '\n'.
 * Predictions are those of the task that reach the threshold; label is the first one's, or
 * "unknown" with confidence null when none does. Returns the class index of label, or −1.
 */
int64_t dic_row_write(struct dic_buf *out, const struct dic_row_context *context,
                      const struct dic_task *task);

#endif
