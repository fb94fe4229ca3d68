/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

static const char version_1[] =
    "CREATE TABLE job("
    "  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,"
    "  source INTEGER NOT NULL, top_k INTEGER NOT NULL, threshold REAL NOT NULL,"
    "  deadline_ms INTEGER NOT NULL, max_failures INTEGER NOT NULL, spec TEXT NOT NULL,"
    "  images INTEGER NOT NULL, succeeded INTEGER NOT NULL DEFAULT 0,"
    "  failed INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0,"
    "  unknown INTEGER NOT NULL DEFAULT 0, segments INTEGER NOT NULL DEFAULT 0,"
    "  chunks INTEGER NOT NULL DEFAULT 0, booked INTEGER NOT NULL DEFAULT 0,"
    "  planned_images INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL,"
    "  started_ms INTEGER NOT NULL DEFAULT 0, ended_ms INTEGER NOT NULL DEFAULT 0,"
    "  model TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',"
    "  retry_of TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE INDEX job_created ON job(created_ms, id);"
    "CREATE INDEX job_state ON job(state, created_ms, id);"
    "CREATE INDEX job_ended ON job(ended_ms) WHERE ended_ms > 0;"
    "CREATE INDEX job_retry ON job(retry_of) WHERE retry_of <> '';"
    /* One chunk; booked: 1 once its outcome is in chunk_rows. */
    "CREATE TABLE chunk("
    "  key INTEGER PRIMARY KEY, first_image INTEGER NOT NULL, images INTEGER NOT NULL,"
    "  booked INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
    "  lines BLOB NOT NULL) STRICT;"
    "CREATE INDEX chunk_open ON chunk(key) WHERE booked = 0;"
    "CREATE TABLE chunk_rows(key INTEGER PRIMARY KEY, rows BLOB NOT NULL) STRICT;"
    "CREATE TABLE segment(key INTEGER PRIMARY KEY, resume TEXT NOT NULL) STRICT;"
    /* A long key list of a request, in pieces. */
    "CREATE TABLE job_keys(key INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE label_count("
    "  job INTEGER NOT NULL, label TEXT NOT NULL, images INTEGER NOT NULL,"
    "  PRIMARY KEY(job, label)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE idempotency("
    "  key TEXT PRIMARY KEY, job TEXT NOT NULL, hash TEXT NOT NULL,"
    "  expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX idempotency_expires ON idempotency(expires_ms);"
    /* visible_ms 0: at once. Ordered by chunk before id: the first chunks of a new job come before
     * the thousandth of an old one, so that a large job does not hold up small ones. */
    "CREATE TABLE queue("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, job_seq INTEGER NOT NULL,"
    "  job TEXT NOT NULL, chunk INTEGER NOT NULL, visible_ms INTEGER NOT NULL DEFAULT 0,"
    "  receives INTEGER NOT NULL DEFAULT 0, lease INTEGER NOT NULL DEFAULT 0,"
    "  sent_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX queue_order ON queue(visible_ms, chunk, id);"
    "CREATE INDEX queue_job ON queue(job_seq, kind, chunk);";

/* Lists by status: open jobs are few and ended ones many, so each status has its own index of the
 * latter. garbage: jobs that are gone, whose rows are still to be removed, piece by piece. */
static const char version_2[] =
    "DROP INDEX job_state;"
    "CREATE INDEX job_live ON job(created_ms, id) WHERE ended_ms = 0;"
    "CREATE INDEX job_clean ON job(created_ms, id) WHERE state = 'SUCCEEDED' AND failed = 0;"
    "CREATE INDEX job_flawed ON job(created_ms, id) WHERE state = 'SUCCEEDED' AND failed > 0;"
    "CREATE INDEX job_stopped ON job(state, created_ms, id)"
    "  WHERE ended_ms > 0 AND state <> 'SUCCEEDED';"
    "CREATE INDEX job_deadline ON job(deadline_ms) WHERE deadline_ms > 0 AND ended_ms = 0;"
    "CREATE TABLE garbage(job_seq INTEGER PRIMARY KEY) STRICT;";

const char *const dic_schema_steps[DIC_SCHEMA_VERSION] = {version_1, version_2};
