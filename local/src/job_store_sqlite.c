/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of the SQLite job store, and its table of functions. */
#include "job_store_sqlite.h"

#include "job_rows.h"
#include "schema.h"

#include <string.h>

#define JOB_COLUMNS                                                                                \
    "id, state, source, top_k, threshold, deadline_ms, max_failures, images, succeeded, failed,"   \
    " skipped, unknown, segments, chunks, planned_images, created_ms, started_ms, ended_ms, spec," \
    " model, reason"

enum { FIRST_TEXT = 18 };

struct read_job {
    const char *job_id;
    struct dic_job *out;
    struct dic_buf *memory;
};

static enum dic_code fill_numbers(sqlite3_stmt *row, struct dic_job *out, struct dic_err *err)
{
    struct dic_str id = dic_db_text(row, 0);
    memcpy(out->id, id.ptr, DIC_ID_LEN);
    out->id[DIC_ID_LEN] = '\0';
    DIC_TRY(dic_job_state_parse(dic_db_text(row, 1), &out->state, err));
    out->params.source = (enum dic_source_kind)sqlite3_column_int(row, 2);
    out->params.top_k = (uint32_t)sqlite3_column_int(row, 3);
    out->params.confidence_threshold = sqlite3_column_double(row, 4);
    out->params.deadline_ms = sqlite3_column_int64(row, 5);
    out->params.max_failures = sqlite3_column_int64(row, 6);
    out->totals.images = sqlite3_column_int64(row, 7);
    out->totals.succeeded = sqlite3_column_int64(row, 8);
    out->totals.failed = sqlite3_column_int64(row, 9);
    out->totals.skipped = sqlite3_column_int64(row, 10);
    out->totals.unknown = sqlite3_column_int64(row, 11);
    out->planned_segments = (uint32_t)sqlite3_column_int64(row, 12);
    out->planned_chunks = (uint32_t)sqlite3_column_int64(row, 13);
    out->planned_images = sqlite3_column_int64(row, 14);
    out->created_ms = sqlite3_column_int64(row, 15);
    out->started_ms = sqlite3_column_int64(row, 16);
    out->ended_ms = sqlite3_column_int64(row, 17);
    return DIC_OK;
}

/* Copies the texts into memory first and points at them after: the buffer may move as it grows. */
static enum dic_code fill_job(sqlite3_stmt *row, struct dic_job *out, struct dic_buf *memory,
                              struct dic_err *err)
{
    struct dic_str *texts[] = {&out->params.spec_json, &out->model_json, &out->reason};
    size_t start = memory->len;
    DIC_TRY(fill_numbers(row, out, err));
    for (int i = 0; i < 3; i++) {
        dic_buf_append_str(memory, dic_db_text(row, FIRST_TEXT + i));
    }
    DIC_TRY(dic_buf_check(memory, err));
    for (int i = 0; i < 3; i++) {
        size_t len = dic_db_text(row, FIRST_TEXT + i).len;
        *texts[i] = dic_str_len(memory->ptr == NULL ? "" : memory->ptr + start, len);
        start += len;
    }
    return DIC_OK;
}

static enum dic_code read_job(struct dic_db_connection *connection, void *argument,
                              struct dic_err *err)
{
    struct read_job *read = argument;
    sqlite3_stmt *row = NULL;
    bool found = false;
    DIC_TRY(dic_db_bind(connection, "SELECT " JOB_COLUMNS " FROM job WHERE id=?1", &row, err, "s",
                        read->job_id));
    DIC_TRY(dic_db_step(connection, row, &found, err));
    if (!found) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%s'", read->job_id);
    }
    enum dic_code code = fill_job(row, read->out, read->memory, err);
    sqlite3_reset(row);
    return code;
}

static enum dic_code get(void *impl, const char *job_id, struct dic_job *out,
                         struct dic_buf *memory, struct dic_err *err)
{
    struct read_job read = {job_id, out, memory};
    return dic_local_db_read(impl, read_job, &read, err);
}

/* ---- listing ---- */

struct list_jobs {
    const struct dic_job_filter *filter;
    dic_job_visit visit;
    void *context;
};

struct status_filter {
    const char *status;
    const char *condition; /* on state and failed; a literal, part of the SQL */
};

#define LIST_SQL(condition)                            \
    "SELECT " JOB_COLUMNS " FROM job WHERE " condition \
    " AND (created_ms, id) < (?1, ?2) ORDER BY created_ms DESC, id DESC LIMIT ?3"

#define STOPPED "ended_ms>0 AND state<>'SUCCEEDED'"

/* Each condition is that of an index, and perhaps more; see schema.c. */
static const struct status_filter status_filters[] = {
    {"queued",
     LIST_SQL("ended_ms=0 AND started_ms=0 AND state IN ('ACCEPTED','PLANNING','RUNNING')")},
    {"running",
     LIST_SQL("ended_ms=0 AND (started_ms>0 AND state IN ('ACCEPTED','PLANNING','RUNNING')"
              " OR state IN ('FINALIZING','EXPIRING','FAILING'))")},
    {"succeeded", LIST_SQL("state='SUCCEEDED' AND failed=0")},
    {"completed_with_failures", LIST_SQL("state='SUCCEEDED' AND failed>0")},
    {"cancelling", LIST_SQL("ended_ms=0 AND state='CANCELLING'")},
    {"cancelled", LIST_SQL(STOPPED " AND state='CANCELLED'")},
    {"expired", LIST_SQL(STOPPED " AND state='EXPIRED'")},
    {"failed", LIST_SQL(STOPPED " AND state='FAILED'")},
};

static const char all_jobs_sql[] = LIST_SQL("1");

static enum dic_code list_sql(const char *status, const char **sql_out, struct dic_err *err)
{
    *sql_out = all_jobs_sql;
    if (status == NULL) {
        return DIC_OK;
    }
    for (size_t i = 0; i < sizeof status_filters / sizeof status_filters[0]; i++) {
        if (strcmp(status, status_filters[i].status) == 0) {
            *sql_out = status_filters[i].condition;
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_INVALID, "status", "there is no job status '%.40s'", status);
}

static enum dic_code visit_jobs(struct dic_db_connection *connection, sqlite3_stmt *statement,
                                const struct list_jobs *list, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, 16 * 1024 * 1024);
    for (;;) {
        struct dic_job job = {0};
        bool row = false;
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        if (!row) {
            return DIC_OK;
        }
        dic_buf_clear(&memory);
        DIC_TRY(fill_job(statement, &job, &memory, err));
        DIC_TRY(list->visit(list->context, &job, err));
    }
}

static enum dic_code list_jobs(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct list_jobs *list = argument;
    const struct dic_job_filter *filter = list->filter;
    bool from_newest = filter->before_id.len == 0;
    const char *sql = NULL;
    sqlite3_stmt *statement = NULL;
    DIC_TRY(list_sql(filter->status, &sql, err));
    DIC_TRY(dic_db_bind(connection, sql, &statement, err, "iti",
                        from_newest ? INT64_MAX : filter->before_ms, filter->before_id,
                        (int64_t)filter->limit));
    enum dic_code code = visit_jobs(connection, statement, list, err);
    sqlite3_reset(statement);
    return code;
}

static enum dic_code list(void *impl, const struct dic_job_filter *filter, dic_job_visit visit,
                          void *context, struct dic_err *err)
{
    struct list_jobs list = {filter, visit, context};
    return dic_local_db_read(impl, list_jobs, &list, err);
}

/* ---- chunks, rows, labels, keys ---- */

struct read_chunk {
    const char *job_id;
    uint32_t chunk;
    struct dic_chunk *out;
    struct dic_buf *memory;
};

static enum dic_code read_chunk(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    struct read_chunk *read = argument;
    struct dic_job_head head;
    sqlite3_stmt *row = NULL;
    bool found = false;
    DIC_TRY(dic_job_head_read(connection, read->job_id, &head, err));
    if (!dic_job_is_open(head.state)) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s", read->job_id,
                        dic_job_state_word(head.state));
    }
    DIC_TRY(dic_db_bind(connection,
                        "SELECT first_image, images, booked, lines FROM chunk WHERE key=?1", &row,
                        err, "i", dic_row_key(head.seq, read->chunk)));
    DIC_TRY(dic_db_step(connection, row, &found, err));
    if (!found) {
        return dic_fail(err, DIC_E_NOT_FOUND, "job '%s' has no chunk %u", read->job_id,
                        read->chunk);
    }
    read->out->first_image = sqlite3_column_int64(row, 0);
    read->out->images = (uint32_t)sqlite3_column_int64(row, 1);
    read->out->booked = sqlite3_column_int(row, 2) != 0;
    dic_buf_append_str(read->memory, dic_db_blob(row, 3));
    read->out->lines = dic_buf_view(read->memory);
    sqlite3_reset(row);
    return dic_buf_check(read->memory, err);
}

static enum dic_code get_chunk(void *impl, const char *job_id, uint32_t chunk,
                               struct dic_chunk *out, struct dic_buf *memory, struct dic_err *err)
{
    struct read_chunk read = {job_id, chunk, out, memory};
    return dic_local_db_read(impl, read_chunk, &read, err);
}

struct read_rows {
    const char *job_id;
    uint32_t chunk;
    uint32_t limit;
    dic_rows_visit visit;
    void *context;
};

/* Of a job that has ended, chunks that were never booked are passed over; of a live one they end
 * the finished prefix. */
static enum dic_code visit_rows(struct dic_db_connection *connection, sqlite3_stmt *statement,
                                const struct read_rows *read, const struct dic_job_head *head,
                                struct dic_err *err)
{
    uint32_t expected = read->chunk;
    for (;;) {
        bool row = false;
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        int64_t key = row ? sqlite3_column_int64(statement, 0) : 0;
        struct dic_rows rows = {.chunk = (uint32_t)(key - dic_row_key(head->seq, 0))};
        if (!row || (rows.chunk != expected && !dic_job_is_terminal(head->state))) {
            return DIC_OK;
        }
        rows.first_image = sqlite3_column_int64(statement, 1);
        rows.images = (uint32_t)sqlite3_column_int64(statement, 2);
        rows.failed = (uint32_t)sqlite3_column_int64(statement, 3);
        rows.rows = dic_db_blob(statement, 4);
        DIC_TRY(read->visit(read->context, &rows, err));
        expected = rows.chunk + 1;
    }
}

static enum dic_code read_rows(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct read_rows *read = argument;
    struct dic_job_head head;
    sqlite3_stmt *statement = NULL;
    DIC_TRY(dic_job_head_read(connection, read->job_id, &head, err));
    if (read->chunk > dic_row_key_last(0)) {
        return DIC_OK;
    }
    DIC_TRY(dic_db_bind(connection,
                        "SELECT c.key, c.first_image, c.images, c.failed, r.rows"
                        " FROM chunk_rows r JOIN chunk c ON c.key=r.key"
                        " WHERE r.key BETWEEN ?1 AND ?2 ORDER BY r.key LIMIT ?3",
                        &statement, err, "iii", dic_row_key(head.seq, read->chunk),
                        dic_row_key_last(head.seq), (int64_t)read->limit));
    enum dic_code code = visit_rows(connection, statement, read, &head, err);
    sqlite3_reset(statement);
    return code;
}

static enum dic_code rows(void *impl, const char *job_id, uint32_t chunk, uint32_t limit,
                          dic_rows_visit visit, void *context, struct dic_err *err)
{
    struct read_rows read = {job_id, chunk, limit, visit, context};
    return dic_local_db_read(impl, read_rows, &read, err);
}

struct read_labels {
    const char *job_id;
    struct dic_label_count *out;
    size_t *count_io;
    struct dic_buf *memory;
};

static enum dic_code read_labels(struct dic_db_connection *connection, void *argument,
                                 struct dic_err *err)
{
    struct read_labels *read = argument;
    struct dic_job_head head;
    sqlite3_stmt *statement = NULL;
    size_t max = *read->count_io;
    size_t start = read->memory->len;
    size_t count = 0;
    bool row = true;
    *read->count_io = 0;
    DIC_TRY(dic_job_head_read(connection, read->job_id, &head, err));
    DIC_TRY(dic_db_bind(connection,
                        "SELECT label, images FROM label_count WHERE job=?1"
                        " ORDER BY images DESC, label LIMIT ?2",
                        &statement, err, "ii", head.seq, (int64_t)max));
    while (count < max) {
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        if (!row) {
            break;
        }
        struct dic_str label = dic_db_text(statement, 0);
        dic_buf_append_str(read->memory, label);
        read->out[count].label.len = label.len;
        read->out[count++].images = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    DIC_TRY(dic_buf_check(read->memory, err));
    for (size_t i = 0; i < count; i++) {
        read->out[i].label.ptr = read->memory->ptr + start;
        start += read->out[i].label.len;
    }
    *read->count_io = count;
    return DIC_OK;
}

static enum dic_code labels(void *impl, const char *job_id, struct dic_label_count *out,
                            size_t *count_io, struct dic_buf *memory, struct dic_err *err)
{
    struct read_labels read = {job_id, out, count_io, memory};
    return dic_local_db_read(impl, read_labels, &read, err);
}

struct read_keys {
    const char *job_id;
    int64_t offset;
    int64_t len;
    struct dic_buf *out;
};

static enum dic_code read_keys(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct read_keys *read = argument;
    struct dic_job_head head;
    sqlite3_stmt *statement = NULL;
    int64_t first = read->offset / DIC_KEYS_PIECE_BYTES;
    int64_t skip = read->offset % DIC_KEYS_PIECE_BYTES;
    int64_t left = read->len;
    if (read->offset < 0 || first > dic_row_key_last(0)) {
        return dic_fail(err, DIC_E_INVALID, "offset %lld is outside any key list",
                        (long long)read->offset);
    }
    DIC_TRY(dic_job_head_read(connection, read->job_id, &head, err));
    DIC_TRY(dic_db_bind(
        connection, "SELECT bytes FROM job_keys WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
        &statement, err, "ii", dic_row_key(head.seq, first), dic_row_key_last(head.seq)));
    while (left > 0) {
        bool row = false;
        DIC_TRY(dic_db_step(connection, statement, &row, err));
        if (!row) {
            break;
        }
        struct dic_str piece = dic_db_blob(statement, 0);
        size_t skipped = skip < (int64_t)piece.len ? (size_t)skip : piece.len;
        struct dic_str part = dic_str_skip(piece, skipped);
        part.len = (int64_t)part.len < left ? part.len : (size_t)left;
        dic_buf_append_str(read->out, part);
        skip -= (int64_t)skipped;
        left -= (int64_t)part.len;
    }
    sqlite3_reset(statement);
    return dic_buf_check(read->out, err);
}

static enum dic_code get_keys(void *impl, const char *job_id, int64_t offset, int64_t len,
                              struct dic_buf *out, struct dic_err *err)
{
    struct read_keys read = {job_id, offset, len, out};
    return dic_local_db_read(impl, read_keys, &read, err);
}

static enum dic_code read_nothing(struct dic_db_connection *connection, void *argument,
                                  struct dic_err *err)
{
    (void)argument; /* nothing is asked but an answer */
    int64_t version = 0;
    return dic_db_number(connection, "PRAGMA user_version", -1, &version, err, "");
}

static enum dic_code ping(void *impl, struct dic_err *err)
{
    return dic_local_db_read(impl, read_nothing, NULL, err);
}

static void destroy(void *impl)
{
    (void)impl; /* the database belongs to dic_local_open */
}

struct dic_job_store dic_job_store_sqlite(struct dic_local_db *db)
{
    static const struct dic_job_store_ops ops = {
        .is_local = true,
        .create = dic_sqlite_create,
        .get = get,
        .peek = get,
        .list = list,
        .begin_plan = dic_sqlite_begin_plan,
        .get_keys = get_keys,
        .add_segment = dic_sqlite_add_segment,
        .fail_plan = dic_sqlite_fail_plan,
        .get_chunk = get_chunk,
        .book = dic_sqlite_book,
        .rows = rows,
        .labels = labels,
        .stop = dic_sqlite_stop,
        .seal = dic_sqlite_seal,
        .sweep = dic_sqlite_sweep,
        .ping = ping,
        .destroy = destroy,
    };
    return (struct dic_job_store){&ops, db};
}
