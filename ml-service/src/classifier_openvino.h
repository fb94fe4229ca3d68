/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inference port on OpenVINO's CPU plugin: one single-threaded compiled model for each lane (see
 * docs/adr: two lanes of one thread are faster than one of two). The first lane is compiled by the
 * constructor, every further one by its own thread at its first use, so that the first result does
 * not wait for all of them.
 */
#ifndef DIC_ML_CLASSIFIER_OPENVINO_H
#define DIC_ML_CLASSIFIER_OPENVINO_H

#include "classifier.h"
#include "model_spec.h"

/* Checks the model's input and output against spec; an error names the field of model.json. spec is
 * borrowed and must outlive the classifier. */
DIC_MUST_USE enum dic_code dic_classifier_openvino_new(const struct dic_model_spec *spec,
                                                       uint32_t lanes,
                                                       struct dic_classifier *classifier_out,
                                                       struct dic_err *err);

#endif
