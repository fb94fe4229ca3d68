/* SPDX-License-Identifier: Apache-2.0 */
#include "handler_pool.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stddef.h>

enum { IDLE_MS = 1000 };

struct dic_handler_pool {
    uint32_t thread_count;
    uint32_t max_queued;
    pthread_t *threads;
    pthread_t timer;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;
    pthread_cond_t timing;
    struct dic_pool_item *head;
    struct dic_pool_item *tail;
    uint32_t queued;
    struct dic_pool_item
        *parked; /* unordered: a few hundred at most, looked through at each tick */
    bool hurrying;
    bool closing;
    bool timer_ended;
};

static void enqueue(struct dic_handler_pool *pool, struct dic_pool_item *item)
{
    item->next = NULL;
    if (pool->tail == NULL) {
        pool->head = item;
    } else {
        pool->tail->next = item;
    }
    pool->tail = item;
    pool->queued++;
    pthread_cond_signal(&pool->work);
}

static struct dic_pool_item *take(struct dic_handler_pool *pool)
{
    DIC_GUARD(&pool->lock);
    while (pool->head == NULL && !pool->timer_ended) {
        dic_cond_wait_ms(&pool->work, &pool->lock, -1);
    }
    struct dic_pool_item *item = pool->head;
    if (item != NULL) {
        pool->head = item->next;
        pool->tail = pool->head == NULL ? NULL : pool->tail;
        pool->queued--;
    }
    return item;
}

static void *handle_loop(void *arg)
{
    struct dic_handler_pool *pool = arg;
    for (struct dic_pool_item *item = take(pool); item != NULL; item = take(pool)) {
        item->run(item);
    }
    return NULL;
}

/* Moves what is due to the queue; returns the milliseconds until the next one is. */
static int64_t release_due(struct dic_handler_pool *pool, int64_t now_ns)
{
    int64_t next_ns = now_ns + (int64_t)IDLE_MS * 1000000;
    struct dic_pool_item **link = &pool->parked;
    while (*link != NULL) {
        struct dic_pool_item *item = *link;
        if (pool->hurrying || item->due_ns <= now_ns) {
            *link = item->next;
            enqueue(pool, item);
        } else {
            next_ns = item->due_ns < next_ns ? item->due_ns : next_ns;
            link = &item->next;
        }
    }
    return (next_ns - now_ns) / 1000000 + 1;
}

static void *timer_loop(void *arg)
{
    struct dic_handler_pool *pool = arg;
    DIC_GUARD(&pool->lock);
    for (;;) {
        int64_t wait_ms = release_due(pool, dic_clock_mono_ns(dic_clock_system()));
        if (pool->closing && pool->parked == NULL) {
            break;
        }
        dic_cond_wait_ms(&pool->timing, &pool->lock, wait_ms);
    }
    pool->timer_ended = true;
    pthread_cond_broadcast(&pool->work);
    return NULL;
}

struct dic_handler_pool *dic_handler_pool_new(uint32_t threads, uint32_t max_queued)
{
    struct dic_handler_pool *pool = dic_calloc(1, sizeof *pool);
    pool->thread_count = threads;
    pool->max_queued = max_queued;
    pool->threads = dic_calloc(threads, sizeof *pool->threads);
    dic_mutex_init(&pool->lock);
    dic_cond_init(&pool->work);
    dic_cond_init(&pool->timing);
    for (uint32_t i = 0; i < threads; i++) {
        dic_thread_start(&pool->threads[i], "handler", handle_loop, pool);
    }
    dic_thread_start(&pool->timer, "parked", timer_loop, pool);
    return pool;
}

bool dic_handler_pool_submit(struct dic_handler_pool *pool, struct dic_pool_item *item)
{
    DIC_GUARD(&pool->lock);
    if (pool->queued >= pool->max_queued) {
        return false;
    }
    enqueue(pool, item);
    return true;
}

void dic_handler_pool_park(struct dic_handler_pool *pool, struct dic_pool_item *item,
                           int64_t delay_ms)
{
    DIC_GUARD(&pool->lock);
    if (pool->hurrying) { /* the timer may have ended already */
        enqueue(pool, item);
        return;
    }
    item->due_ns = dic_clock_mono_ns(dic_clock_system()) + delay_ms * 1000000;
    item->next = pool->parked;
    pool->parked = item;
    pthread_cond_signal(&pool->timing);
}

void dic_handler_pool_hurry(struct dic_handler_pool *pool)
{
    DIC_GUARD(&pool->lock);
    pool->hurrying = true;
    pthread_cond_signal(&pool->timing);
}

void dic_handler_pool_destroy(struct dic_handler_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    dic_lock(&pool->lock);
    pool->hurrying = true;
    pool->closing = true;
    pthread_cond_signal(&pool->timing);
    dic_unlock(&pool->lock);
    dic_thread_join(pool->timer);
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        dic_thread_join(pool->threads[i]);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->timing);
    dic_free(pool->threads);
    dic_free(pool);
}
