/* SPDX-License-Identifier: Apache-2.0 */
#include "handler_pool.h"

#include "test.h"

#include "base/clock.h"
#include "gate.h"

#include <stdatomic.h>
#include <unistd.h>

enum { MANY = 500, HOUR_MS = 3600000, DEADLOCK_S = 100 };

/* The struct of the pool is first, as in an exchange. */
struct task {
    struct dic_pool_item item;
    atomic_int runs;
    struct dic_gate *gate;         /* passed by each run */
    struct dic_handler_pool *pool; /* with parks_left: where to park again */
    int parks_left;
    struct task **order; /* noted there, if not NULL */
    atomic_int *order_count;
};

static void run(struct dic_pool_item *item)
{
    struct task *task = (struct task *)item;
    if (task->order != NULL) {
        task->order[atomic_fetch_add(task->order_count, 1)] = task;
    }
    dic_gate_pass(task->gate);
    atomic_fetch_add(&task->runs, 1);
    if (task->parks_left > 0) {
        task->parks_left--;
        dic_handler_pool_park(task->pool, item, HOUR_MS);
    }
}

static struct dic_gate gate;

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    dic_gate_init(&gate, DIC_GATE_OPEN);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_gate_clean_up(&gate);
    return 0;
}

static struct task new_task(void)
{
    return (struct task){.item = {.run = run}, .gate = &gate};
}

static void everything_submitted_runs_once(void **state)
{
    (void)state;
    static struct task tasks[MANY];
    struct dic_handler_pool *pool = dic_handler_pool_new(4, MANY);
    for (int i = 0; i < MANY; i++) {
        tasks[i] = new_task();
        assert_true(dic_handler_pool_submit(pool, &tasks[i].item));
    }
    dic_handler_pool_destroy(pool);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(tasks[i].runs, 1);
    }
}

static void one_thread_runs_them_in_their_order(void **state)
{
    (void)state;
    static struct task tasks[20];
    struct task *order[20];
    atomic_int count = 0;
    struct dic_handler_pool *pool = dic_handler_pool_new(1, 20);
    for (int i = 0; i < 20; i++) {
        tasks[i] = new_task();
        tasks[i].order = order;
        tasks[i].order_count = &count;
        assert_true(dic_handler_pool_submit(pool, &tasks[i].item));
    }
    dic_handler_pool_destroy(pool);
    for (int i = 0; i < 20; i++) {
        assert_ptr_equal(order[i], &tasks[i]);
    }
}

static void a_full_queue_takes_no_more(void **state)
{
    (void)state;
    struct task tasks[5];
    dic_gate_clean_up(&gate);
    dic_gate_init(&gate, DIC_GATE_CLOSED);
    struct dic_handler_pool *pool = dic_handler_pool_new(1, 3);
    for (int i = 0; i < 5; i++) {
        tasks[i] = new_task();
    }
    assert_true(dic_handler_pool_submit(pool, &tasks[0].item));
    dic_gate_await_waiting(&gate, 1); /* with the thread: it waits no more */
    for (int i = 1; i < 4; i++) {
        assert_true(dic_handler_pool_submit(pool, &tasks[i].item));
    }
    assert_false(dic_handler_pool_submit(pool, &tasks[4].item));
    dic_gate_let(&gate, 1);
    dic_gate_await_passed(&gate, 1);
    dic_gate_await_waiting(&gate, 1);
    assert_true(dic_handler_pool_submit(pool, &tasks[4].item)); /* there is room again */
    dic_gate_let(&gate, DIC_GATE_OPEN);
    dic_handler_pool_destroy(pool);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tasks[i].runs, 1);
    }
}

static void parked_items_run_when_they_are_due(void **state)
{
    (void)state;
    struct task later = new_task();
    struct task soon = new_task();
    struct dic_handler_pool *pool = dic_handler_pool_new(1, 5);
    dic_handler_pool_park(pool, &later.item, HOUR_MS);
    dic_handler_pool_park(pool, &soon.item, 1);
    dic_gate_await_passed(&gate, 1);
    dic_handler_pool_hurry(pool); /* ends what would be an hour */
    dic_gate_await_passed(&gate, 2);
    dic_handler_pool_destroy(pool);
    assert_int_equal(soon.runs, 1);
    assert_int_equal(later.runs, 1);
}

static void a_hurried_pool_runs_what_is_parked_later_at_once(void **state)
{
    (void)state;
    struct task task = new_task();
    struct dic_handler_pool *pool = dic_handler_pool_new(1, 5);
    dic_handler_pool_hurry(pool);
    dic_handler_pool_park(pool, &task.item, HOUR_MS);
    dic_gate_await_passed(&gate, 1);
    dic_handler_pool_destroy(pool);
    assert_int_equal(task.runs, 1);
}

static void destroying_does_not_wait_for_what_is_parked(void **state)
{
    (void)state;
    static struct task tasks[100];
    struct dic_handler_pool *pool = dic_handler_pool_new(2, 5);
    for (int i = 0; i < 100; i++) {
        tasks[i] = new_task();
        dic_handler_pool_park(pool, &tasks[i].item, HOUR_MS);
    }
    dic_handler_pool_destroy(pool);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tasks[i].runs, 1);
    }
    dic_handler_pool_destroy(NULL);
}

static void *destroy(void *pool)
{
    dic_handler_pool_destroy(pool);
    return NULL;
}

/* Whenever the end comes: before, while or after the item parks itself, it is run again. */
static void an_item_that_parks_itself_while_the_pool_ends_is_run_again(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct task task = new_task();
        struct dic_gate held;
        pthread_t thread;
        dic_gate_init(&held, DIC_GATE_CLOSED);
        struct dic_handler_pool *pool = dic_handler_pool_new(1, 5);
        task.gate = &held;
        task.pool = pool;
        task.parks_left = 3;
        assert_true(dic_handler_pool_submit(pool, &task.item));
        dic_gate_await_waiting(&held, 1);
        dic_thread_start(&thread, "destroyer", destroy, pool);
        if (round % 2 == 0) {
            dic_sleep_ms(1); /* so that the end often comes first */
        }
        dic_gate_let(&held, DIC_GATE_OPEN);
        dic_thread_join(thread);
        assert_int_equal(task.runs, 4);
        dic_gate_clean_up(&held);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(everything_submitted_runs_once),
        CASE(one_thread_runs_them_in_their_order),
        CASE(a_full_queue_takes_no_more),
        CASE(parked_items_run_when_they_are_due),
        CASE(a_hurried_pool_runs_what_is_parked_later_at_once),
        CASE(destroying_does_not_wait_for_what_is_parked),
        CASE(an_item_that_parks_itself_while_the_pool_ends_is_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
