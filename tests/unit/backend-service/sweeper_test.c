/* SPDX-License-Identifier: Apache-2.0 */
#include "sweeper.h"

#include "test.h"

#include "base/log.h"
#include "capture.h"
#include "fake_clock.h"
#include "gate.h"

#include <stdatomic.h>
#include <unistd.h>

enum { RETENTION_MS = 12345, DEADLOCK_S = 100 };

struct store {
    struct dic_gate sweeps; /* passed by each */
    atomic_int failures_left;
    uint32_t repaired;
    int64_t now_ms; /* as the last sweep was told */
    int64_t retention_ms;
    uint32_t limit;
};

static enum dic_code sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                           uint32_t *repaired_out, struct dic_err *err)
{
    struct store *store = impl;
    store->now_ms = now_ms;
    store->retention_ms = retention_ms;
    store->limit = limit;
    *repaired_out = store->repaired;
    bool fails = atomic_fetch_sub(&store->failures_left, 1) > 0;
    dic_gate_pass(&store->sweeps);
    return fails ? dic_fail(err, DIC_E_UPSTREAM, "the store is asleep") : DIC_OK;
}

static const struct dic_job_store_ops ops = {.sweep = sweep};
static struct store store;
static struct dic_fake_clock *fake;

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_INFO);
    store = (struct store){0};
    dic_gate_init(&store.sweeps, DIC_GATE_OPEN);
    fake = dic_fake_clock_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_gate_clean_up(&store.sweeps);
    dic_fake_clock_destroy(fake);
    return 0;
}

static struct dic_sweeper *start(uint32_t interval_ms)
{
    const struct dic_sweeper_options options = {
        {&ops, &store}, dic_fake_clock_port(fake), interval_ms, RETENTION_MS};
    return dic_sweeper_start(&options);
}

static void it_sweeps_again_and_again_with_the_time_and_the_retention(void **state)
{
    (void)state;
    dic_fake_clock_advance_ms(fake, 777);
    struct dic_sweeper *sweeper = start(1);
    dic_gate_await_passed(&store.sweeps, 3);
    dic_sweeper_stop(sweeper);
    assert_int_equal(store.now_ms, DIC_FAKE_CLOCK_START_MS + 777);
    assert_int_equal(store.retention_ms, RETENTION_MS);
    assert_in_range(store.limit, 1, 1000); /* one round is bounded */
}

static void a_sweep_that_fails_is_logged_and_followed_by_the_next(void **state)
{
    (void)state;
    atomic_store(&store.failures_left, 2);
    dic_capture_begin(STDERR_FILENO);
    struct dic_sweeper *sweeper = start(1);
    dic_gate_await_passed(&store.sweeps, 4);
    dic_sweeper_stop(sweeper);
    const char *text = dic_capture_end();
    assert_non_null(strstr(text, "\"event\":\"sweep_failed\",\"message\":\"the store is asleep\""));
}

static void what_was_repaired_is_logged(void **state)
{
    (void)state;
    store.repaired = 3;
    dic_capture_begin(STDERR_FILENO);
    struct dic_sweeper *sweeper = start(1);
    dic_gate_await_passed(&store.sweeps, 1);
    dic_sweeper_stop(sweeper);
    assert_non_null(strstr(dic_capture_end(), "\"event\":\"swept\",\"message\":\"3 jobs"));
}

static void stopping_does_not_wait_for_the_interval(void **state)
{
    (void)state;
    struct dic_sweeper *sweeper = start(UINT32_MAX);
    dic_sweeper_stop(sweeper);
    assert_int_equal(store.sweeps.passed, 0);
    dic_sweeper_stop(NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_sweeps_again_and_again_with_the_time_and_the_retention),
        CASE(a_sweep_that_fails_is_logged_and_followed_by_the_next),
        CASE(what_was_repaired_is_logged),
        CASE(stopping_does_not_wait_for_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
