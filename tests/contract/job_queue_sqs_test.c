/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on SQS, or a server that says to be it. Each test has a queue of its own. */
#include "job_queue_suite.h"

#include "aws/json_call.h"
#include "aws_resources.h"
#include "base/clock.h"
#include "store/job_queue_sqs.h"
#include "test.h"
#include "test_aws.h"

#include <stdio.h>
#include <stdlib.h>

static struct dic_aws *aws;
static char url[DIC_TEST_QUEUE_URL_SIZE];

/* A call of one member besides the queue's URL, or of none. */
static void call_queue(const char *operation, const char *member, const char *value)
{
    struct dic_err err = {0};
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    dic_json_call_init(&call, DIC_AWS_SQS, operation, 2 * 1024 * 1024);
    call.no_output = true;
    dic_json_put_text(&call.json, "QueueUrl", url);
    if (member != NULL) {
        dic_json_put_text(&call.json, member, value);
    }
    dic_test_require(dic_json_call_send(aws, &call, &err), &err);
}

static struct dic_job_queue new_queue(const char *of_url, bool fair)
{
    struct dic_job_queue queue = {0};
    struct dic_err err = {0};
    const struct dic_job_queue_sqs_options options = {.aws = aws, .url = of_url, .fair = fair};
    dic_test_require(dic_job_queue_sqs_new(&options, &queue, &err), &err);
    return queue;
}

struct dic_job_queue dic_queue_suite_open(void)
{
    dic_test_queue_create(aws, url);
    return new_queue(url, true);
}

void dic_queue_suite_close(struct dic_job_queue queue)
{
    queue.ops->destroy(queue.impl);
    dic_test_queue_delete(aws, url);
}

void dic_queue_suite_pass(struct dic_job_queue queue, int64_t ms)
{
    (void)queue;
    dic_sleep_ms(ms); /* the server's clock is its own */
}

/* ---- what only SQS has ---- */

static void a_message_that_is_not_ours_is_delivered_as_such(void **state)
{
    (void)state;
    struct dic_job_queue queue = dic_queue_suite_open();
    static const char newer[] = "{\"v\":2,\"tenant\":\"default\",\"kind\":\"chunk\","
                                "\"job\":\"abcdefghijklmnopqrstuvwxyz\",\"chunk\":1}";
    static const char *const bodies[] = {"hello", "{}", "[]", newer};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct dic_delivery delivery;
        size_t count = 0;
        call_queue("SendMessage", "MessageBody", bodies[i]);
        assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 2000, &count, NULL));
        assert_int_equal(count, 1);
        assert_false(delivery.understood);
        assert_int_equal(delivery.receive_count, 1);
        assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
    }
    dic_queue_suite_close(queue);
}

static void messages_go_without_groups_where_a_server_has_none(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    size_t count = 0;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    dic_rand_id(message.job_id);
    dic_test_queue_create(aws, url);
    struct dic_job_queue queue = new_queue(url, false);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    assert_ok(queue.ops->receive(queue.impl, &delivery, 1, 60, 2000, &count, NULL));
    assert_int_equal(count, 1);
    assert_string_equal(delivery.message.job_id, message.job_id);
    dic_queue_suite_close(queue);
}

static void a_queue_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    char other[sizeof url + 8];
    struct dic_delivery delivery;
    struct dic_queue_depth depth;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    struct dic_err err = {0};
    size_t count = 9;
    dic_rand_id(message.job_id);
    dic_test_queue_create(aws, url);
    snprintf(other, sizeof other, "%s-not", url);
    struct dic_job_queue queue = new_queue(other, true);
    assert_code(queue.ops->receive(queue.impl, &delivery, 1, 60, 1000, &count, &err),
                DIC_E_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_code(queue.ops->send(queue.impl, &message, 1, &err), DIC_E_NOT_FOUND);
    assert_code(queue.ops->depth(queue.impl, &depth, &err), DIC_E_NOT_FOUND);
    assert_int_equal(err.code, DIC_E_NOT_FOUND);
    dic_queue_suite_close(queue);
}

static void the_depth_tells_visible_messages_from_those_in_flight(void **state)
{
    (void)state;
    struct dic_job_queue queue = dic_queue_suite_open();
    struct dic_queue_depth depth;
    struct dic_delivery deliveries[2];
    struct dic_message messages[5] = {0};
    size_t count = 0;
    for (size_t i = 0; i < 5; i++) {
        dic_rand_id(messages[i].job_id);
    }
    assert_ok(queue.ops->send(queue.impl, messages, 5, NULL));
    assert_ok(queue.ops->receive(queue.impl, deliveries, 2, 60, 2000, &count, NULL));
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    assert_int_equal(depth.in_flight, count);
    assert_int_equal(depth.visible, 5 - count);
    dic_queue_suite_close(queue);
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_not_ours_is_delivered_as_such),
        cmocka_unit_test(messages_go_without_groups_where_a_server_has_none),
        cmocka_unit_test(a_queue_that_is_not_there_is_not_found),
        cmocka_unit_test(the_depth_tells_visible_messages_from_those_in_flight),
    };
    return cmocka_run_group_tests_name("SQS", tests, NULL, NULL);
}

int main(void)
{
    if (!dic_test_aws_named("AWS_ENDPOINT_URL_SQS", "the queue on SQS")) {
        return DIC_TEST_SKIPPED;
    }
    aws = dic_test_aws_open();
    int failed = dic_run_job_queue_suite() + run_own_tests();
    dic_test_aws_close(aws);
    return failed;
}
