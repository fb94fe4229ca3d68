/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces that the parts of the SQLite job store share: inside transactions only. */
#ifndef DIC_LOCAL_JOB_ROWS_H
#define DIC_LOCAL_JOB_ROWS_H

#include "local_db.h"
#include "store/job_queue.h"
#include "store/job_store.h"

/* What most changes need to know of a job. */
struct dic_job_head {
    int64_t seq;
    enum dic_job_state state;
    int64_t images; /* −1 until planning has ended */
    int64_t planned_images;
    int64_t succeeded;
    int64_t failed;
    int64_t chunks;
    int64_t booked;
    int64_t segments;
    int64_t max_failures;
};

DIC_MUST_USE enum dic_code dic_job_head_read(struct dic_db_connection *connection,
                                             const char *job_id, struct dic_job_head *out,
                                             struct dic_err *err);
DIC_MUST_USE enum dic_code dic_job_set_state(struct dic_db_connection *connection, int64_t seq,
                                             enum dic_job_state state, struct dic_err *err);
/* RUNNING with all chunks booked becomes SUCCEEDED. */
DIC_MUST_USE enum dic_code dic_job_complete_if_done(struct dic_db_connection *connection,
                                                    const char *job_id, int64_t now_ms,
                                                    struct dic_err *err);
/* Ends a stopping job: skipped is what was never booked; its messages are removed. */
DIC_MUST_USE enum dic_code dic_job_seal_row(struct dic_db_connection *connection,
                                            const char *job_id, int64_t now_ms,
                                            struct dic_err *err);
DIC_MUST_USE enum dic_code dic_queue_put(struct dic_db_connection *connection, int64_t job_seq,
                                         const struct dic_message *message, int64_t now_ms,
                                         struct dic_err *err);
DIC_MUST_USE enum dic_code dic_queue_remove(struct dic_db_connection *connection,
                                            const char *receipt, int64_t *removed_out,
                                            struct dic_err *err);
/* Adds a segment's chunks and their messages; ends planning when it is the last one. */
DIC_MUST_USE enum dic_code dic_segment_insert(struct dic_db_connection *connection,
                                              const char *job_id,
                                              const struct dic_segment_plan *segment,
                                              int64_t now_ms, struct dic_err *err);
/* Removes jobs that ended at before_ms or earlier, and idempotency keys that are out of date. */
DIC_MUST_USE enum dic_code dic_job_remove_old(struct dic_local_db *db, int64_t now_ms,
                                              int64_t before_ms, uint32_t limit,
                                              uint32_t *removed_out, struct dic_err *err);

/* Parts of the port, by file. impl is the struct dic_local_db. */
enum dic_code dic_sqlite_create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                                enum dic_create_result *result_out, bool *sent_out,
                                struct dic_err *err);
enum dic_code dic_sqlite_add_segment(void *impl, const char *job_id,
                                     const struct dic_segment_plan *segment, bool *sent_out,
                                     struct dic_err *err);
enum dic_code dic_sqlite_begin_plan(void *impl, const char *job_id, uint32_t *segment_out,
                                    struct dic_buf *resume_out, struct dic_err *err);
enum dic_code dic_sqlite_book(void *impl, const char *job_id, const struct dic_booking *booking,
                              enum dic_book_result *result_out, struct dic_err *err);
enum dic_code dic_sqlite_stop(void *impl, const char *job_id, enum dic_job_state stop,
                              struct dic_str reason, struct dic_err *err);
enum dic_code dic_sqlite_fail_plan(void *impl, const char *job_id, uint32_t segment,
                                   struct dic_str reason, struct dic_err *err);
enum dic_code dic_sqlite_seal(void *impl, const char *job_id, struct dic_err *err);
enum dic_code dic_sqlite_sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                               uint32_t *repaired_out, struct dic_err *err);

#endif
