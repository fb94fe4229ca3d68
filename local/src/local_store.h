/* SPDX-License-Identifier: Apache-2.0 */
/* All of local mode's storage in one folder: jobs.sqlite, bucket/, results/, and a lock file. */
#ifndef DIC_LOCAL_LOCAL_STORE_H
#define DIC_LOCAL_LOCAL_STORE_H

#include "base/clock.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_local;

/* One process at a time: DIC_E_CONFLICT otherwise. clock is borrowed. */
DIC_MUST_USE enum dic_code dic_local_open(const char *data_dir, const struct dic_clock *clock,
                                          struct dic_local **local_out, struct dic_err *err);
void dic_local_close(struct dic_local *local); /* NULL is fine */

/* The ports; valid until the close. */
struct dic_job_store dic_local_jobs(const struct dic_local *local);
struct dic_job_queue dic_local_queue(const struct dic_local *local);
struct dic_blob_store dic_local_images(const struct dic_local *local);
struct dic_blob_store dic_local_results(const struct dic_local *local);

#endif
