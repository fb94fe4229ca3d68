/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on memory, and the faults that this queue can be told to have. */
#include "job_queue_suite.h"

#include "fake_clock.h"
#include "job_queue_memory.h"
#include "test.h"

static struct dic_fake_clock *fake;

struct dic_job_queue dic_queue_suite_open(void)
{
    fake = dic_fake_clock_new();
    return dic_job_queue_memory_new(fake);
}

void dic_queue_suite_close(struct dic_job_queue queue)
{
    queue.ops->destroy(queue.impl);
    dic_fake_clock_destroy(fake);
}

void dic_queue_suite_pass(struct dic_job_queue queue, int64_t ms)
{
    (void)queue;
    dic_fake_clock_advance_ms(fake, ms);
}

/* ---- faults ---- */

struct plan {
    enum dic_queue_op op;
    struct dic_queue_fault fault;
    uint32_t times; /* so often, then all works */
};

static struct dic_job_queue queue;
static struct plan plan;

static struct dic_queue_fault do_as_planned(void *context, const struct dic_queue_call *call)
{
    bool of_a_message = call->message != NULL;
    assert_ptr_equal(context, &plan);
    if (call->op != plan.op || !of_a_message || plan.times == 0) {
        return (struct dic_queue_fault){0};
    }
    plan.times--;
    return plan.fault;
}

static int open_queue(void **state)
{
    (void)state;
    queue = dic_queue_suite_open();
    dic_job_queue_memory_set_hook(queue, do_as_planned, &plan);
    plan = (struct plan){0};
    return 0;
}

static int close_queue(void **state)
{
    (void)state;
    dic_queue_suite_close(queue);
    return 0;
}

static void let(enum dic_queue_op op, enum dic_queue_fault_kind kind, int64_t delay_ms)
{
    plan = (struct plan){op, {kind, DIC_OK, delay_ms}, 1};
}

static enum dic_code send_one(void)
{
    struct dic_message message = {.kind = DIC_MESSAGE_CHUNK};
    dic_rand_id(message.job_id);
    return queue.ops->send(queue.impl, &message, 1, NULL);
}

static size_t receive(struct dic_delivery *out)
{
    size_t count = 0;
    assert_ok(queue.ops->receive(queue.impl, out, 1, 60, 0, &count, NULL));
    return count;
}

static void assert_depth(int64_t visible, int64_t in_flight)
{
    struct dic_queue_depth depth;
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    assert_int_equal(depth.visible, visible);
    assert_int_equal(depth.in_flight, in_flight);
}

static void a_send_can_fail_be_lost_be_doubled_or_come_late(void **state)
{
    (void)state;
    let(DIC_QUEUE_SEND, DIC_QUEUE_FAILS, 0);
    assert_code(send_one(), DIC_E_UPSTREAM);
    assert_depth(0, 0);
    let(DIC_QUEUE_SEND, DIC_QUEUE_DROPS, 0);
    assert_ok(send_one());
    assert_depth(0, 0);
    let(DIC_QUEUE_SEND, DIC_QUEUE_ANSWER_LOST, 0);
    assert_code(send_one(), DIC_E_UPSTREAM);
    assert_depth(1, 0);
    let(DIC_QUEUE_SEND, DIC_QUEUE_DUPLICATES, 0);
    assert_ok(send_one());
    assert_depth(3, 0);
    let(DIC_QUEUE_SEND, DIC_QUEUE_DELAYS, 5000);
    assert_ok(send_one());
    assert_depth(3, 1);
    dic_fake_clock_advance_ms(fake, 4999);
    assert_depth(3, 1);
    dic_fake_clock_advance_ms(fake, 1);
    assert_depth(4, 0);
}

static void a_send_that_fails_in_the_middle_has_sent_what_came_before(void **state)
{
    (void)state;
    struct dic_message messages[3] = {{.kind = DIC_MESSAGE_CHUNK}};
    for (uint32_t i = 0; i < 3; i++) {
        messages[i] = (struct dic_message){.kind = DIC_MESSAGE_CHUNK, .chunk = i};
        dic_rand_id(messages[i].job_id);
    }
    assert_ok(queue.ops->send(queue.impl, messages, 1, NULL));
    let(DIC_QUEUE_SEND, DIC_QUEUE_FAILS, 0);
    plan.fault.code = DIC_E_BUSY;
    assert_code(queue.ops->send(queue.impl, messages, 3, NULL), DIC_E_BUSY);
    assert_depth(1, 0);
}

static void a_delivery_can_be_passed_over_lost_doubled_or_late(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    assert_ok(send_one());
    let(DIC_QUEUE_RECEIVE, DIC_QUEUE_DROPS, 0);
    assert_int_equal(receive(&delivery), 0);
    assert_depth(1, 0);
    let(DIC_QUEUE_RECEIVE, DIC_QUEUE_ANSWER_LOST, 0);
    assert_int_equal(receive(&delivery), 0);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, 60000);
    let(DIC_QUEUE_RECEIVE, DIC_QUEUE_DUPLICATES, 0);
    assert_int_equal(receive(&delivery), 1);
    assert_int_equal(delivery.receive_count, 2);
    assert_depth(1, 1);
    assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
    let(DIC_QUEUE_RECEIVE, DIC_QUEUE_DELAYS, 59000); /* of its 60 s */
    assert_int_equal(receive(&delivery), 1);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, 1000);
    assert_depth(1, 0);
}

static void an_extension_can_be_lost_or_come_late(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    assert_ok(send_one());
    assert_int_equal(receive(&delivery), 1);
    let(DIC_QUEUE_EXTEND, DIC_QUEUE_DROPS, 0);
    assert_ok(queue.ops->extend(queue.impl, delivery.receipt, 0, NULL));
    assert_depth(0, 1);
    let(DIC_QUEUE_EXTEND, DIC_QUEUE_FAILS, 0);
    assert_code(queue.ops->extend(queue.impl, delivery.receipt, 0, NULL), DIC_E_UPSTREAM);
    assert_depth(0, 1);
    let(DIC_QUEUE_EXTEND, DIC_QUEUE_DELAYS, 2000);
    assert_ok(queue.ops->extend(queue.impl, delivery.receipt, 0, NULL));
    dic_fake_clock_advance_ms(fake, 1999);
    assert_depth(0, 1);
    dic_fake_clock_advance_ms(fake, 1);
    assert_depth(1, 0);
}

static void a_late_removal_does_not_remove_a_later_delivery(void **state)
{
    (void)state;
    struct dic_delivery first;
    struct dic_delivery second;
    assert_ok(send_one());
    assert_int_equal(receive(&first), 1);
    let(DIC_QUEUE_REMOVE, DIC_QUEUE_DELAYS, 61000);
    assert_ok(queue.ops->remove(queue.impl, first.receipt, NULL));
    dic_fake_clock_advance_ms(fake, 60000);
    assert_int_equal(receive(&second), 1);
    dic_fake_clock_advance_ms(fake, 1000);
    assert_depth(0, 1);
    let(DIC_QUEUE_REMOVE, DIC_QUEUE_ANSWER_LOST, 0);
    assert_code(queue.ops->remove(queue.impl, second.receipt, NULL), DIC_E_UPSTREAM);
    assert_depth(0, 0);
}

static void a_receipt_of_an_earlier_delivery_is_worth_nothing(void **state)
{
    (void)state;
    struct dic_delivery first;
    struct dic_delivery second;
    assert_ok(send_one());
    assert_int_equal(receive(&first), 1);
    assert_ok(queue.ops->extend(queue.impl, first.receipt, 0, NULL));
    assert_int_equal(receive(&second), 1);
    assert_code(queue.ops->extend(queue.impl, first.receipt, 0, NULL), DIC_E_NOT_FOUND);
    assert_code(queue.ops->remove(queue.impl, first.receipt, NULL), DIC_E_NOT_FOUND);
    assert_ok(queue.ops->remove(queue.impl, second.receipt, NULL));
}

static void a_body_that_is_not_ours_is_delivered_as_such(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    dic_job_queue_memory_send_body(queue, dic_str("{\"v\":2}"));
    assert_int_equal(receive(&delivery), 1);
    assert_false(delivery.understood);
    assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
}

static void on_the_system_clock_a_wait_ends_by_itself(void **state)
{
    (void)state;
    struct dic_job_queue real = dic_job_queue_memory_new(NULL);
    struct dic_delivery delivery;
    size_t count = 9;
    dic_job_queue_memory_send_body(real, dic_str("x"));
    assert_ok(real.ops->receive(real.impl, &delivery, 1, 60, 1, &count, NULL));
    assert_int_equal(count, 1);
    assert_ok(real.ops->receive(real.impl, &delivery, 1, 60, 1, &count, NULL));
    assert_int_equal(count, 0);
    real.ops->destroy(real.impl);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_queue, close_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_send_can_fail_be_lost_be_doubled_or_come_late),
        CASE(a_send_that_fails_in_the_middle_has_sent_what_came_before),
        CASE(a_delivery_can_be_passed_over_lost_doubled_or_late),
        CASE(an_extension_can_be_lost_or_come_late),
        CASE(a_late_removal_does_not_remove_a_later_delivery),
        CASE(a_receipt_of_an_earlier_delivery_is_worth_nothing),
        CASE(a_body_that_is_not_ours_is_delivered_as_such),
        cmocka_unit_test(on_the_system_clock_a_wait_ends_by_itself),
    };
    return dic_run_job_queue_suite() + cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
