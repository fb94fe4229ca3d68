/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the splits of split.h on a running pipeline, by a thread: first on a built-in photo of
 * 600×400 (about what ImageNet has) while no work has come yet, then for ever on the real pictures,
 * four times a second.
 */
#ifndef DIC_ML_SPLIT_SEARCH_H
#define DIC_ML_SPLIT_SEARCH_H

#include "pipeline.h"
#include "split.h"

struct dic_split_search;

/*
 * Sets the pipeline to the first split, and returns at once. The photo is tried for about probe_ms
 * (0: not at all) and given up when the first task comes. The pipeline is borrowed and must outlive
 * the search. NULL when there is nothing to choose.
 */
struct dic_split_search *dic_split_search_start(struct dic_pipeline *pipeline,
                                                const struct dic_split *splits, uint32_t count,
                                                uint32_t probe_ms);
void dic_split_search_stop(struct dic_split_search *search); /* NULL is fine */

#endif
