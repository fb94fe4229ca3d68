/* SPDX-License-Identifier: Apache-2.0 */
/* Booking chunks, stopping jobs, and sweeping. */
#include "job_rows.h"
#include "schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct book {
    const char *job_id;
    const struct dic_booking *booking;
    int64_t now_ms;
    enum dic_book_result result;
};

static enum dic_code insert_rows(struct dic_db_connection *connection, int64_t seq,
                                 const struct dic_booking *booking, struct dic_err *err)
{
    DIC_TRY(dic_db_run(connection, "INSERT INTO chunk_rows(key, rows) VALUES(?1,?2)", NULL, err,
                       "ib", dic_row_key(seq, booking->chunk), booking->rows));
    for (size_t i = 0; i < booking->label_count; i++) {
        DIC_TRY(dic_db_run(connection,
                           "INSERT INTO label_count(job, label, images) VALUES(?1,?2,?3)"
                           " ON CONFLICT(job, label) DO UPDATE SET images=images+?3",
                           NULL, err, "iti", seq, booking->labels[i].label,
                           booking->labels[i].images));
    }
    return DIC_OK;
}

static enum dic_code count_chunk(struct dic_db_connection *connection, int64_t seq,
                                 const struct dic_booking *booking, int64_t now_ms,
                                 struct dic_err *err)
{
    return dic_db_run(connection,
                      "UPDATE job SET booked=booked+1, succeeded=succeeded+?2, failed=failed+?3,"
                      " unknown=unknown+?4,"
                      " started_ms=CASE WHEN started_ms=0 THEN ?5 ELSE started_ms END,"
                      " model=CASE WHEN model='' THEN ?6 ELSE model END WHERE seq=?1",
                      NULL, err, "iiiiit", seq, (int64_t)booking->succeeded,
                      (int64_t)booking->failed, (int64_t)booking->unknown, now_ms,
                      booking->model_json);
}

/* The job's own limit of failures: the job ends at once, with what it has. */
static enum dic_code fail_if_too_many(struct dic_db_connection *connection, struct book *book,
                                      bool *failed_out, struct dic_err *err)
{
    struct dic_job_head head;
    char reason[128];
    DIC_TRY(dic_job_head_read(connection, book->job_id, &head, err));
    *failed_out = head.max_failures >= 0 && head.failed > head.max_failures;
    if (!*failed_out) {
        return DIC_OK;
    }
    snprintf(reason, sizeof reason, "%" PRId64 " images failed, max_failures is %" PRId64,
             head.failed, head.max_failures);
    DIC_TRY(dic_db_run(connection, "UPDATE job SET state='FAILING', reason=?2 WHERE seq=?1", NULL,
                       err, "is", head.seq, reason));
    return dic_job_seal_row(connection, book->job_id, book->now_ms, err);
}

static enum dic_code book_open_chunk(struct dic_db_connection *connection, struct book *book,
                                     int64_t seq, struct dic_err *err)
{
    const struct dic_booking *booking = book->booking;
    int64_t images = 0;
    int64_t changes = 0;
    bool failed = false;
    DIC_TRY(dic_db_number(connection, "SELECT images FROM chunk WHERE key=?1", -1, &images, err,
                          "i", dic_row_key(seq, booking->chunk)));
    if (images != (int64_t)booking->succeeded + booking->failed) {
        return dic_fail(err, images < 0 ? DIC_E_NOT_FOUND : DIC_E_INTERNAL,
                        "chunk %" PRIu32 " of job '%s' has %" PRId64 " images, not %" PRIu32,
                        booking->chunk, book->job_id, images, booking->succeeded + booking->failed);
    }
    DIC_TRY(dic_db_run(connection, "UPDATE chunk SET booked=1, failed=?2 WHERE key=?1 AND booked=0",
                       &changes, err, "ii", dic_row_key(seq, booking->chunk),
                       (int64_t)booking->failed));
    if (changes == 0) {
        book->result = DIC_BOOK_LATE;
        return DIC_OK;
    }
    DIC_TRY(insert_rows(connection, seq, booking, err));
    DIC_TRY(count_chunk(connection, seq, booking, book->now_ms, err));
    book->result = DIC_BOOKED;
    DIC_TRY(fail_if_too_many(connection, book, &failed, err));
    return failed ? DIC_OK : dic_job_complete_if_done(connection, book->job_id, book->now_ms, err);
}

static enum dic_code book_chunk(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    struct book *book = argument;
    struct dic_job_head head;
    book->result = DIC_BOOK_CLOSED;
    enum dic_code code = dic_job_head_read(connection, book->job_id, &head, err);
    if (code == DIC_OK && dic_job_is_open(head.state)) {
        code = book_open_chunk(connection, book, head.seq, err);
    } else if (code == DIC_E_NOT_FOUND) {
        code = DIC_OK;
    }
    DIC_TRY(code);
    return book->booking->receipt == NULL
               ? DIC_OK
               : dic_queue_remove(connection, book->booking->receipt, NULL, err);
}

enum dic_code dic_sqlite_book(void *impl, const char *job_id, const struct dic_booking *booking,
                              enum dic_book_result *result_out, struct dic_err *err)
{
    struct book book = {
        .job_id = job_id,
        .booking = booking,
        .now_ms = dic_clock_wall_ms(dic_local_db_clock(impl)),
    };
    DIC_TRY(dic_local_db_write(impl, book_chunk, &book, err));
    *result_out = book.result;
    return DIC_OK;
}

/* ---- stopping ---- */

struct stop {
    const char *job_id;
    enum dic_job_state state;
    struct dic_str reason;
    int64_t now_ms;
};

static enum dic_code stop_job(struct dic_db_connection *connection, void *argument,
                              struct dic_err *err)
{
    struct stop *stop = argument;
    struct dic_job_head head;
    DIC_TRY(dic_job_head_read(connection, stop->job_id, &head, err));
    if (head.state == stop->state || head.state == dic_job_sealed_state(stop->state)) {
        return DIC_OK;
    }
    if (!dic_job_is_open(head.state)) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s already", stop->job_id,
                        dic_job_state_api_word(head.state));
    }
    return dic_db_run(connection, "UPDATE job SET state=?2, reason=?3 WHERE seq=?1", NULL, err,
                      "ist", head.seq, dic_job_state_word(stop->state), stop->reason);
}

enum dic_code dic_sqlite_stop(void *impl, const char *job_id, enum dic_job_state state,
                              struct dic_str reason, struct dic_err *err)
{
    struct stop stop = {.job_id = job_id, .state = state, .reason = reason};
    return dic_local_db_write(impl, stop_job, &stop, err);
}

struct fail_plan {
    struct stop stop; /* first: stop_job takes it */
    uint32_t segment;
};

static enum dic_code fail_plan(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct fail_plan *fail = argument;
    struct dic_job_head head;
    DIC_TRY(dic_job_head_read(connection, fail->stop.job_id, &head, err));
    if (head.state != DIC_JOB_PLANNING || head.segments != fail->segment) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is planned past segment %" PRIu32,
                        fail->stop.job_id, fail->segment);
    }
    return stop_job(connection, &fail->stop, err);
}

enum dic_code dic_sqlite_fail_plan(void *impl, const char *job_id, uint32_t segment,
                                   struct dic_str reason, struct dic_err *err)
{
    struct fail_plan fail = {{.job_id = job_id, .state = DIC_JOB_FAILING, .reason = reason},
                             segment};
    return dic_local_db_write(impl, fail_plan, &fail, err);
}

static enum dic_code seal_job(struct dic_db_connection *connection, void *argument,
                              struct dic_err *err)
{
    struct stop *stop = argument;
    return dic_job_seal_row(connection, stop->job_id, stop->now_ms, err);
}

enum dic_code dic_sqlite_seal(void *impl, const char *job_id, struct dic_err *err)
{
    struct stop stop = {
        .job_id = job_id,
        .now_ms = dic_clock_wall_ms(dic_local_db_clock(impl)),
    };
    return dic_local_db_write(impl, seal_job, &stop, err);
}
