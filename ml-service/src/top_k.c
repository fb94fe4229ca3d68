/* SPDX-License-Identifier: Apache-2.0 */
#include "top_k.h"

#include <math.h>

/* k is small: a sorted array beats a heap, and most scores fail the first comparison. */
uint32_t dic_top_k(const float *scores, uint32_t count, uint32_t k, struct dic_prediction *out)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (found == k && (k == 0 || scores[i] <= out[k - 1].confidence)) {
            continue;
        }
        uint32_t at = found < k ? found++ : k - 1;
        while (at > 0 && out[at - 1].confidence < scores[i]) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = (struct dic_prediction){.class_index = i, .confidence = scores[i]};
    }
    return found;
}

bool dic_scores_finite(const float *scores, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!isfinite(scores[i])) {
            return false;
        }
    }
    return true;
}

void dic_softmax(float *scores, uint32_t count)
{
    float highest = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        highest = scores[i] > highest ? scores[i] : highest;
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = expf(scores[i] - highest); /* ≤ 1: cannot overflow */
        sum += (double)scores[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = (float)((double)scores[i] / sum);
    }
}
