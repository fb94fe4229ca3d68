/* SPDX-License-Identifier: Apache-2.0 */
/* The best classes of a model's scores. Pure functions. */
#ifndef DIC_ML_TOP_K_H
#define DIC_ML_TOP_K_H

#include "pipeline.h"

#include <stddef.h>

/* The k (≤ DIC_MAX_TOP_K) highest of count scores, best first, equal ones by lower index; returns
 * how many there are: k or count. Scores must be numbers. */
uint32_t dic_top_k(const float *scores, uint32_t count, uint32_t k, struct dic_prediction *out);

/* False when one of them is NaN or infinite: a broken model or a tensor out of its range. */
bool dic_scores_finite(const float *scores, uint32_t count);

/* Logits to probabilities, in place; exact for any finite logits. */
void dic_softmax(float *scores, uint32_t count);

#endif
