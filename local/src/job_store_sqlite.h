/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job store on SQLite. Every change is one transaction: jobs, chunks, result rows, counters and
 * queue messages move together, so nothing is ever to be repaired. db is borrowed by both.
 */
#ifndef DIC_LOCAL_JOB_STORE_SQLITE_H
#define DIC_LOCAL_JOB_STORE_SQLITE_H

#include "local_db.h"
#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_job_store dic_job_store_sqlite(struct dic_local_db *db);
struct dic_job_queue dic_job_queue_sqlite(struct dic_local_db *db);

#endif
