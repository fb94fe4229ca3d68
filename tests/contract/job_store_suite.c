/* SPDX-License-Identifier: Apache-2.0 */
#include "job_store_suite.h"

#include "test.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 16, NOW = 1000000 };

static const char lines[] = "\"a\"\n\"b\"\n";

static int open_store(void **state)
{
    *state = dic_suite_open();
    return 0;
}

static int close_store(void **state)
{
    dic_suite_close(*state);
    return 0;
}

/* A job of `chunks` chunks with two images each, planned at once. */
static enum dic_code create(struct dic_store_under_test *store, uint32_t chunks, const char *key,
                            const char *hash, int64_t max_failures, char id_out[DIC_ID_SIZE],
                            enum dic_create_result *result_out)
{
    struct dic_chunk_plan plans[DIC_SEGMENT_CHUNKS];
    for (uint32_t i = 0; i < chunks; i++) {
        plans[i] = (struct dic_chunk_plan){(int64_t)i * 2, 2, dic_str(lines)};
    }
    struct dic_segment_plan segment = {.chunk_count = chunks, .chunks = plans, .is_last = true};
    struct dic_new_job job = {
        .params = {.top_k = 5, .max_failures = max_failures, .spec_json = DIC_STR_LIT("{}")},
        .created_ms = NOW,
        .idempotency_key = dic_str(key),
        .request_hash = dic_str(hash),
        .segment = &segment,
        .keys = DIC_STR_LIT(""),
        .retry_of = DIC_STR_LIT(""),
    };
    bool sent = false;
    enum dic_code code =
        store->jobs.ops->create(store->jobs.impl, &job, id_out, result_out, &sent, NULL);
    if (code == DIC_OK && !sent && *result_out == DIC_CREATED) {
        for (uint32_t i = 0; i < chunks; i++) {
            struct dic_message message = {.kind = DIC_MESSAGE_CHUNK, .chunk = i};
            memcpy(message.job_id, id_out, DIC_ID_SIZE);
            code = store->queue.ops->send(store->queue.impl, &message, 1, NULL);
        }
    }
    return code;
}

static void new_job(struct dic_store_under_test *store, uint32_t chunks, char id_out[DIC_ID_SIZE])
{
    enum dic_create_result result;
    assert_ok(create(store, chunks, "", "", -1, id_out, &result));
    assert_int_equal(result, DIC_CREATED);
}

static enum dic_book_result book(struct dic_store_under_test *store, const char *id, uint32_t chunk,
                                 uint32_t failed, const char *rows)
{
    enum dic_book_result result = DIC_BOOK_CLOSED;
    struct dic_label_count label = {DIC_STR_LIT("cat"), 2 - (int64_t)failed};
    struct dic_booking booking = {
        .chunk = chunk,
        .succeeded = 2 - failed,
        .failed = failed,
        .rows = dic_str(rows),
        .model_json = DIC_STR_LIT("{\"name\":\"m\"}"),
        .labels = &label,
        .label_count = failed < 2 ? 1 : 0,
    };
    assert_ok(store->jobs.ops->book(store->jobs.impl, id, &booking, &result, NULL));
    return result;
}

static struct dic_job get(struct dic_store_under_test *store, const char *id)
{
    struct dic_job job = {0};
    struct dic_buf memory;
    dic_buf_init(&memory, 100000);
    assert_ok(store->jobs.ops->get(store->jobs.impl, id, &job, &memory, NULL));
    dic_buf_clean_up(&memory);
    job.params.spec_json = job.model_json = job.reason = dic_str(NULL);
    return job;
}

struct seen {
    char text[4096];
    uint32_t chunks;
};

static enum dic_code see_rows(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    (void)err;
    snprintf(seen->text + used, sizeof seen->text - used, "%u:%.*s;", rows->chunk,
             DIC_STR_ARGS(rows->rows));
    seen->chunks++;
    return DIC_OK;
}

static struct seen rows_of(struct dic_store_under_test *store, const char *id, uint32_t from)
{
    struct seen seen = {0};
    assert_ok(store->jobs.ops->rows(store->jobs.impl, id, from, 100, see_rows, &seen, NULL));
    return seen;
}

/* ---- tests ---- */

static void an_unknown_job_is_not_found(void **state)
{
    struct dic_store_under_test *store = *state;
    struct dic_job job;
    struct dic_buf memory;
    dic_buf_init(&memory, 1000);
    const char *id = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_code(store->jobs.ops->get(store->jobs.impl, id, &job, &memory, NULL), DIC_E_NOT_FOUND);
    assert_code(store->jobs.ops->seal(store->jobs.impl, id, NULL), DIC_E_NOT_FOUND);
    assert_int_equal(book(store, id, 0, 0, "x\n"), DIC_BOOK_CLOSED);
}

static void a_job_succeeds_when_its_last_chunk_is_booked(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    new_job(store, 3, id);
    assert_int_equal(get(store, id).state, DIC_JOB_RUNNING);
    assert_int_equal(book(store, id, 2, 0, "r2\n"), DIC_BOOKED);
    assert_int_equal(book(store, id, 0, 1, "r0\n"), DIC_BOOKED);
    assert_string_equal(rows_of(store, id, 0).text, "0:r0\n;"); /* chunk 1 is a gap */
    assert_int_equal(book(store, id, 1, 0, "r1\n"), DIC_BOOKED);
    struct dic_job job = get(store, id);
    assert_int_equal(job.state, DIC_JOB_SUCCEEDED);
    assert_int_equal(job.totals.images, 6);
    assert_int_equal(job.totals.succeeded, 5);
    assert_int_equal(job.totals.failed, 1);
    assert_int_equal(job.totals.skipped, 0);
    assert_string_equal(rows_of(store, id, 1).text, "1:r1\n;2:r2\n;");
}

static void the_first_booking_of_a_chunk_wins(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    new_job(store, 2, id);
    assert_int_equal(book(store, id, 0, 0, "first\n"), DIC_BOOKED);
    assert_int_equal(book(store, id, 0, 2, "second\n"), DIC_BOOK_LATE);
    assert_string_equal(rows_of(store, id, 0).text, "0:first\n;");
    assert_int_equal(get(store, id).totals.failed, 0);
}

static void after_a_stop_nothing_is_booked_and_the_rest_is_skipped(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    new_job(store, 3, id);
    assert_int_equal(book(store, id, 1, 0, "r1\n"), DIC_BOOKED);
    assert_ok(
        store->jobs.ops->stop(store->jobs.impl, id, DIC_JOB_CANCELLING, DIC_STR_LIT("x"), NULL));
    assert_int_equal(book(store, id, 0, 0, "r0\n"), DIC_BOOK_CLOSED);
    assert_ok(store->jobs.ops->seal(store->jobs.impl, id, NULL));
    assert_ok(store->jobs.ops->seal(store->jobs.impl, id, NULL));
    assert_ok(
        store->jobs.ops->stop(store->jobs.impl, id, DIC_JOB_CANCELLING, DIC_STR_LIT("x"), NULL));
    assert_code(
        store->jobs.ops->stop(store->jobs.impl, id, DIC_JOB_EXPIRING, DIC_STR_LIT("x"), NULL),
        DIC_E_CONFLICT);
    struct dic_job job = get(store, id);
    assert_int_equal(job.state, DIC_JOB_CANCELLED);
    assert_int_equal(job.totals.skipped, 4);
    assert_string_equal(rows_of(store, id, 0).text, "1:r1\n;"); /* an ended job shows all it has */
}

static void more_failures_than_allowed_fail_the_job(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    assert_ok(create(store, 3, "", "", 2, id, &result));
    assert_int_equal(book(store, id, 0, 2, "r0\n"), DIC_BOOKED);
    assert_int_equal(get(store, id).state, DIC_JOB_RUNNING); /* two are allowed */
    assert_int_equal(book(store, id, 1, 1, "r1\n"), DIC_BOOKED);
    assert_ok(store->jobs.ops->seal(store->jobs.impl, id, NULL));
    struct dic_job job = get(store, id);
    assert_int_equal(job.state, DIC_JOB_FAILED);
    assert_int_equal(job.totals.skipped, 2);
}

static void an_idempotency_key_names_one_job_and_one_request(void **state)
{
    struct dic_store_under_test *store = *state;
    char first[DIC_ID_SIZE];
    char second[DIC_ID_SIZE];
    enum dic_create_result result;
    assert_ok(create(store, 1, "key", "hash", -1, first, &result));
    assert_int_equal(result, DIC_CREATED);
    assert_ok(create(store, 1, "key", "hash", -1, second, &result));
    assert_int_equal(result, DIC_CREATE_REPLAYED);
    assert_string_equal(first, second);
    assert_code(create(store, 1, "key", "other", -1, second, &result), DIC_E_INVALID);
}

struct racer {
    struct dic_store_under_test *store;
    pthread_t thread;
    char id[DIC_ID_SIZE];
    enum dic_create_result created;
    enum dic_book_result booked;
    uint32_t number;
};

static void *race_create(void *arg)
{
    struct racer *racer = arg;
    if (create(racer->store, 1, "race", "hash", -1, racer->id, &racer->created) != DIC_OK) {
        racer->id[0] = '\0';
    }
    return NULL;
}

static void *race_book(void *arg)
{
    struct racer *racer = arg;
    char rows[16];
    snprintf(rows, sizeof rows, "r%u\n", racer->number);
    struct dic_booking booking = {
        .succeeded = 2, .rows = dic_str(rows), .model_json = DIC_STR_LIT("{}")};
    if (racer->store->jobs.ops->book(racer->store->jobs.impl, racer->id, &booking, &racer->booked,
                                     NULL) != DIC_OK) {
        racer->booked = DIC_BOOK_CLOSED;
    }
    return NULL;
}

static void race(struct racer *racers, struct dic_store_under_test *store, void *(*run)(void *))
{
    for (uint32_t i = 0; i < THREADS; i++) {
        racers[i].store = store;
        racers[i].number = i;
        dic_thread_start(&racers[i].thread, "racer", run, &racers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        dic_thread_join(racers[i].thread);
    }
}

static void racing_creates_of_one_key_make_one_job(void **state)
{
    struct racer racers[THREADS] = {0};
    int created = 0;
    race(racers, *state, race_create);
    for (int i = 0; i < THREADS; i++) {
        assert_string_equal(racers[i].id, racers[0].id);
        created += racers[i].created == DIC_CREATED;
    }
    assert_int_equal(created, 1);
}

static void racing_bookings_of_one_chunk_count_once(void **state)
{
    struct dic_store_under_test *store = *state;
    struct racer racers[THREADS] = {0};
    char id[DIC_ID_SIZE];
    int booked = 0;
    int late = 0;
    new_job(store, 2, id);
    for (int i = 0; i < THREADS; i++) {
        memcpy(racers[i].id, id, sizeof id);
    }
    race(racers, store, race_book);
    for (int i = 0; i < THREADS; i++) {
        booked += racers[i].booked == DIC_BOOKED;
        late += racers[i].booked == DIC_BOOK_LATE;
    }
    assert_int_equal(booked, 1);
    assert_int_equal(late, THREADS - 1);
    assert_int_equal(get(store, id).totals.succeeded, 2);
}

static void a_job_is_planned_segment_by_segment_and_each_only_once(void **state)
{
    struct dic_store_under_test *store = *state;
    struct dic_new_job job = {
        .params = {.top_k = 1, .max_failures = -1, .spec_json = DIC_STR_LIT("{}")},
        .created_ms = NOW,
        .idempotency_key = DIC_STR_LIT(""),
        .request_hash = DIC_STR_LIT(""),
        .keys = DIC_STR_LIT("0123456789"),
        .retry_of = DIC_STR_LIT("")};
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    bool sent = false;
    uint32_t segment = 9;
    struct dic_buf text;
    dic_buf_init(&text, 1000);
    const struct dic_job_store_ops *ops = store->jobs.ops;
    assert_ok(ops->create(store->jobs.impl, &job, id, &result, &sent, NULL));
    assert_ok(ops->get_keys(store->jobs.impl, id, 3, 4, &text, NULL));
    assert_view(dic_buf_view(&text), "3456");
    dic_buf_clear(&text);
    assert_ok(ops->begin_plan(store->jobs.impl, id, &segment, &text, NULL));
    assert_int_equal(segment, 0);
    assert_int_equal(get(store, id).totals.images, -1);
    struct dic_chunk_plan chunk = {0, 2, dic_str(lines)};
    struct dic_segment_plan plan = {
        .chunk_count = 1, .chunks = &chunk, .resume = DIC_STR_LIT("go on")};
    assert_ok(ops->add_segment(store->jobs.impl, id, &plan, &sent, NULL));
    assert_ok(ops->add_segment(store->jobs.impl, id, &plan, &sent, NULL)); /* a second planner */
    assert_int_equal(get(store, id).planned_chunks, 1);
    assert_int_equal(book(store, id, 0, 0, "r0\n"), DIC_BOOKED); /* before planning has ended */
    assert_ok(ops->begin_plan(store->jobs.impl, id, &segment, &text, NULL));
    assert_int_equal(segment, 1);
    assert_view(dic_buf_view(&text), "go on");
    plan = (struct dic_segment_plan){.segment = 1, .is_last = true, .resume = DIC_STR_LIT("end")};
    assert_ok(ops->add_segment(store->jobs.impl, id, &plan, &sent, NULL));
    assert_int_equal(get(store, id).state, DIC_JOB_SUCCEEDED);
    assert_code(ops->begin_plan(store->jobs.impl, id, &segment, &text, NULL), DIC_E_CONFLICT);
    dic_buf_clean_up(&text);
}

static void only_the_planner_at_the_front_fails_a_job_for_its_source(void **state)
{
    struct dic_store_under_test *store = *state;
    const struct dic_job_store_ops *ops = store->jobs.ops;
    struct dic_new_job job = {
        .params = {.top_k = 1, .max_failures = -1, .spec_json = DIC_STR_LIT("{}")},
        .created_ms = NOW,
        .idempotency_key = DIC_STR_LIT(""),
        .request_hash = DIC_STR_LIT(""),
        .keys = DIC_STR_LIT("0123456789"),
        .retry_of = DIC_STR_LIT("")};
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    bool sent = false;
    uint32_t segment = 9;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    struct dic_chunk_plan chunk = {0, 2, dic_str(lines)};
    struct dic_segment_plan plan = {.chunk_count = 1, .chunks = &chunk, .resume = DIC_STR_LIT("r")};
    const struct dic_str reason = DIC_STR_LIT("the manifest is gone");
    dic_buf_init(&text, 1000);
    assert_ok(ops->create(store->jobs.impl, &job, id, &result, &sent, NULL));
    assert_ok(ops->begin_plan(store->jobs.impl, id, &segment, &text, NULL));
    assert_ok(ops->add_segment(store->jobs.impl, id, &plan, &sent, NULL));
    assert_code(ops->fail_plan(store->jobs.impl, id, 0, reason, NULL), DIC_E_CONFLICT);
    assert_int_equal(get(store, id).state, DIC_JOB_PLANNING);
    assert_ok(ops->fail_plan(store->jobs.impl, id, 1, reason, NULL));
    assert_ok(ops->seal(store->jobs.impl, id, NULL));
    assert_int_equal(get(store, id).state, DIC_JOB_FAILED);
    assert_int_equal(get(store, id).totals.skipped, 2);
}

static void labels_are_counted_over_all_chunks(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    struct dic_label_count labels[5];
    size_t count = 5;
    struct dic_buf memory;
    dic_buf_init(&memory, 1000);
    new_job(store, 2, id);
    book(store, id, 0, 0, "r0\n");
    book(store, id, 1, 1, "r1\n");
    assert_ok(store->jobs.ops->labels(store->jobs.impl, id, labels, &count, &memory, NULL));
    assert_int_equal(count, 1);
    assert_view(labels[0].label, "cat");
    assert_int_equal(labels[0].images, 3);
    dic_buf_clean_up(&memory);
}

static void the_sweeper_ends_late_jobs_and_removes_old_ones(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    uint32_t repaired = 0;
    struct dic_job job;
    struct dic_buf memory;
    dic_buf_init(&memory, 1000);
    new_job(store, 1, id);
    book(store, id, 0, 0, "r\n");
    int64_t now = dic_clock_wall_ms(dic_clock_system());
    assert_ok(store->jobs.ops->sweep(store->jobs.impl, now, 60000, 10, &repaired, NULL));
    assert_int_equal(get(store, id).state, DIC_JOB_SUCCEEDED);
    dic_suite_pass(store, 120000);
    assert_ok(store->jobs.ops->sweep(store->jobs.impl, now + 120000, 60000, 10, &repaired, NULL));
    assert_code(store->jobs.ops->get(store->jobs.impl, id, &job, &memory, NULL), DIC_E_NOT_FOUND);
}

static void a_chunk_is_read_with_its_lines_until_the_job_is_closed(void **state)
{
    struct dic_store_under_test *store = *state;
    const struct dic_job_store_ops *ops = store->jobs.ops;
    struct dic_chunk chunk = {0};
    struct dic_buf memory;
    char id[DIC_ID_SIZE];
    dic_buf_init(&memory, 1000);
    new_job(store, 2, id);
    assert_ok(ops->get_chunk(store->jobs.impl, id, 1, &chunk, &memory, NULL));
    assert_int_equal(chunk.first_image, 2);
    assert_int_equal(chunk.images, 2);
    assert_false(chunk.booked);
    assert_view(chunk.lines, lines);
    book(store, id, 1, 0, "r1\n");
    dic_buf_clear(&memory);
    assert_ok(ops->get_chunk(store->jobs.impl, id, 1, &chunk, &memory, NULL));
    assert_true(chunk.booked);
    assert_code(ops->get_chunk(store->jobs.impl, id, 2, &chunk, &memory, NULL), DIC_E_NOT_FOUND);
    assert_ok(ops->stop(store->jobs.impl, id, DIC_JOB_CANCELLING, DIC_STR_LIT("x"), NULL));
    assert_ok(ops->seal(store->jobs.impl, id, NULL));
    enum dic_code code = ops->get_chunk(store->jobs.impl, id, 0, &chunk, &memory, NULL);
    dic_buf_clean_up(&memory);
    assert_code(code, DIC_E_CONFLICT);
}

static void rows_are_given_from_a_chunk_on_and_up_to_a_limit(void **state)
{
    struct dic_store_under_test *store = *state;
    struct seen seen = {0};
    char id[DIC_ID_SIZE];
    new_job(store, 5, id);
    for (uint32_t i = 0; i < 5; i++) {
        book(store, id, i, 0, "r\n");
    }
    assert_ok(store->jobs.ops->rows(store->jobs.impl, id, 1, 3, see_rows, &seen, NULL));
    assert_string_equal(seen.text, "1:r\n;2:r\n;3:r\n;");
}

static enum dic_code stop_at_once(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    ++*(int *)context;
    (void)rows;
    return dic_fail(err, DIC_E_TOO_LARGE, "enough");
}

static void a_visitor_of_rows_can_stop_with_its_own_error(void **state)
{
    struct dic_store_under_test *store = *state;
    struct dic_err err = {0};
    int visits = 0;
    char id[DIC_ID_SIZE];
    new_job(store, 2, id);
    book(store, id, 0, 0, "r\n");
    book(store, id, 1, 0, "r\n");
    assert_code(store->jobs.ops->rows(store->jobs.impl, id, 0, 9, stop_at_once, &visits, &err),
                DIC_E_TOO_LARGE);
    assert_int_equal(visits, 1);
    assert_string_equal(err.msg, "enough");
}

/* ---- lists ---- */

/* A job without a plan yet: of a prefix, or a retry. */
static enum dic_code create_at(struct dic_store_under_test *store, int64_t created_ms,
                               int64_t deadline_ms, const char *retry_of, char id_out[DIC_ID_SIZE],
                               enum dic_create_result *result_out)
{
    const struct dic_new_job job = {
        .params = {.source = DIC_SOURCE_PREFIX,
                   .top_k = 5,
                   .max_failures = -1,
                   .deadline_ms = deadline_ms,
                   .spec_json = DIC_STR_LIT("{\"s3_prefix\":\"\"}")},
        .created_ms = created_ms,
        .idempotency_key = DIC_STR_LIT(""),
        .request_hash = DIC_STR_LIT(""),
        .keys = DIC_STR_LIT(""),
        .retry_of = dic_str(retry_of),
    };
    bool sent = false;
    return store->jobs.ops->create(store->jobs.impl, &job, id_out, result_out, &sent, NULL);
}

struct listed {
    char ids[20][DIC_ID_SIZE];
    int64_t created_ms[20];
    uint32_t count;
};

static enum dic_code note_job(void *context, const struct dic_job *job, struct dic_err *err)
{
    struct listed *listed = context;
    (void)err;
    assert_true(listed->count < 20);
    memcpy(listed->ids[listed->count], job->id, DIC_ID_SIZE);
    listed->created_ms[listed->count++] = job->created_ms;
    return DIC_OK;
}

static struct listed list(struct dic_store_under_test *store, const struct dic_job_filter *filter)
{
    struct listed listed = {.count = 0};
    assert_ok(store->jobs.ops->list(store->jobs.impl, filter, note_job, &listed, NULL));
    return listed;
}

static void jobs_are_listed_newest_first_and_page_by_page(void **state)
{
    struct dic_store_under_test *store = *state;
    struct dic_job_filter filter = {.limit = 3};
    bool seen[9] = {false};
    char ids[9][DIC_ID_SIZE];
    int64_t last_ms = INT64_MAX;
    uint32_t total = 0;
    for (int i = 0; i < 9; i++) { /* three at the same time each */
        enum dic_create_result result;
        assert_ok(create_at(store, NOW + i / 3, 0, "", ids[i], &result));
    }
    for (struct listed page = list(store, &filter); page.count > 0; page = list(store, &filter)) {
        assert_true(page.count <= 3);
        for (uint32_t i = 0; i < page.count; i++) {
            assert_true(page.created_ms[i] <= last_ms);
            last_ms = page.created_ms[i];
            for (int k = 0; k < 9; k++) {
                if (strcmp(ids[k], page.ids[i]) == 0) {
                    assert_false(seen[k]);
                    seen[k] = true;
                    total++;
                }
            }
        }
        static char last_id[DIC_ID_SIZE];
        memcpy(last_id, page.ids[page.count - 1], DIC_ID_SIZE);
        filter.before_ms = last_ms;
        filter.before_id = dic_str(last_id);
    }
    assert_int_equal(total, 9);
}

static void jobs_are_listed_by_their_status(void **state)
{
    struct dic_store_under_test *store = *state;
    static const char *const statuses[] = {"queued", "running", "succeeded",
                                           "completed_with_failures", "cancelled"};
    char ids[5][DIC_ID_SIZE];
    for (int i = 0; i < 5; i++) {
        new_job(store, 2, ids[i]);
    }
    book(store, ids[1], 0, 0, "r\n");
    for (int i = 2; i < 4; i++) {
        book(store, ids[i], 0, 0, "r\n");
        book(store, ids[i], 1, i == 3 ? 1 : 0, "r\n");
    }
    assert_ok(store->jobs.ops->stop(store->jobs.impl, ids[4], DIC_JOB_CANCELLING, DIC_STR_LIT("x"),
                                    NULL));
    assert_ok(store->jobs.ops->seal(store->jobs.impl, ids[4], NULL));
    for (int i = 0; i < 5; i++) {
        const struct dic_job_filter filter = {.status = statuses[i], .limit = 10};
        struct listed listed = list(store, &filter);
        assert_int_equal(listed.count, 1);
        assert_string_equal(listed.ids[0], ids[i]);
    }
    const struct dic_job_filter unknown = {.status = "sleeping", .limit = 10};
    assert_code(store->jobs.ops->list(store->jobs.impl, &unknown, note_job, NULL, NULL),
                DIC_E_INVALID);
}

static void a_job_has_at_most_one_live_retry(void **state)
{
    struct dic_store_under_test *store = *state;
    char parent[DIC_ID_SIZE];
    char first[DIC_ID_SIZE];
    char again[DIC_ID_SIZE];
    enum dic_create_result result;
    new_job(store, 1, parent);
    book(store, parent, 0, 1, "r\n");
    assert_ok(create_at(store, NOW, 0, parent, first, &result));
    assert_int_equal(result, DIC_CREATED);
    assert_ok(create_at(store, NOW, 0, parent, again, &result));
    assert_int_equal(result, DIC_CREATE_REPLAYED);
    assert_string_equal(again, first);
    assert_ok(
        store->jobs.ops->stop(store->jobs.impl, first, DIC_JOB_CANCELLING, DIC_STR_LIT("x"), NULL));
    assert_ok(store->jobs.ops->seal(store->jobs.impl, first, NULL));
    assert_ok(create_at(store, NOW, 0, parent, again, &result));
    assert_int_equal(result, DIC_CREATED);
    assert_string_not_equal(again, first);
}

/* ---- the sweeper ---- */

static uint32_t sweep(struct dic_store_under_test *store, int64_t now_ms)
{
    uint32_t repaired = 0;
    assert_ok(
        store->jobs.ops->sweep(store->jobs.impl, now_ms, (int64_t)1 << 42, 10, &repaired, NULL));
    return repaired;
}

static void the_sweeper_ends_a_job_whose_deadline_has_passed(void **state)
{
    struct dic_store_under_test *store = *state;
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    int64_t now = dic_clock_wall_ms(dic_clock_system());
    assert_ok(create_at(store, now, now + 1000, "", id, &result));
    sweep(store, now + 999);
    assert_int_equal(get(store, id).state, DIC_JOB_ACCEPTED);
    sweep(store, now + 1000);
    assert_int_equal(get(store, id).state, DIC_JOB_EXPIRED);
    assert_true(get(store, id).ended_ms > 0);
}

static void the_sweeper_ends_what_nobody_sealed(void **state)
{
    struct dic_store_under_test *store = *state;
    static const enum dic_job_state stops[] = {DIC_JOB_CANCELLING, DIC_JOB_EXPIRING,
                                               DIC_JOB_FAILING};
    char ids[3][DIC_ID_SIZE];
    for (int i = 0; i < 3; i++) {
        new_job(store, 2, ids[i]);
        book(store, ids[i], 1, 0, "r\n");
        assert_ok(
            store->jobs.ops->stop(store->jobs.impl, ids[i], stops[i], DIC_STR_LIT("why"), NULL));
    }
    sweep(store, dic_clock_wall_ms(dic_clock_system()) + 120000); /* it waits for others first */
    for (int i = 0; i < 3; i++) {
        struct dic_job job = get(store, ids[i]);
        assert_int_equal(job.state, dic_job_sealed_state(stops[i]));
        assert_int_equal(job.totals.skipped, 2);
    }
}

/* Takes every message that there is, and loses it. */
static uint32_t lose_messages(struct dic_store_under_test *store, enum dic_message_kind kind,
                              const char *id)
{
    const struct dic_job_queue_ops *ops = store->queue.ops;
    uint32_t lost = 0;
    for (;;) {
        struct dic_delivery delivery;
        size_t count = 0;
        assert_ok(ops->receive(store->queue.impl, &delivery, 1, 60, 0, &count, NULL));
        if (count == 0) {
            return lost;
        }
        assert_int_equal(delivery.message.kind, kind);
        assert_string_equal(delivery.message.job_id, id);
        assert_ok(ops->remove(store->queue.impl, delivery.receipt, NULL));
        lost++;
    }
}

/* A store may want to see twice or more that nothing moves before it sends: once an hour here. */
static uint32_t messages_after_sweeps(struct dic_store_under_test *store, int64_t *now_ms,
                                      enum dic_message_kind kind, const char *id)
{
    enum { HOUR_MS = 3600000, MOST_SWEEPS = 20 };
    uint32_t found = 0;
    for (int i = 0; i < MOST_SWEEPS && found == 0; i++) {
        *now_ms += HOUR_MS;
        sweep(store, *now_ms);
        found = lose_messages(store, kind, id);
    }
    return found;
}

static void the_sweeper_sends_again_what_was_lost(void **state)
{
    struct dic_store_under_test *store = *state;
    int64_t now = dic_clock_wall_ms(dic_clock_system());
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    new_job(store, 3, id);
    book(store, id, 1, 0, "r\n");
    assert_true(lose_messages(store, DIC_MESSAGE_CHUNK, id) >= 2);
    assert_int_equal(messages_after_sweeps(store, &now, DIC_MESSAGE_CHUNK, id), 2); /* the open */
    book(store, id, 0, 0, "r\n");
    book(store, id, 2, 0, "r\n");
    assert_int_equal(messages_after_sweeps(store, &now, DIC_MESSAGE_CHUNK, id), 0); /* it ended */
    assert_ok(create_at(store, now, 0, "", id, &result));
    lose_messages(store, DIC_MESSAGE_PLAN, id);
    assert_int_equal(messages_after_sweeps(store, &now, DIC_MESSAGE_PLAN, id), 1);
}

/* ---- with its queue ---- */

static void a_created_job_has_a_message_for_each_chunk(void **state)
{
    struct dic_store_under_test *store = *state;
    struct dic_delivery deliveries[DIC_RECEIVE_MAX];
    char id[DIC_ID_SIZE];
    size_t count = 0;
    uint32_t chunks = 0; /* a bit each */
    new_job(store, 3, id);
    assert_ok(store->queue.ops->receive(store->queue.impl, deliveries, DIC_RECEIVE_MAX, 60, 0,
                                        &count, NULL));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(deliveries[i].message.kind, DIC_MESSAGE_CHUNK);
        assert_string_equal(deliveries[i].message.job_id, id);
        chunks |= 1U << deliveries[i].message.chunk;
    }
    assert_int_equal(chunks, 7);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int dic_run_job_store_suite(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_unknown_job_is_not_found),
        CASE(a_job_succeeds_when_its_last_chunk_is_booked),
        CASE(the_first_booking_of_a_chunk_wins),
        CASE(after_a_stop_nothing_is_booked_and_the_rest_is_skipped),
        CASE(more_failures_than_allowed_fail_the_job),
        CASE(an_idempotency_key_names_one_job_and_one_request),
        CASE(racing_creates_of_one_key_make_one_job),
        CASE(racing_bookings_of_one_chunk_count_once),
        CASE(a_job_is_planned_segment_by_segment_and_each_only_once),
        CASE(only_the_planner_at_the_front_fails_a_job_for_its_source),
        CASE(labels_are_counted_over_all_chunks),
        CASE(the_sweeper_ends_late_jobs_and_removes_old_ones),
        CASE(a_chunk_is_read_with_its_lines_until_the_job_is_closed),
        CASE(rows_are_given_from_a_chunk_on_and_up_to_a_limit),
        CASE(a_visitor_of_rows_can_stop_with_its_own_error),
        CASE(jobs_are_listed_newest_first_and_page_by_page),
        CASE(jobs_are_listed_by_their_status),
        CASE(a_job_has_at_most_one_live_retry),
        CASE(the_sweeper_ends_a_job_whose_deadline_has_passed),
        CASE(the_sweeper_ends_what_nobody_sealed),
        CASE(the_sweeper_sends_again_what_was_lost),
        CASE(a_created_job_has_a_message_for_each_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
