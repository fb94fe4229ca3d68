/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ticker.h"

#include "test.h"

#include <stdatomic.h>

struct counted {
    struct dic_ticker ticker;
    int64_t interval_ms;
    atomic_int rounds;
    pthread_mutex_t lock;
    pthread_cond_t came;
};

static void *count_rounds(void *arg)
{
    struct counted *counted = arg;
    while (dic_ticker_sleep(&counted->ticker, counted->interval_ms)) {
        DIC_GUARD(&counted->lock);
        atomic_fetch_add(&counted->rounds, 1);
        pthread_cond_signal(&counted->came);
    }
    assert_true(dic_ticker_stopping(&counted->ticker));
    return NULL;
}

static void start(struct counted *counted)
{
    dic_mutex_init(&counted->lock);
    dic_cond_init(&counted->came);
    dic_ticker_start(&counted->ticker, "ticker", count_rounds, counted);
}

static void a_long_sleep_ends_at_once_when_it_is_stopped(void **state)
{
    struct counted counted = {.interval_ms = INT32_MAX};
    (void)state;
    start(&counted);
    dic_ticker_stop(&counted.ticker);
    assert_int_equal(atomic_load(&counted.rounds), 0);
}

static void rounds_come_until_it_is_stopped(void **state)
{
    struct counted counted = {.interval_ms = 1};
    (void)state;
    start(&counted);
    dic_lock(&counted.lock);
    while (atomic_load(&counted.rounds) < 3) {
        dic_cond_wait_ms(&counted.came, &counted.lock, -1);
    }
    dic_unlock(&counted.lock);
    assert_false(dic_ticker_stopping(&counted.ticker));
    dic_ticker_stop(&counted.ticker);
    assert_true(atomic_load(&counted.rounds) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_sleep_ends_at_once_when_it_is_stopped),
        cmocka_unit_test(rounds_come_until_it_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
