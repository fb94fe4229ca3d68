/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_clock.h"

#include "base/mem.h"
#include "base/thread.h"

#include <stdlib.h>

enum { MAX_LISTENERS = 16 };

struct listener {
    void (*moved)(void *context);
    void *context;
};

struct dic_fake_clock {
    struct dic_clock port;
    pthread_mutex_t lock; /* guards the two below */
    int64_t passed_ms;
    struct listener listeners[MAX_LISTENERS];
};

static int64_t passed(struct dic_fake_clock *clock)
{
    DIC_GUARD(&clock->lock);
    return clock->passed_ms;
}

static int64_t wall_ms(void *impl)
{
    return DIC_FAKE_CLOCK_START_MS + passed(impl);
}

static int64_t mono_ns(void *impl)
{
    return (1000 + passed(impl)) * 1000000;
}

struct dic_fake_clock *dic_fake_clock_new(void)
{
    struct dic_fake_clock *clock = dic_calloc(1, sizeof *clock);
    clock->port = (struct dic_clock){wall_ms, mono_ns, clock};
    dic_mutex_init(&clock->lock);
    return clock;
}

void dic_fake_clock_destroy(struct dic_fake_clock *clock)
{
    if (clock != NULL) {
        pthread_mutex_destroy(&clock->lock);
        dic_free(clock);
    }
}

const struct dic_clock *dic_fake_clock_port(struct dic_fake_clock *clock)
{
    return &clock->port;
}

void dic_fake_clock_advance_ms(struct dic_fake_clock *clock, int64_t ms)
{
    struct listener listeners[MAX_LISTENERS];
    dic_lock(&clock->lock);
    clock->passed_ms += ms;
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        listeners[i] = clock->listeners[i];
    }
    dic_unlock(&clock->lock);
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        if (listeners[i].moved != NULL) {
            listeners[i].moved(listeners[i].context);
        }
    }
}

static void replace(struct dic_fake_clock *clock, void *old_context, struct listener by)
{
    DIC_GUARD(&clock->lock);
    for (size_t i = 0; i < MAX_LISTENERS; i++) {
        if (clock->listeners[i].context == old_context) {
            clock->listeners[i] = by;
            return;
        }
    }
    abort(); /* a test with too many listeners, or one that was never there */
}

void dic_fake_clock_listen(struct dic_fake_clock *clock, void (*moved)(void *context),
                           void *context)
{
    replace(clock, NULL, (struct listener){moved, context});
}

void dic_fake_clock_forget(struct dic_fake_clock *clock, void *context)
{
    replace(clock, context, (struct listener){0});
}
