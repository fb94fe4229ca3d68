/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on the ledger, in memory: the protocol that runs on AWS. */
#include "job_store_suite.h"

#include "base/mem.h"
#include "blob_store_memory.h"
#include "job_queue_memory.h"
#include "store/job_store_ledger.h"
#include "table_memory.h"

enum { RETENTION_MS = 60000 };

struct opened {
    struct dic_store_under_test store; /* first: the suite hands it back */
    struct dic_fake_clock *clock;
    struct dic_table table;
    struct dic_blob_store results;
};

struct dic_store_under_test *dic_suite_open(void)
{
    struct opened *opened = dic_calloc(1, sizeof *opened);
    const struct dic_table_memory_hook no_hook = {0};
    opened->clock = dic_fake_clock_new();
    opened->results = dic_blob_store_memory_new();
    opened->store.queue = dic_job_queue_memory_new(NULL);
    dic_table_memory_new(no_hook, &opened->table);
    const struct dic_ledger_options options = {
        .table = opened->table,
        .queue = opened->store.queue,
        .results = opened->results,
        .clock = dic_fake_clock_port(opened->clock),
        .retention_ms = RETENTION_MS,
    };
    opened->store.jobs = dic_job_store_ledger_new(&options);
    return &opened->store;
}

void dic_suite_close(struct dic_store_under_test *store)
{
    struct opened *opened = (struct opened *)store;
    store->jobs.ops->destroy(store->jobs.impl);
    store->queue.ops->destroy(store->queue.impl);
    opened->results.ops->destroy(opened->results.impl);
    opened->table.ops->destroy(opened->table.impl);
    dic_fake_clock_destroy(opened->clock);
    dic_free(opened);
}

void dic_suite_pass(struct dic_store_under_test *store, int64_t ms)
{
    dic_fake_clock_advance_ms(((struct opened *)store)->clock, ms);
}

int main(void)
{
    return dic_run_job_store_suite();
}
