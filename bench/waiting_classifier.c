/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the inference library in bench/aws_load: an image takes a lane LATENCY_MS and no
 * CPU. What the programs use then is fetching, decoding and booking, and several workers on one
 * machine are not held back by its few CPUs.
 */
#include "classifier_openvino.h"

#include "base/clock.h"

#include <string.h>

enum { LATENCY_MS = 10 };

static enum dic_code infer(void *impl, uint32_t lane, const float *tensor, float *scores_out,
                           struct dic_err *err)
{
    const struct dic_model_spec *spec = impl;
    (void)lane; /* the port's signature */
    (void)tensor;
    (void)err;
    dic_sleep_ms(LATENCY_MS);
    memset(scores_out, 0, spec->classes * sizeof *scores_out);
    scores_out[0] = 1;
    return DIC_OK;
}

static void destroy(void *impl)
{
    (void)impl; /* the spec is its owner's */
}

enum dic_code dic_classifier_openvino_new(const struct dic_model_spec *spec, uint32_t lanes,
                                          struct dic_classifier *classifier_out,
                                          struct dic_err *err)
{
    static const struct dic_classifier_ops ops = {infer, destroy};
    (void)err;
    *classifier_out = (struct dic_classifier){&ops, (void *)spec, lanes, spec->classes};
    return DIC_OK;
}
