/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the splits of split.h on a running pipeline: briefly at the start on a built-in photo
 * of 600×400 (about what ImageNet has), then for ever on the real pictures, by a thread that looks
 * four times a second.
 */
#ifndef DIC_ML_SPLIT_SEARCH_H
#define DIC_ML_SPLIT_SEARCH_H

#include "pipeline.h"
#include "split.h"

/* Takes about budget_ms, sets the pipeline to the best split and returns its index; logs the
 * table. Nobody else may use the pipeline meanwhile. */
uint32_t dic_split_probe(struct dic_pipeline *pipeline, const struct dic_split *splits,
                         uint32_t count, uint32_t budget_ms);

struct dic_split_search;

/* The pipeline is borrowed and must outlive the search. NULL when there is nothing to choose. */
struct dic_split_search *dic_split_search_start(struct dic_pipeline *pipeline,
                                                const struct dic_split *splits, uint32_t count,
                                                uint32_t holder);
void dic_split_search_stop(struct dic_split_search *search); /* NULL is fine */

#endif
