/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that run handlers, and the list of requests that wait to be asked again. No thread is
 * held by a request that waits. Any thread may call.
 */
#ifndef DIC_BACKEND_HANDLER_POOL_H
#define DIC_BACKEND_HANDLER_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct dic_handler_pool;

/* Embedded in what is to be run; belongs to the pool between submit or park and run. */
struct dic_pool_item {
    void (*run)(struct dic_pool_item *item);
    struct dic_pool_item *next;
    int64_t due_ns;
};

/* max_queued bounds what waits for a thread; parked items are bounded by the connections. */
struct dic_handler_pool *dic_handler_pool_new(uint32_t threads, uint32_t max_queued);
/* False when the queue is full. */
bool dic_handler_pool_submit(struct dic_handler_pool *pool, struct dic_pool_item *item);
/* Runs the item after delay_ms, or when hurry is called. */
void dic_handler_pool_park(struct dic_handler_pool *pool, struct dic_pool_item *item,
                           int64_t delay_ms);
/* From now on parked items run at once. */
void dic_handler_pool_hurry(struct dic_handler_pool *pool);
/* Runs everything that was submitted or parked, then ends the threads. */
void dic_handler_pool_destroy(struct dic_handler_pool *pool);

#endif
