/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#include "test.h"

static void the_quota_pays_for_35_transient_retries_and_no_more(void **state)
{
    (void)state;
    struct dic_aws_quota quota;
    dic_aws_quota_init(&quota);
    int32_t cost = 0;
    int taken = 0;
    while (dic_aws_quota_take(&quota, DIC_AWS_RETRY_TRANSIENT, &cost)) {
        taken++;
    }
    assert_int_equal(taken, 500 / 14);
    assert_int_equal(cost, 14);
    assert_int_equal(quota.tokens, 500 % 14);
    assert_true(dic_aws_quota_take(&quota, DIC_AWS_RETRY_THROTTLED, &cost)); /* cheaper: 5 */
    assert_int_equal(quota.tokens, 500 % 14 - 5);
}

static void success_gives_back_what_its_retry_cost_or_one_token(void **state)
{
    (void)state;
    struct dic_aws_quota quota = {.tokens = 100};
    dic_aws_quota_give_back(&quota, 14);
    assert_int_equal(quota.tokens, 114);
    dic_aws_quota_give_back(&quota, 0);
    assert_int_equal(quota.tokens, 115);
    quota.tokens = 499;
    dic_aws_quota_give_back(&quota, 14);
    assert_int_equal(quota.tokens, 500);
}

/* The most a delay can be is found with the random number that leaves the longest one. */
static int64_t longest(enum dic_aws_retry_kind kind, int64_t base_ms, uint32_t tries,
                       int64_t expected)
{
    return dic_aws_retry_delay_ms(kind, base_ms, tries, (uint64_t)expected);
}

static void a_delay_is_anything_up_to_the_doubled_base(void **state)
{
    (void)state;
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_TRANSIENT, 50, 1, 0), 0);
    assert_int_equal(longest(DIC_AWS_RETRY_TRANSIENT, 50, 1, 50), 50);
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_TRANSIENT, 50, 1, 51), 0);
    assert_int_equal(longest(DIC_AWS_RETRY_TRANSIENT, 50, 2, 100), 100);
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_TRANSIENT, 50, 2, 101), 0);
    assert_int_equal(longest(DIC_AWS_RETRY_TRANSIENT, 25, 3, 100), 100);
    assert_int_equal(longest(DIC_AWS_RETRY_THROTTLED, 25, 1, 1000), 1000);
    assert_int_equal(longest(DIC_AWS_RETRY_THROTTLED, 25, 2, 2000), 2000);
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_THROTTLED, 25, 2, 2001), 0);
}

static void no_delay_is_over_twenty_seconds(void **state)
{
    (void)state;
    assert_int_equal(longest(DIC_AWS_RETRY_THROTTLED, 50, 5, 16000), 16000);
    assert_int_equal(longest(DIC_AWS_RETRY_THROTTLED, 50, 6, 20000), 20000);
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_THROTTLED, 50, 6, 20001), 0);
    assert_int_equal(dic_aws_retry_delay_ms(DIC_AWS_RETRY_THROTTLED, 50, UINT32_MAX, 20001), 0);
}

/* ---- the rate ---- */

static void nothing_waits_before_the_first_throttle(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    for (int64_t now = 0; now < 1000; now++) {
        assert_int_equal(dic_aws_rate_take(&rate, now), 0);
        dic_aws_rate_update(&rate, now, now, false);
    }
}

/* Runs at per_s calls a second for a while, all of which succeed. */
static int64_t run_quietly(struct dic_aws_rate *rate, int64_t now, int64_t ms, int64_t per_s)
{
    for (int64_t end = now + ms; now < end; now += 1000 / per_s) {
        dic_aws_rate_update(rate, now, now, false);
    }
    return now;
}

static void a_throttle_halves_the_measured_rate(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    int64_t now = run_quietly(&rate, 0, 5000, 100);
    dic_aws_rate_update(&rate, now, now, true);
    assert_true(rate.limited);
    assert_true(rate.fill_per_s > 45 && rate.fill_per_s < 55);
    int64_t wait = dic_aws_rate_take(&rate, now);
    assert_in_range(wait, 18, 22); /* about 50 a second: the next is in 20 ms */
    assert_int_equal(dic_aws_rate_take(&rate, now + wait), 0);
    assert_int_not_equal(dic_aws_rate_take(&rate, now + wait), 0);
}

static void throttles_of_requests_sent_before_the_cut_do_not_cut_again(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    int64_t now = run_quietly(&rate, 0, 5000, 100);
    dic_aws_rate_update(&rate, now - 50, now, true);
    double cut_once = rate.fill_per_s;
    for (int i = 0; i < 15; i++) {
        dic_aws_rate_update(&rate, now - 10, now + i, true);
    }
    assert_true(rate.fill_per_s >= cut_once);
    dic_aws_rate_update(&rate, now + 20, now + 40, true);
    assert_true(rate.fill_per_s < cut_once * 0.6);
}

static void the_rate_is_never_less_than_its_floor(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    for (int64_t now = 1000; now < 60000; now += 1000) {
        dic_aws_rate_update(&rate, now, now, true);
        assert_in_range(dic_aws_rate_take(&rate, now), 0, 1000 / DIC_AWS_RATE_SLOWEST_PER_S);
    }
    assert_true(rate.limited);
    assert_true(rate.fill_per_s == DIC_AWS_RATE_SLOWEST_PER_S);
}

/* Calls that go as soon as they may, of which every third is throttled at any rate. */
static void a_service_that_throttles_at_any_rate_is_asked_at_the_floor(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    int64_t now = run_quietly(&rate, 0, 5000, 100);
    int64_t end = now + 60000;
    int calls = 0;
    while (now < end) {
        int64_t wait = dic_aws_rate_take(&rate, now);
        if (wait == 0) {
            calls++;
            dic_aws_rate_update(&rate, now, now, calls % 3 == 0);
            now++;
        }
        now += wait;
    }
    assert_true(rate.limited);
    assert_in_range(calls, 55 * DIC_AWS_RATE_SLOWEST_PER_S, 75 * DIC_AWS_RATE_SLOWEST_PER_S);
}

static void the_rate_grows_back_while_calls_succeed(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    int64_t now = run_quietly(&rate, 0, 5000, 100);
    dic_aws_rate_update(&rate, now, now, true);
    double slowest = rate.fill_per_s;
    int64_t end = now + 10000;
    while (now < end) {
        int64_t wait = dic_aws_rate_take(&rate, now);
        if (wait == 0) {
            dic_aws_rate_update(&rate, now, now, false);
            now++;
        }
        now += wait;
    }
    assert_true(rate.limited);
    assert_true(rate.fill_per_s > 1.5 * slowest);
}

static void a_minute_without_a_throttle_ends_the_bound(void **state)
{
    (void)state;
    struct dic_aws_rate rate;
    dic_aws_rate_init(&rate, 0);
    dic_aws_rate_update(&rate, 1000, 1000, true);
    dic_aws_rate_update(&rate, 61000, 61000, false);
    assert_true(rate.limited);
    dic_aws_rate_update(&rate, 61001, 61001, false);
    assert_false(rate.limited);
    assert_int_equal(dic_aws_rate_take(&rate, 61001), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quota_pays_for_35_transient_retries_and_no_more),
        cmocka_unit_test(success_gives_back_what_its_retry_cost_or_one_token),
        cmocka_unit_test(a_delay_is_anything_up_to_the_doubled_base),
        cmocka_unit_test(no_delay_is_over_twenty_seconds),
        cmocka_unit_test(nothing_waits_before_the_first_throttle),
        cmocka_unit_test(a_throttle_halves_the_measured_rate),
        cmocka_unit_test(throttles_of_requests_sent_before_the_cut_do_not_cut_again),
        cmocka_unit_test(the_rate_is_never_less_than_its_floor),
        cmocka_unit_test(a_service_that_throttles_at_any_rate_is_asked_at_the_floor),
        cmocka_unit_test(the_rate_grows_back_while_calls_succeed),
        cmocka_unit_test(a_minute_without_a_throttle_ends_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
