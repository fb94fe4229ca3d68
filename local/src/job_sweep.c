/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweeper: deadlines, unfinished stops, lost messages, and retention. It looks for work with a
 * reading connection, which is in nobody's way, and writes only when there is some; by then a job
 * may have moved on, so each write checks again.
 */
#include "job_rows.h"
#include "schema.h"

#include "base/mem.h"

#include <string.h>

enum { MAX_PICKED = 256 };

struct picked {
    struct {
        char id[DIC_ID_SIZE];
        int64_t seq;
    } jobs[MAX_PICKED];
    int count;
};

struct sweep {
    int64_t now_ms;
    int64_t limit;
    struct picked late;      /* past their deadline */
    struct picked stopping;  /* not yet sealed */
    struct picked unplanned; /* without a message that has them planned */
    struct picked unworked;  /* with fewer messages than open chunks */
    int64_t repaired;
};

/* ---- looking ---- */

static enum dic_code pick(struct dic_db_connection *connection, sqlite3_stmt *statement,
                          struct picked *out, struct dic_err *err)
{
    out->count = 0;
    while (out->count < MAX_PICKED) {
        bool row = false;
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        if (!row) {
            return DIC_OK;
        }
        struct dic_str id = dic_db_text(statement, 0);
        memcpy(out->jobs[out->count].id, id.ptr, DIC_ID_LEN);
        out->jobs[out->count].id[DIC_ID_LEN] = '\0';
        out->jobs[out->count++].seq = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return DIC_OK;
}

static enum dic_code find_stops(struct dic_db_connection *connection, struct sweep *sweep,
                                struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE ended_ms=0 AND deadline_ms>0"
                        " AND deadline_ms<=?1 AND state IN ('ACCEPTED','PLANNING','RUNNING')"
                        " ORDER BY deadline_ms LIMIT ?2",
                        &statement, err, "ii", sweep->now_ms, sweep->limit));
    DIC_TRY(pick(connection, statement, &sweep->late, err));
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE ended_ms=0"
                        " AND state IN ('CANCELLING','EXPIRING','FAILING') LIMIT ?1",
                        &statement, err, "i", sweep->limit));
    return pick(connection, statement, &sweep->stopping, err);
}

static enum dic_code find_lost_messages(struct dic_db_connection *connection, struct sweep *sweep,
                                        struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE ended_ms=0"
                        " AND state IN ('ACCEPTED','PLANNING') AND NOT EXISTS("
                        "  SELECT 1 FROM queue WHERE job_seq=seq AND kind=?1) LIMIT ?2",
                        &statement, err, "ii", (int64_t)DIC_MESSAGE_PLAN, sweep->limit));
    DIC_TRY(pick(connection, statement, &sweep->unplanned, err));
    /* A duplicate message can hide a lost one, until it is delivered and removed. */
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE ended_ms=0"
                        " AND state IN ('PLANNING','RUNNING') AND chunks-booked >"
                        "  (SELECT count(*) FROM queue WHERE job_seq=seq AND kind=?1) LIMIT ?2",
                        &statement, err, "ii", (int64_t)DIC_MESSAGE_CHUNK, sweep->limit));
    return pick(connection, statement, &sweep->unworked, err);
}

static enum dic_code find_work(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    DIC_TRY(find_stops(connection, argument, err));
    return find_lost_messages(connection, argument, err);
}

/* ---- repairing ---- */

static enum dic_code end_stops(struct dic_db_connection *connection, struct sweep *sweep,
                               struct dic_err *err)
{
    for (int i = 0; i < sweep->late.count; i++) {
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection,
                           "UPDATE job SET state='EXPIRING', reason='the deadline has passed'"
                           " WHERE seq=?1 AND id=?2 AND state IN ('ACCEPTED','PLANNING','RUNNING')",
                           &changes, err, "is", sweep->late.jobs[i].seq, sweep->late.jobs[i].id));
        if (changes == 1) {
            DIC_TRY(dic_job_seal_row(connection, sweep->late.jobs[i].id, sweep->now_ms, err));
            sweep->repaired++;
        }
    }
    for (int i = 0; i < sweep->stopping.count; i++) {
        DIC_TRY(dic_job_seal_row(connection, sweep->stopping.jobs[i].id, sweep->now_ms, err));
        sweep->repaired++;
    }
    return DIC_OK;
}

static enum dic_code resend_plans(struct dic_db_connection *connection, struct sweep *sweep,
                                  struct dic_err *err)
{
    for (int i = 0; i < sweep->unplanned.count; i++) {
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection,
                           "INSERT INTO queue(kind, job_seq, job, chunk, sent_ms)"
                           " SELECT ?1, seq, id, 0, ?2 FROM job WHERE id=?3"
                           " AND state IN ('ACCEPTED','PLANNING') AND NOT EXISTS("
                           "  SELECT 1 FROM queue WHERE job_seq=seq AND kind=?1)",
                           &changes, err, "iis", (int64_t)DIC_MESSAGE_PLAN, sweep->now_ms,
                           sweep->unplanned.jobs[i].id));
        sweep->repaired += changes;
    }
    return DIC_OK;
}

static enum dic_code resend_chunks(struct dic_db_connection *connection, struct sweep *sweep,
                                   struct dic_err *err)
{
    for (int i = 0; i < sweep->unworked.count; i++) {
        int64_t seq = sweep->unworked.jobs[i].seq;
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection,
                           "INSERT INTO queue(kind, job_seq, job, chunk, sent_ms)"
                           " SELECT ?4, ?1, j.id, c.key-?2, ?5 FROM job j, chunk c"
                           " WHERE j.id=?6 AND j.seq=?1 AND j.state IN ('PLANNING','RUNNING')"
                           " AND c.booked=0 AND c.key BETWEEN ?2 AND ?3 AND NOT EXISTS("
                           "  SELECT 1 FROM queue WHERE job_seq=?1 AND kind=?4 AND chunk=c.key-?2)"
                           " LIMIT ?7",
                           &changes, err, "iiiiisi", seq, dic_row_key(seq, 0),
                           dic_row_key_last(seq), (int64_t)DIC_MESSAGE_CHUNK, sweep->now_ms,
                           sweep->unworked.jobs[i].id, sweep->limit));
        sweep->repaired += changes;
    }
    return DIC_OK;
}

static enum dic_code repair(struct dic_db_connection *connection, void *argument,
                            struct dic_err *err)
{
    struct sweep *sweep = argument;
    sweep->repaired = 0;
    DIC_TRY(end_stops(connection, sweep, err));
    DIC_TRY(resend_plans(connection, sweep, err));
    return resend_chunks(connection, sweep, err);
}

enum dic_code dic_sqlite_sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                               uint32_t *repaired_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) struct sweep *sweep = dic_calloc(1, sizeof *sweep);
    uint32_t removed = 0;
    sweep->now_ms = now_ms;
    sweep->limit = limit < MAX_PICKED ? limit : MAX_PICKED;
    DIC_TRY(dic_local_db_read(impl, find_work, sweep, err));
    if (sweep->late.count + sweep->stopping.count + sweep->unplanned.count + sweep->unworked.count >
        0) {
        DIC_TRY(dic_local_db_write(impl, repair, sweep, err));
    }
    DIC_TRY(dic_job_remove_old(impl, now_ms, now_ms - retention_ms, limit, &removed, err));
    *repaired_out = (uint32_t)sweep->repaired + removed;
    return DIC_OK;
}
