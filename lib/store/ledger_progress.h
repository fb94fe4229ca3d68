/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of live jobs for GET /status: a segment that is full never changes and is read once; the
 * open ones are read again at most once a second a job, and less often the more there are. Holds
 * the jobs asked for last. Any thread may call.
 */
#ifndef DIC_STORE_LEDGER_PROGRESS_H
#define DIC_STORE_LEDGER_PROGRESS_H

#include "base/err.h"

#include <stdint.h>

struct dic_ledger;
struct dic_ledger_progress;
struct dic_ledger_sums;

struct dic_ledger_progress *dic_ledger_progress_new(void);
void dic_ledger_progress_destroy(struct dic_ledger_progress *progress);
DIC_MUST_USE enum dic_code dic_ledger_progress_get(struct dic_ledger *ledger, const char *job_id,
                                                   uint32_t segments, struct dic_ledger_sums *out,
                                                   struct dic_err *err);

#endif
