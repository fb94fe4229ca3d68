/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "test.h"

#include "base/thread.h"
#include "fake_clock.h"

#include <time.h>

static void times_are_written_as_rfc_3339_has_them(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1767225599123, "2025-12-31T23:59:59.123Z"},
        {4102444800000, "2100-01-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DIC_TIME_TEXT_SIZE];
        dic_time_format(cases[i].wall_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    const struct dic_clock *clock = dic_clock_system();
    int64_t last = dic_clock_mono_ns(clock);
    for (int i = 0; i < 1000; i++) {
        int64_t now = dic_clock_mono_ns(clock);
        assert_true(now >= last);
        assert_true(dic_clock_mono_ms(clock) >= now / 1000000);
        last = now;
    }
}

static void the_wall_clock_is_that_of_the_system(void **state)
{
    (void)state;
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t now = dic_clock_wall_ms(dic_clock_system());
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(now >= before.tv_sec * 1000L + before.tv_nsec / 1000000);
    assert_true(now <= after.tv_sec * 1000L + after.tv_nsec / 1000000);
}

static void a_sleep_lasts_at_least_its_time(void **state)
{
    (void)state;
    int64_t before = dic_clock_mono_ns(dic_clock_system());
    dic_sleep_ms(3);
    assert_true(dic_clock_mono_ns(dic_clock_system()) - before >= 3000000);
}

static void a_deadline_lies_ahead_with_nanoseconds_below_a_second(void **state)
{
    (void)state;
    static const int64_t waits[] = {0, 1, 999, 1000, 1001, 60000};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        for (int round = 0; round < 20; round++) {
            struct timespec now;
            struct timespec deadline;
            clock_gettime(CLOCK_MONOTONIC, &now);
            dic_deadline_in_ms(waits[i], &deadline);
            int64_t ahead_ns =
                (deadline.tv_sec - now.tv_sec) * 1000000000L + deadline.tv_nsec - now.tv_nsec;
            assert_in_range(deadline.tv_nsec, 0, 999999999);
            assert_true(ahead_ns >= waits[i] * 1000000);
        }
    }
}

static void a_wait_on_a_condition_ends_with_its_time(void **state)
{
    (void)state;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    dic_mutex_init(&lock);
    dic_cond_init(&cond);
    dic_lock(&lock);
    assert_false(dic_cond_wait_ms(&cond, &lock, 0));
    assert_false(dic_cond_wait_ms(&cond, &lock, 1));
    dic_unlock(&lock);
    pthread_cond_destroy(&cond);
    pthread_mutex_destroy(&lock);
}

static void count_move(void *context)
{
    ++*(int *)context;
}

static void a_fake_clock_stands_still_until_it_is_moved(void **state)
{
    (void)state;
    int moves = 0;
    struct dic_fake_clock *fake = dic_fake_clock_new();
    const struct dic_clock *clock = dic_fake_clock_port(fake);
    int64_t mono = dic_clock_mono_ms(clock);
    assert_int_equal(dic_clock_wall_ms(clock), DIC_FAKE_CLOCK_START_MS);
    dic_fake_clock_listen(fake, count_move, &moves);
    dic_fake_clock_advance_ms(fake, 1500);
    assert_int_equal(dic_clock_wall_ms(clock), DIC_FAKE_CLOCK_START_MS + 1500);
    assert_int_equal(dic_clock_mono_ms(clock), mono + 1500);
    dic_fake_clock_forget(fake, &moves);
    dic_fake_clock_advance_ms(fake, 1);
    assert_int_equal(moves, 1);
    dic_fake_clock_destroy(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339_has_them),
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_that_of_the_system),
        cmocka_unit_test(a_sleep_lasts_at_least_its_time),
        cmocka_unit_test(a_deadline_lies_ahead_with_nanoseconds_below_a_second),
        cmocka_unit_test(a_wait_on_a_condition_ends_with_its_time),
        cmocka_unit_test(a_fake_clock_stands_still_until_it_is_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
