/* SPDX-License-Identifier: Apache-2.0 */
#include "planner.h"

#include "test.h"

#include "blob_store_memory.h"
#include "base/log.h"
#include "fake_jobs.h"
#include "job_queue_memory.h"

#include <stdio.h>

enum { CHUNK = 3, SEGMENT = CHUNK * DIC_SEGMENT_CHUNKS, TEXT_BYTES = 1024 * 1024 };

static struct dic_blob_store images;
static struct dic_fake_jobs *jobs;
static struct dic_job_queue queue;
static atomic_bool stop;
static struct dic_planner planner;
static struct dic_buf keys;
static char id[DIC_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    images = dic_blob_store_memory_new();
    jobs = dic_fake_jobs_new();
    queue = dic_job_queue_memory_new(NULL);
    atomic_store(&stop, false);
    planner = (struct dic_planner){.jobs = dic_fake_jobs_port(jobs),
                                   .queue = queue,
                                   .images = images,
                                   .chunk_images = CHUNK,
                                   .stop = &stop};
    dic_buf_init(&keys, TEXT_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&keys);
    queue.ops->destroy(queue.impl);
    dic_fake_jobs_destroy(jobs);
    images.ops->destroy(images.impl);
    return 0;
}

static void make_job(enum dic_source_kind source, const char *spec)
{
    const struct dic_job_params params = {.source = source, .spec_json = dic_str(spec)};
    dic_fake_jobs_add(jobs, &params, dic_buf_view(&keys), id);
}

static void make_job_of_keys(uint32_t count)
{
    dic_buf_clear(&keys);
    for (uint32_t i = 0; i < count; i++) {
        dic_buf_printf(&keys, "\"k%u\"\n", i);
    }
    make_job(DIC_SOURCE_KEYS, "{}");
}

static bool run(void)
{
    bool done = false;
    struct dic_err err = {0};
    if (dic_planner_run(&planner, id, &done, &err) != DIC_OK) {
        print_error("%s\n", err.msg);
        fail();
    }
    return done;
}

/* The cut as it must be: chunk c has the images from c × CHUNK on. */
static void assert_cut_into_chunks(uint32_t count)
{
    uint32_t chunks = (count + CHUNK - 1) / CHUNK;
    assert_int_equal(dic_fake_jobs_chunks(jobs, id), chunks);
    for (uint32_t c = 0; c < chunks; c++) {
        char expected[CHUNK * 16] = "";
        struct dic_chunk chunk = dic_fake_jobs_chunk(jobs, id, c);
        for (uint32_t i = c * CHUNK; i < count && i < (c + 1) * CHUNK; i++) {
            size_t used = strlen(expected);
            snprintf(expected + used, sizeof expected - used, "\"k%u\"\n", i);
        }
        assert_int_equal(chunk.first_image, c * CHUNK);
        assert_int_equal(chunk.images, c + 1 < chunks ? CHUNK : count - c * CHUNK);
        assert_view(chunk.lines, expected);
    }
}

/* Each chunk has one message, and nothing else is in the queue. */
static void assert_messages(uint32_t chunks)
{
    static bool seen[10000];
    uint32_t count = 0;
    memset(seen, 0, sizeof seen);
    for (;;) {
        struct dic_delivery delivery;
        size_t got = 0;
        assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &got, NULL));
        if (got == 0) {
            break;
        }
        assert_true(delivery.understood && delivery.message.kind == DIC_MESSAGE_CHUNK);
        assert_string_equal(delivery.message.job_id, id);
        assert_true(delivery.message.chunk < chunks && !seen[delivery.message.chunk]);
        seen[delivery.message.chunk] = true;
        count++;
        assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
    }
    assert_int_equal(count, chunks);
}

static void assert_failed_because(const char *words)
{
    char reason[400];
    assert_true(run());
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
    snprintf(reason, sizeof reason, "%.*s", DIC_STR_ARGS(dic_fake_jobs_reason(jobs, id)));
    if (strstr(reason, words) == NULL) {
        print_error("'%s' lacks '%s'\n", reason, words);
        fail();
    }
}

/* ---- cutting ---- */

static void a_job_is_cut_at_chunk_and_segment_boundaries(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1,           CHUNK - 1,      CHUNK,       CHUNK + 1,
                                      SEGMENT - 1, SEGMENT,        SEGMENT + 1, 2 * SEGMENT - 1,
                                      2 * SEGMENT, 2 * SEGMENT + 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct dic_fake_jobs *fresh = dic_fake_jobs_new();
        dic_fake_jobs_destroy(jobs);
        jobs = fresh;
        planner.jobs = dic_fake_jobs_port(jobs);
        make_job_of_keys(counts[i]);
        assert_true(run());
        assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_RUNNING);
        assert_int_equal(dic_fake_jobs_totals(jobs, id).images, counts[i]);
        assert_int_equal(dic_fake_jobs_segments(jobs, id), (counts[i] + SEGMENT - 1) / SEGMENT);
        assert_cut_into_chunks(counts[i]);
        assert_messages((counts[i] + CHUNK - 1) / CHUNK);
    }
}

static void a_job_without_images_ends_at_once(void **state)
{
    (void)state;
    make_job_of_keys(0);
    assert_true(run());
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_SUCCEEDED);
    assert_int_equal(dic_fake_jobs_chunks(jobs, id), 0);
    assert_messages(0);
}

static void each_kind_of_source_is_planned(void **state)
{
    (void)state;
    char parent[DIC_ID_SIZE];
    char spec[80];
    const struct dic_rows failed = {
        .images = 1, .failed = 1, .rows = DIC_STR_LIT("{\"s3_key\":\"k0\",\"error\":{}}\n")};
    assert_ok(images.ops->put(images.impl, dic_str("k0"), dic_str("x"), false, NULL));
    assert_ok(images.ops->put(images.impl, dic_str("m"), dic_str("\"k0\""), false, NULL));
    make_job_of_keys(1);
    memcpy(parent, id, sizeof parent);
    dic_fake_jobs_set_rows(jobs, parent, &failed, 1);
    assert_true(run());
    make_job(DIC_SOURCE_PREFIX, "{\"s3_prefix\":\"k\"}");
    assert_true(run());
    assert_cut_into_chunks(1);
    make_job(DIC_SOURCE_MANIFEST, "{\"manifest_s3_key\":\"m\"}");
    assert_true(run());
    assert_cut_into_chunks(1);
    snprintf(spec, sizeof spec, "{\"retry_of\":\"%s\"}", parent);
    make_job(DIC_SOURCE_RETRY, spec);
    assert_true(run());
    assert_cut_into_chunks(1);
}

/* ---- stopping and going on ---- */

static enum dic_code stop_after_segment(void *context, enum dic_jobs_op op, const char *job_id,
                                        struct dic_err *err)
{
    (void)context;
    (void)job_id;
    (void)err;
    if (op == DIC_JOBS_ADD_SEGMENT) {
        atomic_store(&stop, true);
    }
    return DIC_OK;
}

static void a_planner_that_stops_after_each_segment_cuts_the_same(void **state)
{
    (void)state;
    enum { COUNT = 3 * SEGMENT + 5 };
    make_job_of_keys(COUNT);
    dic_fake_jobs_set_hook(jobs, stop_after_segment, NULL);
    for (uint32_t segment = 1; segment <= 4; segment++) {
        atomic_store(&stop, false);
        assert_false(run()); /* whether that was the last one, the store says when it is asked */
        assert_int_equal(dic_fake_jobs_segments(jobs, id), segment);
    }
    atomic_store(&stop, false);
    assert_true(run());
    assert_cut_into_chunks(COUNT);
    assert_messages((COUNT + CHUNK - 1) / CHUNK);
}

static void a_planner_that_is_told_to_stop_does_nothing(void **state)
{
    (void)state;
    make_job_of_keys(5);
    atomic_store(&stop, true);
    assert_false(run());
    assert_int_equal(dic_fake_jobs_calls(jobs, DIC_JOBS_BEGIN_PLAN), 0);
}

/* Another planner adds the segment that this one has just made: the store's counts. */
static enum dic_code plan_in_between(void *context, enum dic_jobs_op op, const char *job_id,
                                     struct dic_err *err)
{
    bool *busy = context;
    (void)err;
    if (op == DIC_JOBS_ADD_SEGMENT && !*busy) {
        bool done = false;
        *busy = true;
        assert_ok(dic_planner_run(&planner, job_id, &done, NULL));
        assert_true(done);
    }
    return DIC_OK;
}

static void two_planners_at_once_make_one_plan(void **state)
{
    (void)state;
    bool busy = false;
    bool done = false;
    make_job_of_keys(SEGMENT + 1);
    dic_fake_jobs_set_hook(jobs, plan_in_between, &busy);
    /* The slower one finds that planning has ended: that is no failure of the job. */
    assert_ok(dic_planner_run(&planner, id, &done, NULL));
    assert_true(done);
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_RUNNING);
    assert_cut_into_chunks(SEGMENT + 1);
}

/* ---- failures ---- */

static enum dic_code fail_one(void *context, enum dic_jobs_op op, const char *job_id,
                              struct dic_err *err)
{
    (void)job_id;
    return op == *(enum dic_jobs_op *)context ? dic_fail(err, DIC_E_UPSTREAM, "not now") : DIC_OK;
}

static void a_store_that_fails_leaves_the_job_for_later(void **state)
{
    (void)state;
    static const enum dic_jobs_op ops[] = {DIC_JOBS_GET, DIC_JOBS_BEGIN_PLAN, DIC_JOBS_GET_KEYS,
                                           DIC_JOBS_ADD_SEGMENT};
    make_job_of_keys(SEGMENT + 1);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        enum dic_jobs_op op = ops[i];
        struct dic_err err = {0};
        bool done = false;
        dic_fake_jobs_set_hook(jobs, fail_one, &op);
        assert_code(dic_planner_run(&planner, id, &done, &err), DIC_E_UPSTREAM);
        assert_string_equal(err.msg, "not now");
    }
    dic_fake_jobs_set_hook(jobs, NULL, NULL);
    assert_true(run());
    assert_cut_into_chunks(SEGMENT + 1);
}

static struct dic_queue_fault fail_sends(void *context, const struct dic_queue_call *call)
{
    (void)context;
    return (struct dic_queue_fault){.kind = call->op == DIC_QUEUE_SEND ? DIC_QUEUE_FAILS
                                                                       : DIC_QUEUE_WORKS};
}

static void a_queue_that_fails_is_reported(void **state)
{
    (void)state;
    bool done = false;
    make_job_of_keys(5);
    dic_job_queue_memory_set_hook(queue, fail_sends, NULL);
    assert_code(dic_planner_run(&planner, id, &done, NULL), DIC_E_UPSTREAM);
    dic_job_queue_memory_set_hook(queue, NULL, NULL);
    assert_cut_into_chunks(5); /* the sweeper finds chunks whose messages were lost */
}

static void a_source_that_is_bad_fails_the_job_with_the_reason(void **state)
{
    (void)state;
    make_job(DIC_SOURCE_MANIFEST, "{\"manifest_s3_key\":\"m\"}");
    assert_failed_because("there is no object with this key");
    assert_ok(images.ops->put(images.impl, dic_str("m"), dic_str("\"a\"\n{"), false, NULL));
    make_job(DIC_SOURCE_MANIFEST, "{\"manifest_s3_key\":\"m\"}");
    assert_failed_because("manifest line 2: not valid JSON");
    assert_messages(0);
}

static enum dic_code deny(void *context, enum dic_blob_op op, struct dic_str key,
                          struct dic_err *err)
{
    (void)context;
    (void)op;
    (void)key;
    return dic_fail(err, DIC_E_DENIED, "the bucket says no");
}

static void a_source_that_may_not_be_read_fails_the_job(void **state)
{
    (void)state;
    dic_blob_store_memory_set_hook(images, deny, NULL);
    make_job(DIC_SOURCE_PREFIX, "{\"s3_prefix\":\"\"}");
    assert_failed_because("the bucket says no");
}

static enum dic_code no_such_bucket(void *context, enum dic_blob_op op, struct dic_str key,
                                    struct dic_err *err)
{
    (void)context;
    (void)op;
    (void)key;
    enum dic_code code = dic_fail(err, DIC_E_UPSTREAM, "there is no bucket 'b'");
    err->retryable = false;
    return code;
}

static void a_bucket_that_does_not_exist_fails_the_job(void **state)
{
    (void)state;
    dic_blob_store_memory_set_hook(images, no_such_bucket, NULL);
    make_job(DIC_SOURCE_PREFIX, "{\"s3_prefix\":\"\"}");
    assert_failed_because("there is no bucket 'b'");
}

static void a_job_that_cannot_be_failed_now_is_tried_again_later(void **state)
{
    (void)state;
    static enum dic_jobs_op ops[] = {DIC_JOBS_STOP, DIC_JOBS_SEAL};
    for (size_t i = 0; i < 2; i++) {
        struct dic_err err = {0};
        bool done = false;
        make_job(DIC_SOURCE_MANIFEST, "{\"manifest_s3_key\":\"none\"}");
        dic_fake_jobs_set_hook(jobs, fail_one, &ops[i]);
        assert_code(dic_planner_run(&planner, id, &done, &err), DIC_E_UPSTREAM);
        assert_string_equal(err.msg, "not now");
        dic_fake_jobs_set_hook(jobs, NULL, NULL);
    }
}

static const char *resume_at(int64_t image)
{
    static char text[200];
    snprintf(text, sizeof text,
             "{\"image\":%lld,\"offset\":0,\"line\":0,\"chunk\":0,\"row\":0,\"etag\":\"\","
             "\"after\":\"\"}",
             (long long)image);
    return text;
}

static void a_job_has_at_most_its_number_of_images(void **state)
{
    (void)state;
    for (uint32_t more = 0; more < 3; more++) { /* n−1, n, n+1 */
        make_job_of_keys(more);
        dic_fake_jobs_plan_from(jobs, id, 40, resume_at(DIC_MAX_JOB_IMAGES - 1));
        if (more < 2) {
            assert_true(run());
            assert_int_not_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
        } else {
            assert_failed_because("more than 10000000 images");
        }
    }
}

static void a_job_has_at_most_its_number_of_segments(void **state)
{
    (void)state;
    for (uint32_t over = 0; over < 3; over++) { /* what is left fills n−1, n, n+1 segments */
        make_job_of_keys(over == 0 ? 1 : over == 1 ? SEGMENT : SEGMENT + 1);
        dic_fake_jobs_plan_from(jobs, id, DIC_MAX_SEGMENTS - (over == 0 ? 2 : 1), resume_at(0));
        if (over < 2) {
            assert_true(run());
            assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_RUNNING);
        } else {
            assert_failed_because("more than 4096 segments of 32 chunks");
        }
    }
}

static void broken_records_are_told_as_such(void **state)
{
    (void)state;
    bool done = false;
    make_job(DIC_SOURCE_PREFIX, "{\"s3_prefix\":");
    assert_code(dic_planner_run(&planner, id, &done, NULL), DIC_E_MALFORMED);
    make_job(DIC_SOURCE_PREFIX, ""); /* counts as {} */
    assert_code(dic_planner_run(&planner, id, &done, NULL), DIC_E_INTERNAL);
    make_job_of_keys(1);
    dic_fake_jobs_plan_from(jobs, id, 2, "{\"image\":1}");
    assert_code(dic_planner_run(&planner, id, &done, NULL), DIC_E_INTERNAL);
    assert_int_not_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_FAILED);
}

static void a_job_that_is_gone_or_closed_is_not_planned(void **state)
{
    (void)state;
    bool done = false;
    assert_code(dic_planner_run(&planner, "aaaaaaaaaaaaaaaaaaaaaaaaaa", &done, NULL),
                DIC_E_NOT_FOUND);
    make_job_of_keys(1);
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_CANCELLING);
    assert_ok(dic_planner_run(&planner, id, &done, NULL));
    assert_true(done); /* nothing is left to plan */
    assert_int_equal(dic_fake_jobs_segments(jobs, id), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_job_is_cut_at_chunk_and_segment_boundaries),
        CASE(a_job_without_images_ends_at_once),
        CASE(each_kind_of_source_is_planned),
        CASE(a_planner_that_stops_after_each_segment_cuts_the_same),
        CASE(a_planner_that_is_told_to_stop_does_nothing),
        CASE(two_planners_at_once_make_one_plan),
        CASE(a_store_that_fails_leaves_the_job_for_later),
        CASE(a_queue_that_fails_is_reported),
        CASE(a_source_that_is_bad_fails_the_job_with_the_reason),
        CASE(a_source_that_may_not_be_read_fails_the_job),
        CASE(a_bucket_that_does_not_exist_fails_the_job),
        CASE(a_job_that_cannot_be_failed_now_is_tried_again_later),
        CASE(a_job_has_at_most_its_number_of_images),
        CASE(a_job_has_at_most_its_number_of_segments),
        CASE(broken_records_are_told_as_such),
        CASE(a_job_that_is_gone_or_closed_is_not_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
