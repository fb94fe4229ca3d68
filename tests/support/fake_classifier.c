/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the inference library in sanitizer builds: that library is not instrumented, and
 * one of its parts loads others in a way that AddressSanitizer refuses. Scores depend on the
 * tensor, so that a mix-up of pictures would show.
 */
#include "classifier_openvino.h"

#include "base/mem.h"

#include <math.h>

struct fake {
    const struct dic_model_spec *spec;
};

static enum dic_code infer(void *impl, uint32_t lane, const float *tensor, float *scores_out,
                           struct dic_err *err)
{
    const struct fake *fake = impl;
    size_t count = dic_tensor_bytes(&fake->spec->tensor) / sizeof(float);
    double sum = 0;
    (void)lane;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        sum += (double)tensor[i];
    }
    uint32_t best = (uint32_t)(fabs(sum) * 1000.0) % fake->spec->classes;
    for (uint32_t i = 0; i < fake->spec->classes; i++) {
        scores_out[i] = 0.4F / (float)fake->spec->classes;
    }
    scores_out[best] += 0.6F;
    return DIC_OK;
}

static void destroy(void *impl)
{
    dic_free(impl);
}

enum dic_code dic_classifier_openvino_new(const struct dic_model_spec *spec, uint32_t lanes,
                                          struct dic_classifier *classifier_out,
                                          struct dic_err *err)
{
    static const struct dic_classifier_ops ops = {infer, destroy};
    struct fake *fake = dic_calloc(1, sizeof *fake);
    (void)err;
    fake->spec = spec;
    *classifier_out = (struct dic_classifier){&ops, fake, lanes, spec->classes};
    return DIC_OK;
}
