/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on SQLite, and what only this queue promises. */
#include "job_queue_suite.h"

#include "fake_clock.h"
#include "local_store.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[64];
static struct dic_local *local;
static struct dic_fake_clock *fake;

struct dic_job_queue dic_queue_suite_open(void)
{
    struct dic_err err = {0};
    fake = dic_fake_clock_new();
    snprintf(folder, sizeof folder, "/tmp/dic-queue-XXXXXX");
    if (mkdtemp(folder) == NULL ||
        dic_local_open(folder, dic_fake_clock_port(fake), &local, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return dic_local_queue(local);
}

void dic_queue_suite_close(struct dic_job_queue queue)
{
    char command[128];
    (void)queue; /* is the database's */
    dic_local_close(local);
    dic_fake_clock_destroy(fake);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) {
        abort();
    }
}

void dic_queue_suite_pass(struct dic_job_queue queue, int64_t ms)
{
    (void)queue;
    dic_fake_clock_advance_ms(fake, ms);
}

/* ---- what only this queue has ---- */

static void send_chunks(struct dic_job_queue queue, uint32_t count, char id_out[DIC_ID_SIZE])
{
    struct dic_message message = {.kind = DIC_MESSAGE_CHUNK};
    dic_rand_id(message.job_id);
    memcpy(id_out, message.job_id, DIC_ID_SIZE);
    for (; message.chunk < count; message.chunk++) {
        assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    }
}

static void a_small_job_does_not_wait_behind_a_large_one(void **state)
{
    (void)state;
    struct dic_job_queue queue = dic_queue_suite_open();
    struct dic_delivery deliveries[3];
    char large[DIC_ID_SIZE];
    char small[DIC_ID_SIZE];
    size_t count = 0;
    send_chunks(queue, 20, large);
    send_chunks(queue, 1, small);
    assert_ok(queue.ops->receive(queue.impl, deliveries, 3, 60, 0, &count, NULL));
    assert_int_equal(count, 3);
    assert_string_equal(deliveries[0].message.job_id, large);
    assert_string_equal(deliveries[1].message.job_id, small);
    assert_string_equal(deliveries[2].message.job_id, large);
    dic_queue_suite_close(queue);
}

static void the_receipt_of_an_earlier_delivery_is_worth_nothing(void **state)
{
    (void)state;
    struct dic_job_queue queue = dic_queue_suite_open();
    struct dic_delivery first;
    struct dic_delivery second;
    char id[DIC_ID_SIZE];
    size_t count = 0;
    send_chunks(queue, 1, id);
    assert_ok(queue.ops->receive(queue.impl, &first, 1, 60, 0, &count, NULL));
    dic_queue_suite_pass(queue, 60001);
    assert_ok(queue.ops->receive(queue.impl, &second, 1, 60, 0, &count, NULL));
    assert_int_equal(count, 1);
    assert_code(queue.ops->extend(queue.impl, first.receipt, 0, NULL), DIC_E_NOT_FOUND);
    assert_code(queue.ops->remove(queue.impl, first.receipt, NULL), DIC_E_NOT_FOUND);
    assert_ok(queue.ops->remove(queue.impl, second.receipt, NULL));
    dic_queue_suite_close(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_job_does_not_wait_behind_a_large_one),
        cmocka_unit_test(the_receipt_of_an_earlier_delivery_is_worth_nothing),
    };
    return dic_run_job_queue_suite() + cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
}
