/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a queue lost or nobody sent: who sends them again, when, and how many at most. And
 * what a process left undone, done by the next one that comes by. */
#include "test.h"

#include "ledger_rig.h"

enum { LOOK_MS = DIC_LEDGER_LOOK_MS, CHUNKS = DIC_SEGMENT_CHUNKS };

/* Of the chunk's messages the next `lose` are lost by the queue, which says that it has them, or
 * refuses them. */
struct losses {
    uint32_t chunk;
    uint32_t lose;
    bool refuses;
};

static struct dic_queue_fault lose(void *context, const struct dic_queue_call *call)
{
    struct losses *losses = context;
    if (call->op == DIC_QUEUE_SEND && call->message != NULL &&
        call->message->kind == DIC_MESSAGE_CHUNK && call->message->chunk == losses->chunk &&
        losses->lose > 0) {
        losses->lose--;
        return (struct dic_queue_fault){.kind =
                                            losses->refuses ? DIC_QUEUE_FAILS : DIC_QUEUE_DROPS};
    }
    return (struct dic_queue_fault){.kind = DIC_QUEUE_WORKS};
}

static int set_up(void **state)
{
    *state = dic_ledger_rig_new(0);
    return 0;
}

static int tear_down(void **state)
{
    dic_ledger_rig_destroy(*state);
    return 0;
}

/* One look of the sweeper at what is due, a minute after the last one. */
static uint32_t look(struct dic_ledger_rig *rig)
{
    uint32_t repaired = 0;
    dic_fake_clock_advance_ms(rig->clock, LOOK_MS);
    const int64_t now_ms = dic_clock_wall_ms(dic_fake_clock_port(rig->clock));
    assert_ok(rig->jobs.ops->sweep(rig->jobs.impl, now_ms, 0, 100, &repaired, NULL));
    return repaired;
}

static void send_other(struct dic_ledger_rig *rig)
{
    const struct dic_message other = {.kind = DIC_MESSAGE_PLAN,
                                      .job_id = "zzzzzzzzzzzzzzzzzzzzzzzzzz"};
    assert_ok(rig->queue.ops->send(rig->queue.impl, &other, 1, NULL));
}

/* All chunks but the last one are booked, whose messages are lost three times in a row. */
static void a_message_lost_again_and_again_is_sent_at_each_look(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct losses losses = {CHUNKS - 1, 3, false};
    char id[DIC_ID_SIZE];
    uint32_t counts[CHUNKS] = {0};
    dic_job_queue_memory_set_hook(rig->queue, lose, &losses);
    assert_ok(dic_ledger_rig_submit(rig, CHUNKS, 1, "key", id, NULL));
    assert_int_equal(dic_ledger_rig_take(rig, NULL, CHUNKS), CHUNKS - 1);
    for (uint32_t i = 0; i + 1 < CHUNKS; i++) {
        assert_int_equal(dic_ledger_rig_book(rig, id, i, 1, 0), DIC_BOOKED);
    }
    assert_int_equal(look(rig), 0); /* 31 were booked since the last look */
    assert_int_equal(look(rig), 1); /* lost */
    assert_int_equal(look(rig), 1); /* lost */
    assert_int_equal(look(rig), 1);
    assert_int_equal(dic_ledger_rig_take(rig, counts, CHUNKS), 1);
    assert_int_equal(counts[CHUNKS - 1], 1);
    assert_int_equal(dic_ledger_rig_book(rig, id, CHUNKS - 1, 1, 0), DIC_BOOKED);
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_SUCCEEDED);
}

/* Its creator died in the middle of sending. */
static void a_replay_sends_what_was_not_sent_although_other_chunks_are_booked(void **state)
{
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    char again[DIC_ID_SIZE];
    uint32_t counts[4] = {0};
    assert_ok(dic_ledger_rig_submit(rig, 4, 1, "key", id, NULL));
    assert_int_equal(dic_ledger_rig_take(rig, NULL, 4), 4);
    assert_int_equal(dic_ledger_rig_book(rig, id, 1, 1, 0), DIC_BOOKED);
    assert_ok(dic_ledger_rig_submit(rig, 4, 1, "key", again, NULL));
    assert_string_equal(again, id);
    assert_int_equal(dic_ledger_rig_take(rig, counts, 4), 3);
    assert_int_equal(counts[1], 0);
}

static void however_often_a_request_is_repeated_its_messages_are_sent_twice_at_most(void **state)
{
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    uint32_t counts[4] = {0};
    for (int i = 0; i < 50; i++) {
        assert_ok(dic_ledger_rig_submit(rig, 4, 1, "small", id, NULL));
    }
    assert_int_equal(dic_ledger_rig_take(rig, counts, 4), 8);
    assert_int_equal(counts[3], 2);
    for (int i = 0; i < 50; i++) {
        assert_ok(dic_ledger_rig_submit(rig, CHUNKS + 1, 1, "long", id, NULL));
    }
    assert_int_equal(dic_ledger_rig_take(rig, NULL, 0), 2); /* PLAN */
}

static void what_the_queue_refused_of_a_replay_is_sent_by_the_next_one(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct losses losses = {1, 3, true}; /* of the creator and two replays */
    char id[DIC_ID_SIZE];
    uint32_t counts[2] = {0};
    dic_job_queue_memory_set_hook(rig->queue, lose, &losses);
    for (int i = 0; i < 3; i++) {
        assert_ok(dic_ledger_rig_submit(rig, 2, 1, "key", id, NULL));
        dic_ledger_rig_take(rig, counts, 2);
        assert_int_equal(counts[1], 0);
    }
    assert_ok(dic_ledger_rig_submit(rig, 2, 1, "key", id, NULL));
    dic_ledger_rig_take(rig, counts, 2);
    assert_int_equal(counts[1], 1);
}

/* Its chunks take hours, and nothing else is in the queue. */
static void chunks_that_are_being_worked_on_are_sent_again_ever_more_seldom(void **state)
{
    enum { VISIBILITY_S = 43200, LOOKS = 70, SENDING_LOOKS = 7 }; /* 1, 2, 4, …, 64 */
    struct dic_ledger_rig *rig = *state;
    struct dic_delivery delivery;
    char id[DIC_ID_SIZE];
    size_t count = 0;
    uint32_t sent = 0;
    assert_ok(dic_ledger_rig_submit(rig, 1, 1, "", id, NULL));
    assert_ok(
        rig->queue.ops->receive(rig->queue.impl, &delivery, 1, VISIBILITY_S, 0, &count, NULL));
    assert_int_equal(count, 1);
    for (int i = 0; i < LOOKS; i++) {
        look(rig);
        sent += dic_ledger_rig_take(rig, NULL, 1);
    }
    assert_int_equal(sent, SENDING_LOOKS);
}

static void a_plan_message_behind_a_backlog_is_sent_again_ever_more_seldom(void **state)
{
    enum { LOOKS = 70, SENDING_LOOKS = 7 };
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    uint32_t sent = 0;
    assert_ok(dic_ledger_rig_submit(rig, CHUNKS + 1, 1, "", id, NULL));
    assert_int_equal(dic_ledger_rig_take(rig, NULL, 0), 1);
    for (int i = 0; i < LOOKS; i++) {
        send_other(rig);
        look(rig);
        sent += dic_ledger_rig_take(rig, NULL, 0) - 1;
    }
    assert_int_equal(sent, SENDING_LOOKS);
}

/* What stands behind the part that is sent comes to the front as that is booked. */
static void under_a_backlog_that_never_ends_every_lost_message_is_sent_in_the_end(void **state)
{
    enum { SEGMENTS = 70, ALL = SEGMENTS * DIC_SEGMENT_CHUNKS, MOST_LOOKS = 40 };
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    uint32_t booked = 0;
    uint32_t looks_that_sent = 0;
    dic_ledger_rig_plan(rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, id);
    dic_ledger_rig_take(rig, NULL, ALL);
    for (int i = 0; i < MOST_LOOKS && booked < ALL; i++) {
        uint32_t counts[ALL] = {0};
        send_other(rig);
        look(rig);
        looks_that_sent += dic_ledger_rig_take(rig, counts, ALL) > 1;
        for (uint32_t chunk = 0; chunk < ALL; chunk++) {
            if (counts[chunk] > 0 && dic_ledger_rig_book(rig, id, chunk, 1, 0) == DIC_BOOKED) {
                booked++;
            }
        }
    }
    assert_int_equal(looks_that_sent, 3); /* of 2,240 messages 1,024 at a time */
    assert_int_equal(booked, ALL);
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_SUCCEEDED);
}

/* Ten hours behind a backlog, with not one chunk booked. */
static void a_job_that_waits_for_hours_is_not_sent_again_at_each_look(void **state)
{
    enum { SEGMENTS = 40, HOURS = 10, MOST_A_LOOK = 1024, SENDING_LOOKS = 7 }; /* 8, 16, …, 512 */
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    uint32_t sent = 0;
    uint32_t looks_that_sent = 0;
    dic_ledger_rig_plan(rig, SEGMENTS, DIC_SEGMENT_CHUNKS, -1, id);
    dic_ledger_rig_take(rig, NULL, SEGMENTS * DIC_SEGMENT_CHUNKS);
    for (int i = 0; i < HOURS * 60; i++) {
        send_other(rig);
        look(rig);
        uint32_t found = dic_ledger_rig_take(rig, NULL, SEGMENTS * DIC_SEGMENT_CHUNKS) - 1;
        assert_true(found <= MOST_A_LOOK);
        sent += found;
        looks_that_sent += found > 0;
    }
    assert_int_equal(looks_that_sent, SENDING_LOOKS);
    assert_int_equal(sent, SENDING_LOOKS * MOST_A_LOOK);
}

/* ---- what a dead process left ---- */

/* What happens just before an operation on the table, once: it fails, or somebody cancels. */
struct incident {
    struct dic_ledger_rig *rig;
    const char *op;
    const char *prefix;    /* of the key */
    const char *cancelled; /* NULL: the operation fails */
    uint32_t seen;
    uint32_t at; /* the how manieth such operation it is */
};

static enum dic_table_fault happen(void *context, const char *op, struct dic_str pk)
{
    struct incident *incident = context;
    const struct dic_job_store *jobs = &incident->rig->jobs;
    if (strcmp(op, incident->op) != 0 || !dic_str_starts_with(pk, dic_str(incident->prefix)) ||
        ++incident->seen != incident->at) {
        return DIC_TABLE_GO_ON;
    }
    if (incident->cancelled == NULL) {
        return DIC_TABLE_FAIL;
    }
    assert_ok(jobs->ops->stop(jobs->impl, incident->cancelled, DIC_JOB_CANCELLING,
                              DIC_STR_LIT("request"), NULL));
    return DIC_TABLE_GO_ON;
}

static void let_happen(struct dic_ledger_rig *rig, struct incident *incident)
{
    incident->rig = rig;
    rig->decide = happen;
    rig->context = incident;
}

static enum dic_code book_failing(struct dic_ledger_rig *rig, const char *id, uint32_t chunk,
                                  uint32_t failed)
{
    const struct dic_booking booking = {.chunk = chunk,
                                        .succeeded = 1 - failed,
                                        .failed = failed,
                                        .model_json = DIC_STR_LIT("{\"name\":\"first\"}")};
    enum dic_book_result result;
    return rig->jobs.ops->book(rig->jobs.impl, id, &booking, &result, NULL);
}

static bool is_booked_for_the_next(struct dic_ledger_rig *rig, const char *id, uint32_t chunk)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_chunk out = {0};
    dic_buf_init(&memory, 1000);
    assert_ok(rig->jobs.ops->get_chunk(rig->jobs.impl, id, chunk, &out, &memory, NULL));
    return out.booked;
}

static void the_next_one_notes_the_start_and_model_of_who_booked_and_died(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct incident death = {.op = "update", .prefix = "M#", .at = 1};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_job job = {0};
    char id[DIC_ID_SIZE];
    dic_buf_init(&memory, 10000);
    dic_ledger_rig_plan(rig, 1, 2, -1, id);
    let_happen(rig, &death);
    assert_code(book_failing(rig, id, 0, 0), DIC_E_UPSTREAM);
    assert_true(is_booked_for_the_next(rig, id, 0));
    assert_ok(rig->jobs.ops->peek(rig->jobs.impl, id, &job, &memory, NULL));
    assert_true(job.started_ms > 0);
    assert_view(job.model_json, "{\"name\":\"first\"}");
}

static void the_next_one_fails_the_job_whose_failures_nobody_lived_to_count(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct incident death = {.op = "update", .prefix = "M#", .at = 1};
    char id[DIC_ID_SIZE];
    dic_ledger_rig_plan(rig, 1, 3, 0, id);
    let_happen(rig, &death);
    assert_code(book_failing(rig, id, 0, 1), DIC_E_UPSTREAM);
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_RUNNING);
    assert_true(is_booked_for_the_next(rig, id, 0));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_FAILED);
    assert_int_equal(dic_ledger_rig_get(rig, id).totals.skipped, 2);
}

static void who_books_late_does_what_the_first_one_did_not(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct incident death = {.op = "update", .prefix = "M#", .at = 1};
    char id[DIC_ID_SIZE];
    dic_ledger_rig_plan(rig, 1, 3, 0, id);
    let_happen(rig, &death);
    assert_code(book_failing(rig, id, 0, 1), DIC_E_UPSTREAM);
    assert_int_equal(dic_ledger_rig_book(rig, id, 0, 1, 0), DIC_BOOK_LATE);
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_FAILED);
    assert_int_equal(dic_ledger_rig_get(rig, id).totals.failed, 1);
}

/* The canceller dies right after its STOP, which comes between a look of another and its write. */
static void a_stop_that_comes_before_the_end_is_sealed_by_who_would_have_ended_the_job(void **state)
{
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    struct incident stop = {.op = "get", .prefix = "S#", .at = 1, .cancelled = id};
    assert_ok(dic_ledger_rig_submit(rig, 1, 1, "", id, NULL));
    let_happen(rig, &stop); /* as COMPLETE reads whether the segment is full */
    assert_int_equal(dic_ledger_rig_book(rig, id, 0, 1, 0), DIC_BOOKED);
    assert_int_equal(stop.seen, 1);
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_CANCELLED);
    assert_int_equal(dic_ledger_rig_get(rig, id).totals.succeeded, 1);
}

static void a_stop_that_comes_before_a_failure_is_sealed_by_who_would_have_failed_the_job(
    void **state)
{
    struct dic_ledger_rig *rig = *state;
    char id[DIC_ID_SIZE];
    struct incident stop = {.op = "update", .prefix = "S#", .at = 1, .cancelled = id};
    dic_ledger_rig_plan(rig, 1, 3, 0, id);
    let_happen(rig, &stop); /* as the chunk is booked */
    assert_ok(book_failing(rig, id, 0, 1));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_CANCELLED);
    assert_int_equal(dic_ledger_rig_get(rig, id).totals.failed, 1);
    assert_int_equal(dic_ledger_rig_get(rig, id).totals.skipped, 2);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_message_lost_again_and_again_is_sent_at_each_look),
        CASE(a_replay_sends_what_was_not_sent_although_other_chunks_are_booked),
        CASE(however_often_a_request_is_repeated_its_messages_are_sent_twice_at_most),
        CASE(what_the_queue_refused_of_a_replay_is_sent_by_the_next_one),
        CASE(chunks_that_are_being_worked_on_are_sent_again_ever_more_seldom),
        CASE(a_plan_message_behind_a_backlog_is_sent_again_ever_more_seldom),
        CASE(under_a_backlog_that_never_ends_every_lost_message_is_sent_in_the_end),
        CASE(a_job_that_waits_for_hours_is_not_sent_again_at_each_look),
        CASE(the_next_one_notes_the_start_and_model_of_who_booked_and_died),
        CASE(the_next_one_fails_the_job_whose_failures_nobody_lived_to_count),
        CASE(who_books_late_does_what_the_first_one_did_not),
        CASE(a_stop_that_comes_before_the_end_is_sealed_by_who_would_have_ended_the_job),
        CASE(a_stop_that_comes_before_a_failure_is_sealed_by_who_would_have_failed_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
