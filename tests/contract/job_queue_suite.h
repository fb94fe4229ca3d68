/* SPDX-License-Identifier: Apache-2.0 */
/* What every queue promises; the same tests run on each adapter. */
#ifndef DIC_JOB_QUEUE_SUITE_H
#define DIC_JOB_QUEUE_SUITE_H

#include "store/job_queue.h"

/* Fresh and empty for each test; the adapter's test program defines all three. */
struct dic_job_queue dic_queue_suite_open(void);
void dic_queue_suite_close(struct dic_job_queue queue);
/* Lets time pass for the queue: moves its clock, or sleeps. */
void dic_queue_suite_pass(struct dic_job_queue queue, int64_t ms);

int dic_run_job_queue_suite(void);

#endif
