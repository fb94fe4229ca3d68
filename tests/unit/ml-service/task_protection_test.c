/* SPDX-License-Identifier: Apache-2.0 */
/* When the ECS agent is asked for what; the worker is a real one, held by its inference. */
#include "task_protection.h"

#include "test.h"

#include "base/log.h"
#include "blob_store_memory.h"
#include "capture.h"
#include "fake_clock.h"
#include "fake_jobs.h"
#include "fake_stages.h"
#include "gate.h"
#include "job_queue_memory.h"

#include <stdio.h>
#include <unistd.h>

enum { DEADLOCK_S = 100 };

/* The agent: remembers the last requests and answers as it is told. */
struct agent {
    struct dic_gate requests; /* passed by each, when it is noted */
    atomic_int status;        /* 0: no answer at all */
    atomic_uint enabled;      /* how often protection was asked for */
    atomic_uint disabled;
};

static struct agent agent;
static struct dic_fake_clock *fake;
static struct dic_fake_stages stages;
static struct dic_blob_store images;
static struct dic_fake_jobs *jobs;
static struct dic_job_queue queue;
static struct dic_pipeline *pipeline;
static struct dic_worker *worker;
static char id[DIC_ID_SIZE];

static struct dic_str labels[DIC_FAKE_CLASSES] = {{"l", 1}, {"l", 1}, {"l", 1}, {"l", 1}, {"l", 1},
                                                  {"l", 1}, {"l", 1}, {"l", 1}, {"l", 1}, {"l", 1}};
static char summary[] = "{}";
static const struct dic_model_spec model = {
    .classes = DIC_FAKE_CLASSES, .labels = labels, .summary_json = summary};

static enum dic_code answer(void *impl, const struct dic_http_request *request,
                            struct dic_http_response *response, struct dic_err *err)
{
    bool on = dic_str_is(request->body, "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":60}");
    (void)impl;
    assert_string_equal(request->method, "PUT");
    assert_view(request->url, "http://169.254.170.2/api/x/task-protection/v1/state");
    assert_int_equal(request->header_count, 1);
    assert_view(request->headers[0].name, "content-type");
    assert_true(on || dic_str_is(request->body, "{\"ProtectionEnabled\":false}"));
    response->status = atomic_load(&agent.status);
    enum dic_code code =
        response->status == 0 ? dic_fail(err, DIC_E_TIMEOUT, "the agent does not answer") : DIC_OK;
    atomic_fetch_add(on ? &agent.enabled : &agent.disabled, 1);
    dic_gate_pass(&agent.requests);
    return code;
}

static const struct dic_http_client_ops http_ops = {.send = answer};

static int set_up(void **state)
{
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS, .top_k = 1};
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_OFF);
    agent = (struct agent){.status = 200};
    dic_gate_init(&agent.requests, DIC_GATE_OPEN);
    fake = dic_fake_clock_new();
    dic_fake_stages_init(&stages);
    stages.infer.tickets = 0;
    images = dic_blob_store_memory_new();
    jobs = dic_fake_jobs_new();
    queue = dic_job_queue_memory_new(fake);
    const struct dic_pipeline_options pipeline_options = {
        .images = images,
        .decoder_count = 1,
        .tensors_per_decoder = 1,
        .classifier = dic_fake_stages_classifier(&stages, 1),
        .fetchers = 1,
        .queue_images = 1,
        .queue_bytes = 1000,
    };
    dic_pipeline_start(&pipeline_options, &pipeline);
    const struct dic_worker_options worker_options = {
        .jobs = dic_fake_jobs_port(jobs),
        .queue = queue,
        .images = images,
        .pipeline = pipeline,
        .model = &model,
        .clock = dic_fake_clock_port(fake),
        .window_images = 8,
        .max_chunks = 4,
        .pollers = 1,
        .recorders = 1,
        .chunk_images = 2,
        .watch_ms = 1,
        .visibility_s = 120,
    };
    dic_worker_start(&worker_options, &worker);
    dic_fake_jobs_add(jobs, &params, dic_str(""), id);
    dic_fake_jobs_add_chunks(jobs, id, 1, 1, dic_str("\"a\"\n"));
    assert_ok(images.ops->put(images.impl, dic_str("a"), dic_str("g1"), false, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    dic_worker_destroy(worker);
    dic_pipeline_destroy(pipeline);
    queue.ops->destroy(queue.impl);
    dic_fake_jobs_destroy(jobs);
    images.ops->destroy(images.impl);
    dic_fake_stages_clean_up(&stages);
    dic_fake_clock_destroy(fake);
    dic_gate_clean_up(&agent.requests);
    return 0;
}

static struct dic_task_protection *start(const char *agent_uri)
{
    const struct dic_task_protection_options options = {.agent_uri = agent_uri,
                                                        .http = {&http_ops, NULL},
                                                        .worker = worker,
                                                        .expires_minutes = 60,
                                                        .look_ms = 1};
    return dic_task_protection_start(&options);
}

static const char uri[] = "http://169.254.170.2/api/x";

static void give_work(void)
{
    struct dic_message message = {.kind = DIC_MESSAGE_CHUNK};
    memcpy(message.job_id, id, DIC_ID_SIZE);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    dic_gate_await_waiting(&stages.infer, 1);
}

static void without_an_agent_nothing_is_sent(void **state)
{
    (void)state;
    assert_null(start(""));
    dic_task_protection_stop(NULL);
}

static void protection_is_asked_for_when_work_comes_and_let_go_when_it_has_ended(void **state)
{
    (void)state;
    struct dic_task_protection *protection = start(uri);
    give_work();
    dic_gate_await_passed(&agent.requests, 1);
    assert_int_equal(agent.enabled, 1);
    assert_int_equal(agent.disabled, 0);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    dic_gate_await_passed(&agent.requests, 2); /* after some looks without work */
    assert_int_equal(agent.enabled, 1);
    assert_int_equal(agent.disabled, 1);
    dic_task_protection_stop(protection);
    assert_int_equal(agent.disabled, 1); /* once is enough */
}

static void an_idle_worker_asks_for_nothing(void **state)
{
    (void)state;
    struct dic_task_protection *protection = start(uri);
    dic_task_protection_stop(protection);
    assert_int_equal(agent.requests.passed, 0);
}

static void at_the_end_protection_is_let_go_even_with_work_in_hand(void **state)
{
    (void)state;
    struct dic_task_protection *protection = start(uri);
    give_work();
    dic_gate_await_passed(&agent.requests, 1);
    dic_task_protection_stop(protection);
    assert_int_equal(agent.enabled, 1);
    assert_int_equal(agent.disabled, 1);
}

static size_t warnings_in(const char *text)
{
    size_t count = 0;
    for (text = strstr(text, "task_protection_failed"); text != NULL;
         text = strstr(text + 1, "task_protection_failed")) {
        count++;
    }
    return count;
}

static void an_agent_that_refuses_is_asked_again_and_told_of_once(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *words;
    } cases[] = {{404, "the ECS agent answered 404"}, {0, "the agent does not answer"}};
    give_work();
    for (size_t i = 0; i < 2; i++) {
        dic_gate_clean_up(&agent.requests);
        dic_gate_init(&agent.requests, DIC_GATE_OPEN);
        atomic_store(&agent.enabled, 0);
        atomic_store(&agent.disabled, 0);
        atomic_store(&agent.status, cases[i].status);
        dic_log_set_level(DIC_LOG_WARN);
        dic_capture_begin(STDERR_FILENO);
        struct dic_task_protection *protection = start(uri);
        dic_gate_await_passed(&agent.requests, 3);
        dic_task_protection_stop(protection);
        const char *text = dic_capture_end();
        assert_non_null(strstr(text, cases[i].words));
        assert_int_equal(warnings_in(text), 1);
        assert_int_equal(agent.disabled, 0); /* it was never on */
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_an_agent_nothing_is_sent),
        CASE(protection_is_asked_for_when_work_comes_and_let_go_when_it_has_ended),
        CASE(an_idle_worker_asks_for_nothing),
        CASE(at_the_end_protection_is_let_go_even_with_work_in_hand),
        CASE(an_agent_that_refuses_is_asked_again_and_told_of_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
