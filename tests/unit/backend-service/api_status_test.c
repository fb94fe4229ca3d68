/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a job on a clock that stands still, and what cancelling does when a store fails. */
#include "api_common.h"

#include "test.h"

#include "base/log.h"
#include "fake_clock.h"
#include "fake_jobs.h"
#include "fake_request.h"
#include "job_queue_memory.h"

#include <stdio.h>

static struct dic_fake_clock *fake;
static struct dic_fake_jobs *jobs;
static struct dic_job_queue queue;
static struct dic_api api;
static struct dic_fake_request fake_request;
static char id[DIC_ID_SIZE];

static int set_up(void **state)
{
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 5};
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    fake = dic_fake_clock_new();
    jobs = dic_fake_jobs_new();
    queue = dic_job_queue_memory_new(fake);
    api = (struct dic_api){
        .jobs = dic_fake_jobs_port(jobs), .queue = queue, .clock = dic_fake_clock_port(fake)};
    dic_fake_jobs_add(jobs, &params, dic_str(""), id);
    dic_fake_jobs_add_chunks(jobs, id, 1, 1, dic_str("\"k\"\n"));
    dic_fake_request_init(&fake_request);
    fake_request.request.path_arg = dic_str(id);
    fake_request.request.started_ns = dic_clock_mono_ns(api.clock);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_fake_request_clean_up(&fake_request);
    queue.ops->destroy(queue.impl);
    dic_fake_jobs_destroy(jobs);
    dic_fake_clock_destroy(fake);
    return 0;
}

static enum dic_handling status_of(const char *prefer)
{
    dic_fake_request_again(&fake_request);
    fake_request.headers[0] = (struct dic_fake_pair){prefer == NULL ? NULL : "Prefer", prefer};
    enum dic_handling handling =
        dic_api_status(&api, &fake_request.request, &fake_request.response);
    fake_request.request.calls++;
    return handling;
}

static void the_preference_to_wait_is_found_among_others(void **state)
{
    (void)state;
    static const struct {
        const char *prefer;
        int status; /* 0: waits */
    } cases[] = {
        {NULL, 200},
        {"", 200},
        {"respond-async", 200},
        {"wait=5", 0},
        {"WAIT = 5", 0},
        {"wait=\"5\"", 0},
        {"respond-async, wait=50; foo=bar", 0},
        {"foo; wait=5", 200}, /* a parameter of another preference */
        {"waiter=5", 200},
        {"wait=1, wait=0", 0}, /* the first one counts */
        {"wait=0", 400},
        {"wait=51", 400},
        {"wait=", 400},
        {"wait=x", 400},
        {"wait=-1", 400},
        {"wait=\"", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum dic_handling handling = status_of(cases[i].prefer);
        assert_int_equal(handling, cases[i].status == 0 ? DIC_HANDLE_LATER : DIC_HANDLED);
        if (handling == DIC_HANDLED && fake_request.response.status != cases[i].status) {
            print_error("%s: %d\n", cases[i].prefer, fake_request.response.status);
            fail();
        }
    }
}

/* How often the store was asked in three seconds, and how long it was left alone at most. */
static int looks_in_3_s(int64_t *longest_out)
{
    int64_t waited_ms = 0;
    *longest_out = 0;
    fake_request.request.calls = 0;
    fake_request.request.started_ns = dic_clock_mono_ns(api.clock);
    while (status_of("wait=3") == DIC_HANDLE_LATER) {
        int64_t later_ms = fake_request.response.later_ms;
        assert_true(later_ms >= 1);
        assert_true(later_ms >= *longest_out || waited_ms + later_ms == 3000);
        *longest_out = later_ms > *longest_out ? later_ms : *longest_out;
        waited_ms += later_ms;
        dic_fake_clock_advance_ms(fake, later_ms);
    }
    assert_int_equal(waited_ms, 3000);
    return fake_request.request.calls;
}

static void a_wait_looks_less_and_less_often_and_ends_with_its_time(void **state)
{
    (void)state;
    int64_t longest_ms = 0;
    int looks = looks_in_3_s(&longest_ms);
    assert_int_equal(fake_request.response.status, 200);
    assert_string_equal(dic_fake_request_header(&fake_request, "Preference-Applied"), "wait=3");
    assert_non_null(strstr(fake_request.response.body.ptr, "\"status\":\"queued\""));
    assert_in_range(longest_ms, 1, 1000); /* each look at a remote store is paid for */
    dic_fake_jobs_set_local(jobs);
    assert_true(looks_in_3_s(&longest_ms) >= looks);
    assert_in_range(longest_ms, 1, 250);
}

static void a_wait_ends_with_the_job(void **state)
{
    (void)state;
    assert_int_equal(status_of("wait=50"), DIC_HANDLE_LATER);
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_SUCCEEDED);
    assert_int_equal(status_of("wait=50"), DIC_HANDLED);
    assert_non_null(strstr(fake_request.response.body.ptr, "\"status\":\"succeeded\""));
    assert_null(dic_fake_request_header(&fake_request, "Retry-After"));
}

static void a_server_that_drains_does_not_wait(void **state)
{
    (void)state;
    atomic_store(&api.draining, true);
    assert_int_equal(status_of("wait=50"), DIC_HANDLED);
    assert_int_equal(fake_request.response.status, 200);
    assert_string_equal(dic_fake_request_header(&fake_request, "Retry-After"), "1");
}

static void an_id_of_the_wrong_form_is_as_unknown_as_any_other(void **state)
{
    (void)state;
    static const char *const ids[] = {"x", "../../etc/passwd", "AAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < 4; i++) {
        fake_request.request.path_arg = dic_str(ids[i]);
        assert_int_equal(status_of("wait=5"), DIC_HANDLED);
        assert_int_equal(fake_request.response.status, 404);
    }
}

/* ---- cancel ---- */

static enum dic_code fail_one(void *context, enum dic_jobs_op op, const char *job_id,
                              struct dic_err *err)
{
    (void)job_id;
    return op == *(enum dic_jobs_op *)context ? dic_fail(err, DIC_E_UPSTREAM, "not now") : DIC_OK;
}

static int cancel(void)
{
    dic_fake_request_again(&fake_request);
    assert_int_equal(dic_api_cancel(&api, &fake_request.request, &fake_request.response),
                     DIC_HANDLED);
    return fake_request.response.status;
}

static int64_t seal_messages(void)
{
    struct dic_queue_depth depth = {0};
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    return depth.visible;
}

static void a_cancelled_job_is_sealed_at_once(void **state)
{
    (void)state;
    assert_int_equal(cancel(), 200);
    assert_non_null(strstr(fake_request.response.body.ptr, "\"status\":\"cancelled\""));
    assert_int_equal(seal_messages(), 0);
}

static void a_job_that_cannot_be_sealed_now_is_left_to_a_worker(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_SEAL;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    assert_int_equal(cancel(), 200);
    assert_non_null(strstr(fake_request.response.body.ptr, "\"status\":\"cancelling\""));
    assert_int_equal(seal_messages(), 1);
}

static struct dic_queue_fault fail_all(void *context, const struct dic_queue_call *call)
{
    (void)context;
    (void)call;
    return (struct dic_queue_fault){.kind = DIC_QUEUE_FAILS};
}

static void a_cancellation_once_recorded_is_no_failure_whatever_else_fails(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_SEAL;
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    dic_job_queue_memory_set_hook(queue, fail_all, NULL);
    assert_int_equal(cancel(), 200);
    assert_int_equal(dic_fake_jobs_state(jobs, id), DIC_JOB_CANCELLING);
}

static void what_cannot_be_cancelled_is_said(void **state)
{
    (void)state;
    enum dic_jobs_op op = DIC_JOBS_STOP;
    fake_request.request.body = dic_str("{}");
    dic_fake_jobs_set_hook(jobs, fail_one, &op);
    assert_int_equal(cancel(), 503);
    dic_fake_jobs_set_hook(jobs, NULL, NULL);
    dic_fake_jobs_set_state(jobs, id, DIC_JOB_SUCCEEDED);
    assert_int_equal(cancel(), 409);
    fake_request.request.body = dic_str("[]");
    assert_int_equal(cancel(), 422);
    fake_request.request.body = dic_str("{");
    assert_int_equal(cancel(), 400);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_preference_to_wait_is_found_among_others),
        CASE(a_wait_looks_less_and_less_often_and_ends_with_its_time),
        CASE(a_wait_ends_with_the_job),
        CASE(a_server_that_drains_does_not_wait),
        CASE(an_id_of_the_wrong_form_is_as_unknown_as_any_other),
        CASE(a_cancelled_job_is_sealed_at_once),
        CASE(a_job_that_cannot_be_sealed_now_is_left_to_a_worker),
        CASE(a_cancellation_once_recorded_is_no_failure_whatever_else_fails),
        CASE(what_cannot_be_cancelled_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
