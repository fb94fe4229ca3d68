/* SPDX-License-Identifier: Apache-2.0 */
#include "connection_watch.h"

#include "base/mem.h"
#include "base/ticker.h"

#include <stdatomic.h>
#include <sys/socket.h>

enum { TICK_MS = 500, NS_PER_MS = 1000000 };

enum phase { PHASE_HEADERS, PHASE_BODY, PHASE_ANSWERING, PHASE_IDLE };

struct dic_watched {
    const struct dic_clock *clock;
    int fd;
    atomic_int phase;
    atomic_int_fast64_t since_ns;
    atomic_uint_fast64_t body_bytes;
    struct dic_watched *next;
    struct dic_watched *previous;
};

struct dic_watch {
    struct dic_watch_options options;
    struct dic_ticker ticker;
    pthread_mutex_t lock; /* guards all below */
    struct dic_watched *first;
    uint64_t open;
    uint64_t cut;
};

static bool is_too_slow(const struct dic_watch *watch, struct dic_watched *watched, int64_t now_ns)
{
    int64_t spent_ms = (now_ns - atomic_load(&watched->since_ns)) / NS_PER_MS;
    switch ((enum phase)atomic_load(&watched->phase)) {
    case PHASE_HEADERS:
        return spent_ms > watch->options.header_timeout_ms;
    case PHASE_BODY:
        return spent_ms > watch->options.header_timeout_ms &&
               atomic_load(&watched->body_bytes) <
                   (uint64_t)spent_ms * watch->options.body_min_bytes_per_s / 1000;
    case PHASE_IDLE:
        return spent_ms > (int64_t)watch->options.idle_timeout_s * 1000;
    case PHASE_ANSWERING:
    default:
        return false;
    }
}

void dic_watch_look(struct dic_watch *watch)
{
    int64_t now_ns = dic_clock_mono_ns(watch->options.clock);
    DIC_GUARD(&watch->lock);
    for (struct dic_watched *at = watch->first; at != NULL; at = at->next) {
        if (is_too_slow(watch, at, now_ns)) {
            /* The library sees the end of the stream and cleans up; remove follows. */
            shutdown(at->fd, SHUT_RDWR);
            atomic_store(&at->phase, PHASE_ANSWERING);
            watch->cut++;
        }
    }
}

static void *watch_loop(void *arg)
{
    struct dic_watch *watch = arg;
    while (dic_ticker_sleep(&watch->ticker, TICK_MS)) {
        dic_watch_look(watch);
    }
    return NULL;
}

struct dic_watch *dic_watch_new(const struct dic_watch_options *options)
{
    struct dic_watch *watch = dic_calloc(1, sizeof *watch);
    watch->options = *options;
    watch->options.clock = options->clock != NULL ? options->clock : dic_clock_system();
    dic_mutex_init(&watch->lock);
    dic_ticker_start(&watch->ticker, "conn-watch", watch_loop, watch);
    return watch;
}

void dic_watch_destroy(struct dic_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    dic_ticker_stop(&watch->ticker);
    pthread_mutex_destroy(&watch->lock);
    dic_free(watch);
}

static void enter(struct dic_watched *watched, enum phase phase)
{
    if (watched != NULL) {
        atomic_store(&watched->since_ns, dic_clock_mono_ns(watched->clock));
        atomic_store(&watched->phase, (int)phase);
    }
}

struct dic_watched *dic_watch_add(struct dic_watch *watch, int fd)
{
    struct dic_watched *watched = dic_calloc(1, sizeof *watched);
    watched->clock = watch->options.clock;
    watched->fd = fd;
    enter(watched, PHASE_HEADERS);
    DIC_GUARD(&watch->lock);
    watched->next = watch->first;
    if (watch->first != NULL) {
        watch->first->previous = watched;
    }
    watch->first = watched;
    watch->open++;
    return watched;
}

void dic_watch_remove(struct dic_watch *watch, struct dic_watched *watched)
{
    if (watched == NULL) {
        return;
    }
    dic_lock(&watch->lock);
    if (watched->previous != NULL) {
        watched->previous->next = watched->next;
    } else {
        watch->first = watched->next;
    }
    if (watched->next != NULL) {
        watched->next->previous = watched->previous;
    }
    watch->open--;
    dic_unlock(&watch->lock);
    dic_free(watched);
}

void dic_watch_headers(struct dic_watched *watched)
{
    enter(watched, PHASE_HEADERS);
}

void dic_watch_body(struct dic_watched *watched)
{
    if (watched != NULL) {
        atomic_store(&watched->body_bytes, 0);
    }
    enter(watched, PHASE_BODY);
}

void dic_watch_body_bytes(struct dic_watched *watched, uint64_t bytes)
{
    if (watched != NULL) {
        atomic_fetch_add(&watched->body_bytes, bytes);
    }
}

void dic_watch_answering(struct dic_watched *watched)
{
    enter(watched, PHASE_ANSWERING);
}

void dic_watch_idle(struct dic_watched *watched)
{
    enter(watched, PHASE_IDLE);
}

uint64_t dic_watch_open(struct dic_watch *watch)
{
    DIC_GUARD(&watch->lock);
    return watch->open;
}

uint64_t dic_watch_cut(struct dic_watch *watch)
{
    DIC_GUARD(&watch->lock);
    return watch->cut;
}
