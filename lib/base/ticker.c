/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ticker.h"

#include "base/clock.h"

void dic_ticker_start(struct dic_ticker *ticker, const char *name, void *(*run)(void *), void *arg)
{
    ticker->stopping = false;
    dic_mutex_init(&ticker->lock);
    dic_cond_init(&ticker->wake);
    dic_thread_start(&ticker->thread, name, run, arg);
}

bool dic_ticker_sleep(struct dic_ticker *ticker, int64_t ms)
{
    const int64_t end_ms = dic_clock_mono_ms(dic_clock_system()) + ms;
    DIC_GUARD(&ticker->lock);
    for (int64_t left_ms = ms; left_ms > 0 && !ticker->stopping;
         left_ms = end_ms - dic_clock_mono_ms(dic_clock_system())) {
        dic_cond_wait_ms(&ticker->wake, &ticker->lock, left_ms);
    }
    return !ticker->stopping;
}

bool dic_ticker_stopping(struct dic_ticker *ticker)
{
    DIC_GUARD(&ticker->lock);
    return ticker->stopping;
}

void dic_ticker_stop(struct dic_ticker *ticker)
{
    dic_lock(&ticker->lock);
    ticker->stopping = true;
    pthread_cond_signal(&ticker->wake);
    dic_unlock(&ticker->lock);
    dic_thread_join(ticker->thread);
    pthread_mutex_destroy(&ticker->lock);
    pthread_cond_destroy(&ticker->wake);
}
