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
        CASE(a_created_job_has_a_message_for_each_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
