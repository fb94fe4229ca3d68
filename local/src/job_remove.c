/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention. A job that is too old is gone at once; its rows, which may be many, follow in pieces,
 * so that nobody waits long for the writer.
 */
#include "job_rows.h"
#include "schema.h"

enum { PIECE_ROWS = 200, PIECE_JOBS = 50, MAX_PIECES = 50 };

struct removal {
    int64_t now_ms;
    int64_t before_ms;
    int64_t limit;
    int64_t removed; /* jobs, by the last write */
    bool more;       /* there is something left to remove */
};

static enum dic_code look(struct dic_db_connection *connection, void *argument, struct dic_err *err)
{
    struct removal *removal = argument;
    int64_t found = 0;
    DIC_TRY(dic_db_number(connection,
                          "SELECT EXISTS(SELECT 1 FROM job WHERE ended_ms>0 AND ended_ms<=?1)"
                          " OR EXISTS(SELECT 1 FROM idempotency WHERE expires_ms<=?2)"
                          " OR EXISTS(SELECT 1 FROM garbage)",
                          0, &found, err, "ii", removal->before_ms, removal->now_ms));
    removal->more = found != 0;
    return DIC_OK;
}

/* The queue may still hold messages of an ended job that nobody has received since. */
static enum dic_code remove_jobs(struct dic_db_connection *connection, struct removal *removal,
                                 struct dic_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM queue WHERE job_seq IN (SELECT seq FROM job"
        " WHERE ended_ms>0 AND ended_ms<=?1 ORDER BY ended_ms, seq LIMIT ?2)",
        "INSERT INTO garbage(job_seq) SELECT seq FROM job"
        " WHERE ended_ms>0 AND ended_ms<=?1 ORDER BY ended_ms, seq LIMIT ?2",
        "DELETE FROM job WHERE seq IN (SELECT seq FROM job"
        " WHERE ended_ms>0 AND ended_ms<=?1 ORDER BY ended_ms, seq LIMIT ?2)",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        DIC_TRY(dic_db_run(connection, statements[i], &removal->removed, err, "ii",
                           removal->before_ms, removal->limit));
    }
    return dic_db_run(connection,
                      "DELETE FROM idempotency WHERE key IN"
                      " (SELECT key FROM idempotency WHERE expires_ms<=?1 LIMIT ?2)",
                      NULL, err, "ii", removal->now_ms, (int64_t)PIECE_ROWS);
}

/* *empty_out: nothing of the job is left. */
static enum dic_code remove_piece(struct dic_db_connection *connection, int64_t seq,
                                  bool *empty_out, struct dic_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM chunk_rows WHERE key IN"
        " (SELECT key FROM chunk_rows WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM chunk WHERE key IN"
        " (SELECT key FROM chunk WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM job_keys WHERE key IN"
        " (SELECT key FROM job_keys WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM segment WHERE key IN"
        " (SELECT key FROM segment WHERE key BETWEEN ?1 AND ?2 LIMIT ?3)",
    };
    *empty_out = true;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        int64_t changes = 0;
        DIC_TRY(dic_db_run(connection, statements[i], &changes, err, "iii", dic_row_key(seq, 0),
                           dic_row_key_last(seq), (int64_t)PIECE_ROWS));
        *empty_out = *empty_out && changes < PIECE_ROWS;
    }
    return dic_db_run(connection, "DELETE FROM label_count WHERE job=?1", NULL, err, "i", seq);
}

/* The rest of jobs that are gone: many small ones, or a piece of a large one. */
static enum dic_code remove_garbage(struct dic_db_connection *connection, bool *more_out,
                                    struct dic_err *err)
{
    bool empty = true;
    *more_out = true;
    for (int i = 0; i < PIECE_JOBS && empty; i++) {
        int64_t seq = 0;
        DIC_TRY(
            dic_db_number(connection, "SELECT job_seq FROM garbage LIMIT 1", -1, &seq, err, ""));
        if (seq < 0) {
            *more_out = false;
            return DIC_OK;
        }
        DIC_TRY(remove_piece(connection, seq, &empty, err));
        if (empty) {
            DIC_TRY(dic_db_run(connection, "DELETE FROM garbage WHERE job_seq=?1", NULL, err, "i",
                               seq));
        }
    }
    return DIC_OK;
}

static enum dic_code remove_some(struct dic_db_connection *connection, void *argument,
                                 struct dic_err *err)
{
    struct removal *removal = argument;
    DIC_TRY(remove_jobs(connection, removal, err));
    DIC_TRY(remove_garbage(connection, &removal->more, err));
    removal->more = removal->more || removal->removed == removal->limit;
    return DIC_OK;
}

enum dic_code dic_job_remove_old(struct dic_local_db *db, int64_t now_ms, int64_t before_ms,
                                 uint32_t limit, uint32_t *removed_out, struct dic_err *err)
{
    struct removal removal = {.now_ms = now_ms, .before_ms = before_ms, .limit = limit};
    *removed_out = 0;
    DIC_TRY(dic_local_db_read(db, look, &removal, err));
    for (int i = 0; i < MAX_PIECES && removal.more; i++) {
        DIC_TRY(dic_local_db_write(db, remove_some, &removal, err));
        *removed_out += (uint32_t)removal.removed;
    }
    return DIC_OK;
}
