/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger over the adapters in memory, on a clock that stands still, with what its own tests
 * ask: which requests were made, and what becomes of messages. The hooks are the test's, to be set
 * while nothing runs.
 */
#ifndef DIC_LEDGER_RIG_H
#define DIC_LEDGER_RIG_H

#include "fake_clock.h"
#include "job_queue_memory.h"
#include "store/job_store_ledger.h"
#include "table_memory.h"

enum { DIC_RIG_HASH_SIZE = 16 };

struct dic_ledger_rig {
    struct dic_fake_clock *clock;
    struct dic_table table;
    struct dic_job_queue queue;
    struct dic_blob_store results; /* in memory: blob_store_memory.h counts its calls */
    struct dic_job_store jobs;
    /* Decides about each operation on the table; NULL: all go on. */
    enum dic_table_fault (*decide)(void *context, const char *op, struct dic_str pk);
    void *context;
};

/* lanes as in struct dic_ledger_options. */
struct dic_ledger_rig *dic_ledger_rig_new(uint32_t lanes);
void dic_ledger_rig_destroy(struct dic_ledger_rig *rig);

/* Submits a list of `images` keys as a backend would that cuts chunks of chunk_images: as one
 * segment where it fits one, else for a planner. key: idempotency key; empty: none. */
enum dic_code dic_ledger_rig_submit(struct dic_ledger_rig *rig, uint32_t images,
                                    uint32_t chunk_images, const char *key,
                                    char id_out[DIC_ID_SIZE], struct dic_err *err);
/* A job of a prefix that was planned: `segments` full ones of one image a chunk, the last one with
 * last_chunks. */
void dic_ledger_rig_plan(struct dic_ledger_rig *rig, uint32_t segments, uint32_t last_chunks,
                         int64_t max_failures, char id_out[DIC_ID_SIZE]);
/* Books a chunk of so many images, each with the label "cat" or failed. */
enum dic_book_result dic_ledger_rig_book(struct dic_ledger_rig *rig, const char *job_id,
                                         uint32_t chunk, uint32_t images, uint32_t failed);
/* The job; its texts are cut off. */
struct dic_job dic_ledger_rig_get(struct dic_ledger_rig *rig, const char *job_id);
/* Takes all messages that there are. Those of kind CHUNK are counted for each chunk below
 * `chunks` in counts (NULL: not). Returns how many there were. */
uint32_t dic_ledger_rig_take(struct dic_ledger_rig *rig, uint32_t *counts, uint32_t chunks);

#endif
