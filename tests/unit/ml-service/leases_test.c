/* SPDX-License-Identifier: Apache-2.0 */
/* Which leases are renewed, and that no renewal outlives its lease; on a clock that stands still.
 */
#include "leases.h"

#include "test.h"

#include "base/log.h"
#include "base/thread.h"
#include "fake_clock.h"
#include "gate.h"
#include "job/limits.h"
#include "job_queue_memory.h"

#include <unistd.h>

enum { DEADLOCK_S = 100, LEASES = 4, STALLED_MS = DIC_STALLED_S * 1000 };
enum { HOLD_MS = DIC_MAX_CHUNK_HOLD_S * 1000 };

static struct dic_fake_clock *fake;
static struct dic_job_queue queue;
static struct dic_leases *leases;
static struct dic_delivery deliveries[LEASES];
static struct dic_lease kept[LEASES];
static atomic_uint steps[LEASES];
static atomic_uint renewals[LEASES]; /* by chunk number */
static atomic_uint returns[LEASES];
static struct dic_gate renewing; /* passed by each renewal, before it happens */

static struct dic_queue_fault watch_queue(void *context, const struct dic_queue_call *call)
{
    (void)context;
    if (call->op == DIC_QUEUE_EXTEND && call->message != NULL) {
        atomic_uint *counts = call->visibility_s > 0 ? renewals : returns;
        atomic_fetch_add(&counts[call->message->chunk], 1);
        if (call->visibility_s > 0) {
            dic_gate_pass(&renewing);
        }
    }
    return (struct dic_queue_fault){.kind = DIC_QUEUE_WORKS};
}

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_OFF);
    fake = dic_fake_clock_new();
    queue = dic_job_queue_memory_new(fake);
    dic_job_queue_memory_set_hook(queue, watch_queue, NULL);
    dic_gate_init(&renewing, DIC_GATE_OPEN);
    leases = dic_leases_new(&(struct dic_leases_options){
        .queue = queue, .clock = dic_fake_clock_port(fake), .visibility_s = DIC_VISIBILITY_S});
    for (size_t i = 0; i < LEASES; i++) {
        atomic_store(&steps[i], 10);
        atomic_store(&renewals[i], 0);
        atomic_store(&returns[i], 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_leases_destroy(leases);
    dic_leases_destroy(NULL);
    queue.ops->destroy(queue.impl);
    dic_fake_clock_destroy(fake);
    dic_gate_clean_up(&renewing);
    return 0;
}

static void keep(uint32_t number, enum dic_line line)
{
    struct dic_message message = {.kind = DIC_MESSAGE_CHUNK, .chunk = number};
    size_t count = 0;
    memset(message.job_id, 'a', DIC_ID_LEN);
    assert_ok(queue.ops->send(queue.impl, &message, 1, NULL));
    assert_ok(
        queue.ops->receive(queue.impl, &deliveries[number], 1, DIC_VISIBILITY_S, 0, &count, NULL));
    assert_int_equal(count, 1);
    kept[number] =
        (struct dic_lease){.delivery = &deliveries[number], .line = line, .steps = &steps[number]};
    dic_leases_keep(leases, &kept[number]);
}

static void pass(int64_t ms)
{
    dic_fake_clock_advance_ms(fake, ms);
}

static void step(uint32_t number)
{
    atomic_fetch_sub(&steps[number], 1);
    dic_leases_look(leases);
}

/* Whether one round renews it. */
static bool renews(uint32_t number)
{
    const unsigned before = atomic_load(&renewals[number]);
    dic_leases_renew(leases);
    return atomic_load(&renewals[number]) > before;
}

static int64_t visible(void)
{
    struct dic_queue_depth depth;
    assert_ok(queue.ops->depth(queue.impl, &depth, NULL));
    return depth.visible;
}

/* ---- progress ---- */

static void work_without_progress_is_renewed_for_less_than_sixty_seconds(void **state)
{
    (void)state;
    for (uint32_t line = DIC_LINE_CHUNKS; line < DIC_LINE_COUNT; line++) {
        keep(line, (enum dic_line)line);
        pass(STALLED_MS - 1);
        assert_true(renews(line));
        pass(1);
        assert_false(renews(line));
        pass(1);
        assert_false(renews(line));
        dic_leases_forget(leases, &deliveries[line]);
    }
}

static void each_step_begins_the_sixty_seconds_anew(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    for (int i = 0; i < 5; i++) {
        pass(STALLED_MS - 1);
        step(0);
        assert_true(renews(0));
    }
    pass(STALLED_MS);
    assert_false(renews(0));
}

static void what_moves_again_is_renewed_again(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    pass(STALLED_MS);
    assert_false(renews(0));
    step(0);
    assert_true(renews(0));
}

static void what_waits_for_its_turn_is_not_stuck_while_what_is_ahead_moves(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    keep(1, DIC_LINE_CHUNKS);
    keep(2, DIC_LINE_CHUNKS);
    for (int i = 0; i < 3; i++) {
        pass(STALLED_MS - 1);
        step(1);
        assert_true(renews(2)); /* behind it */
    }
    assert_false(renews(0)); /* overtaken: stuck */
    assert_true(renews(1));
    pass(STALLED_MS);
    assert_false(renews(2));
}

static void it_is_the_turn_of_the_next_when_what_was_ahead_has_ended(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    keep(3, DIC_LINE_PLANS);
    keep(1, DIC_LINE_CHUNKS);
    keep(2, DIC_LINE_CHUNKS);
    pass(STALLED_MS - 1);
    dic_leases_forget(leases, &deliveries[0]);
    pass(STALLED_MS - 1);
    assert_true(renews(1));
    assert_true(renews(2));
    assert_false(renews(3)); /* of the other line */
    pass(1);
    assert_false(renews(1));
    assert_false(renews(2));
}

static void the_lines_of_chunks_and_plans_do_not_wait_for_each_other(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    keep(1, DIC_LINE_PLANS);
    pass(STALLED_MS);
    step(0);
    assert_true(renews(0));
    assert_false(renews(1));
}

static void hold_for(uint32_t number, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 30000) {
        pass(ms - passed < 30000 ? ms - passed : 30000);
        step(number);
    }
}

static void a_chunk_is_held_for_less_than_half_an_hour_whatever_it_does(void **state)
{
    (void)state;
    keep(0, DIC_LINE_CHUNKS);
    hold_for(0, HOLD_MS - 1);
    assert_true(renews(0));
    pass(1);
    step(0);
    assert_false(renews(0));
    pass(1);
    step(0);
    assert_false(renews(0));
}

static void a_plan_is_held_for_as_long_as_it_gets_on(void **state)
{
    (void)state;
    keep(0, DIC_LINE_PLANS);
    hold_for(0, 4 * (int64_t)HOLD_MS);
    assert_true(renews(0));
}

/* ---- ends ---- */

static void what_has_ended_is_not_renewed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LEASES; i++) {
        keep(i, DIC_LINE_CHUNKS);
    }
    dic_leases_forget(leases, &deliveries[1]);
    dic_leases_remove(leases, &deliveries[0]);
    dic_leases_give_back(leases, &deliveries[3], 0);
    assert_false(renews(0) || renews(1) || renews(3));
    assert_true(renews(2));
    dic_leases_hand_back(leases, &deliveries[2]);
    assert_false(renews(2));
    assert_int_equal(visible(), 2);
}

static void *renew_all(void *arg)
{
    (void)arg;
    dic_leases_renew(leases);
    return NULL;
}

static void a_round_under_way_passes_over_what_was_given_back_meanwhile(void **state)
{
    (void)state;
    pthread_t keeper;
    keep(0, DIC_LINE_CHUNKS);
    keep(1, DIC_LINE_CHUNKS);
    dic_gate_clean_up(&renewing);
    dic_gate_init(&renewing, DIC_GATE_CLOSED);
    dic_thread_start(&keeper, "keeper", renew_all, NULL);
    dic_gate_await_waiting(&renewing, 1);
    dic_leases_give_back(leases, &deliveries[1],
                         0); /* does not wait for the renewal of the other */
    dic_gate_let(&renewing, DIC_GATE_OPEN);
    dic_thread_join(keeper);
    assert_int_equal(atomic_load(&renewals[1]), 0);
    assert_int_equal(visible(), 1);
}

static void *give_back_first(void *arg)
{
    (void)arg;
    dic_leases_give_back(leases, &deliveries[0], 0);
    return NULL;
}

static void a_renewal_under_way_ends_before_its_message_is_given_back(void **state)
{
    (void)state;
    enum { LONG_ENOUGH_MS = 50 }; /* for one that did not wait to have given it back */
    pthread_t keeper;
    pthread_t giver;
    keep(0, DIC_LINE_CHUNKS);
    dic_gate_clean_up(&renewing);
    dic_gate_init(&renewing, DIC_GATE_CLOSED);
    dic_thread_start(&keeper, "keeper", renew_all, NULL);
    dic_gate_await_waiting(&renewing, 1);
    dic_thread_start(&giver, "giver", give_back_first, NULL);
    dic_sleep_ms(LONG_ENOUGH_MS);
    assert_int_equal(atomic_load(&returns[0]), 0);
    dic_gate_let(&renewing, DIC_GATE_OPEN);
    dic_thread_join(keeper);
    dic_thread_join(giver);
    assert_int_equal(atomic_load(&returns[0]), 1);
    assert_int_equal(visible(), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(work_without_progress_is_renewed_for_less_than_sixty_seconds),
        CASE(each_step_begins_the_sixty_seconds_anew),
        CASE(what_moves_again_is_renewed_again),
        CASE(what_waits_for_its_turn_is_not_stuck_while_what_is_ahead_moves),
        CASE(it_is_the_turn_of_the_next_when_what_was_ahead_has_ended),
        CASE(the_lines_of_chunks_and_plans_do_not_wait_for_each_other),
        CASE(a_chunk_is_held_for_less_than_half_an_hour_whatever_it_does),
        CASE(a_plan_is_held_for_as_long_as_it_gets_on),
        CASE(what_has_ended_is_not_renewed),
        CASE(a_round_under_way_passes_over_what_was_given_back_meanwhile),
        CASE(a_renewal_under_way_ends_before_its_message_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
