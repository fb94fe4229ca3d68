/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite file shared by the local job store and queue. All writes go through one thread that
 * commits them in groups: callers block until the commit that holds their operation is on disk.
 * Reads take a connection from a pool and see the last commit. Any thread may call.
 */
#ifndef DIC_LOCAL_DB_H
#define DIC_LOCAL_DB_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct dic_local_db;
struct dic_db_connection;

/* DIC_E_CONFLICT, with its pid, when another process has the folder open. Makes the folder's files.
 */
DIC_MUST_USE enum dic_code dic_local_db_open(const char *data_dir, const struct dic_clock *clock,
                                             struct dic_local_db **db_out, struct dic_err *err);
void dic_local_db_close(struct dic_local_db *db); /* NULL is fine */
const struct dic_clock *dic_local_db_clock(const struct dic_local_db *db);

/*
 * Runs in the writer thread, inside a savepoint that is rolled back unless it returns DIC_OK. It
 * may run again after its transaction was lost, so it sets its results and never adds to them.
 */
typedef enum dic_code (*dic_db_operation)(struct dic_db_connection *connection, void *argument,
                                          struct dic_err *err);
/* Durable when it returns DIC_OK. */
DIC_MUST_USE enum dic_code dic_local_db_write(struct dic_local_db *db, dic_db_operation operation,
                                              void *argument, struct dic_err *err);
/* Runs with a connection that only reads, in the caller's thread. */
DIC_MUST_USE enum dic_code dic_local_db_read(struct dic_local_db *db, dic_db_operation operation,
                                             void *argument, struct dic_err *err);

/* Receivers wait for messages: the version grows with every commit. */
uint64_t dic_local_db_version(struct dic_local_db *db);
/* Waits until the version differs from `seen`, or ms have passed, or somebody calls wake. */
void dic_local_db_wait(struct dic_local_db *db, uint64_t seen, int64_t ms);
void dic_local_db_wake(struct dic_local_db *db);
uint64_t dic_local_db_wakes(struct dic_local_db *db); /* how often wake was called */

/* ---- statements; sql is a literal, prepared once for each connection ---- */

/*
 * kinds says what follows, one letter a parameter: t struct dic_str as text, b struct dic_str as
 * blob, s const char * as text, i int64_t, r double. Bound memory must live until the reset.
 */
DIC_MUST_USE enum dic_code dic_db_bind(struct dic_db_connection *connection, const char *sql,
                                       sqlite3_stmt **statement_out, struct dic_err *err,
                                       const char *kinds, ...);
/* *row_out is false after the last row; then the statement is already reset. */
DIC_MUST_USE enum dic_code dic_db_step(struct dic_db_connection *connection,
                                       sqlite3_stmt *statement, bool *row_out, struct dic_err *err);
/* Bind, step once, reset; *changes_out (may be NULL) is the number of rows changed. */
DIC_MUST_USE enum dic_code dic_db_run(struct dic_db_connection *connection, const char *sql,
                                      int64_t *changes_out, struct dic_err *err, const char *kinds,
                                      ...);
/* Bind and step; a single int64 result, or `absent` when there is no row. */
DIC_MUST_USE enum dic_code dic_db_number(struct dic_db_connection *connection, const char *sql,
                                         int64_t absent, int64_t *value_out, struct dic_err *err,
                                         const char *kinds, ...);
int64_t dic_db_last_id(struct dic_db_connection *connection);

/* Column values; views live until the next step or reset. */
struct dic_str dic_db_text(sqlite3_stmt *statement, int column);
struct dic_str dic_db_blob(sqlite3_stmt *statement, int column);
/* For DIC_CLEANUP: ends a query early. */
void dic_db_reset(sqlite3_stmt **statement);

#endif
