/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeper: deadlines, unfinished stops, lost messages, and retention. */
#include "job_rows.h"
#include "schema.h"

#include "base/mem.h"

#include <string.h>

enum { MAX_PICKED = 256, REMOVED_ROWS = 500 };

struct sweep {
    int64_t now_ms;
    int64_t retention_ms;
    int64_t limit;
    uint32_t repaired;
};

/* Ids are copied first: the statements that follow change the table that is being read. */
struct picked {
    char ids[MAX_PICKED][DIC_ID_SIZE];
    int64_t numbers[MAX_PICKED];
    int count;
};

static enum dic_code pick(struct dic_db_connection *connection, sqlite3_stmt *statement,
                          struct picked *out, struct dic_err *err)
{
    bool row = true;
    out->count = 0;
    while (out->count < MAX_PICKED) {
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        if (!row) {
            return DIC_OK;
        }
        struct dic_str id = dic_db_text(statement, 0);
        memcpy(out->ids[out->count], id.ptr, DIC_ID_LEN);
        out->ids[out->count][DIC_ID_LEN] = '\0';
        out->numbers[out->count++] = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return DIC_OK;
}

static enum dic_code expire(struct dic_db_connection *connection, struct sweep *sweep,
                            struct picked *picked, struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE state IN ('ACCEPTED','PLANNING','RUNNING')"
                        " AND deadline_ms>0 AND deadline_ms<=?1 LIMIT ?2",
                        &statement, err, "ii", sweep->now_ms, sweep->limit));
    DIC_TRY(pick(connection, statement, picked, err));
    for (int i = 0; i < picked->count; i++) {
        DIC_TRY(dic_db_run(connection,
                           "UPDATE job SET state='EXPIRING', reason='the deadline has passed'"
                           " WHERE seq=?1",
                           NULL, err, "i", picked->numbers[i]));
        DIC_TRY(dic_job_seal_row(connection, picked->ids[i], sweep->now_ms, err));
        sweep->repaired++;
    }
    return DIC_OK;
}

static enum dic_code finish_stops(struct dic_db_connection *connection, struct sweep *sweep,
                                  struct picked *picked, struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE state IN ('CANCELLING','EXPIRING','FAILING')"
                        " LIMIT ?1",
                        &statement, err, "i", sweep->limit));
    DIC_TRY(pick(connection, statement, picked, err));
    for (int i = 0; i < picked->count; i++) {
        DIC_TRY(dic_job_seal_row(connection, picked->ids[i], sweep->now_ms, err));
        sweep->repaired++;
    }
    return DIC_OK;
}

static enum dic_code resend_plans(struct dic_db_connection *connection, struct sweep *sweep,
                                  struct dic_err *err)
{
    int64_t changes = 0;
    DIC_TRY(
        dic_db_run(connection,
                   "INSERT INTO queue(kind, job_seq, job, chunk, sent_ms)"
                   " SELECT ?3, seq, id, 0, ?1 FROM job WHERE state IN ('ACCEPTED','PLANNING')"
                   " AND NOT EXISTS(SELECT 1 FROM queue WHERE job_seq=seq AND kind=?3) LIMIT ?2",
                   &changes, err, "iii", sweep->now_ms, sweep->limit, (int64_t)DIC_MESSAGE_PLAN));
    sweep->repaired += (uint32_t)changes;
    return DIC_OK;
}

static enum dic_code resend_chunks(struct dic_db_connection *connection, struct sweep *sweep,
                                   struct picked *picked, struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE state IN ('PLANNING','RUNNING') LIMIT ?1",
                        &statement, err, "i", sweep->limit));
    DIC_TRY(pick(connection, statement, picked, err));
    for (int i = 0; i < picked->count; i++) {
        int64_t seq = picked->numbers[i];
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection,
                           "INSERT INTO queue(kind, job_seq, job, chunk, sent_ms)"
                           " SELECT ?4, ?1, ?5, c.key-?2, ?6 FROM chunk c"
                           " WHERE c.booked=0 AND c.key BETWEEN ?2 AND ?3 AND NOT EXISTS("
                           "  SELECT 1 FROM queue WHERE job_seq=?1 AND kind=?4 AND chunk=c.key-?2)"
                           " LIMIT ?7",
                           &changes, err, "iiiisii", seq, dic_row_key(seq, 0),
                           dic_row_key_last(seq), (int64_t)DIC_MESSAGE_CHUNK, picked->ids[i],
                           sweep->now_ms, sweep->limit));
        sweep->repaired += (uint32_t)changes;
    }
    return DIC_OK;
}

/* A large job goes in pieces, so that one sweep never holds the writer for long. */
static enum dic_code remove_job(struct dic_db_connection *connection, int64_t seq,
                                struct dic_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM chunk_rows WHERE key IN"
        " (SELECT key FROM chunk_rows WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM chunk WHERE key IN (SELECT key FROM chunk WHERE key BETWEEN ?1 AND ?2 LIMIT "
        "?3)",
        "DELETE FROM job_keys WHERE key IN"
        " (SELECT key FROM job_keys WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM segment WHERE key IN"
        " (SELECT key FROM segment WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection, statements[i], &changes, err, "iii", dic_row_key(seq, 0),
                           dic_row_key_last(seq), (int64_t)REMOVED_ROWS));
        if (changes == REMOVED_ROWS) {
            return DIC_OK;
        }
    }
    DIC_TRY(dic_db_run(connection, "DELETE FROM label_count WHERE job=?1", NULL, err, "i", seq));
    return dic_db_run(connection, "DELETE FROM job WHERE seq=?1", NULL, err, "i", seq);
}

static enum dic_code remove_old(struct dic_db_connection *connection, struct sweep *sweep,
                                struct picked *picked, struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_db_run(connection, "DELETE FROM idempotency WHERE expires_ms<=?1", NULL, err, "i",
                       sweep->now_ms));
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, seq FROM job WHERE ended_ms>0 AND ended_ms<=?1 LIMIT ?2",
                        &statement, err, "ii", sweep->now_ms - sweep->retention_ms, sweep->limit));
    DIC_TRY(pick(connection, statement, picked, err));
    for (int i = 0; i < picked->count; i++) {
        DIC_TRY(remove_job(connection, picked->numbers[i], err));
        sweep->repaired++;
    }
    return DIC_OK;
}

static enum dic_code sweep_all(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct sweep *sweep = argument;
    DIC_CLEANUP(dic_free_cleanup) struct picked *picked = dic_calloc(1, sizeof *picked);
    DIC_TRY(expire(connection, sweep, picked, err));
    DIC_TRY(finish_stops(connection, sweep, picked, err));
    DIC_TRY(resend_plans(connection, sweep, err));
    DIC_TRY(resend_chunks(connection, sweep, picked, err));
    return remove_old(connection, sweep, picked, err);
}

enum dic_code dic_sqlite_sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                               uint32_t *repaired_out, struct dic_err *err)
{
    struct sweep sweep = {
        .now_ms = now_ms,
        .retention_ms = retention_ms,
        .limit = limit < MAX_PICKED ? limit : MAX_PICKED,
    };
    DIC_TRY(dic_local_db_write(impl, sweep_all, &sweep, err));
    *repaired_out = sweep.repaired;
    return DIC_OK;
}
