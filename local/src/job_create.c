/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting a job, and planning it. */
#include "job_rows.h"
#include "schema.h"

#include "base/rand.h"

#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

struct create {
    const struct dic_new_job *job;
    char *id_out;
    enum dic_create_result *result_out;
};

/* Sets *found_out and the id when the idempotency key is known and still valid. */
static enum dic_code find_replay(struct dic_db_connection *connection, const struct create *create,
                                 bool *found_out, struct dic_err *err)
{
    const struct dic_new_job *job = create->job;
    sqlite3_stmt *row = NULL;
    *found_out = false;
    if (job->idempotency_key.len == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_db_bind(connection,
                        "SELECT job, hash FROM idempotency WHERE key=?1 AND expires_ms>?2", &row,
                        err, "ti", job->idempotency_key, job->created_ms));
    DIC_TRY(dic_db_step(connection, row, found_out, err));
    if (!*found_out) {
        return DIC_OK;
    }
    bool same = dic_str_eq(dic_db_text(row, 1), job->request_hash);
    struct dic_str id = dic_db_text(row, 0);
    memcpy(create->id_out, id.ptr, DIC_ID_LEN);
    create->id_out[DIC_ID_LEN] = '\0';
    sqlite3_reset(row);
    if (!same) {
        return dic_fail_field(err, DIC_E_INVALID, "Idempotency-Key",
                              "this Idempotency-Key was used for another request (job %s)",
                              create->id_out);
    }
    return DIC_OK;
}

static enum dic_code find_live_child(struct dic_db_connection *connection,
                                     const struct create *create, bool *found_out,
                                     struct dic_err *err)
{
    sqlite3_stmt *row = NULL;
    *found_out = false;
    if (create->job->retry_of.len == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id FROM job WHERE retry_of=?1 AND retry_of<>'' AND ended_ms=0",
                        &row, err, "t", create->job->retry_of));
    DIC_TRY(dic_db_step(connection, row, found_out, err));
    if (*found_out) {
        memcpy(create->id_out, dic_db_text(row, 0).ptr, DIC_ID_LEN);
        create->id_out[DIC_ID_LEN] = '\0';
    }
    sqlite3_reset(row);
    return DIC_OK;
}

static enum dic_code insert_job(struct dic_db_connection *connection, const struct create *create,
                                struct dic_err *err)
{
    const struct dic_new_job *job = create->job;
    const struct dic_job_params *params = &job->params;
    /* A number is used again only when nothing of its last job is left. */
    return dic_db_run(connection,
                      "INSERT INTO job(seq, id, state, source, top_k, threshold, deadline_ms,"
                      " max_failures, spec, images, created_ms, retry_of)"
                      " VALUES(1+max((SELECT coalesce(max(seq),0) FROM job),"
                      "  (SELECT coalesce(max(job_seq),0) FROM garbage)),"
                      " ?1,'ACCEPTED',?2,?3,?4,?5,?6,?7,?10,?8,?9)",
                      NULL, err, "siiriititi", create->id_out, (int64_t)params->source,
                      (int64_t)params->top_k, params->confidence_threshold, params->deadline_ms,
                      params->max_failures, params->spec_json, job->created_ms, job->retry_of,
                      job->images > 0 ? job->images : (int64_t)-1);
}

static enum dic_code insert_keys(struct dic_db_connection *connection, int64_t seq,
                                 struct dic_str keys, struct dic_err *err)
{
    int64_t piece = 0;
    while (keys.len > 0) {
        size_t len = keys.len < DIC_KEYS_PIECE_BYTES ? keys.len : DIC_KEYS_PIECE_BYTES;
        DIC_TRY(dic_db_run(connection, "INSERT INTO job_keys(key, bytes) VALUES(?1,?2)", NULL, err,
                           "ib", dic_row_key(seq, piece), dic_str_len(keys.ptr, len)));
        keys = dic_str_skip(keys, len);
        piece++;
    }
    return DIC_OK;
}

static enum dic_code insert_idempotency(struct dic_db_connection *connection,
                                        const struct create *create, struct dic_err *err)
{
    const struct dic_new_job *job = create->job;
    if (job->idempotency_key.len == 0) {
        return DIC_OK;
    }
    int64_t expires = job->created_ms + (int64_t)DIC_IDEMPOTENCY_HOURS * HOUR_MS;
    return dic_db_run(connection,
                      "INSERT INTO idempotency(key, job, hash, expires_ms) VALUES(?1,?2,?3,?4)"
                      " ON CONFLICT(key) DO UPDATE SET job=?2, hash=?3, expires_ms=?4",
                      NULL, err, "tsti", job->idempotency_key, create->id_out, job->request_hash,
                      expires);
}

static enum dic_code create_job(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    struct create *create = argument;
    const struct dic_new_job *job = create->job;
    bool found = false;
    *create->result_out = DIC_CREATE_REPLAYED;
    DIC_TRY(find_replay(connection, create, &found, err));
    if (!found) {
        DIC_TRY(find_live_child(connection, create, &found, err));
    }
    if (found) { /* a child found by its parent is what this key names from now on */
        return insert_idempotency(connection, create, err);
    }
    *create->result_out = DIC_CREATED;
    dic_rand_id(create->id_out);
    DIC_TRY(insert_job(connection, create, err));
    int64_t seq = dic_db_last_id(connection);
    DIC_TRY(insert_idempotency(connection, create, err));
    DIC_TRY(insert_keys(connection, seq, job->keys, err));
    if (job->segment != NULL) {
        return dic_segment_insert(connection, create->id_out, job->segment, job->created_ms, err);
    }
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    memcpy(message.job_id, create->id_out, DIC_ID_SIZE);
    return dic_queue_put(connection, seq, &message, job->created_ms, err);
}

enum dic_code dic_sqlite_create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                                enum dic_create_result *result_out, bool *sent_out,
                                struct dic_err *err)
{
    struct create create = {job, id_out, result_out};
    *sent_out = true;
    return dic_local_db_write(impl, create_job, &create, err);
}

/* ---- planning ---- */

struct plan {
    const char *job_id;
    const struct dic_segment_plan *segment;
    int64_t now_ms;
    uint32_t *segment_out;
    struct dic_buf *resume_out;
    size_t resume_start;
};

static enum dic_code add_segment(struct dic_db_connection *connection, void *argument,
                                 struct dic_err *err)
{
    struct plan *plan = argument;
    return dic_segment_insert(connection, plan->job_id, plan->segment, plan->now_ms, err);
}

enum dic_code dic_sqlite_add_segment(void *impl, const char *job_id,
                                     const struct dic_segment_plan *segment, bool *sent_out,
                                     struct dic_err *err)
{
    struct plan plan = {
        .job_id = job_id,
        .segment = segment,
        .now_ms = dic_clock_wall_ms(dic_local_db_clock(impl)),
    };
    *sent_out = true;
    return dic_local_db_write(impl, add_segment, &plan, err);
}

static enum dic_code begin_plan(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    struct plan *plan = argument;
    struct dic_job_head head;
    sqlite3_stmt *row = NULL;
    bool found = false;
    plan->resume_out->len = plan->resume_start;
    DIC_TRY(dic_job_head_read(connection, plan->job_id, &head, err));
    if (head.state != DIC_JOB_ACCEPTED && head.state != DIC_JOB_PLANNING) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being planned", plan->job_id,
                        dic_job_state_word(head.state));
    }
    *plan->segment_out = (uint32_t)head.segments;
    if (head.segments > 0) {
        DIC_TRY(dic_db_bind(connection, "SELECT resume FROM segment WHERE key=?1", &row, err, "i",
                            dic_row_key(head.seq, head.segments - 1)));
        DIC_TRY(dic_db_step(connection, row, &found, err));
        if (found) {
            dic_buf_append_str(plan->resume_out, dic_db_text(row, 0));
            sqlite3_reset(row);
        }
    }
    DIC_TRY(dic_buf_check(plan->resume_out, err));
    return head.state == DIC_JOB_PLANNING
               ? DIC_OK
               : dic_job_set_state(connection, head.seq, DIC_JOB_PLANNING, err);
}

enum dic_code dic_sqlite_begin_plan(void *impl, const char *job_id, uint32_t *segment_out,
                                    struct dic_buf *resume_out, struct dic_err *err)
{
    struct plan plan = {.job_id = job_id,
                        .segment_out = segment_out,
                        .resume_out = resume_out,
                        .resume_start = resume_out->len};
    return dic_local_db_write(impl, begin_plan, &plan, err);
}
