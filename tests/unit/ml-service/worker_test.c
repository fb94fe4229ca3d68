/* SPDX-License-Identifier: Apache-2.0 */
/* The worker with a queue and stores in memory, on a clock that stands still. */
#include "worker.h"

#include "test.h"

#include "base/log.h"
#include "blob_store_memory.h"
#include "fake_clock.h"
#include "fake_jobs.h"
#include "fake_stages.h"
#include "gate.h"
#include "job_queue_memory.h"

#include <stdio.h>
#include <unistd.h>

enum { DEADLOCK_S = 100 };

static struct dic_fake_clock *fake;
static struct dic_blob_store images;
static struct dic_fake_jobs *jobs;
static struct dic_job_queue queue;
static struct dic_fake_stages stages;
static struct dic_pipeline *pipeline;
static struct dic_worker *worker;
static struct dic_gate polls;   /* passed by each receive, before it happens */
static struct dic_gate extends; /* and by each extension */
static atomic_int early_wakes;  /* polls broken off while the worker had work */
static struct dic_job_queue_ops watched_ops;
static void (*real_wake)(void *impl);
static enum dic_queue_op broken_op;
static atomic_int broken_calls;     /* so many calls of it fail */
static atomic_bool heartbeats_lost; /* without an error */
static atomic_bool is_deaf;         /* the worker receives nothing, others do */
static char id[DIC_ID_SIZE];

static struct dic_str labels[DIC_FAKE_CLASSES] = {{"l0", 2}, {"l1", 2}, {"l2", 2}, {"l3", 2},
                                                  {"l4", 2}, {"l5", 2}, {"l6", 2}, {"l7", 2},
                                                  {"l8", 2}, {"l9", 2}};
static char summary[] = "{\"name\":\"fake\"}";
static const struct dic_model_spec model = {
    .classes = DIC_FAKE_CLASSES, .labels = labels, .summary_json = summary};

static struct dic_queue_fault watch_queue(void *context, const struct dic_queue_call *call)
{
    (void)context;
    if (call->op == DIC_QUEUE_RECEIVE && call->receive_count == 0) {
        dic_gate_pass(&polls);
    }
    if (call->op == DIC_QUEUE_EXTEND && call->visibility_s > 0) {
        dic_gate_pass(&extends);
    }
    if (call->op == DIC_QUEUE_EXTEND && atomic_load(&heartbeats_lost)) {
        return (struct dic_queue_fault){.kind = DIC_QUEUE_DROPS};
    }
    if (call->op == DIC_QUEUE_RECEIVE && call->receive_count > 0 && atomic_load(&is_deaf) &&
        call->visibility_s == DIC_VISIBILITY_S) {
        return (struct dic_queue_fault){.kind = DIC_QUEUE_DROPS};
    }
    bool counts = call->op != DIC_QUEUE_RECEIVE || call->receive_count == 0;
    bool breaks = call->op == broken_op && counts && atomic_load(&broken_calls) > 0 &&
                  atomic_fetch_sub(&broken_calls, 1) > 0;
    return (struct dic_queue_fault){.kind = breaks ? DIC_QUEUE_FAILS : DIC_QUEUE_WORKS};
}

static void watched_wake(void *impl)
{
    struct dic_worker_counts now;
    dic_worker_counts(worker, &now);
    atomic_fetch_add(&early_wakes, now.chunks_in_work > 0);
    real_wake(impl);
}

static void watch_images(void);

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_OFF);
    dic_fake_stages_init(&stages);
    dic_gate_init(&polls, DIC_GATE_OPEN);
    dic_gate_init(&extends, DIC_GATE_OPEN);
    atomic_store(&early_wakes, 0);
    atomic_store(&broken_calls, 0);
    atomic_store(&heartbeats_lost, false);
    atomic_store(&is_deaf, false);
    fake = dic_fake_clock_new();
    images = dic_blob_store_memory_new();
    watch_images();
    jobs = dic_fake_jobs_new();
    queue = dic_job_queue_memory_new(fake);
    dic_job_queue_memory_set_hook(queue, watch_queue, NULL);
    watched_ops = *queue.ops;
    real_wake = queue.ops->wake;
    watched_ops.wake = watched_wake;
    queue.ops = &watched_ops;
    const struct dic_pipeline_options options = {
        .images = images,
        .decoder_count = 2,
        .tensors_per_decoder = 2,
        .classifier = dic_fake_stages_classifier(&stages, 2),
        .fetchers = 2,
        .queue_images = 4,
        .queue_bytes = 1000,
    };
    dic_pipeline_start(&options, &pipeline);
    worker = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    dic_worker_destroy(worker);
    dic_pipeline_destroy(pipeline);
    queue.ops->destroy(queue.impl);
    dic_fake_jobs_destroy(jobs);
    images.ops->destroy(images.impl);
    dic_fake_clock_destroy(fake);
    dic_gate_clean_up(&polls);
    dic_gate_clean_up(&extends);
    dic_fake_stages_clean_up(&stages);
    return 0;
}

static void start_worker_with(uint32_t pollers, uint32_t max_chunks)
{
    const struct dic_worker_options options = {
        .jobs = dic_fake_jobs_port(jobs),
        .queue = queue,
        .images = images,
        .pipeline = pipeline,
        .model = &model,
        .clock = dic_fake_clock_port(fake),
        .window_images = 8,
        .max_chunks = max_chunks,
        .pollers = pollers,
        .recorders = 2,
        .chunk_images = 2,
        .watch_ms = 1,
        .visibility_s = DIC_VISIBILITY_S,
    };
    dic_worker_start(&options, &worker);
}

static void start_worker(void)
{
    start_worker_with(1, 4);
}

static void put(const char *key, const char *bytes)
{
    assert_ok(images.ops->put(images.impl, dic_str(key), dic_str(bytes), false, NULL));
}

static void send(enum dic_message_kind kind, const char *job_id, uint32_t chunk)
{
    struct dic_message message = {.kind = kind, .chunk = chunk};
    memcpy(message.job_id, job_id, DIC_ID_SIZE);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
}

static const struct dic_job_params plain = {
    .source = DIC_SOURCE_KEYS, .top_k = 2, .max_failures = -1};

/* A job of chunks that have these lines each, and a message for each chunk. */
static void make_job(const struct dic_job_params *params, uint32_t chunks, uint32_t per_chunk,
                     const char *lines)
{
    dic_fake_jobs_add(jobs, params, dic_str(""), id);
    dic_fake_jobs_add_chunks(jobs, id, chunks, per_chunk, dic_str(lines));
    for (uint32_t i = 0; i < chunks; i++) {
        send(DIC_MESSAGE_CHUNK, id, i);
    }
}

static void make_small_job(void)
{
    put("a", "g7");
    make_job(&plain, 1, 1, "\"a\"\n");
}

static void assert_depth(int64_t visible, int64_t in_flight)
{
    struct dic_queue_depth depth;
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    assert_int_equal(depth.visible, visible);
    assert_int_equal(depth.in_flight, in_flight);
}

static void await_visible(int64_t messages)
{
    struct dic_queue_depth depth = {0};
    while (depth.visible < messages) {
        dic_sleep_ms(1);
        assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    }
}

static struct dic_worker_counts counts(void)
{
    struct dic_worker_counts out;
    dic_worker_counts(worker, &out);
    return out;
}

static void await_end(void)
{
    dic_fake_jobs_await_end(jobs, id);
    dic_worker_drain(worker);
}

/* Until the worker has handled what it has begun to handle: with one poller, it asks for more only
 * then. */
static void await_handled(void)
{
    dic_lock(&polls.lock);
    uint32_t before = polls.passed;
    dic_unlock(&polls.lock);
    real_wake(queue.impl);
    dic_gate_await_passed(&polls, before + 1);
}

/* ---- chunks ---- */

static void a_chunk_is_classified_booked_and_its_message_removed(void **state)
{
    (void)state;
    put("a", "g7");
    put("b", "c");
    put("c", "p1");
    make_job(&plain, 1, 3, "\"a\"\n{\"k\":\"b\",\"id\":\"no. 2\"}\n\"c\"\n");
    start_worker();
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0),
                "{\"index\":0,\"s3_key\":\"a\",\"label\":\"l7\",\"confidence\":0.437500,"
                "\"predictions\":[{\"label\":\"l7\",\"class_index\":7,\"confidence\":0.437500},"
                "{\"label\":\"l0\",\"class_index\":0,\"confidence\":0.062500}]}\n"
                "{\"index\":1,\"s3_key\":\"b\",\"id\":\"no. 2\",\"error\":{\"code\":"
                "\"CORRUPT_IMAGE\",\"message\":\"not a picture\",\"retryable\":false}}\n"
                "{\"index\":2,\"s3_key\":\"c\",\"label\":\"l1\",\"confidence\":0.437500,"
                "\"partial\":true,"
                "\"predictions\":[{\"label\":\"l1\",\"class_index\":1,\"confidence\":0.437500},"
                "{\"label\":\"l0\",\"class_index\":0,\"confidence\":0.062500}]}\n");
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 2);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 1);
    assert_depth(0, 0);
    assert_int_equal(counts().chunks_booked, 1);
    assert_int_equal(counts().rows_succeeded, 2);
    assert_int_equal(counts().rows_failed, 1);
    assert_int_equal(counts().chunks_in_work, 0);
    assert_int_equal(counts().images_in_work, 0);
}

static void below_the_threshold_the_label_is_unknown(void **state)
{
    (void)state;
    struct dic_job_params params = plain;
    params.confidence_threshold = 0.5;
    put("a", "g7");
    make_job(&params, 1, 1, "\"a\"\n");
    start_worker();
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0),
                "{\"index\":0,\"s3_key\":\"a\",\"label\":\"unknown\",\"confidence\":null,"
                "\"predictions\":[]}\n");
    assert_int_equal(dic_fake_jobs_totals(jobs, id).unknown, 1);
}

static void many_chunks_of_many_jobs_are_each_booked_once(void **state)
{
    (void)state;
    char ids[4][DIC_ID_SIZE];
    put("a", "g7");
    put("b", "g2");
    put("c", "g3");
    for (int i = 0; i < 4; i++) {
        make_job(&plain, 20, 3, "\"a\"\n\"b\"\n\"c\"\n");
        memcpy(ids[i], id, sizeof id);
    }
    start_worker_with(3, 6);
    for (int i = 0; i < 4; i++) {
        dic_fake_jobs_await_end(jobs, ids[i]);
    }
    dic_worker_drain(worker);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(dic_fake_jobs_totals(jobs, ids[i]).succeeded, 60);
    }
    assert_int_equal(counts().chunks_booked, 80);
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 80);
    assert_depth(0, 0);
}

/* Others of the job are for other workers, who may be idle. */
static void the_first_receive_asks_for_what_fills_the_window(void **state)
{
    (void)state;
    stages.decode.tickets = 0;
    put("a", "g7");
    make_job(&plain, 6, 2, "\"a\"\n\"a\"\n");
    start_worker_with(1, 32);
    dic_gate_await_waiting(&stages.decode, 2);
    assert_depth(2, 4);
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    await_end();
    assert_int_equal(counts().rows_succeeded, 12);
}

static void a_local_store_removes_the_message_itself(void **state)
{
    (void)state;
    dic_fake_jobs_set_local(jobs);
    make_small_job();
    start_worker();
    await_end();
    assert_depth(0, 1); /* this one does not */
}

static void the_message_of_a_booked_chunk_is_removed_without_work(void **state)
{
    (void)state;
    make_small_job();
    start_worker();
    await_end();
    dic_worker_destroy(worker);
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_RUNNING); /* as if other chunks were missing */
    send(DIC_MESSAGE_CHUNK, id, 0);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, 2);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 0);
    assert_int_equal(stages.decodes_begun, 1);
    assert_int_equal(counts().chunks_booked, 0);
}

static void of_two_bookings_the_first_counts(void **state)
{
    (void)state;
    enum dic_book_result result = DIC_BOOK_CLOSED;
    const struct dic_booking other = {.succeeded = 1, .rows = DIC_STR_LIT("other\n")};
    stages.infer.tickets = 0;
    put("a", "g7");
    make_job(&plain, 2, 1, "\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.infer, 2);
    struct dic_job_store port = dic_fake_jobs_port(jobs);
    assert_ok(port.ops->book(port.impl, id, &other, &result, NULL));
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0), "other\n");
    assert_int_equal(counts().chunks_booked, 1);
    assert_int_equal(counts().chunks_late, 1);
    assert_int_equal(counts().rows_succeeded, 1);
    assert_depth(0, 0);
}

static void messages_of_jobs_that_are_gone_or_closed_are_removed(void **state)
{
    (void)state;
    make_small_job();
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_CANCELLED);
    send(DIC_MESSAGE_CHUNK, id, 77);
    send(DIC_MESSAGE_CHUNK, "aaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    send(DIC_MESSAGE_PLAN, "aaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    send(DIC_MESSAGE_PLAN, id, 0);
    send(DIC_MESSAGE_SEAL, "aaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
    start_worker_with(1, DIC_RECEIVE_MAX);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_SEAL, 1);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_BEGIN_PLAN, 1); /* the planner is another thread */
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 0);
    assert_int_equal(stages.decodes_begun, 0);
}

static enum dic_code fail_one(void *context, enum dic_jobs_op op, const char *job_id,
                              struct dic_err *err)
{
    (void)job_id;
    return op == *(enum dic_jobs_op *)context ? dic_fail(err, DIC_E_UPSTREAM, "not now") : DIC_OK;
}

static void a_chunk_that_cannot_be_loaded_is_left_for_later(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_GET_CHUNK;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    make_small_job();
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, 1);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, DIC_VISIBILITY_S * 1000);
    assert_depth(1, 0); /* it comes back by itself */
}

static void a_stored_chunk_that_is_none_is_left_alone(void **state)
{
    (void)state;
    static const struct {
        uint32_t images;
        const char *lines;
    } cases[] = {
        {2, "\"a\"\n"},      {1, "\"a\"\n\"b\"\n"}, {1, "nonsense\n"}, {1, "{\"k\":\"a\"}\n"},
        {1, "{\"id\":1}\n"}, {1, "[]\n"},           {0, ""},           {501, "\"a\"\n"},
    };
    dic_fake_jobs_add(jobs, &plain, dic_str(""), id);
    struct dic_job_store port = dic_fake_jobs_port(jobs);
    uint32_t count = sizeof cases / sizeof cases[0];
    struct dic_chunk_plan plans[8];
    for (uint32_t i = 0; i < count; i++) {
        plans[i] = (struct dic_chunk_plan){i, cases[i].images, dic_str(cases[i].lines)};
        send(DIC_MESSAGE_CHUNK, id, i);
    }
    const struct dic_segment_plan segment = {
        .chunk_count = count, .chunks = plans, .is_last = true};
    bool sent = false;
    assert_ok(port.ops->add_segment(port.impl, id, &segment, &sent, NULL));
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, count);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, count);
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 0);
}

static void a_message_that_is_not_understood_is_left_alone(void **state)
{
    (void)state;
    dic_job_queue_memory_send_body(queue, dic_str("{\"v\":2,\"kind\":\"dance\"}"));
    dic_job_queue_memory_send_body(queue, dic_str("hello"));
    make_small_job();
    start_worker();
    await_end();
    assert_depth(0, 2);
}

/* ---- giving up ---- */

/* Delivered so often already, to workers that died. */
static void deliver_in_vain(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        struct dic_delivery delivery;
        size_t count = 0;
        assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &count, NULL));
        assert_int_equal(count, 1);
        assert_ok(queue.ops->extend(queue.impl, delivery.receipt, 0, NULL));
    }
}

static void at_its_last_delivery_a_chunk_is_still_tried(void **state)
{
    (void)state;
    make_small_job();
    deliver_in_vain(DIC_MAX_RECEIVES - 1);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 1);
}

static void a_chunk_delivered_too_often_is_given_up_in_its_rows(void **state)
{
    (void)state;
    put("a", "g7");
    make_job(&plain, 1, 2, "\"a\"\n\"b\"\n");
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0),
                "{\"index\":0,\"s3_key\":\"a\",\"error\":{\"code\":\"POISON\",\"message\":"
                "\"given up: the chunk was received 11 times (limit 10) and never finished\","
                "\"retryable\":false}}\n"
                "{\"index\":1,\"s3_key\":\"b\",\"error\":{\"code\":\"POISON\",\"message\":"
                "\"given up: the chunk was received 11 times (limit 10) and never finished\","
                "\"retryable\":false}}\n");
    assert_int_equal(stages.decodes_begun, 0);
    assert_int_equal(counts().rows_failed, 2);
    assert_depth(0, 0);
}

static enum dic_code fail_get_chunk(void *context, enum dic_jobs_op op, const char *job_id,
                                    struct dic_err *err)
{
    (void)context;
    (void)job_id;
    return op == DIC_JOBS_GET_CHUNK ? dic_fail(err, DIC_E_INTERNAL, "the manifest is damaged")
                                    : DIC_OK;
}

static void make_damaged_job(uint32_t image_count, const char *lines)
{
    bool sent = false;
    struct dic_job_store port = dic_fake_jobs_port(jobs);
    const struct dic_chunk_plan plan = {0, image_count, dic_str(lines)};
    const struct dic_segment_plan segment = {.chunk_count = 1, .chunks = &plan, .is_last = true};
    dic_fake_jobs_add(jobs, &plain, dic_str(""), id);
    assert_ok(port.ops->add_segment(port.impl, id, &segment, &sent, NULL));
    send(DIC_MESSAGE_CHUNK, id, 0);
}

static void assert_damaged_rows(uint32_t image_count, const char *lines, const char *first_key,
                                const char *why)
{
    struct dic_buf expected;
    dic_buf_init(&expected, 10000);
    for (uint32_t i = 0; i < image_count; i++) {
        dic_buf_printf(&expected,
                       "{\"index\":%u,\"s3_key\":\"%s\",\"error\":{\"code\":\"POISON\",\"message\":"
                       "\"given up: the chunk was received 11 times, and failed by: %s\","
                       "\"retryable\":false}}\n",
                       i, i == 0 ? first_key : "", why);
    }
    make_damaged_job(image_count, lines);
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0), expected.ptr);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, image_count);
    assert_depth(0, 0);
    dic_worker_destroy(worker);
    worker = NULL;
    dic_buf_clean_up(&expected);
}

static void a_stored_chunk_that_cannot_be_read_becomes_rows_in_the_end(void **state)
{
    (void)state;
    assert_damaged_rows(2, "\"a\"\n", "", "a stored chunk has 1 lines instead of 2");
    assert_damaged_rows(1, "\"a\"\n\"b\"\n", "", "a stored chunk has 2 lines instead of 1");
    assert_damaged_rows(1, "", "", "a stored chunk has 0 lines instead of 1");
    assert_damaged_rows(2, "\"a\"\n[]\n", "a",
                        "a stored image line is neither a key nor an object");
}

static void assert_job_fails(const char *reason)
{
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
    assert_view(dic_fake_jobs_reason(jobs, id), reason);
    assert_depth(0, 0);
    dic_worker_destroy(worker);
    worker = NULL;
}

static void what_cannot_even_become_rows_ends_the_job(void **state)
{
    (void)state;
    make_damaged_job(0, "");
    assert_job_fails("given up: a chunk was received 11 times, and failed by: a stored chunk has 0 "
                     "images, allowed are 1 to 500");
    make_damaged_job(501, "\"a\"\n");
    assert_job_fails(
        "given up: a chunk was received 11 times, and failed by: a stored chunk has 501 "
        "images, allowed are 1 to 500");
    dic_fake_jobs_set_hook(jobs, fail_get_chunk, NULL);
    make_small_job();
    assert_job_fails(
        "given up: a chunk was received 11 times, and failed by: the manifest is damaged");
}

/* ---- a store that is away ---- */

static struct dic_blob_store_ops broken_images;
static enum dic_code (*real_get)(void *impl, struct dic_str key, int64_t max_bytes,
                                 struct dic_buf *out, struct dic_blob_info *info_out,
                                 struct dic_err *err);
static atomic_int broken_gets; /* so many fail */
static atomic_bool fails_for_good;

static enum dic_code broken_get(void *impl, struct dic_str key, int64_t max_bytes,
                                struct dic_buf *out, struct dic_blob_info *info_out,
                                struct dic_err *err)
{
    if (atomic_fetch_sub(&broken_gets, 1) <= 0) {
        return real_get(impl, key, max_bytes, out, info_out, err);
    }
    enum dic_code code = dic_fail(err, DIC_E_UPSTREAM, "the store is away");
    err->retryable = !atomic_load(&fails_for_good);
    return code;
}

/* The pipeline has a copy of the port, but not of its functions. */
static void break_images(int gets, bool for_good)
{
    atomic_store(&broken_gets, gets);
    atomic_store(&fails_for_good, for_good);
}

static void watch_images(void)
{
    broken_images = *images.ops;
    real_get = broken_images.get;
    broken_images.get = broken_get;
    images.ops = &broken_images;
    break_images(0, false);
}

static void await_put_off(uint32_t times)
{
    while (counts().chunks_released < times) {
        dic_sleep_ms(1);
    }
}

static void a_chunk_whose_images_cannot_be_fetched_is_tried_again_later(void **state)
{
    (void)state;
    break_images(1, false);
    make_small_job();
    start_worker();
    await_put_off(1);
    dic_fake_clock_advance_ms(fake, 9999);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, 1);
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 1);
    assert_depth(0, 0);
}

static void a_store_that_stays_away_makes_rows_in_the_end(void **state)
{
    (void)state;
    break_images(1000, false);
    make_small_job();
    start_worker();
    for (uint32_t i = 0; i < 6; i++) { /* 10, 20, … 320 s */
        await_put_off(i + 1);
        dic_fake_clock_advance_ms(fake, INT64_C(10000) << i);
    }
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 1);
    assert_int_equal(counts().chunks_released, 6);
}

static void an_image_that_cannot_be_fetched_holds_its_chunk_up_twice(void **state)
{
    (void)state;
    put("a", "g7");
    put("b", "g7");
    put("c", "g7");
    break_images(0, false);
    make_job(&plain, 1, 3, "\"a\"\n\"b\"\n\"c\"\n");
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    break_images(1, false);
    start_worker();
    await_put_off(1);
    break_images(1, false);
    dic_fake_clock_advance_ms(fake, 10000);
    await_put_off(2);
    break_images(1, false);
    dic_fake_clock_advance_ms(fake, 20000);
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 1);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 2);
}

static void what_will_never_be_fetched_is_not_tried_again(void **state)
{
    (void)state;
    break_images(1, true); /* as of a bucket that does not exist */
    make_small_job();
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 1);
    assert_int_equal(counts().chunks_released, 0);
}

static void a_job_past_its_deadline_is_ended_by_who_takes_its_chunk(void **state)
{
    (void)state;
    struct dic_job_params params = plain;
    params.deadline_ms = DIC_FAKE_CLOCK_START_MS + 1000;
    put("a", "g7");
    make_job(&params, 1, 1, "\"a\"\n");
    dic_fake_clock_advance_ms(fake, 999);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED); /* in time */
    make_job(&params, 1, 1, "\"a\"\n");
    dic_fake_clock_advance_ms(fake, 1);
    dic_worker_destroy(worker);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_EXPIRED);
    assert_view(dic_fake_jobs_reason(jobs, id), "the deadline has passed");
    assert_depth(0, 0);
}

static void a_deadline_that_cannot_be_noted_still_ends_the_work(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_STOP;
    struct dic_job_params params = plain;
    params.deadline_ms = 1;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    make_job(&params, 1, 1, "\"a\"\n");
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_STOP, 1);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 0); /* the sweeper will expire the job */
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 0);
}

/* ---- booking ---- */

static atomic_int failures_left;

static enum dic_code fail_some_bookings(void *context, enum dic_jobs_op op, const char *job_id,
                                        struct dic_err *err)
{
    (void)job_id;
    if (op != DIC_JOBS_BOOK || atomic_fetch_sub(&failures_left, 1) <= 0) {
        return DIC_OK;
    }
    return dic_fail(err, *(enum dic_code *)context, "not now");
}

static void a_booking_that_fails_for_now_is_repeated(void **state)
{
    (void)state;
    enum dic_code code = DIC_E_UPSTREAM;
    atomic_store(&failures_left, 1);
    dic_fake_jobs_set_hook(jobs, fail_some_bookings, &code);
    make_small_job();
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 2);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 1);
    assert_depth(0, 0);
}

static void await_given_back(void)
{
    while (counts().chunks_in_work > 0) {
        dic_sleep_ms(1);
    }
}

static void a_chunk_that_cannot_be_booked_is_tried_again_after_five_seconds(void **state)
{
    (void)state;
    enum dic_code code = DIC_E_INTERNAL;
    atomic_store(&failures_left, 1);
    dic_fake_jobs_set_hook(jobs, fail_some_bookings, &code);
    make_small_job();
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_BOOK, 1);
    await_given_back();
    dic_fake_clock_advance_ms(fake, 4999);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, 1);
    await_end(); /* the second delivery is booked */
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 2);
    assert_int_equal(stages.decodes_begun, 2);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 1);
    assert_depth(0, 0);
}

static void a_booking_of_a_job_that_is_gone_ends_its_message(void **state)
{
    (void)state;
    enum dic_code code = DIC_E_NOT_FOUND;
    atomic_store(&failures_left, 1);
    dic_fake_jobs_set_hook(jobs, fail_some_bookings, &code);
    make_small_job();
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_BOOK, 1);
    dic_worker_drain(worker);
    assert_depth(0, 0);
    assert_int_equal(counts().chunks_booked, 0);
}

static void a_message_that_cannot_be_removed_comes_back_and_costs_no_work(void **state)
{
    (void)state;
    broken_op = DIC_QUEUE_REMOVE;
    atomic_store(&broken_calls, 1);
    put("a", "g7");
    make_job(&plain, 2, 1, "\"a\"\n");
    start_worker();
    await_end();
    assert_depth(0, 1);
    dic_worker_destroy(worker);
    dic_fake_clock_advance_ms(fake, DIC_VISIBILITY_S * 1000);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, 3);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 0);
    assert_int_equal(stages.decodes_begun, 2);
}

/* ---- stopping ---- */

static pthread_t drainer;

static void *drain(void *arg)
{
    dic_worker_drain(arg);
    return NULL;
}

/* Returns when the worker has let go of its work, and waits for the images in hand. */
static void begin_drain(void)
{
    dic_worker_let_go(worker);
    dic_thread_start(&drainer, "drainer", drain, worker);
}

static void end_drain(void)
{
    dic_thread_join(drainer);
}

static void a_drained_worker_finishes_the_images_in_hand_and_gives_the_chunk_back(void **state)
{
    (void)state;
    stages.decode.tickets = 0;
    put("a", "g7");
    make_job(&plain, 1, 5, "\"a\"\n\"a\"\n\"a\"\n\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.decode, 2);
    dic_gate_await_passed(&polls, 2);
    begin_drain();
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    end_drain();
    assert_int_equal(stages.decodes_begun, 2);
    assert_int_equal(counts().chunks_released, 1);
    assert_int_equal(counts().chunks_booked, 0);
    assert_int_equal(counts().images_in_work, 0);
    assert_depth(1, 0); /* at once for the next worker */
    assert_int_equal(atomic_load(&early_wakes), 0);
    dic_worker_destroy(worker);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 5);
}

static void a_drained_worker_books_what_was_complete(void **state)
{
    (void)state;
    stages.infer.tickets = 0;
    put("a", "g7");
    make_job(&plain, 1, 2, "\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.infer, 2);
    dic_gate_await_passed(&polls, 2);
    begin_drain();
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    end_drain();
    assert_int_equal(counts().chunks_booked, 1);
    assert_int_equal(counts().chunks_released, 0);
    assert_depth(0, 0);
}

/* Each time one of its images is done, and no more. */
static void drain_in_the_middle(void)
{
    stages.decode.tickets = 0;
    start_worker();
    dic_gate_await_waiting(&stages.decode, 2);
    await_handled();
    begin_drain();
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    end_drain();
    assert_int_equal(counts().chunks_released, 1);
    assert_depth(1, 0);
    dic_worker_destroy(worker);
    worker = NULL;
}

static void a_chunk_drained_more_often_than_it_may_be_received_is_still_classified(void **state)
{
    (void)state;
    put("a", "g7");
    make_job(&plain, 1, 3, "\"a\"\n\"a\"\n\"a\"\n");
    for (int i = 0; i < DIC_MAX_RECEIVES + 2; i++) {
        drain_in_the_middle();
    }
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 3);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).failed, 0);
    assert_depth(0, 0);
}

static void what_cannot_be_handed_back_is_given_back_and_counts(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    size_t count = 0;
    broken_op = DIC_QUEUE_HAND_BACK;
    atomic_store(&broken_calls, 1);
    put("a", "g7");
    make_job(&plain, 1, 3, "\"a\"\n\"a\"\n\"a\"\n");
    drain_in_the_middle();
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &count, NULL));
    assert_int_equal(count, 1);
    assert_int_equal(delivery.receive_count, 2);
}

static void draining_twice_and_destroying_nothing_is_fine(void **state)
{
    (void)state;
    start_worker();
    dic_worker_drain(worker);
    dic_worker_drain(worker);
    dic_worker_destroy(NULL);
}

/* Until the keeper has looked at the jobs once more, and done what follows from it. */
static void await_watched(void)
{
    uint32_t calls = dic_fake_jobs_calls(jobs, DIC_JOBS_GET);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET, calls + 2);
}

static void the_work_of_a_stopped_job_is_dropped(void **state)
{
    (void)state;
    stages.decode.tickets = 0;
    put("a", "g7");
    make_job(&plain, 2, 3, "\"a\"\n\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.decode, 2);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, 2);
    await_handled();
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_CANCELLING);
    await_watched();
    await_watched();
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_CHUNK, 4); /* given back, and taken again */
    await_handled();
    dic_worker_drain(worker);
    assert_int_equal(stages.decodes_begun, 2);
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BOOK), 0);
    assert_int_equal(counts().chunks_released, 2);
    assert_depth(0, 0);
}

static enum dic_code forget(void *context, enum dic_jobs_op op, const char *job_id,
                            struct dic_err *err)
{
    (void)job_id;
    return op == DIC_JOBS_GET && atomic_load((atomic_bool *)context)
               ? dic_fail(err, DIC_E_NOT_FOUND, "no such job")
               : DIC_OK;
}

static void the_work_of_a_removed_job_is_dropped(void **state)
{
    (void)state;
    atomic_bool gone = false;
    stages.decode.tickets = 0;
    put("a", "g7");
    dic_fake_jobs_set_hook(jobs, forget, &gone);
    make_job(&plain, 1, 3, "\"a\"\n\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.decode, 2);
    atomic_store(&gone, true);
    await_watched();
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_gate_await_passed(&polls, 3);
    dic_worker_drain(worker);
    assert_int_equal(stages.decodes_begun, 2);
    assert_int_equal(counts().chunks_released, 1);
    assert_depth(0, 0);
}

/* ---- leases ---- */

/* One image is done in each heartbeat's time. */
static void a_chunk_in_work_keeps_its_lease(void **state)
{
    (void)state;
    enum { BEATS = 4 };
    stages.infer.tickets = 0;
    put("a", "g7");
    make_job(&plain, 1, BEATS + 1, "\"a\"\n\"a\"\n\"a\"\n\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.infer, 1);
    for (uint32_t beat = 1; beat <= BEATS; beat++) { /* longer than the lease in sum */
        dic_gate_let(&stages.infer, 1);
        while (counts().images_in_work > BEATS + 1 - beat) {
            dic_sleep_ms(1);
        }
        dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
        dic_gate_await_passed(&extends, beat);
    }
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000 - 1);
    assert_depth(0, 1);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    await_end();
    assert_int_equal(counts().chunks_booked, 1);
}

/* Another worker gets it, and what this one does in the end does no harm. */
static void a_chunk_without_progress_is_let_go(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    size_t count = 0;
    stages.infer.tickets = 0;
    make_small_job();
    start_worker();
    dic_gate_await_waiting(&stages.infer, 1);
    await_handled();
    atomic_store(&is_deaf, true); /* it shall not get the chunk again itself */
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
    dic_gate_await_passed(&extends, 1);
    await_watched();                                         /* the renewal has happened */
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000); /* 80 s: not renewed any more */
    await_watched();
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000 - 1);
    await_watched();
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000 + 1);
    await_watched();
    assert_depth(1, 0);
    assert_int_equal(extends.passed, 1);
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &count, NULL));
    assert_int_equal(count, 1);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    await_end();
    assert_int_equal(counts().chunks_booked, 1);
    assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
}

/* A renewal that is on its way when a chunk is given back must not hide it again. */
static void a_chunk_given_back_during_a_heartbeat_is_not_hidden_again(void **state)
{
    (void)state;
    extends.tickets = 0;
    stages.decode.tickets = 0;
    put("a", "g7");
    make_job(&plain, 2, 2, "\"a\"\n\"a\"\n");
    start_worker();
    dic_gate_await_waiting(&stages.decode, 2);
    dic_gate_await_passed(&polls, 2);
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
    dic_gate_await_waiting(&extends, 1); /* one chunk is being renewed, the other comes next */
    begin_drain();
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    await_visible(1);
    dic_gate_let(&extends, DIC_GATE_OPEN);
    end_drain();
    assert_int_equal(counts().chunks_released + counts().chunks_booked, 2);
    assert_depth((int64_t)counts().chunks_released, 0);
}

static void a_heartbeat_that_fails_is_no_reason_to_stop(void **state)
{
    (void)state;
    broken_op = DIC_QUEUE_EXTEND;
    atomic_store(&broken_calls, 1);
    stages.infer.tickets = 0;
    make_small_job();
    start_worker();
    dic_gate_await_waiting(&stages.infer, 1);
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
    dic_gate_await_passed(&extends, 1);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    await_end();
    assert_int_equal(counts().chunks_booked, 1);
    assert_depth(0, 0);
}

/* The heartbeats do not arrive, another worker gets the chunk and books it first. */
static void a_worker_that_lost_its_lease_harms_nobody(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    size_t count = 0;
    enum dic_book_result result = DIC_BOOK_CLOSED;
    const struct dic_booking other = {.succeeded = 1, .rows = DIC_STR_LIT("other\n")};
    struct dic_job_store port = dic_fake_jobs_port(jobs);
    atomic_store(&heartbeats_lost, true);
    stages.infer.tickets = 0;
    make_small_job();
    start_worker();
    dic_gate_await_waiting(&stages.infer, 1);
    atomic_store(&is_deaf, true); /* it shall not get the chunk again itself */
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
    dic_gate_await_passed(&extends, 1);
    dic_fake_clock_advance_ms(fake, (DIC_VISIBILITY_S - DIC_HEARTBEAT_S) * 1000);
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &count, NULL));
    assert_int_equal(count, 1);
    assert_int_equal(delivery.receive_count, 2);
    assert_ok(port.ops->book(port.impl, id, &other, &result, NULL));
    assert_int_equal(result, DIC_BOOKED);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    await_end();
    assert_view(dic_fake_jobs_rows(jobs, id, 0), "other\n");
    assert_depth(0, 1); /* the other one's delivery is still its own */
    assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
}

/* ---- planning and sealing ---- */

static void make_job_to_plan(struct dic_str keys)
{
    dic_fake_jobs_add(jobs, &plain, keys, id);
    send(DIC_MESSAGE_PLAN, id, 0);
}

static void a_plan_message_cuts_the_job_and_its_chunks_are_worked(void **state)
{
    (void)state;
    put("a", "g7");
    put("b", "g1");
    put("c", "g2");
    make_job_to_plan(dic_str("\"a\"\n\"b\"\n\"c\"\n"));
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_chunks(jobs, id), 2); /* of two images */
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 3);
    assert_depth(0, 0);
}

static void a_plan_that_fails_is_left_for_later(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_GET_KEYS;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    make_job_to_plan(dic_str("\"a\"\n"));
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_KEYS, 1);
    dic_worker_drain(worker);
    assert_depth(0, 1);
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_PLANNING);
}

static void await_failed(const char *reason)
{
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
    assert_view(dic_fake_jobs_reason(jobs, id), reason);
    assert_depth(0, 0);
}

static void a_plan_that_always_fails_ends_its_job_at_the_tenth_delivery(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_GET_KEYS;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    make_job_to_plan(dic_str("\"a\"\n"));
    deliver_in_vain(DIC_MAX_RECEIVES - 2);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_GET_KEYS, 1);
    dic_worker_drain(worker);
    assert_depth(0, 1); /* the ninth one: tried again later */
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_PLANNING);
    dic_worker_destroy(worker);
    dic_fake_clock_advance_ms(fake, DIC_VISIBILITY_S * 1000);
    start_worker();
    await_failed("given up: the job's plan was received 10 times, and failed by: not now");
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_GET_KEYS), 2);
}

static void a_plan_received_too_often_is_not_tried(void **state)
{
    (void)state;
    make_job_to_plan(dic_str("\"a\"\n"));
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    await_failed("given up: the job's plan was received 11 times and never finished");
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_GET_KEYS), 0);
}

static void a_plan_that_cannot_be_given_up_now_is_given_up_later(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_BEGIN_PLAN;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    make_job_to_plan(dic_str("\"a\"\n"));
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_BEGIN_PLAN, 1);
    dic_worker_drain(worker);
    assert_depth(0, 1);
}

static atomic_uint plans_given_up;

static enum dic_code planned_past_once(void *context, enum dic_jobs_op op, const char *job_id,
                                       struct dic_err *err)
{
    (void)context;
    (void)job_id;
    return op == DIC_JOBS_STOP && atomic_fetch_add(&plans_given_up, 1) == 0
               ? dic_fail(err, DIC_E_CONFLICT, "planned past it")
               : DIC_OK;
}

static void a_plan_received_too_often_of_a_job_that_got_further_is_tried_anew(void **state)
{
    (void)state;
    atomic_store(&plans_given_up, 0);
    put("a", "g7");
    dic_fake_jobs_set_hook(jobs, planned_past_once, NULL);
    make_job_to_plan(dic_str("\"a\"\n"));
    deliver_in_vain(DIC_MAX_RECEIVES);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED);
    assert_int_equal(atomic_load(&plans_given_up), 1);
}

static atomic_uint segments_asked;

static enum dic_code fail_each_second_segment(void *context, enum dic_jobs_op op,
                                              const char *job_id, struct dic_err *err)
{
    (void)context;
    (void)job_id;
    return op == DIC_JOBS_ADD_SEGMENT && atomic_fetch_add(&segments_asked, 1) % 2 == 1
               ? dic_fail(err, DIC_E_UPSTREAM, "not now")
               : DIC_OK;
}

static void a_plan_that_gets_further_each_time_is_not_given_up(void **state)
{
    (void)state;
    struct dic_buf keys;
    atomic_store(&segments_asked, 0);
    put("a", "g7");
    dic_buf_init(&keys, 10000);
    for (int i = 0; i < 4 * DIC_SEGMENT_CHUNKS + 1; i++) { /* three segments of chunks of two */
        dic_buf_append_text(&keys, "\"a\"\n");
    }
    dic_fake_jobs_set_hook(jobs, fail_each_second_segment, NULL);
    make_job_to_plan(dic_buf_view(&keys));
    deliver_in_vain(DIC_MAX_RECEIVES - 1);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED);
    assert_int_equal(dic_fake_jobs_totals(jobs, id).succeeded, 4 * DIC_SEGMENT_CHUNKS + 1);
    assert_int_equal(atomic_load(&segments_asked), 5);
    dic_buf_clean_up(&keys);
}

static struct dic_gate segments; /* passed by each segment that is added */
static struct dic_gate plans;    /* and each time that planning begins or goes on */

static enum dic_code hold_planning(void *context, enum dic_jobs_op op, const char *job_id,
                                   struct dic_err *err)
{
    (void)context;
    (void)job_id;
    (void)err;
    if (op == DIC_JOBS_ADD_SEGMENT) {
        dic_gate_pass(&segments);
    }
    if (op == DIC_JOBS_BEGIN_PLAN) {
        dic_gate_pass(&plans);
    }
    return DIC_OK;
}

static void a_drained_worker_gives_a_plan_back_between_two_segments(void **state)
{
    (void)state;
    struct dic_buf keys;
    dic_gate_init(&segments, DIC_GATE_CLOSED);
    dic_gate_init(&plans, DIC_GATE_OPEN);
    dic_buf_init(&keys, 10000);
    for (int i = 0; i < 2 * DIC_SEGMENT_CHUNKS + 1; i++) {
        dic_buf_append_text(&keys, "\"a\"\n");
    }
    dic_fake_jobs_set_hook(jobs, hold_planning, NULL);
    make_job_to_plan(dic_buf_view(&keys));
    start_worker();
    dic_gate_await_waiting(&segments, 1);
    dic_gate_await_passed(&polls, 2);
    begin_drain();
    dic_gate_let(&segments, DIC_GATE_OPEN);
    end_drain();
    assert_int_equal(dic_fake_jobs_segments(jobs, id), 1);
    assert_depth(DIC_SEGMENT_CHUNKS + 1, 0);
    struct dic_delivery delivery;
    size_t count = 0;
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &count, NULL));
    assert_int_equal(delivery.message.kind, DIC_MESSAGE_PLAN); /* as if it had not been received */
    assert_int_equal(delivery.receive_count, 1);
    dic_buf_clean_up(&keys);
    dic_gate_clean_up(&segments);
    dic_gate_clean_up(&plans);
}

static void all_plans_that_wait_keep_their_leases(void **state)
{
    (void)state;
    enum { PLANS = 100 };
    dic_gate_init(&segments, DIC_GATE_OPEN);
    dic_gate_init(&plans, DIC_GATE_CLOSED);
    dic_fake_jobs_set_hook(jobs, hold_planning, NULL);
    make_job_to_plan(dic_str("\"a\"\n"));
    for (int i = 1; i < PLANS; i++) {
        send(DIC_MESSAGE_PLAN, id, 0);
    }
    start_worker();
    dic_gate_await_passed(&polls, PLANS / 4 + 1); /* four at a time */
    dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
    dic_gate_await_passed(&extends, PLANS);
    dic_gate_let(&plans, DIC_GATE_OPEN);
    await_end();
    struct dic_queue_depth depth;
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    assert_int_equal(depth.in_flight, 0); /* found done, or given back at the end */
    dic_gate_clean_up(&segments);
    dic_gate_clean_up(&plans);
}

static void a_plan_that_waits_keeps_its_lease_while_the_planner_gets_on(void **state)
{
    (void)state;
    struct dic_buf keys;
    enum { BEATS = 4 };
    dic_gate_init(&segments, DIC_GATE_CLOSED);
    dic_gate_init(&plans, DIC_GATE_OPEN);
    put("a", "g7");
    dic_buf_init(&keys, 10000);
    for (int i = 0; i < 2 * BEATS * DIC_SEGMENT_CHUNKS + 1; i++) {
        dic_buf_append_text(&keys, "\"a\"\n");
    }
    dic_fake_jobs_set_hook(jobs, hold_planning, NULL);
    make_job_to_plan(dic_buf_view(&keys));
    send(DIC_MESSAGE_PLAN, id, 0);
    start_worker();
    for (uint32_t beat = 1; beat <= BEATS; beat++) { /* a segment in each heartbeat's time */
        dic_gate_await_waiting(&segments, 1);
        dic_gate_let(&segments, 1);
        dic_gate_await_passed(&segments, beat);
        dic_gate_await_waiting(&segments, 1); /* the next one is read */
        atomic_store(&is_deaf, true);
        dic_fake_clock_advance_ms(fake, DIC_HEARTBEAT_S * 1000);
        dic_gate_await_passed(&extends, 2 * beat);
    }
    dic_gate_let(&segments, DIC_GATE_OPEN);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_ADD_SEGMENT, BEATS + 1);
    dic_worker_drain(worker);
    dic_buf_clean_up(&keys);
    dic_gate_clean_up(&segments);
    dic_gate_clean_up(&plans);
}

static void a_seal_message_ends_a_stopping_job(void **state)
{
    (void)state;
    dic_fake_jobs_add(jobs, &plain, dic_str(""), id);
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_CANCELLING);
    send(DIC_MESSAGE_SEAL, id, 0);
    start_worker();
    await_end();
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_CANCELLED);
    assert_depth(0, 0);
}

static void a_seal_that_fails_is_left_for_later(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_SEAL;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    dic_fake_jobs_add(jobs, &plain, dic_str(""), id);
    send(DIC_MESSAGE_SEAL, id, 0);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_SEAL, 1);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 1);
}

static void a_seal_that_always_fails_is_left_to_the_sweeper_in_the_end(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_SEAL;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    dic_fake_jobs_add(jobs, &plain, dic_str(""), id);
    send(DIC_MESSAGE_SEAL, id, 0);
    deliver_in_vain(DIC_MAX_RECEIVES - 2);
    start_worker();
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_SEAL, 1);
    dic_worker_drain(worker);
    assert_depth(0, 1);
    dic_worker_destroy(worker);
    start_worker();
    dic_fake_clock_advance_ms(fake, DIC_VISIBILITY_S * 1000);
    dic_fake_jobs_await_calls(jobs, DIC_JOBS_SEAL, 2);
    await_handled();
    dic_worker_drain(worker);
    assert_depth(0, 0);
}

/* ---- the rest ---- */

static void a_receive_that_fails_is_repeated_after_a_while(void **state)
{
    (void)state;
    broken_op = DIC_QUEUE_RECEIVE;
    atomic_store(&broken_calls, 1);
    make_small_job();
    start_worker();
    await_end();
    assert_int_equal(counts().chunks_booked, 1);
}

static void more_threads_than_there_may_be_are_brought_down(void **state)
{
    (void)state;
    make_small_job();
    start_worker_with(1000, 4);
    await_end();
    assert_int_equal(counts().chunks_booked, 1);
}

static void metrics_tell_what_was_done(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "classifier_chunks_total{outcome=\"booked\"} 1\n",
        "classifier_chunks_total{outcome=\"late\"} 0\n",
        "classifier_chunks_total{outcome=\"released\"} 0\n",
        "classifier_rows_total{outcome=\"succeeded\"} 1\n",
        "classifier_rows_total{outcome=\"failed\"} 0\n",
        "classifier_chunks_in_work 0\n",
        "classifier_images_in_work 0\n",
        "classifier_fetched_bytes_total 2\n",
        "classifier_active_decoders 2\n",
        "classifier_active_lanes 2\n",
        "# TYPE classifier_stage_seconds_total counter\n",
    };
    struct dic_buf text;
    dic_buf_init(&text, 100000);
    make_small_job();
    start_worker();
    await_end();
    dic_worker_metrics(worker, &text);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(text.ptr, lines[i]) == NULL) {
            print_error("no '%s' in\n%s", lines[i], text.ptr);
            fail();
        }
    }
    dic_buf_clean_up(&text);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_chunk_is_classified_booked_and_its_message_removed),
        CASE(below_the_threshold_the_label_is_unknown),
        CASE(many_chunks_of_many_jobs_are_each_booked_once),
        CASE(the_first_receive_asks_for_what_fills_the_window),
        CASE(a_local_store_removes_the_message_itself),
        CASE(the_message_of_a_booked_chunk_is_removed_without_work),
        CASE(of_two_bookings_the_first_counts),
        CASE(messages_of_jobs_that_are_gone_or_closed_are_removed),
        CASE(a_chunk_that_cannot_be_loaded_is_left_for_later),
        CASE(a_stored_chunk_that_is_none_is_left_alone),
        CASE(a_message_that_is_not_understood_is_left_alone),
        CASE(at_its_last_delivery_a_chunk_is_still_tried),
        CASE(a_chunk_delivered_too_often_is_given_up_in_its_rows),
        CASE(a_stored_chunk_that_cannot_be_read_becomes_rows_in_the_end),
        CASE(what_cannot_even_become_rows_ends_the_job),
        CASE(a_chunk_whose_images_cannot_be_fetched_is_tried_again_later),
        CASE(a_store_that_stays_away_makes_rows_in_the_end),
        CASE(an_image_that_cannot_be_fetched_holds_its_chunk_up_twice),
        CASE(what_will_never_be_fetched_is_not_tried_again),
        CASE(a_job_past_its_deadline_is_ended_by_who_takes_its_chunk),
        CASE(a_deadline_that_cannot_be_noted_still_ends_the_work),
        CASE(a_booking_that_fails_for_now_is_repeated),
        CASE(a_chunk_that_cannot_be_booked_is_tried_again_after_five_seconds),
        CASE(a_booking_of_a_job_that_is_gone_ends_its_message),
        CASE(a_message_that_cannot_be_removed_comes_back_and_costs_no_work),
        CASE(a_drained_worker_finishes_the_images_in_hand_and_gives_the_chunk_back),
        CASE(a_drained_worker_books_what_was_complete),
        CASE(a_chunk_drained_more_often_than_it_may_be_received_is_still_classified),
        CASE(what_cannot_be_handed_back_is_given_back_and_counts),
        CASE(draining_twice_and_destroying_nothing_is_fine),
        CASE(the_work_of_a_stopped_job_is_dropped),
        CASE(the_work_of_a_removed_job_is_dropped),
        CASE(a_chunk_in_work_keeps_its_lease),
        CASE(a_chunk_without_progress_is_let_go),
        CASE(a_chunk_given_back_during_a_heartbeat_is_not_hidden_again),
        CASE(a_heartbeat_that_fails_is_no_reason_to_stop),
        CASE(a_worker_that_lost_its_lease_harms_nobody),
        CASE(a_plan_message_cuts_the_job_and_its_chunks_are_worked),
        CASE(a_plan_that_fails_is_left_for_later),
        CASE(a_plan_that_always_fails_ends_its_job_at_the_tenth_delivery),
        CASE(a_plan_received_too_often_is_not_tried),
        CASE(a_plan_that_cannot_be_given_up_now_is_given_up_later),
        CASE(a_plan_received_too_often_of_a_job_that_got_further_is_tried_anew),
        CASE(a_plan_that_gets_further_each_time_is_not_given_up),
        CASE(a_drained_worker_gives_a_plan_back_between_two_segments),
        CASE(all_plans_that_wait_keep_their_leases),
        CASE(a_plan_that_waits_keeps_its_lease_while_the_planner_gets_on),
        CASE(a_seal_message_ends_a_stopping_job),
        CASE(a_seal_that_fails_is_left_for_later),
        CASE(a_seal_that_always_fails_is_left_to_the_sweeper_in_the_end),
        CASE(a_receive_that_fails_is_repeated_after_a_while),
        CASE(more_threads_than_there_may_be_are_brought_down),
        CASE(metrics_tell_what_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
