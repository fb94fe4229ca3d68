/* SPDX-License-Identifier: Apache-2.0 */
/* What every job store with its queue promises; the same tests run on each adapter. */
#ifndef DIC_JOB_STORE_SUITE_H
#define DIC_JOB_STORE_SUITE_H

#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_store_under_test {
    struct dic_job_store jobs;
    struct dic_job_queue queue;
};

/* Fresh and empty for each test; the adapter's test program defines these. */
struct dic_store_under_test *dic_suite_open(void);
void dic_suite_close(struct dic_store_under_test *store);
/* Lets time pass for the store; no-op where all that matters is the time given to sweep. */
void dic_suite_pass(struct dic_store_under_test *store, int64_t ms);

int dic_run_job_store_suite(void);

#endif
