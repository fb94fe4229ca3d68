/* SPDX-License-Identifier: Apache-2.0 */
#include "job_queue_suite.h"

#include "test.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdatomic.h>

enum { RECEIVERS = 4, MANY = 25 };

static struct dic_job_queue queue;

static int open_queue(void **state)
{
    (void)state;
    queue = dic_queue_suite_open();
    return 0;
}

static int close_queue(void **state)
{
    (void)state;
    dic_queue_suite_close(queue);
    return 0;
}

static struct dic_message chunk_of_new_job(uint32_t chunk)
{
    struct dic_message message = {.kind = DIC_MESSAGE_CHUNK, .chunk = chunk};
    dic_rand_id(message.job_id);
    return message;
}

static void send_one(void)
{
    struct dic_message message = chunk_of_new_job(0);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
}

static size_t receive(struct dic_delivery *out, size_t max, uint32_t visibility_s)
{
    size_t count = 0;
    assert_ok(queue.ops->receive(queue.impl, out, max, visibility_s, 0, &count, NULL));
    return count;
}

static int64_t messages_left(void)
{
    struct dic_queue_depth depth;
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    return depth.visible + depth.in_flight;
}

/* ---- what is sent is received ---- */

static void a_message_of_each_kind_arrives_as_it_was_sent(void **state)
{
    (void)state;
    for (int kind = DIC_MESSAGE_PLAN; kind <= DIC_MESSAGE_SEAL; kind++) {
        struct dic_message sent = chunk_of_new_job(4294967295U);
        struct dic_delivery delivery;
        sent.kind = (enum dic_message_kind)kind;
        assert_ok(queue.ops->send(queue.impl, &sent, 1, NULL));
        assert_int_equal(receive(&delivery, 1, 60), 1);
        assert_true(delivery.understood);
        assert_int_equal(delivery.receive_count, 1);
        assert_true(delivery.sent_ms > 0);
        assert_int_equal(delivery.message.kind, kind);
        assert_string_equal(delivery.message.job_id, sent.job_id);
        assert_true(delivery.message.chunk == sent.chunk);
        assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
    }
    assert_int_equal(messages_left(), 0);
}

static void many_messages_are_each_delivered_once_in_batches(void **state)
{
    (void)state;
    struct dic_message sent[MANY];
    struct dic_delivery deliveries[DIC_RECEIVE_MAX];
    bool seen[MANY] = {false};
    for (uint32_t i = 0; i < MANY; i++) {
        sent[i] = chunk_of_new_job(i);
    }
    assert_ok(queue.ops->send(queue.impl, sent, MANY, NULL));
    for (size_t got = 0; got < MANY;) {
        size_t count = receive(deliveries, DIC_RECEIVE_MAX, 60);
        assert_in_range(count, 1, DIC_RECEIVE_MAX);
        for (size_t i = 0; i < count; i++) {
            uint32_t chunk = deliveries[i].message.chunk;
            assert_true(chunk < MANY && !seen[chunk]);
            assert_string_equal(deliveries[i].message.job_id, sent[chunk].job_id);
            seen[chunk] = true;
        }
        got += count;
    }
    assert_int_equal(receive(deliveries, DIC_RECEIVE_MAX, 60), 0);
    assert_int_equal(messages_left(), MANY);
}

/* ---- leases ---- */

static void a_received_message_is_hidden_until_it_is_given_back(void **state)
{
    (void)state;
    struct dic_delivery first;
    struct dic_delivery again;
    send_one();
    assert_int_equal(receive(&first, 1, 60), 1);
    assert_int_equal(receive(&again, 1, 60), 0);
    assert_ok(queue.ops->extend(queue.impl, first.receipt, 0, NULL));
    assert_int_equal(receive(&again, 1, 60), 1);
    assert_int_equal(again.receive_count, 2);
    assert_string_equal(again.message.job_id, first.message.job_id);
    assert_ok(queue.ops->remove(queue.impl, again.receipt, NULL));
    assert_int_equal(messages_left(), 0);
}

static void a_message_handed_back_comes_as_if_it_had_not_been_received(void **state)
{
    (void)state;
    struct dic_delivery first;
    struct dic_delivery second;
    send_one();
    assert_int_equal(receive(&first, 1, 60), 1);
    assert_ok(queue.ops->extend(queue.impl, first.receipt, 0, NULL));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(receive(&second, 1, 60), 1);
        assert_int_equal(second.receive_count, 2); /* the one that was given back counts */
        assert_int_equal(second.message.kind, first.message.kind);
        assert_string_equal(second.message.job_id, first.message.job_id);
        assert_true(second.message.chunk == first.message.chunk);
        assert_true(second.sent_ms == first.sent_ms);
        assert_ok(queue.ops->hand_back(queue.impl, &second, NULL));
        assert_int_equal(messages_left(), 1);
    }
    assert_int_equal(receive(&second, 1, 60), 1);
    assert_ok(queue.ops->extend(queue.impl, second.receipt, 0, NULL));
    assert_int_equal(receive(&second, 1, 60), 1);
    assert_int_equal(second.receive_count, 3);
    assert_ok(queue.ops->remove(queue.impl, second.receipt, NULL));
    assert_int_equal(messages_left(), 0);
}

/* As when two workers have had it: there may be two of it then, but never none, and none that
 * counts for less. */
static void a_message_handed_back_twice_is_still_there_and_counts_the_same(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    struct dic_delivery again;
    send_one();
    assert_int_equal(receive(&delivery, 1, 60), 1);
    assert_ok(queue.ops->hand_back(queue.impl, &delivery, NULL));
    enum dic_code code = queue.ops->hand_back(queue.impl, &delivery, NULL);
    assert_true(code == DIC_OK || code == DIC_E_NOT_FOUND);
    int64_t left = messages_left();
    assert_in_range(left, 1, 2);
    for (int64_t i = 0; i < left; i++) {
        assert_int_equal(receive(&again, 1, 60), 1);
        assert_int_equal(again.receive_count, 1);
        assert_string_equal(again.message.job_id, delivery.message.job_id);
        assert_ok(queue.ops->remove(queue.impl, again.receipt, NULL));
    }
    assert_int_equal(messages_left(), 0);
}

static void a_lease_that_runs_out_brings_the_message_back(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    send_one();
    assert_int_equal(receive(&delivery, 1, 2), 1);
    dic_queue_suite_pass(queue, 2500);
    assert_int_equal(receive(&delivery, 1, 60), 1);
    assert_int_equal(delivery.receive_count, 2);
}

static void an_extended_lease_counts_from_then(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    struct dic_delivery again;
    send_one();
    assert_int_equal(receive(&delivery, 1, 3), 1);
    dic_queue_suite_pass(queue, 1500);
    assert_ok(queue.ops->extend(queue.impl, delivery.receipt, 4, NULL));
    dic_queue_suite_pass(queue, 2500); /* the first lease would be over */
    assert_int_equal(receive(&again, 1, 60), 0);
    dic_queue_suite_pass(queue, 2000);
    assert_int_equal(receive(&again, 1, 60), 1);
}

static void a_removed_message_cannot_be_extended_or_removed_again(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    send_one();
    assert_int_equal(receive(&delivery, 1, 60), 1);
    assert_ok(queue.ops->remove(queue.impl, delivery.receipt, NULL));
    assert_code(queue.ops->extend(queue.impl, delivery.receipt, 60, NULL), DIC_E_NOT_FOUND);
    /* Removing is what was wanted: a queue may say that it is done, or that it was. */
    enum dic_code again = queue.ops->remove(queue.impl, delivery.receipt, NULL);
    assert_true(again == DIC_OK || again == DIC_E_NOT_FOUND);
}

static void a_text_that_is_no_receipt_changes_nothing(void **state)
{
    (void)state;
    send_one();
    assert_true(queue.ops->extend(queue.impl, "no receipt", 60, NULL) != DIC_OK);
    assert_true(queue.ops->remove(queue.impl, "no receipt", NULL) != DIC_OK);
    assert_int_equal(messages_left(), 1);
}

/* ---- waiting ---- */

struct receiver {
    pthread_t thread;
    struct dic_delivery delivery;
    size_t count;
    atomic_bool done;
};

static void *receive_patiently(void *arg)
{
    struct receiver *receiver = arg;
    if (queue.ops->receive(queue.impl, &receiver->delivery, 1, 60, 60000, &receiver->count, NULL) !=
        DIC_OK) {
        receiver->count = 99;
    }
    atomic_store(&receiver->done, true);
    return NULL;
}

static void a_waiting_receiver_gets_a_message_that_is_sent_meanwhile(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    dic_thread_start(&receiver.thread, "receiver", receive_patiently, &receiver);
    send_one();
    dic_thread_join(receiver.thread);
    assert_int_equal(receiver.count, 1);
    assert_int_equal(receiver.delivery.receive_count, 1);
}

static void a_waiting_receiver_can_be_woken(void **state)
{
    (void)state;
    struct receiver receiver = {0};
    dic_thread_start(&receiver.thread, "receiver", receive_patiently, &receiver);
    while (!atomic_load(&receiver.done)) { /* a wake before it waits is none */
        queue.ops->wake(queue.impl);
        dic_sleep_ms(1);
    }
    dic_thread_join(receiver.thread);
    assert_int_equal(receiver.count, 0);
}

static void of_racing_receivers_one_gets_the_message(void **state)
{
    (void)state;
    struct receiver receivers[RECEIVERS] = {0};
    size_t got = 0;
    size_t done = 0;
    send_one();
    for (int i = 0; i < RECEIVERS; i++) {
        dic_thread_start(&receivers[i].thread, "receiver", receive_patiently, &receivers[i]);
    }
    while (done < RECEIVERS) { /* those without a message are sent home once somebody has it */
        done = 0;
        for (int i = 0; i < RECEIVERS; i++) {
            done += atomic_load(&receivers[i].done);
        }
        if (done > 0) {
            queue.ops->wake(queue.impl);
        }
        dic_sleep_ms(1);
    }
    for (int i = 0; i < RECEIVERS; i++) {
        dic_thread_join(receivers[i].thread);
        got += receivers[i].count;
    }
    assert_int_equal(got, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_queue, close_queue)

int dic_run_job_queue_suite(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_message_of_each_kind_arrives_as_it_was_sent),
        CASE(many_messages_are_each_delivered_once_in_batches),
        CASE(a_received_message_is_hidden_until_it_is_given_back),
        CASE(a_message_handed_back_comes_as_if_it_had_not_been_received),
        CASE(a_message_handed_back_twice_is_still_there_and_counts_the_same),
        CASE(a_lease_that_runs_out_brings_the_message_back),
        CASE(an_extended_lease_counts_from_then),
        CASE(a_removed_message_cannot_be_extended_or_removed_again),
        CASE(a_text_that_is_no_receipt_changes_nothing),
        CASE(a_waiting_receiver_gets_a_message_that_is_sent_meanwhile),
        CASE(a_waiting_receiver_can_be_woken),
        CASE(of_racing_receivers_one_gets_the_message),
    };
    return cmocka_run_group_tests_name("job queue", tests, NULL, NULL);
}
