/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job store for tests of the worker and its planner: keeps a few jobs with their segments and
 * bookings as the port says, and lets the test look inside, fail an operation or hold it up. No
 * lists, no sweeping, no idempotency: those abort. Any thread may call.
 */
#ifndef DIC_FAKE_JOBS_H
#define DIC_FAKE_JOBS_H

#include "store/job_store.h"

enum dic_jobs_op {
    DIC_JOBS_GET,
    DIC_JOBS_BEGIN_PLAN,
    DIC_JOBS_GET_KEYS,
    DIC_JOBS_ADD_SEGMENT,
    DIC_JOBS_GET_CHUNK,
    DIC_JOBS_BOOK,
    DIC_JOBS_ROWS,
    DIC_JOBS_STOP,
    DIC_JOBS_SEAL,
    DIC_JOBS_OP_COUNT,
};

/* Other than DIC_OK: the operation does nothing and returns that. Called without a lock. */
typedef enum dic_code (*dic_jobs_hook)(void *context, enum dic_jobs_op op, const char *job_id,
                                       struct dic_err *err);

struct dic_fake_jobs;
struct dic_fake_jobs *dic_fake_jobs_new(void);
void dic_fake_jobs_destroy(struct dic_fake_jobs *jobs);
struct dic_job_store dic_fake_jobs_port(struct dic_fake_jobs *jobs);
void dic_fake_jobs_set_hook(struct dic_fake_jobs *jobs, dic_jobs_hook hook, void *context);
/* Says is_local; it still removes no message. Before anybody uses the port. */
void dic_fake_jobs_set_local(struct dic_fake_jobs *jobs);
uint32_t dic_fake_jobs_calls(struct dic_fake_jobs *jobs, enum dic_jobs_op op);

/* ---- making ---- */

/* ACCEPTED, without segments. keys: the list given to create, borrowed; spec_json too. */
void dic_fake_jobs_add(struct dic_fake_jobs *jobs, const struct dic_job_params *params,
                       struct dic_str keys, char id_out[DIC_ID_SIZE]);
/* As if so many segments existed already; the first ones cannot be looked at. */
void dic_fake_jobs_plan_from(struct dic_fake_jobs *jobs, const char *id, uint32_t segment,
                             const char *resume);
/* One segment of `chunks` chunks with these lines each; the job is then RUNNING. */
void dic_fake_jobs_add_chunks(struct dic_fake_jobs *jobs, const char *id, uint32_t chunks,
                              uint32_t images, struct dic_str lines);
/* What `rows` gives for this job: finished chunks from 0 on; borrowed. */
void dic_fake_jobs_set_rows(struct dic_fake_jobs *jobs, const char *id, const struct dic_rows *rows,
                            uint32_t count);
void dic_fake_jobs_set_state(struct dic_fake_jobs *jobs, const char *id, enum dic_job_state state);

/* ---- looking; views live until the destroy ---- */

enum dic_job_state dic_fake_jobs_state(struct dic_fake_jobs *jobs, const char *id);
struct dic_str dic_fake_jobs_reason(struct dic_fake_jobs *jobs, const char *id);
uint32_t dic_fake_jobs_segments(struct dic_fake_jobs *jobs, const char *id);
uint32_t dic_fake_jobs_chunks(struct dic_fake_jobs *jobs, const char *id);
struct dic_str dic_fake_jobs_resume(struct dic_fake_jobs *jobs, const char *id, uint32_t segment);
struct dic_chunk dic_fake_jobs_chunk(struct dic_fake_jobs *jobs, const char *id, uint32_t chunk);
/* The rows that were booked first, empty before. */
struct dic_str dic_fake_jobs_rows(struct dic_fake_jobs *jobs, const char *id, uint32_t chunk);
struct dic_job_totals dic_fake_jobs_totals(struct dic_fake_jobs *jobs, const char *id);
/* Blocks until the job has ended. */
void dic_fake_jobs_await_end(struct dic_fake_jobs *jobs, const char *id);
/* Blocks until an operation was called so often. */
void dic_fake_jobs_await_calls(struct dic_fake_jobs *jobs, enum dic_jobs_op op, uint32_t count);

#endif
