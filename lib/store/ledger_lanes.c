/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger_lanes.h"

#include "base/mem.h"
#include "base/thread.h"
#include "store/job_store_ledger.h"

struct dic_ledger_lanes {
    uint32_t per_call;
    pthread_mutex_t lock; /* guards free */
    uint32_t free;        /* threads that may still be started */
};

struct run {
    dic_ledger_lane_work work;
    void *context;
    uint32_t count;
    pthread_mutex_t lock; /* guards what follows */
    uint32_t next;
    enum dic_code code; /* the first that was not DIC_OK, and its error */
    struct dic_err err;
};

struct dic_ledger_lanes *dic_ledger_lanes_new(uint32_t per_call)
{
    struct dic_ledger_lanes *lanes = dic_calloc(1, sizeof *lanes);
    lanes->per_call = per_call < DIC_LEDGER_LANES_MAX ? per_call : DIC_LEDGER_LANES_MAX;
    lanes->free = DIC_LEDGER_LANES_MAX;
    dic_mutex_init(&lanes->lock);
    return lanes;
}

void dic_ledger_lanes_destroy(struct dic_ledger_lanes *lanes)
{
    if (lanes != NULL) {
        pthread_mutex_destroy(&lanes->lock);
        dic_free(lanes);
    }
}

static bool next_of(struct run *run, uint32_t *index_out)
{
    DIC_GUARD(&run->lock);
    if (run->code != DIC_OK || run->next == run->count) {
        return false;
    }
    *index_out = run->next++;
    return true;
}

static void note_failure(struct run *run, enum dic_code code, const struct dic_err *err)
{
    DIC_GUARD(&run->lock);
    if (run->code == DIC_OK) {
        run->code = code;
        run->err = *err;
    }
}

static void *lane(void *arg)
{
    struct run *run = arg;
    uint32_t index = 0;
    while (next_of(run, &index)) {
        struct dic_err err = {0};
        enum dic_code code = run->work(run->context, index, &err);
        if (code != DIC_OK) {
            note_failure(run, code, &err);
        }
    }
    return NULL;
}

/* Threads besides the caller's. */
static uint32_t take_threads(struct dic_ledger_lanes *lanes, uint32_t count)
{
    uint32_t wanted = count < lanes->per_call ? count : lanes->per_call;
    wanted = wanted > 0 ? wanted - 1 : 0;
    DIC_GUARD(&lanes->lock);
    wanted = wanted < lanes->free ? wanted : lanes->free;
    lanes->free -= wanted;
    return wanted;
}

static void give_threads_back(struct dic_ledger_lanes *lanes, uint32_t count)
{
    DIC_GUARD(&lanes->lock);
    lanes->free += count;
}

enum dic_code dic_ledger_lanes_run(struct dic_ledger_lanes *lanes, uint32_t count,
                                   dic_ledger_lane_work work, void *context, struct dic_err *err)
{
    struct run run = {.work = work, .context = context, .count = count};
    pthread_t threads[DIC_LEDGER_LANES_MAX];
    dic_mutex_init(&run.lock);
    const uint32_t started = take_threads(lanes, count);
    for (uint32_t i = 0; i < started; i++) {
        dic_thread_start(&threads[i], "ledger-lane", lane, &run);
    }
    lane(&run);
    for (uint32_t i = 0; i < started; i++) {
        dic_thread_join(threads[i]);
    }
    give_threads_back(lanes, started);
    pthread_mutex_destroy(&run.lock);
    if (run.code != DIC_OK && err != NULL) {
        *err = run.err;
    }
    return run.code;
}
