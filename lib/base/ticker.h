/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that does something now and then, and ends at once when it is told to. The struct is
 * part of its owner's; one thread starts and stops it.
 */
#ifndef DIC_BASE_TICKER_H
#define DIC_BASE_TICKER_H

#include "base/thread.h"

struct dic_ticker {
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t wake;
    bool stopping;
};

/* run(arg) calls dic_ticker_sleep between its rounds and returns when that is false. */
void dic_ticker_start(struct dic_ticker *ticker, const char *name, void *(*run)(void *), void *arg);
/* For the thread: true after ms, false as soon as it shall end. */
bool dic_ticker_sleep(struct dic_ticker *ticker, int64_t ms);
/* Whether it shall end, without sleeping. */
bool dic_ticker_stopping(struct dic_ticker *ticker);
/* Ends the thread and waits for it. */
void dic_ticker_stop(struct dic_ticker *ticker);

#endif
