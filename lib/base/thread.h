/* SPDX-License-Identifier: Apache-2.0 */
/* pthread calls that can only fail by a bug or for want of memory: both abort. */
#ifndef DIC_BASE_THREAD_H
#define DIC_BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void dic_mutex_init(pthread_mutex_t *mutex);
void dic_cond_init(pthread_cond_t *cond); /* waits on CLOCK_MONOTONIC */
void dic_lock(pthread_mutex_t *mutex);
void dic_unlock(pthread_mutex_t *mutex);
/* False when ms passed without a wake-up; ms < 0 waits for ever. */
bool dic_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms);

/* All signals are blocked in the new thread: the main thread takes them. name ≤ 15 bytes. */
void dic_thread_start(pthread_t *thread_out, const char *name, void *(*run)(void *), void *arg);
void dic_thread_join(pthread_t thread);

/* For DIC_CLEANUP: struct dic_guard guard = dic_guard(&mutex); unlocks at the end of the scope. */
struct dic_guard {
    pthread_mutex_t *mutex;
};
struct dic_guard dic_guard(pthread_mutex_t *mutex);
void dic_guard_release(struct dic_guard *guard);
#define DIC_GUARD(mutex)                                                           \
    DIC_CLEANUP(dic_guard_release) struct dic_guard dic_guard_ = dic_guard(mutex); \
    (void)dic_guard_

#endif
