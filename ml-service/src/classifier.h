/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: inference. A classifier has lanes that run at the same time, each used by one thread at a
 * time; scores are probabilities (softmax applied where the model gives logits).
 */
#ifndef DIC_ML_CLASSIFIER_H
#define DIC_ML_CLASSIFIER_H

#include "base/err.h"

#include <stdint.h>

struct dic_classifier_ops {
    /* tensor as the model's tensor spec says, read until the call returns; scores_out has one value
     * for each class. */
    enum dic_code (*infer)(void *impl, uint32_t lane, const float *tensor, float *scores_out,
                           struct dic_err *err);
    void (*destroy)(void *impl);
};

struct dic_classifier {
    const struct dic_classifier_ops *ops;
    void *impl;
    uint32_t lanes;
    uint32_t classes;
};

#endif
