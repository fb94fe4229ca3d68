/* SPDX-License-Identifier: Apache-2.0 */
#include "local_db.h"

#include "test.h"

#include "base/mem.h"
#include "base/thread.h"
#include "job_store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WRITERS = 64, PATH_SIZE = 128 };

struct fixture {
    char folder[64];
    struct dic_local_db *db;
};

static void reopen(struct fixture *fixture)
{
    dic_local_db_close(fixture->db);
    fixture->db = NULL;
    assert_ok(dic_local_db_open(fixture->folder, dic_clock_system(), &fixture->db, NULL));
}

static int open_db(void **state)
{
    struct fixture *fixture = dic_calloc(1, sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/dic-local-db-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    reopen(fixture);
    *state = fixture;
    return 0;
}

static int close_db(void **state)
{
    struct fixture *fixture = *state;
    char command[PATH_SIZE];
    dic_local_db_close(fixture->db);
    snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    assert_int_equal(system(command), 0);
    dic_free(fixture);
    return 0;
}

/* Without the library: what another program, or a newer version, would have done to the file. */
static void run_sql(const struct fixture *fixture, const char *sql)
{
    char path[PATH_SIZE];
    sqlite3 *sqlite = NULL;
    snprintf(path, sizeof path, "%s/jobs.sqlite", fixture->folder);
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sqlite);
}

/* ---- one transaction for many, and yet each for itself ---- */

static const char insert_sql[] = "INSERT INTO label_count(job, label, images) VALUES(?1,'x',?2)";

struct insertion {
    struct fixture *fixture;
    pthread_t thread;
    int64_t job;
    int64_t bytes; /* of ballast: a large one does not fit in a full database */
    bool fails;
    enum dic_code code;
};

static enum dic_code insert(struct dic_db_connection *connection, void *argument,
                            struct dic_err *err)
{
    const struct insertion *insertion = argument;
    DIC_TRY(dic_db_run(connection, insert_sql, NULL, err, "ii", insertion->job, (int64_t)1));
    if (insertion->bytes > 0) {
        DIC_TRY(dic_db_run(connection, "INSERT INTO chunk_rows(key, rows) VALUES(?1, zeroblob(?2))",
                           NULL, err, "ii", insertion->job, insertion->bytes));
    }
    return insertion->fails ? dic_fail(err, DIC_E_CONFLICT, "as the test wishes") : DIC_OK;
}

static enum dic_code count_rows(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    return dic_db_number(connection, "SELECT count(*) FROM label_count", -1, argument, err, "");
}

static int64_t rows_in(struct dic_local_db *db)
{
    int64_t count = -1;
    assert_ok(dic_local_db_read(db, count_rows, &count, NULL));
    return count;
}

static void *insert_in_thread(void *arg)
{
    struct insertion *insertion = arg;
    insertion->code = dic_local_db_write(insertion->fixture->db, insert, insertion, NULL);
    return NULL;
}

static void insert_all(struct fixture *fixture, struct insertion *insertions)
{
    for (int i = 0; i < WRITERS; i++) {
        insertions[i].fixture = fixture;
        insertions[i].job = i + 1;
        dic_thread_start(&insertions[i].thread, "writer", insert_in_thread, &insertions[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        dic_thread_join(insertions[i].thread);
    }
}

static void a_failing_operation_takes_only_itself_back(void **state)
{
    struct fixture *fixture = *state;
    struct insertion insertions[WRITERS] = {0};
    for (int i = 0; i < WRITERS; i += 3) {
        insertions[i].fails = true;
    }
    insert_all(fixture, insertions);
    int good = 0;
    for (int i = 0; i < WRITERS; i++) {
        assert_code(insertions[i].code, insertions[i].fails ? DIC_E_CONFLICT : DIC_OK);
        good += !insertions[i].fails;
    }
    assert_int_equal(rows_in(fixture->db), good);
    reopen(fixture);
    assert_int_equal(rows_in(fixture->db), good);
}

/* SQLite gives up the whole transaction when it runs out of space in the middle of it. */
static enum dic_code set_page_limit(struct dic_db_connection *connection, void *argument,
                                    struct dic_err *err)
{
    int64_t pages = 0;
    (void)argument;
    DIC_TRY(dic_db_number(connection, "PRAGMA max_page_count=100", 0, &pages, err, ""));
    return pages == 100 ? DIC_OK : dic_fail(err, DIC_E_INTERNAL, "%d pages", (int)pages);
}

static enum dic_code lift_page_limit(struct dic_db_connection *connection, void *argument,
                                     struct dic_err *err)
{
    int64_t pages = 0;
    (void)argument;
    return dic_db_number(connection, "PRAGMA max_page_count=1000000", 0, &pages, err, "");
}

static void a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct insertion insertions[WRITERS] = {0};
    assert_ok(dic_local_db_write(fixture->db, set_page_limit, NULL, NULL));
    for (int i = 0; i < WRITERS; i += 4) {
        insertions[i].bytes = 1000000;
    }
    insert_all(fixture, insertions);
    int kept = 0;
    for (int i = 0; i < WRITERS; i++) {
        assert_code(insertions[i].code, insertions[i].bytes > 0 ? DIC_E_UPSTREAM : DIC_OK);
        kept += insertions[i].code == DIC_OK;
    }
    assert_int_equal(rows_in(fixture->db), kept);
    struct insertion late = {.job = 1000, .bytes = 1000000};
    struct dic_err err = {0};
    assert_code(dic_local_db_write(fixture->db, insert, &late, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "full"));
    assert_true(err.retryable);
    assert_ok(dic_local_db_write(fixture->db, lift_page_limit, NULL, NULL));
    assert_ok(dic_local_db_write(fixture->db, insert, &late, NULL));
    reopen(fixture);
    assert_int_equal(rows_in(fixture->db), kept + 1);
}

/* ---- the folder ---- */

static void a_folder_in_use_is_refused_with_its_name_and_the_process(void **state)
{
    struct fixture *fixture = *state;
    struct dic_local_db *second = NULL;
    struct dic_err err = {0};
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_code(dic_local_db_open(fixture->folder, dic_clock_system(), &second, &err),
                DIC_E_CONFLICT);
    assert_non_null(strstr(err.msg, fixture->folder));
    assert_non_null(strstr(err.msg, pid));
    reopen(fixture); /* and the first one was not harmed */
}

static void a_folder_of_a_newer_version_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct dic_err err = {0};
    dic_local_db_close(fixture->db);
    fixture->db = NULL;
    run_sql(fixture, "PRAGMA user_version=1000");
    assert_code(dic_local_db_open(fixture->folder, dic_clock_system(), &fixture->db, &err),
                DIC_E_INVALID);
    assert_non_null(strstr(err.msg, "1000"));
    assert_null(fixture->db);
}

static void a_folder_of_the_first_version_is_brought_up_to_date(void **state)
{
    struct fixture *fixture = *state;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN, .job_id = "aaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct dic_queue_depth depth;
    uint32_t repaired = 0;
    struct dic_job_queue queue = dic_job_queue_sqlite(fixture->db);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    dic_local_db_close(fixture->db);
    run_sql(fixture, "DROP TABLE garbage; DROP INDEX job_live; DROP INDEX job_clean;"
                     "DROP INDEX job_flawed; DROP INDEX job_stopped; DROP INDEX job_deadline;"
                     "CREATE INDEX job_state ON job(state, created_ms, id);"
                     "PRAGMA user_version=1");
    fixture->db = NULL;
    reopen(fixture);
    queue = dic_job_queue_sqlite(fixture->db);
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    assert_int_equal(depth.visible, 1);
    struct dic_job_store jobs = dic_job_store_sqlite(fixture->db);
    assert_ok(jobs.ops->sweep(jobs.impl, 1000, 0, 10, &repaired, NULL));
    reopen(fixture);
}

static void a_file_that_is_no_database_is_a_typed_error(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_SIZE];
    dic_local_db_close(fixture->db);
    fixture->db = NULL;
    snprintf(path, sizeof path, "%s/jobs.sqlite", fixture->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is not a database ", file);
    }
    fclose(file);
    assert_code(dic_local_db_open(fixture->folder, dic_clock_system(), &fixture->db, NULL),
                DIC_E_UPSTREAM);
    assert_null(fixture->db);
}

static void leases_end_with_the_process_that_held_them(void **state)
{
    struct fixture *fixture = *state;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN, .job_id = "aaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct dic_delivery delivery;
    char old_receipt[DIC_RECEIPT_SIZE];
    size_t count = 0;
    struct dic_job_queue queue = dic_job_queue_sqlite(fixture->db);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 3600, 0, &count, NULL));
    assert_int_equal(count, 1);
    memcpy(old_receipt, delivery.receipt, sizeof old_receipt);
    reopen(fixture);
    queue = dic_job_queue_sqlite(fixture->db);
    assert_code(queue.ops->remove(queue.impl, old_receipt, NULL), DIC_E_NOT_FOUND);
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 3600, 0, &count, NULL));
    assert_int_equal(count, 1);
    assert_int_equal(delivery.receive_count, 2); /* the first delivery was durable */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_db, close_db)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_failing_operation_takes_only_itself_back),
        CASE(a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest),
        CASE(a_folder_in_use_is_refused_with_its_name_and_the_process),
        CASE(a_folder_of_a_newer_version_is_refused),
        CASE(a_folder_of_the_first_version_is_brought_up_to_date),
        CASE(a_file_that_is_no_database_is_a_typed_error),
        CASE(leases_end_with_the_process_that_held_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
