/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same few requests for each of a job's segments, several at a time: a job of ten million
 * images has thousands, and one after the other they take the sum of their round trips. The
 * protocol has no order among segments. One ledger runs at most DIC_LEDGER_LANES_MAX threads for
 * this at a time, whoever asks; without a free one the caller's own does all. Any thread may call.
 */
#ifndef DIC_STORE_LEDGER_LANES_H
#define DIC_STORE_LEDGER_LANES_H

#include "base/err.h"

#include <stdint.h>

struct dic_ledger_lanes;

/* per_call: lanes of one call, the caller's thread among them; 1: all in the caller's thread, in
 * order. */
struct dic_ledger_lanes *dic_ledger_lanes_new(uint32_t per_call);
void dic_ledger_lanes_destroy(struct dic_ledger_lanes *lanes); /* NULL is fine */

/* Called by several threads at once, with different indexes. */
typedef enum dic_code (*dic_ledger_lane_work)(void *context, uint32_t index, struct dic_err *err);
/* work(context, i) for each i < count, in any order. Returns when all have returned. After a first
 * error, which is the result, no further one begins. */
DIC_MUST_USE enum dic_code dic_ledger_lanes_run(struct dic_ledger_lanes *lanes, uint32_t count,
                                                dic_ledger_lane_work work, void *context,
                                                struct dic_err *err);

#endif
