/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a chunk that was given up: rows, a copy for people, and an end of the job. */
#include "dead_letters.h"

#include "test.h"

#include "base/log.h"
#include "blob_store_memory.h"
#include "fake_clock.h"
#include "fake_jobs.h"
#include "job_queue_memory.h"

#include <stdio.h>
#include <unistd.h>

enum { DEADLOCK_S = 100 };

static struct dic_fake_clock *fake;
static struct dic_fake_jobs *jobs;
static struct dic_job_queue queue;
static struct dic_job_queue dead;
static struct dic_blob_store results;
static struct dic_dead_letters_options options;
static char id[DIC_ID_SIZE];
static char summary[] = "{\"name\":\"fake\"}";
static const struct dic_model_spec model = {.summary_json = summary};

static int set_up(void **state)
{
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 1};
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_OFF);
    fake = dic_fake_clock_new();
    jobs = dic_fake_jobs_new();
    queue = dic_job_queue_memory_new(fake);
    dead = dic_job_queue_memory_new(fake);
    results = dic_blob_store_memory_new();
    options = (struct dic_dead_letters_options){.jobs = dic_fake_jobs_port(jobs),
                                                .queue = queue,
                                                .dead = dead,
                                                .results = results,
                                                .model = &model,
                                                .clock = dic_fake_clock_port(fake)};
    dic_fake_jobs_add(jobs, &params, dic_str(""), id);
    dic_fake_jobs_add_chunks(jobs, id, 2, 2, dic_str("\"a\"\n{\"k\":\"b\",\"id\":\"7\"}\n"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    queue.ops->destroy(queue.impl);
    dead.ops->destroy(dead.impl);
    results.ops->destroy(results.impl);
    dic_fake_jobs_destroy(jobs);
    dic_fake_clock_destroy(fake);
    return 0;
}

static void send_dead(enum dic_message_kind kind, const char *job_id, uint32_t chunk)
{
    struct dic_message message = {.kind = kind, .chunk = chunk};
    memcpy(message.job_id, job_id, DIC_ID_SIZE);
    assert_ok(dead.ops->send(dead.impl, &message, 1, NULL));
}

static struct dic_delivery receive(struct dic_job_queue from)
{
    struct dic_delivery delivery = {0};
    size_t count = 0;
    assert_ok(from.ops->receive(from.impl, &delivery, 1, 60, 0, &count, NULL));
    assert_int_equal(count, 1);
    return delivery;
}

static enum dic_code settle_next(struct dic_err *err)
{
    const struct dic_delivery delivery = receive(dead);
    return dic_dead_letters_settle(&options, &delivery, err);
}

static int64_t left_in(struct dic_job_queue in)
{
    struct dic_queue_depth depth;
    assert_ok(in.ops->depth(in.impl, &depth, NULL));
    return depth.visible + depth.in_flight;
}

static void assert_copy(uint32_t chunk, const char *outcome)
{
    struct dic_buf text;
    char key[80];
    char expected[400];
    dic_buf_init(&text, 1000);
    snprintf(key, sizeof key, "dlq/default/%s/%u", id, chunk);
    assert_ok(results.ops->get(results.impl, dic_str(key), 1000, &text, NULL, NULL));
    snprintf(expected, sizeof expected,
             "{\"message\":{\"v\":1,\"tenant\":\"default\",\"kind\":\"chunk\",\"job\":\"%s\","
             "\"chunk\":%u},\"reason\":\"given up: the chunk was received 10 times and never "
             "finished\",\"outcome\":\"%s\",\"sent_at\":\"1970-01-12T13:46:40.000Z\","
             "\"given_up_at\":\"1970-01-12T13:46:41.500Z\"}\n",
             id, chunk, outcome);
    assert_view(dic_buf_view(&text), expected);
    dic_buf_clean_up(&text);
}

static void a_chunk_is_booked_as_poison_copied_and_removed(void **state)
{
    (void)state;
    send_dead(DIC_MESSAGE_CHUNK, id, 1);
    dic_fake_clock_advance_ms(fake, 1500);
    assert_ok(settle_next(NULL));
    assert_view(dic_fake_jobs_rows(jobs, id, 1),
                "{\"index\":2,\"s3_key\":\"a\",\"error\":{\"code\":\"POISON\",\"message\":"
                "\"given up: the chunk was received 10 times and never finished\","
                "\"retryable\":false}}\n"
                "{\"index\":3,\"s3_key\":\"b\",\"id\":\"7\",\"error\":{\"code\":\"POISON\","
                "\"message\":\"given up: the chunk was received 10 times and never finished\","
                "\"retryable\":false}}\n");
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 2);
    assert_copy(1, "booked");
    assert_int_equal(left_in(dead), 0);
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED); /* its last chunk */
}

static enum dic_code book_first(void *context, enum dic_jobs_op op, const char *job_id,
                                struct dic_err *err)
{
    bool *busy = context;
    (void)err;
    if (op == DIC_JOBS_BOOK && !*busy) {
        const struct dic_booking other = {.succeeded = 2, .rows = DIC_STR_LIT("other\n")};
        struct dic_job_store port = dic_fake_jobs_port(jobs);
        enum dic_book_result result = DIC_BOOK_CLOSED;
        *busy = true;
        assert_ok(port.ops->book(port.impl, job_id, &other, &result, NULL));
        assert_int_equal(result, DIC_BOOKED);
    }
    return DIC_OK;
}

static void a_chunk_that_was_finished_after_all_keeps_its_rows(void **state)
{
    (void)state;
    bool busy = false;
    dic_fake_jobs_set_hook(jobs, book_first, &busy);
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    dic_fake_clock_advance_ms(fake, 1500);
    assert_ok(settle_next(NULL));
    assert_view(dic_fake_jobs_rows(jobs, id, 0), "other\n");
    assert_copy(0, "late");
    assert_int_equal(left_in(dead), 0);
}

static void of_what_is_booked_closed_or_gone_only_the_message_is_removed(void **state)
{
    (void)state;
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    assert_ok(settle_next(NULL));
    uint32_t puts = dic_blob_store_memory_calls(results, DIC_BLOB_PUT);
    uint32_t books = dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK);
    send_dead(DIC_MESSAGE_CHUNK, id, 0); /* booked by now */
    assert_ok(settle_next(NULL));
    send_dead(DIC_MESSAGE_CHUNK, id, 77);
    assert_ok(settle_next(NULL));
    send_dead(DIC_MESSAGE_CHUNK, "aaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    assert_ok(settle_next(NULL));
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_CANCELLED);
    send_dead(DIC_MESSAGE_CHUNK, id, 1);
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_blob_store_memory_calls(results, DIC_BLOB_PUT), puts);
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), books);
    assert_int_equal(left_in(dead), 0);
}

static void assert_copied(const char *name, const char *part)
{
    struct dic_buf text;
    char key[80];
    dic_buf_init(&text, 2000);
    snprintf(key, sizeof key, "dlq/default/%s/%s", id, name);
    assert_ok(results.ops->get(results.impl, dic_str(key), 2000, &text, NULL, NULL));
    dic_buf_append_byte(&text, '\0');
    if (strstr(text.ptr, part) == NULL) {
        print_error("no '%s' in\n%s", part, text.ptr);
        fail();
    }
    dic_buf_clean_up(&text);
}

static void a_job_that_could_not_be_planned_fails(void **state)
{
    (void)state;
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 1};
    static const char reason[] =
        "given up: the job's plan was received 10 times and never finished";
    dic_fake_jobs_add(jobs, &params, dic_str("\"a\"\n"), id);
    send_dead(DIC_MESSAGE_PLAN, id, 0);
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
    assert_view(dic_fake_jobs_reason(jobs, id), reason);
    assert_copied("plan", reason);
    assert_copied("plan", "\"outcome\":\"job failed\"");
    assert_int_equal(left_in(dead), 0);
}

static enum dic_code planned_past(void *context, enum dic_jobs_op op, const char *job_id,
                                  struct dic_err *err)
{
    (void)context;
    (void)job_id;
    return op == DIC_JOBS_STOP ? dic_fail(err, DIC_E_CONFLICT, "planned past it") : DIC_OK;
}

static void the_plan_of_a_job_that_got_further_is_sent_anew(void **state)
{
    (void)state;
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 1};
    dic_fake_jobs_add(jobs, &params, dic_str("\"a\"\n"), id);
    dic_fake_jobs_set_hook(jobs, planned_past, NULL);
    send_dead(DIC_MESSAGE_PLAN, id, 0);
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_PLANNING);
    assert_int_equal(dic_blob_store_memory_calls(results, DIC_BLOB_PUT), 0);
    assert_int_equal(left_in(dead), 0);
    const struct dic_delivery again = receive(queue);
    assert_int_equal(again.message.kind, DIC_MESSAGE_PLAN);
    assert_string_equal(again.message.job_id, id);
    assert_int_equal(again.receive_count, 1);
}

static void of_a_job_that_is_planned_by_now_only_the_message_is_removed(void **state)
{
    (void)state;
    send_dead(DIC_MESSAGE_PLAN, id, 0); /* it is running */
    send_dead(DIC_MESSAGE_PLAN, "aaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    assert_ok(settle_next(NULL));
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_RUNNING);
    assert_int_equal(dic_blob_store_memory_calls(results, DIC_BLOB_PUT), 0);
    assert_int_equal(left_in(dead), 0);
}

static void a_message_that_seals_is_removed_as_the_sweeper_seals_too(void **state)
{
    (void)state;
    send_dead(DIC_MESSAGE_SEAL, id, 0);
    assert_ok(settle_next(NULL));
    assert_int_equal(left_in(dead), 0);
}

static void add_damaged_job(uint32_t images, const char *lines)
{
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 1};
    bool sent = false;
    struct dic_job_store port = dic_fake_jobs_port(jobs);
    const struct dic_chunk_plan plan = {0, images, dic_str(lines)};
    const struct dic_segment_plan segment = {.chunk_count = 1, .chunks = &plan, .is_last = true};
    dic_fake_jobs_add(jobs, &params, dic_str(""), id);
    assert_ok(port.ops->add_segment(port.impl, id, &segment, &sent, NULL));
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
}

static void a_stored_chunk_that_cannot_be_read_becomes_rows(void **state)
{
    (void)state;
    add_damaged_job(2, "\"a\"\n{\"k\":1}\n");
    assert_ok(settle_next(NULL));
    assert_view(
        dic_fake_jobs_rows(jobs, id, 0),
        "{\"index\":0,\"s3_key\":\"a\",\"error\":{\"code\":\"POISON\",\"message\":"
        "\"given up: the chunk was received 10 times, and failed by: a stored image line is "
        "neither a key nor an object\",\"retryable\":false}}\n"
        "{\"index\":1,\"s3_key\":\"\",\"error\":{\"code\":\"POISON\",\"message\":"
        "\"given up: the chunk was received 10 times, and failed by: a stored image line is "
        "neither a key nor an object\",\"retryable\":false}}\n");
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED);
    assert_copied("0", "failed by: a stored image line");
    assert_int_equal(left_in(dead), 0);
}

static void a_job_of_a_chunk_that_cannot_even_become_rows_fails(void **state)
{
    (void)state;
    add_damaged_job(501, "\"a\"\n");
    assert_ok(settle_next(NULL));
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
    assert_view(dic_fake_jobs_reason(jobs, id),
                "given up: a chunk was received 10 times, and failed by: a stored chunk has 501 "
                "images, allowed are 1 to 500");
    assert_copied("0", "job failed");
    assert_int_equal(left_in(dead), 0);
}

static void what_is_not_understood_stays(void **state)
{
    (void)state;
    dic_job_queue_memory_send_body(dead, dic_str("{\"v\":2}"));
    assert_ok(settle_next(NULL));
    assert_int_equal(left_in(dead), 1);
}

/* ---- failures: the message stays, and comes again ---- */

static enum dic_code fail_one(void *context, enum dic_jobs_op op, const char *job_id,
                              struct dic_err *err)
{
    (void)job_id;
    return op == *(enum dic_jobs_op *)context ? dic_fail(err, DIC_E_UPSTREAM, "not now") : DIC_OK;
}

static enum dic_code fail_puts(void *context, enum dic_blob_op op, struct dic_str key,
                               struct dic_err *err)
{
    (void)context;
    (void)key;
    return op == DIC_BLOB_PUT ? dic_fail(err, DIC_E_UPSTREAM, "no copies") : DIC_OK;
}

static struct dic_queue_fault fail_changes(void *context, const struct dic_queue_call *call)
{
    (void)context;
    bool fails = call->op == DIC_QUEUE_SEND || call->op == DIC_QUEUE_REMOVE;
    return (struct dic_queue_fault){.kind = fails ? DIC_QUEUE_FAILS : DIC_QUEUE_WORKS};
}

static void whatever_fails_the_message_is_still_there(void **state)
{
    (void)state;
    static enum dic_jobs_op ops[] = {DIC_JOBS_GET, DIC_JOBS_GET_CHUNK, DIC_JOBS_BOOK};
    struct dic_err err = {0};
    for (size_t i = 0; i < 3; i++) {
        dic_fake_jobs_set_hook(jobs, fail_one, &ops[i]);
        send_dead(DIC_MESSAGE_CHUNK, id, 0);
        assert_code(settle_next(&err), DIC_E_UPSTREAM);
        assert_string_equal(err.msg, "not now");
    }
    dic_fake_jobs_set_hook(jobs, NULL, NULL);
    dic_blob_store_memory_set_hook(results, fail_puts, NULL);
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    assert_code(settle_next(&err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "no copies");
    dic_blob_store_memory_set_hook(results, NULL, NULL);
    static enum dic_jobs_op plan_op = DIC_JOBS_BEGIN_PLAN;
    dic_fake_jobs_set_hook(jobs, fail_one, &plan_op);
    send_dead(DIC_MESSAGE_PLAN, id, 0);
    assert_code(settle_next(&err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "not now");
    assert_int_equal(left_in(dead), 5);
}

static void a_removal_that_fails_fails_and_a_lost_lease_does_not(void **state)
{
    (void)state;
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    struct dic_delivery delivery = receive(dead);
    dic_job_queue_memory_set_hook(dead, fail_changes, NULL);
    assert_code(dic_dead_letters_settle(&options, &delivery, NULL), DIC_E_UPSTREAM);
    dic_job_queue_memory_set_hook(dead, NULL, NULL);
    assert_ok(dead.ops->remove(dead.impl, delivery.receipt, NULL));
    assert_ok(dic_dead_letters_settle(&options, &delivery, NULL));
}

/* ---- the thread ---- */

static void the_thread_settles_what_comes_until_it_is_stopped(void **state)
{
    (void)state;
    struct dic_dead_letters *letters = dic_dead_letters_start(&options);
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    send_dead(DIC_MESSAGE_CHUNK, id, 1);
    dic_fake_jobs_await_end(jobs, id);
    dic_dead_letters_stop(letters);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 4);
    dic_dead_letters_stop(NULL);
}

static void a_stop_does_not_wait_for_the_rest_after_a_failure(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_BOOK;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    send_dead(DIC_MESSAGE_CHUNK, id, 0);
    struct dic_dead_letters *letters = dic_dead_letters_start(&options);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_BOOK, 1);
    dic_dead_letters_stop(letters);
    assert_int_equal(left_in(dead), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_chunk_is_booked_as_poison_copied_and_removed),
        CASE(a_chunk_that_was_finished_after_all_keeps_its_rows),
        CASE(of_what_is_booked_closed_or_gone_only_the_message_is_removed),
        CASE(a_job_that_could_not_be_planned_fails),
        CASE(the_plan_of_a_job_that_got_further_is_sent_anew),
        CASE(of_a_job_that_is_planned_by_now_only_the_message_is_removed),
        CASE(a_message_that_seals_is_removed_as_the_sweeper_seals_too),
        CASE(a_stored_chunk_that_cannot_be_read_becomes_rows),
        CASE(a_job_of_a_chunk_that_cannot_even_become_rows_fails),
        CASE(what_is_not_understood_stays),
        CASE(whatever_fails_the_message_is_still_there),
        CASE(a_removal_that_fails_fails_and_a_lost_lease_does_not),
        CASE(the_thread_settles_what_comes_until_it_is_stopped),
        CASE(a_stop_does_not_wait_for_the_rest_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
