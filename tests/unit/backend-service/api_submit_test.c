/* SPDX-License-Identifier: Apache-2.0 */
/* What a submitted job is for the store and the queue, and what becomes of failures. */
#include "api_common.h"

#include "test.h"

#include "base/log.h"
#include "fake_clock.h"
#include "fake_request.h"
#include "job_queue_memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 3, SEGMENT = CHUNK * DIC_SEGMENT_CHUNKS };

static const char new_id[] = "nnnnnnnnnnnnnnnnnnnnnnnnnn";
static const char parent_id[] = "pppppppppppppppppppppppppp";

/* A store that keeps the last job it was to create, as text. */
struct store {
    enum dic_code create_code;
    enum dic_code get_code;
    enum dic_create_result result;
    bool sends;
    uint32_t creates;
    struct dic_new_job job; /* its views are gone */
    uint32_t chunks;
    struct dic_buf chunk_text; /* "first+images:lines" of each chunk */
    struct dic_buf keys;
    char idempotency_key[300];
    char retry_of[DIC_ID_SIZE];
    char spec[200];
    struct dic_job found; /* what get gives */
};

static struct store store;
static struct dic_fake_clock *fake;
static struct dic_job_queue queue;
static struct dic_api api;
static struct dic_fake_request fake_request;
static struct dic_buf body;

static enum dic_code create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                            enum dic_create_result *result_out, bool *sent_out, struct dic_err *err)
{
    (void)impl;
    store.creates++;
    store.job = *job;
    store.chunks = 0;
    dic_buf_clear(&store.chunk_text);
    dic_buf_clear(&store.keys);
    dic_buf_append_str(&store.keys, job->keys);
    for (uint32_t i = 0; job->segment != NULL && i < job->segment->chunk_count; i++) {
        const struct dic_chunk_plan *chunk = &job->segment->chunks[i];
        dic_buf_printf(&store.chunk_text, "%d+%u:%.*s", (int)chunk->first_image, chunk->images,
                       DIC_STR_ARGS(chunk->lines));
        store.chunks++;
    }
    snprintf(store.idempotency_key, sizeof store.idempotency_key, "%.*s",
             DIC_STR_ARGS(job->idempotency_key));
    snprintf(store.retry_of, sizeof store.retry_of, "%.*s", DIC_STR_ARGS(job->retry_of));
    snprintf(store.spec, sizeof store.spec, "%.*s", DIC_STR_ARGS(job->params.spec_json));
    memcpy(id_out, new_id, DIC_ID_SIZE);
    *result_out = store.result;
    *sent_out = store.sends;
    return store.create_code == DIC_OK ? DIC_OK : dic_fail(err, store.create_code, "no job today");
}

static enum dic_code get(void *impl, const char *job_id, struct dic_job *out,
                         struct dic_buf *memory, struct dic_err *err)
{
    (void)impl;
    (void)job_id;
    (void)memory;
    *out = store.found;
    return store.get_code == DIC_OK ? DIC_OK : dic_fail(err, store.get_code, "not to be had");
}

static const struct dic_job_store_ops ops = {.create = create, .get = get};

static int set_up(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    memset(&store, 0, sizeof store);
    dic_buf_init(&store.chunk_text, 1 << 20);
    dic_buf_init(&store.keys, 1 << 20);
    dic_buf_init(&body, 1 << 20);
    fake = dic_fake_clock_new();
    queue = dic_job_queue_memory_new(fake);
    api = (struct dic_api){.jobs = {&ops, &store},
                           .queue = queue,
                           .clock = dic_fake_clock_port(fake),
                           .chunk_images = CHUNK};
    dic_fake_request_init(&fake_request);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_fake_request_clean_up(&fake_request);
    dic_buf_clean_up(&store.chunk_text);
    dic_buf_clean_up(&store.keys);
    dic_buf_clean_up(&body);
    queue.ops->destroy(queue.impl);
    dic_fake_clock_destroy(fake);
    return 0;
}

static void write_keys(uint32_t count)
{
    dic_buf_clear(&body);
    dic_buf_append_text(&body, "{\"job_type\":\"image_classification\",\"s3_keys\":[");
    for (uint32_t i = 0; i < count; i++) {
        dic_buf_printf(&body, "%s\"k%u\"", i == 0 ? "" : ",", i);
    }
    dic_buf_append_text(&body, "]}");
}

static int submit(const char *text)
{
    dic_fake_request_again(&fake_request);
    fake_request.request.body = dic_str(text);
    assert_int_equal(dic_api_submit(&api, &fake_request.request, &fake_request.response),
                     DIC_HANDLED);
    return fake_request.response.status;
}

static int64_t messages(enum dic_message_kind kind)
{
    int64_t count = 0;
    for (;;) {
        struct dic_delivery delivery;
        size_t got = 0;
        assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 0, &got, NULL));
        if (got == 0) {
            return count;
        }
        assert_int_equal(delivery.message.kind, kind);
        assert_string_equal(delivery.message.job_id, new_id);
        assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
        count++;
    }
}

static void a_list_for_one_segment_is_cut_here_and_a_longer_one_by_a_worker(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1,           CHUNK - 1, CHUNK,      CHUNK + 1,
                                      SEGMENT - 1, SEGMENT,   SEGMENT + 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bool one_segment = counts[i] <= SEGMENT;
        uint32_t chunks = one_segment ? (counts[i] + CHUNK - 1) / CHUNK : 0;
        struct dic_buf expected;
        dic_buf_init(&expected, 1 << 20);
        for (uint32_t key = 0; key < counts[i]; key++) {
            uint32_t left = counts[i] - key;
            if (one_segment && key % CHUNK == 0) {
                dic_buf_printf(&expected, "%u+%u:", key, left < CHUNK ? left : CHUNK);
            }
            dic_buf_printf(&expected, "\"k%u\"\n", key);
        }
        write_keys(counts[i]);
        assert_int_equal(submit(body.ptr), 202);
        assert_int_equal(store.chunks, chunks);
        assert_view(dic_buf_view(one_segment ? &store.chunk_text : &store.keys), expected.ptr);
        assert_int_equal(one_segment ? store.keys.len : store.chunk_text.len, 0);
        assert_int_equal(messages(one_segment ? DIC_MESSAGE_CHUNK : DIC_MESSAGE_PLAN),
                         one_segment ? chunks : 1);
        dic_buf_clean_up(&expected);
    }
}

static void a_store_that_sends_itself_leaves_nothing_to_send(void **state)
{
    (void)state;
    store.sends = true;
    write_keys(5);
    assert_int_equal(submit(body.ptr), 202);
    assert_int_equal(messages(DIC_MESSAGE_CHUNK), 0);
}

static void the_answer_says_where_to_look(void **state)
{
    (void)state;
    write_keys(2);
    assert_int_equal(submit(body.ptr), 202);
    assert_view(dic_buf_view(&fake_request.response.body),
                "{\"job_id\":\"nnnnnnnnnnnnnnnnnnnnnnnnnn\",\"status\":\"queued\","
                "\"total_images\":2,\"urls\":{\"status\":\"/status/nnnnnnnnnnnnnnnnnnnnnnnnnn\","
                "\"result\":\"/result/nnnnnnnnnnnnnnnnnnnnnnnnnn\","
                "\"cancel\":\"/cancel/nnnnnnnnnnnnnnnnnnnnnnnnnn\"}}\n");
    assert_string_equal(dic_fake_request_header(&fake_request, "Location"),
                        "/status/nnnnnnnnnnnnnnnnnnnnnnnnnn");
    assert_null(dic_fake_request_header(&fake_request, "Idempotent-Replay"));
    assert_int_equal(submit("{\"job_type\":\"image_classification\",\"s3_prefix\":\"p/\"}"), 202);
    assert_non_null(strstr(fake_request.response.body.ptr, "\"total_images\":null"));
}

static void a_deadline_counts_from_now(void **state)
{
    (void)state;
    dic_fake_clock_advance_ms(fake, 500);
    assert_int_equal(submit("{\"job_type\":\"image_classification\",\"s3_keys\":[\"k\"],"
                            "\"deadline_seconds\":10}"),
                     202);
    assert_int_equal(store.job.created_ms, DIC_FAKE_CLOCK_START_MS + 500);
    assert_int_equal(store.job.params.deadline_ms, DIC_FAKE_CLOCK_START_MS + 10500);
    write_keys(1);
    assert_int_equal(submit(body.ptr), 202);
    assert_int_equal(store.job.params.deadline_ms, 0);
}

static void an_idempotency_key_is_1_to_255_printable_characters(void **state)
{
    (void)state;
    char key[300];
    write_keys(1);
    fake_request.headers[0] = (struct dic_fake_pair){"Idempotency-Key", key};
    for (size_t len = 0; len <= 256; len += len == 1 ? 253 : 1) { /* 0, 1, 254, 255, 256 */
        memset(key, 'k', len);
        key[len] = '\0';
        bool good = len >= 1 && len <= DIC_MAX_IDEMPOTENCY_KEY_BYTES;
        assert_int_equal(submit(body.ptr), good ? 202 : 400);
        assert_string_equal(store.idempotency_key, good ? key : store.idempotency_key);
    }
    static const char *const bad[] = {"a\x1F", "a\x7F", "caf\xC3\xA9", "a\tb"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "%s", bad[i]);
        assert_int_equal(submit(body.ptr), 400);
        assert_non_null(strstr(fake_request.response.body.ptr, "\"field\":\"Idempotency-Key\""));
    }
    snprintf(key, sizeof key, "%s", " ~");
    assert_int_equal(submit(body.ptr), 202);
}

static void a_replay_answers_with_what_the_job_is_by_now(void **state)
{
    (void)state;
    store.result = DIC_CREATE_REPLAYED;
    store.sends = true;
    store.found =
        (struct dic_job){.state = DIC_JOB_SUCCEEDED, .totals = {.images = 9, .failed = 1}};
    write_keys(1);
    assert_int_equal(submit(body.ptr), 202);
    assert_non_null(strstr(fake_request.response.body.ptr,
                           "\"status\":\"completed_with_failures\",\"total_images\":9"));
    assert_string_equal(dic_fake_request_header(&fake_request, "Idempotent-Replay"), "true");
    store.get_code = DIC_E_UPSTREAM;
    assert_int_equal(submit(body.ptr), 503);
}

static void what_is_wrong_makes_no_job(void **state)
{
    (void)state;
    write_keys(1);
    assert_int_equal(submit("{"), 400);
    assert_int_equal(submit("{\"job_type\":\"image_classification\"}"), 422);
    fake_request.query[0] = (struct dic_fake_pair){"dry_run", "maybe"};
    assert_int_equal(submit(body.ptr), 400);
    fake_request.query[0] = (struct dic_fake_pair){"dryrun", "true"};
    assert_int_equal(submit(body.ptr), 400);
    assert_int_equal(store.creates, 0);
    fake_request.query[0] = (struct dic_fake_pair){"dry_run", "false"};
    assert_int_equal(submit(body.ptr), 202);
    store.create_code = DIC_E_INVALID;
    assert_int_equal(submit(body.ptr), 422);
    store.create_code = DIC_E_UPSTREAM;
    assert_int_equal(submit(body.ptr), 503);
    assert_string_equal(dic_fake_request_header(&fake_request, "Retry-After"), "1");
}

static struct dic_queue_fault fail_sends(void *context, const struct dic_queue_call *call)
{
    (void)context;
    return (struct dic_queue_fault){.kind = call->op == DIC_QUEUE_SEND ? DIC_QUEUE_FAILS
                                                                       : DIC_QUEUE_WORKS};
}

static void a_job_whose_messages_are_lost_is_accepted_all_the_same(void **state)
{
    (void)state;
    dic_job_queue_memory_set_hook(queue, fail_sends, NULL);
    write_keys(5);
    assert_int_equal(submit(body.ptr), 202); /* it is in the store: the sweeper finds it */
}

/* ---- retry ---- */

static int retry(void)
{
    dic_fake_request_again(&fake_request);
    fake_request.request.path_arg = dic_str(parent_id);
    assert_int_equal(dic_api_retry(&api, &fake_request.request, &fake_request.response),
                     DIC_HANDLED);
    return fake_request.response.status;
}

static void a_retry_is_a_child_job_of_the_failed_images(void **state)
{
    (void)state;
    store.found = (struct dic_job){
        .state = DIC_JOB_SUCCEEDED,
        .params = {.source = DIC_SOURCE_PREFIX, .top_k = 7, .deadline_ms = 5, .max_failures = 3},
        .totals = {.images = 9, .failed = 1}};
    memcpy(store.found.id, parent_id, sizeof parent_id);
    assert_int_equal(retry(), 202);
    assert_string_equal(store.retry_of, parent_id);
    assert_string_equal(store.spec, "{\"retry_of\":\"pppppppppppppppppppppppppp\"}");
    assert_int_equal(store.job.params.source, DIC_SOURCE_RETRY);
    assert_int_equal(store.job.params.top_k, 7);
    assert_int_equal(store.job.params.deadline_ms, 0);
    assert_int_equal(store.job.params.max_failures, -1);
    assert_int_equal(messages(DIC_MESSAGE_PLAN), 1);
}

static void only_an_ended_job_with_failures_can_be_retried(void **state)
{
    (void)state;
    store.found = (struct dic_job){.state = DIC_JOB_RUNNING, .totals = {.failed = 1}};
    assert_int_equal(retry(), 409);
    store.found = (struct dic_job){.state = DIC_JOB_SUCCEEDED};
    assert_int_equal(retry(), 409);
    store.get_code = DIC_E_NOT_FOUND;
    assert_int_equal(retry(), 404);
    fake_request.request.body = dic_str("{\"top_k\":1}");
    assert_int_equal(retry(), 422);
    assert_int_equal(store.creates, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_list_for_one_segment_is_cut_here_and_a_longer_one_by_a_worker),
        CASE(a_store_that_sends_itself_leaves_nothing_to_send),
        CASE(the_answer_says_where_to_look),
        CASE(a_deadline_counts_from_now),
        CASE(an_idempotency_key_is_1_to_255_printable_characters),
        CASE(a_replay_answers_with_what_the_job_is_by_now),
        CASE(what_is_wrong_makes_no_job),
        CASE(a_job_whose_messages_are_lost_is_accepted_all_the_same),
        CASE(a_retry_is_a_child_job_of_the_failed_images),
        CASE(only_an_ended_job_with_failures_can_be_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
