/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_stages.h"

#include "decoder_pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECODERS_MAX = 64, SLOTS_MAX = 16, TENSOR_VALUES = 2 };

static struct dic_fake_stages *current;
static float tensors[DECODERS_MAX][SLOTS_MAX][TENSOR_VALUES];

void dic_fake_stages_init(struct dic_fake_stages *stages)
{
    memset(stages, 0, sizeof *stages);
    dic_gate_init(&stages->decode, DIC_GATE_OPEN);
    dic_gate_init(&stages->infer, DIC_GATE_OPEN);
    current = stages;
}

void dic_fake_stages_clean_up(struct dic_fake_stages *stages)
{
    current = NULL;
    dic_gate_clean_up(&stages->decode);
    dic_gate_clean_up(&stages->infer);
}

/* ---- in the place of decoder_pool.c ---- */

float *dic_decoder_pool_tensor(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot)
{
    (void)pool;
    return tensors[decoder][slot];
}

void dic_decoder_pool_decode(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot,
                             struct dic_str bytes, struct dic_image_report *report_out)
{
    (void)pool;
    *report_out = (struct dic_image_report){0};
    atomic_fetch_add(&current->decodes_begun, 1);
    atomic_fetch_add(&current->decoded_bytes, (unsigned)bytes.len);
    dic_gate_pass(&current->decode);
    float *tensor = tensors[decoder][slot];
    tensor[0] = (float)bytes.ptr[0];
    tensor[1] = bytes.len > 1 ? (float)((uint8_t)(bytes.ptr[1] - '0') % DIC_FAKE_CLASSES) : 0;
    report_out->partial = bytes.ptr[0] == 'p';
    if (bytes.ptr[0] == 'c') {
        report_out->error = DIC_ROW_CORRUPT_IMAGE;
        snprintf(report_out->message, sizeof report_out->message, "not a picture");
    }
}

/* ---- inference ---- */

static enum dic_code infer(void *impl, uint32_t lane, const float *tensor, float *scores_out,
                           struct dic_err *err)
{
    struct dic_fake_stages *stages = impl;
    if (lane >= DIC_FAKE_LANES_MAX) {
        abort();
    }
    if (atomic_exchange(&stages->lane_busy[lane], true)) {
        atomic_fetch_add(&stages->clashes, 1);
    }
    atomic_fetch_add(&stages->lane_runs[lane], 1);
    dic_gate_pass(&stages->infer);
    for (uint32_t i = 0; i < DIC_FAKE_CLASSES; i++) {
        scores_out[i] = 0.0625F;
    }
    scores_out[(uint32_t)tensor[1]] = tensor[0] == 'n' ? NAN : 0.4375F;
    enum dic_code code =
        tensor[0] == 'i' ? dic_fail(err, DIC_E_INTERNAL, "the model has no idea") : DIC_OK;
    atomic_store(&stages->lane_busy[lane], false);
    return code;
}

static void destroy(void *impl)
{
    (void)impl; /* the test's own */
}

struct dic_classifier dic_fake_stages_classifier(struct dic_fake_stages *stages, uint32_t lanes)
{
    static const struct dic_classifier_ops ops = {infer, destroy};
    return (struct dic_classifier){&ops, stages, lanes, DIC_FAKE_CLASSES};
}
