/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that calls the job store's sweep again and again, at a jittered interval. */
#ifndef DIC_BACKEND_SWEEPER_H
#define DIC_BACKEND_SWEEPER_H

#include "base/clock.h"
#include "store/job_store.h"

struct dic_sweeper;

struct dic_sweeper_options {
    struct dic_job_store jobs;
    const struct dic_clock *clock;
    uint32_t interval_ms;
    int64_t retention_ms;
};

struct dic_sweeper *dic_sweeper_start(const struct dic_sweeper_options *options);
void dic_sweeper_stop(struct dic_sweeper *sweeper); /* ends and frees it; NULL is fine */

#endif
