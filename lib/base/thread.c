/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(error));
        abort();
    }
}

void dic_mutex_init(pthread_mutex_t *mutex)
{
    must(pthread_mutex_init(mutex, NULL), "mutex init");
}

void dic_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "condition attributes");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "condition clock");
    must(pthread_cond_init(cond, &attributes), "condition init");
    pthread_condattr_destroy(&attributes);
}

void dic_lock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_lock(mutex), "lock");
}

void dic_unlock(pthread_mutex_t *mutex)
{
    must(pthread_mutex_unlock(mutex), "unlock");
}

bool dic_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms)
{
    if (ms < 0) {
        must(pthread_cond_wait(cond, mutex), "wait");
        return true;
    }
    struct timespec deadline;
    dic_deadline_in_ms(ms, &deadline);
    int error = pthread_cond_timedwait(cond, mutex, &deadline);
    if (error == ETIMEDOUT) {
        return false;
    }
    must(error, "timed wait");
    return true;
}

void dic_thread_start(pthread_t *thread_out, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "signal mask");
    must(pthread_create(thread_out, NULL, run, arg), "thread");
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "signal mask");
    pthread_setname_np(*thread_out, name);
}

void dic_thread_join(pthread_t thread)
{
    must(pthread_join(thread, NULL), "join");
}

struct dic_guard dic_guard(pthread_mutex_t *mutex)
{
    dic_lock(mutex);
    return (struct dic_guard){mutex};
}

void dic_guard_release(struct dic_guard *guard)
{
    dic_unlock(guard->mutex);
}
