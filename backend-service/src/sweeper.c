/* SPDX-License-Identifier: Apache-2.0 */
#include "sweeper.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/ticker.h"

enum { JOBS_A_ROUND = 100 };

struct dic_sweeper {
    struct dic_sweeper_options options;
    struct dic_ticker ticker;
};

static void sweep_once(const struct dic_sweeper *sweeper)
{
    const struct dic_job_store *jobs = &sweeper->options.jobs;
    uint32_t repaired = 0;
    struct dic_err err = {0};
    enum dic_code code =
        jobs->ops->sweep(jobs->impl, dic_clock_wall_ms(sweeper->options.clock),
                         sweeper->options.retention_ms, JOBS_A_ROUND, &repaired, &err);
    if (code != DIC_OK) {
        dic_log_message(DIC_LOG_WARN, "sweep_failed", "%s", err.msg);
    } else if (repaired > 0) {
        dic_log_message(DIC_LOG_INFO, "swept", "%u jobs or messages", repaired);
    }
}

/* Between 75 % and 125 % of the interval, so that many backends do not sweep in step. */
static int64_t jittered(uint32_t interval_ms)
{
    return (int64_t)interval_ms * (int64_t)(75 + dic_rand_u64() % 51) / 100;
}

static void *sweep_loop(void *arg)
{
    struct dic_sweeper *sweeper = arg;
    while (dic_ticker_sleep(&sweeper->ticker, jittered(sweeper->options.interval_ms))) {
        sweep_once(sweeper);
    }
    return NULL;
}

struct dic_sweeper *dic_sweeper_start(const struct dic_sweeper_options *options)
{
    struct dic_sweeper *sweeper = dic_calloc(1, sizeof *sweeper);
    sweeper->options = *options;
    dic_ticker_start(&sweeper->ticker, "sweeper", sweep_loop, sweeper);
    return sweeper;
}

void dic_sweeper_stop(struct dic_sweeper *sweeper)
{
    if (sweeper == NULL) {
        return;
    }
    dic_ticker_stop(&sweeper->ticker);
    dic_free(sweeper);
}
