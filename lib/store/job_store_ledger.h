/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job store on conditional writes of single items: what runs on AWS, and in tests in memory.
 * docs/protocol.md is its protocol; every step there is a function here. Sends its own messages.
 * Any thread may call.
 */
#ifndef DIC_STORE_JOB_STORE_LEDGER_H
#define DIC_STORE_JOB_STORE_LEDGER_H

#include "base/clock.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"
#include "store/table.h"

enum {
    DIC_LEDGER_LOOK_MS = 60000,
    DIC_LEDGER_LANES = 16,
    DIC_LEDGER_LANES_MAX = 64,
};

struct dic_ledger_options {
    struct dic_table table;        /* these four are borrowed */
    struct dic_job_queue queue;    /* where messages are sent; receiving is the worker's */
    struct dic_blob_store results; /* manifests, shards, labels: a bucket no request can name */
    const struct dic_clock *clock;
    int64_t retention_ms; /* of ended jobs; their items' ttl is set when they end */
    int64_t look_ms;      /* the sweeper looks at a live job so often; 0: DIC_LEDGER_LOOK_MS */
    uint32_t lanes;      /* requests that the end of one job makes at a time; 0: DIC_LEDGER_LANES */
    bool resends_always; /* the sweeper does not wait for the queue to be empty (for tests) */
};

struct dic_job_store dic_job_store_ledger_new(const struct dic_ledger_options *options);

#endif
