/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that stands still until somebody sleeps or steps it. Any thread may read and step it; one
 * at a time may sleep. */
#ifndef DIC_SLEEP_CLOCK_H
#define DIC_SLEEP_CLOCK_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>

enum { FAKE_CLOCK_MAX_SLEEPS = 64 };

struct fake_clock {
    struct dic_clock clock;
    atomic_int_least64_t wall_ms;
    atomic_int_least64_t mono_ms;
    int64_t slept_ms[FAKE_CLOCK_MAX_SLEEPS];
    size_t sleeps;
};

static inline int64_t fake_clock_wall(void *impl)
{
    return ((struct fake_clock *)impl)->wall_ms;
}

static inline int64_t fake_clock_mono(void *impl)
{
    return ((struct fake_clock *)impl)->mono_ms * 1000000;
}

static inline void fake_clock_init(struct fake_clock *fake, int64_t wall_ms)
{
    *fake = (struct fake_clock){
        .clock = {fake_clock_wall, fake_clock_mono, fake}, .wall_ms = wall_ms, .mono_ms = 1000000};
}

static inline void fake_clock_advance(struct fake_clock *fake, int64_t ms)
{
    fake->wall_ms += ms;
    fake->mono_ms += ms;
}

/* For sleep hooks. */
static inline void fake_clock_sleep(void *context, int64_t ms)
{
    struct fake_clock *fake = context;
    fake->slept_ms[fake->sleeps % FAKE_CLOCK_MAX_SLEEPS] = ms;
    fake->sleeps++;
    fake_clock_advance(fake, ms);
}

#endif
