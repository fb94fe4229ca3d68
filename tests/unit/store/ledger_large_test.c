/* SPDX-License-Identifier: Apache-2.0 */
/* What a job of 20,000 chunks costs: how many requests there are, and how many one after the other.
 */
#include "test.h"

#include "base/thread.h"
#include "blob_store_memory.h"
#include "ledger_rig.h"

#include <stdio.h>

enum {
    SEGMENTS = 625, /* 20,000 chunks */
    ROUNDS = (SEGMENTS + DIC_LEDGER_LANES - 1) / DIC_LEDGER_LANES,
    STUCK_MS = 20000,
};

/*
 * Counts requests. Once it is armed, updates of segments are held until as many have come as there
 * are lanes, or are left: so their rounds are counted whatever the machine does. A caller that
 * makes them one after the other never fills a round; it is let go with an error.
 */
struct requests {
    pthread_mutex_t lock; /* guards all */
    pthread_cond_t round;
    uint32_t reads; /* items */
    uint32_t jobs;  /* reads and writes of the job and the tally */
    uint32_t segment_updates;
    uint32_t pass; /* updates that are let go before the others are held */
    uint32_t left; /* updates still expected; 0: not armed */
    uint32_t waiting;
    uint32_t rounds;
    bool stuck;
};

static enum dic_table_fault hold(struct requests *requests)
{
    const uint32_t lanes = DIC_LEDGER_LANES;
    const uint32_t full = requests->left < lanes ? requests->left : lanes;
    const uint32_t round = requests->rounds;
    if (++requests->waiting == full) {
        requests->left -= full;
        requests->waiting = 0;
        requests->rounds++;
        pthread_cond_broadcast(&requests->round);
    }
    while (requests->rounds == round && !requests->stuck) {
        requests->stuck = !dic_cond_wait_ms(&requests->round, &requests->lock, STUCK_MS);
    }
    return requests->stuck ? DIC_TABLE_FAIL : DIC_TABLE_GO_ON;
}

static enum dic_table_fault count(void *context, const char *op, struct dic_str pk)
{
    struct requests *requests = context;
    const bool of_segment = dic_str_starts_with(pk, DIC_STR_LIT("S#"));
    DIC_GUARD(&requests->lock);
    requests->jobs += !of_segment;
    requests->reads += of_segment && strncmp(op, "get", 3) == 0;
    if (!of_segment || strcmp(op, "update") != 0) {
        return DIC_TABLE_GO_ON;
    }
    if (requests->segment_updates++ < requests->pass || requests->left == 0) {
        return DIC_TABLE_GO_ON;
    }
    return hold(requests);
}

struct large {
    struct dic_ledger_rig *rig;
    struct requests requests;
    char id[DIC_ID_SIZE];
};

static struct large large;

static void count_from_here(uint32_t held)
{
    DIC_GUARD(&large.requests.lock);
    large.requests.reads = large.requests.jobs = large.requests.segment_updates = 0;
    large.requests.rounds = large.requests.waiting = 0;
    large.requests.left = held;
}

static int set_up(void **state)
{
    (void)state;
    large = (struct large){.rig = dic_ledger_rig_new(0)};
    dic_mutex_init(&large.requests.lock);
    dic_cond_init(&large.requests.round);
    large.rig->decide = count;
    large.rig->context = &large.requests;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_ledger_rig_destroy(large.rig);
    pthread_cond_destroy(&large.requests.round);
    pthread_mutex_destroy(&large.requests.lock);
    return 0;
}

static void cancel(void)
{
    const struct dic_job_store *jobs = &large.rig->jobs;
    assert_ok(
        jobs->ops->stop(jobs->impl, large.id, DIC_JOB_CANCELLING, DIC_STR_LIT("request"), NULL));
    assert_ok(jobs->ops->seal(jobs->impl, large.id, NULL));
    assert_int_equal(dic_ledger_rig_get(large.rig, large.id).state, DIC_JOB_CANCELLED);
}

static enum dic_code count_chunk(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    (void)rows;
    (void)err;
    ++*(uint32_t *)context;
    return DIC_OK;
}

static uint32_t page(uint32_t chunk, uint32_t limit)
{
    const struct dic_job_store *jobs = &large.rig->jobs;
    uint32_t chunks = 0;
    assert_ok(jobs->ops->rows(jobs->impl, large.id, chunk, limit, count_chunk, &chunks, NULL));
    return chunks;
}

static void twenty_thousand_chunks_are_sealed_in_forty_rounds(void **state)
{
    (void)state;
    dic_ledger_rig_plan(large.rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, large.id);
    assert_int_equal(dic_ledger_rig_book(large.rig, large.id, 40, 1, 0), DIC_BOOKED);
    count_from_here(SEGMENTS);
    cancel();
    assert_false(large.requests.stuck);
    assert_int_equal(large.requests.rounds, ROUNDS);
    assert_int_equal(large.requests.segment_updates, SEGMENTS);
    assert_int_equal(large.requests.reads, 0);
    assert_int_equal(large.requests.jobs, 5); /* STOP, its read, the tally, the end; and our look */
    struct dic_job job = dic_ledger_rig_get(large.rig, large.id);
    assert_int_equal(job.totals.succeeded, 1);
    assert_int_equal(job.totals.skipped, SEGMENTS * DIC_SEGMENT_CHUNKS - 1);
}

static void a_seal_whose_requests_fail_is_done_by_the_next_one(void **state)
{
    (void)state;
    const struct dic_job_store *jobs = &large.rig->jobs;
    dic_ledger_rig_plan(large.rig, 40, DIC_SEGMENT_CHUNKS, -1, large.id);
    assert_int_equal(dic_ledger_rig_book(large.rig, large.id, 40, 1, 0), DIC_BOOKED);
    large.requests.stuck = true; /* each held update fails */
    count_from_here(40);
    assert_ok(
        jobs->ops->stop(jobs->impl, large.id, DIC_JOB_CANCELLING, DIC_STR_LIT("request"), NULL));
    assert_code(jobs->ops->seal(jobs->impl, large.id, NULL), DIC_E_UPSTREAM);
    assert_true(large.requests.segment_updates <= DIC_LEDGER_LANES);
    assert_int_equal(dic_ledger_rig_get(large.rig, large.id).state, DIC_JOB_CANCELLING);
    count_from_here(0);
    cancel();
    assert_int_equal(dic_ledger_rig_get(large.rig, large.id).totals.succeeded, 1);
}

static void a_job_of_many_segments_ends_in_rounds(void **state)
{
    (void)state;
    enum { FEW = 33 };
    dic_ledger_rig_plan(large.rig, FEW, DIC_SEGMENT_CHUNKS, -1, large.id);
    for (uint32_t chunk = 1; chunk < FEW * DIC_SEGMENT_CHUNKS; chunk++) {
        assert_int_equal(dic_ledger_rig_book(large.rig, large.id, chunk, 1, 0), DIC_BOOKED);
    }
    count_from_here(FEW);
    large.requests.pass = 1; /* the last booking, which ends the job */
    assert_int_equal(dic_ledger_rig_book(large.rig, large.id, 0, 1, 0), DIC_BOOKED);
    assert_int_equal(large.requests.segment_updates, 1 + FEW);
    assert_int_equal(large.requests.rounds, 3);
    struct dic_job job = dic_ledger_rig_get(large.rig, large.id);
    assert_int_equal(job.state, DIC_JOB_SUCCEEDED);
    assert_int_equal(job.totals.succeeded, FEW * DIC_SEGMENT_CHUNKS);
}

static void a_page_of_a_stopped_job_reads_the_segments_that_have_rows(void **state)
{
    (void)state;
    dic_ledger_rig_plan(large.rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, large.id);
    for (uint32_t chunk = 0; chunk < 40; chunk++) {
        assert_int_equal(dic_ledger_rig_book(large.rig, large.id, chunk, 1, 0), DIC_BOOKED);
    }
    cancel();
    count_from_here(0);
    assert_int_equal(page(0, 100), 40);
    assert_int_equal(large.requests.reads, 2);
    count_from_here(0);
    assert_int_equal(page(64, 100), 0); /* behind them */
    assert_int_equal(large.requests.reads, 0);
    count_from_here(0);
    assert_int_equal(page(5, 10), 10);
    assert_int_equal(large.requests.reads, 1);
}

static void a_job_without_rows_has_no_segment_to_read(void **state)
{
    (void)state;
    dic_ledger_rig_plan(large.rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, large.id);
    cancel();
    count_from_here(0);
    assert_int_equal(page(0, 100), 0);
    assert_int_equal(large.requests.reads, 0);
}

static void rows_behind_a_long_gap_are_found(void **state)
{
    (void)state;
    const uint32_t last = SEGMENTS * DIC_SEGMENT_CHUNKS - 1;
    dic_ledger_rig_plan(large.rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, large.id);
    assert_int_equal(dic_ledger_rig_book(large.rig, large.id, 3, 1, 0), DIC_BOOKED);
    assert_int_equal(dic_ledger_rig_book(large.rig, large.id, last, 1, 0), DIC_BOOKED);
    cancel();
    assert_int_equal(page(0, 100), 2);
    assert_int_equal(page(4, 1), 1);
    assert_int_equal(page(last, 1), 1);
    assert_int_equal(page(last + 1, 1), 0);
}

static void the_status_of_a_live_job_is_read_once_for_all_who_ask_at_a_time(void **state)
{
    (void)state;
    dic_ledger_rig_plan(large.rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, large.id);
    count_from_here(0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(dic_ledger_rig_get(large.rig, large.id).totals.succeeded, 0);
    }
    assert_int_equal(large.requests.reads, SEGMENTS);
    count_from_here(0);
    assert_int_equal(page(0, 100), 0); /* of a live job: up to the first gap */
    assert_int_equal(large.requests.reads, 1);
}

/* Ten hours without progress must not mean that its full segments are summed again each minute. */
static void a_look_at_a_standing_job_reads_no_shard_of_full_segments(void **state)
{
    (void)state;
    enum { FEW = 3 };
    uint32_t repaired = 0;
    dic_ledger_rig_plan(large.rig, FEW, DIC_SEGMENT_CHUNKS, -1, large.id);
    for (uint32_t chunk = 0; chunk < 2 * DIC_SEGMENT_CHUNKS; chunk++) {
        assert_int_equal(dic_ledger_rig_book(large.rig, large.id, chunk, 1, 0), DIC_BOOKED);
    }
    const uint32_t shards = dic_blob_store_memory_calls(large.rig->results, DIC_BLOB_GET_RANGE);
    const uint32_t puts = dic_blob_store_memory_calls(large.rig->results, DIC_BLOB_PUT);
    for (int i = 0; i < 5; i++) {
        dic_fake_clock_advance_ms(large.rig->clock, DIC_LEDGER_LOOK_MS);
        const int64_t now_ms = dic_clock_wall_ms(dic_fake_clock_port(large.rig->clock));
        assert_ok(large.rig->jobs.ops->sweep(large.rig->jobs.impl, now_ms, 0, 10, &repaired, NULL));
    }
    assert_int_equal(dic_blob_store_memory_calls(large.rig->results, DIC_BLOB_GET_RANGE), shards);
    assert_int_equal(dic_blob_store_memory_calls(large.rig->results, DIC_BLOB_PUT), puts);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(twenty_thousand_chunks_are_sealed_in_forty_rounds),
        CASE(a_seal_whose_requests_fail_is_done_by_the_next_one),
        CASE(a_job_of_many_segments_ends_in_rounds),
        CASE(a_page_of_a_stopped_job_reads_the_segments_that_have_rows),
        CASE(a_job_without_rows_has_no_segment_to_read),
        CASE(rows_behind_a_long_gap_are_found),
        CASE(the_status_of_a_live_job_is_read_once_for_all_who_ask_at_a_time),
        CASE(a_look_at_a_standing_job_reads_no_shard_of_full_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
