/* SPDX-License-Identifier: Apache-2.0 */
#include "local_db.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_STATEMENTS = 96,
    MAX_GROUP = 256, /* operations a commit: bounds the wait of the first one */
    MAX_READERS = 128,
    BUSY_MS = 5000,
};

struct dic_db_connection {
    sqlite3 *sqlite;
    struct {
        const char *sql; /* compared by address: all are literals */
        sqlite3_stmt *statement;
    } cache[MAX_STATEMENTS];
    int cached;
};

/* A caller that waits for the writer. */
struct request {
    dic_db_operation operation;
    void *argument;
    struct dic_err err;
    enum dic_code code;
    bool done;
    pthread_cond_t finished;
    struct request *next;
};

struct dic_local_db {
    const struct dic_clock *clock;
    char *path;
    int lock_fd;
    struct dic_db_connection *writer; /* used by the writer thread only */
    pthread_t thread;
    bool thread_started;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;
    pthread_cond_t changed;
    struct request *head;
    struct request *tail;
    bool closing;
    uint64_t version;
    uint64_t wakes;
    struct dic_db_connection *readers[MAX_READERS]; /* those not in use */
    int reader_count;
};

static enum dic_code sqlite_failed(sqlite3 *sqlite, const char *what, struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "local database: %s: %.200s", what,
                    sqlite == NULL ? "out of memory" : sqlite3_errmsg(sqlite));
}

/* ---- statements ---- */

static enum dic_code find_statement(struct dic_db_connection *connection, const char *sql,
                                    sqlite3_stmt **out, struct dic_err *err)
{
    for (int i = 0; i < connection->cached; i++) {
        if (connection->cache[i].sql == sql) {
            *out = connection->cache[i].statement;
            return DIC_OK;
        }
    }
    if (connection->cached == MAX_STATEMENTS) {
        return dic_fail(err, DIC_E_INTERNAL, "more than %d SQL statements", MAX_STATEMENTS);
    }
    if (sqlite3_prepare_v3(connection->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) !=
        SQLITE_OK) {
        return sqlite_failed(connection->sqlite, "prepare", err);
    }
    connection->cache[connection->cached].sql = sql;
    connection->cache[connection->cached++].statement = *out;
    return DIC_OK;
}

static int bind_one(sqlite3_stmt *statement, int index, char kind, va_list *args)
{
    struct dic_str view;
    const char *text;
    switch (kind) {
    case 't':
        view = va_arg(*args, struct dic_str);
        return sqlite3_bind_text(statement, index, view.len ? view.ptr : "", (int)view.len,
                                 SQLITE_STATIC);
    case 'b':
        view = va_arg(*args, struct dic_str);
        return sqlite3_bind_blob(statement, index, view.len ? view.ptr : "", (int)view.len,
                                 SQLITE_STATIC);
    case 's':
        text = va_arg(*args, const char *);
        return sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    case 'r':
        return sqlite3_bind_double(statement, index, va_arg(*args, double));
    case 'i':
    default:
        return sqlite3_bind_int64(statement, index, va_arg(*args, int64_t));
    }
}

static enum dic_code bind_all(struct dic_db_connection *connection, const char *sql,
                              sqlite3_stmt **out, struct dic_err *err, const char *kinds,
                              va_list *args)
{
    DIC_TRY(find_statement(connection, sql, out, err));
    sqlite3_reset(*out);
    for (int i = 0; kinds[i] != '\0'; i++) {
        if (bind_one(*out, i + 1, kinds[i], args) != SQLITE_OK) {
            return sqlite_failed(connection->sqlite, "bind", err);
        }
    }
    return DIC_OK;
}

enum dic_code dic_db_bind(struct dic_db_connection *connection, const char *sql,
                          sqlite3_stmt **statement_out, struct dic_err *err, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    enum dic_code code = bind_all(connection, sql, statement_out, err, kinds, &args);
    va_end(args);
    return code;
}

enum dic_code dic_db_step(struct dic_db_connection *connection, sqlite3_stmt *statement,
                          bool *row_out, struct dic_err *err)
{
    int result = sqlite3_step(statement);
    *row_out = result == SQLITE_ROW;
    if (result == SQLITE_ROW) {
        return DIC_OK;
    }
    if (result != SQLITE_DONE) {
        enum dic_code code = sqlite_failed(connection->sqlite, "step", err);
        sqlite3_reset(statement);
        return code;
    }
    sqlite3_reset(statement);
    return DIC_OK;
}

enum dic_code dic_db_run(struct dic_db_connection *connection, const char *sql,
                         int64_t *changes_out, struct dic_err *err, const char *kinds, ...)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    va_list args;
    va_start(args, kinds);
    enum dic_code code = bind_all(connection, sql, &statement, err, kinds, &args);
    va_end(args);
    DIC_TRY(code);
    DIC_TRY(dic_db_step(connection, statement, &row, err));
    sqlite3_reset(statement);
    if (changes_out != NULL) {
        *changes_out = sqlite3_changes64(connection->sqlite);
    }
    return DIC_OK;
}

enum dic_code dic_db_number(struct dic_db_connection *connection, const char *sql, int64_t absent,
                            int64_t *value_out, struct dic_err *err, const char *kinds, ...)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    va_list args;
    va_start(args, kinds);
    enum dic_code code = bind_all(connection, sql, &statement, err, kinds, &args);
    va_end(args);
    DIC_TRY(code);
    DIC_TRY(dic_db_step(connection, statement, &row, err));
    *value_out = row ? sqlite3_column_int64(statement, 0) : absent;
    sqlite3_reset(statement);
    return DIC_OK;
}

int64_t dic_db_last_id(struct dic_db_connection *connection)
{
    return sqlite3_last_insert_rowid(connection->sqlite);
}

struct dic_str dic_db_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return dic_str_len(text, (size_t)sqlite3_column_bytes(statement, column));
}

struct dic_str dic_db_blob(sqlite3_stmt *statement, int column)
{
    const char *bytes = sqlite3_column_blob(statement, column);
    return dic_str_len(bytes, (size_t)sqlite3_column_bytes(statement, column));
}

void dic_db_reset(sqlite3_stmt **statement)
{
    sqlite3_reset(*statement);
}

/* ---- connections ---- */

static void disconnect(struct dic_db_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    for (int i = 0; i < connection->cached; i++) {
        sqlite3_finalize(connection->cache[i].statement);
    }
    sqlite3_close(connection->sqlite);
    dic_free(connection);
}

static enum dic_code execute(sqlite3 *sqlite, const char *sql, struct dic_err *err)
{
    if (sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return sqlite_failed(sqlite, sqlite3_db_filename(sqlite, "main"), err);
    }
    return DIC_OK;
}

/* FULL: a commit is on disk when it returns, also after a power loss. */
static const char writer_sql[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384;"
    "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY";
/* There may be as many readers as request threads: their caches are small. */
static const char reader_sql[] = "PRAGMA query_only=ON; PRAGMA cache_size=-1024;"
                                 "PRAGMA temp_store=MEMORY";

static enum dic_code connect(const char *path, const char *setup_sql,
                             struct dic_db_connection **out, struct dic_err *err)
{
    struct dic_db_connection *connection = dic_calloc(1, sizeof *connection);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    enum dic_code code = DIC_OK;
    if (sqlite3_open_v2(path, &connection->sqlite, flags, NULL) != SQLITE_OK) {
        code = sqlite_failed(connection->sqlite, path, err);
    }
    if (code == DIC_OK) {
        sqlite3_busy_timeout(connection->sqlite, BUSY_MS);
        code = execute(connection->sqlite, setup_sql, err);
    }
    if (code != DIC_OK) {
        disconnect(connection);
        return code;
    }
    *out = connection;
    return DIC_OK;
}

static enum dic_code upgrade_schema(sqlite3 *sqlite, int step, struct dic_err *err)
{
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version=%d; COMMIT", step + 1);
    DIC_TRY(execute(sqlite, "BEGIN IMMEDIATE", err));
    DIC_TRY(execute(sqlite, dic_schema_steps[step], err));
    return execute(sqlite, version, err);
}

static enum dic_code prepare_schema(sqlite3 *sqlite, struct dic_err *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(sqlite, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK) {
        return sqlite_failed(sqlite, "user_version", err);
    }
    int version = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    sqlite3_finalize(statement);
    if (version > DIC_SCHEMA_VERSION) {
        return dic_fail(err, DIC_E_INVALID,
                        "the data folder was written by a newer version (schema %d, this program "
                        "knows %d)",
                        version, DIC_SCHEMA_VERSION);
    }
    for (int step = version; step >= 0 && step < DIC_SCHEMA_VERSION; step++) {
        DIC_TRY(upgrade_schema(sqlite, step, err));
    }
    return version >= 0 ? DIC_OK : sqlite_failed(sqlite, "user_version", err);
}

/* ---- the writer ---- */

static enum dic_code run_request(struct dic_db_connection *writer, struct request *request)
{
    DIC_TRY(dic_db_run(writer, "SAVEPOINT one", NULL, &request->err, ""));
    enum dic_code code = request->operation(writer, request->argument, &request->err);
    if (sqlite3_get_autocommit(writer->sqlite)) {
        return code != DIC_OK ? code : dic_fail(&request->err, DIC_E_UPSTREAM, "transaction lost");
    }
    if (code != DIC_OK && dic_db_run(writer, "ROLLBACK TO one", NULL, NULL, "") != DIC_OK) {
        return code; /* the whole group will fail to commit */
    }
    struct dic_err *err = code == DIC_OK ? &request->err : NULL;
    enum dic_code released = dic_db_run(writer, "RELEASE one", NULL, err, "");
    return code != DIC_OK ? code : released;
}

static void fail_group(struct request *group, enum dic_code code, const struct dic_err *err)
{
    for (struct request *request = group; request != NULL; request = request->next) {
        request->code = code;
        request->err = *err;
    }
}

/* Some errors, a full disk for one, make SQLite give the whole transaction up at once. */
static enum dic_code run_group(struct dic_db_connection *writer, struct request *group,
                               struct dic_err *err)
{
    for (struct request *request = group; request != NULL; request = request->next) {
        request->err = (struct dic_err){0};
        request->code = run_request(writer, request);
        if (sqlite3_get_autocommit(writer->sqlite)) {
            *err = request->err;
            return request->code;
        }
    }
    return dic_db_run(writer, "COMMIT", NULL, err, "");
}

static enum dic_code commit(struct dic_db_connection *writer, struct request *group,
                            bool *began_out)
{
    struct dic_err err = {0};
    enum dic_code code = dic_db_run(writer, "BEGIN IMMEDIATE", NULL, &err, "");
    *began_out = code == DIC_OK;
    if (code == DIC_OK) {
        code = run_group(writer, group, &err);
    }
    if (code != DIC_OK) {
        if (!sqlite3_get_autocommit(writer->sqlite)) {
            sqlite3_exec(writer->sqlite, "ROLLBACK", NULL, NULL, NULL);
        }
        fail_group(group, code, &err);
    }
    return code;
}

/* When a group cannot be committed each of it is tried alone: where the disk is full, what needs
 * no room (a cancellation) still works beside what does. */
static void commit_group(struct dic_local_db *db, struct request *group)
{
    bool began = false;
    if (commit(db->writer, group, &began) == DIC_OK || !began || group->next == NULL) {
        return;
    }
    for (struct request *request = group; request != NULL;) {
        struct request *next = request->next;
        request->next = NULL;
        (void)commit(db->writer, request, &began); /* its code is in the request */
        request->next = next;
        request = next;
    }
}

static struct request *take_group(struct dic_local_db *db)
{
    DIC_GUARD(&db->lock);
    while (db->head == NULL && !db->closing) {
        dic_cond_wait_ms(&db->work, &db->lock, -1);
    }
    struct request *group = db->head;
    struct request *last = group;
    for (int i = 1; last != NULL && last->next != NULL && i < MAX_GROUP; i++) {
        last = last->next;
    }
    if (last != NULL) {
        db->head = last->next;
        db->tail = db->head == NULL ? NULL : db->tail;
        last->next = NULL;
    }
    return group;
}

static void finish_group(struct dic_local_db *db, struct request *group)
{
    DIC_GUARD(&db->lock);
    db->version++;
    while (group != NULL) {
        struct request *next = group->next; /* its owner may return at once */
        group->done = true;
        pthread_cond_signal(&group->finished);
        group = next;
    }
    pthread_cond_broadcast(&db->changed);
}

static void *write_loop(void *arg)
{
    struct dic_local_db *db = arg;
    for (;;) {
        struct request *group = take_group(db);
        if (group == NULL) {
            return NULL;
        }
        commit_group(db, group);
        finish_group(db, group);
    }
}

enum dic_code dic_local_db_write(struct dic_local_db *db, dic_db_operation operation,
                                 void *argument, struct dic_err *err)
{
    struct request request = {.operation = operation, .argument = argument};
    dic_cond_init(&request.finished);
    dic_lock(&db->lock);
    if (db->tail == NULL) {
        db->head = &request;
        pthread_cond_signal(&db->work);
    } else {
        db->tail->next = &request;
    }
    db->tail = &request;
    while (!request.done) {
        dic_cond_wait_ms(&request.finished, &db->lock, -1);
    }
    dic_unlock(&db->lock);
    pthread_cond_destroy(&request.finished);
    if (request.code != DIC_OK && err != NULL) {
        *err = request.err;
    }
    return request.code;
}

/* ---- readers ---- */

enum dic_code dic_local_db_read(struct dic_local_db *db, dic_db_operation operation, void *argument,
                                struct dic_err *err)
{
    struct dic_db_connection *reader = NULL;
    dic_lock(&db->lock);
    if (db->reader_count > 0) {
        reader = db->readers[--db->reader_count];
    }
    dic_unlock(&db->lock);
    if (reader == NULL) {
        DIC_TRY(connect(db->path, reader_sql, &reader, err));
    }
    enum dic_code code = operation(reader, argument, err);
    dic_lock(&db->lock);
    if (db->reader_count < MAX_READERS) {
        db->readers[db->reader_count++] = reader;
        reader = NULL;
    }
    dic_unlock(&db->lock);
    disconnect(reader);
    return code;
}

/* ---- waiting ---- */

uint64_t dic_local_db_version(struct dic_local_db *db)
{
    DIC_GUARD(&db->lock);
    return db->version;
}

void dic_local_db_wait(struct dic_local_db *db, uint64_t seen, int64_t ms)
{
    DIC_GUARD(&db->lock);
    if (db->version == seen && ms > 0) {
        dic_cond_wait_ms(&db->changed, &db->lock, ms);
    }
}

void dic_local_db_wake(struct dic_local_db *db)
{
    DIC_GUARD(&db->lock);
    db->version++;
    db->wakes++;
    pthread_cond_broadcast(&db->changed);
}

uint64_t dic_local_db_wakes(struct dic_local_db *db)
{
    DIC_GUARD(&db->lock);
    return db->wakes;
}

const struct dic_clock *dic_local_db_clock(const struct dic_local_db *db)
{
    return db->clock;
}

/* ---- life ---- */

static char *join(const char *folder, const char *name)
{
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/%s", folder, name);
    return dic_buf_detach(&path, &len);
}

static enum dic_code folder_in_use(int lock_fd, const char *data_dir, struct dic_err *err)
{
    char pid[16] = "";
    ssize_t len = pread(lock_fd, pid, sizeof pid - 1, 0);
    pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return dic_fail_field(err, DIC_E_CONFLICT, "DATA_DIR",
                          "the data folder %s is in use by process %s; DATA_DIR chooses another",
                          data_dir, pid[0] == '\0' ? "?" : pid);
}

static enum dic_code lock_folder(struct dic_local_db *db, const char *data_dir, struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) char *path = join(data_dir, "lock");
    if (mkdir(data_dir, 0755) != 0 && errno != EEXIST) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot make the folder %s: %s", data_dir,
                        strerror(errno));
    }
    db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (db->lock_fd < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return folder_in_use(db->lock_fd, data_dir, err);
    }
    /* For people only: the lock is the flock, and ends with the process. */
    if (ftruncate(db->lock_fd, 0) != 0 || dprintf(db->lock_fd, "%d\n", (int)getpid()) < 0) {
        dic_log_message(DIC_LOG_WARN, "lock_without_pid", "%s: %s", path, strerror(errno));
    }
    return DIC_OK;
}

/* Leases of an earlier process are void: it is gone, so its messages are visible at once. */
static enum dic_code start(struct dic_local_db *db, const char *data_dir, struct dic_err *err)
{
    DIC_TRY(lock_folder(db, data_dir, err));
    db->path = join(data_dir, "jobs.sqlite");
    DIC_TRY(connect(db->path, writer_sql, &db->writer, err));
    DIC_TRY(prepare_schema(db->writer->sqlite, err));
    DIC_TRY(execute(db->writer->sqlite,
                    "UPDATE queue SET visible_ms=0, lease=0 WHERE visible_ms<>0", err));
    dic_thread_start(&db->thread, "db-writer", write_loop, db);
    db->thread_started = true;
    return DIC_OK;
}

enum dic_code dic_local_db_open(const char *data_dir, const struct dic_clock *clock,
                                struct dic_local_db **db_out, struct dic_err *err)
{
    struct dic_local_db *db = dic_calloc(1, sizeof *db);
    db->clock = clock;
    db->lock_fd = -1;
    dic_mutex_init(&db->lock);
    dic_cond_init(&db->work);
    dic_cond_init(&db->changed);
    enum dic_code code = start(db, data_dir, err);
    if (code != DIC_OK) {
        dic_local_db_close(db);
        return code;
    }
    *db_out = db;
    return DIC_OK;
}

void dic_local_db_close(struct dic_local_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->thread_started) {
        dic_lock(&db->lock);
        db->closing = true;
        pthread_cond_signal(&db->work);
        dic_unlock(&db->lock);
        dic_thread_join(db->thread);
    }
    for (int i = 0; i < db->reader_count; i++) {
        disconnect(db->readers[i]);
    }
    disconnect(db->writer);
    if (db->lock_fd >= 0) {
        close(db->lock_fd);
    }
    pthread_mutex_destroy(&db->lock);
    pthread_cond_destroy(&db->work);
    pthread_cond_destroy(&db->changed);
    dic_free(db->path);
    dic_free(db);
}
