/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that stands still until it is moved. Any thread may read it or move it. What waits for a
 * time asks to be told of moves. Both of its times move together.
 */
#ifndef DIC_FAKE_CLOCK_H
#define DIC_FAKE_CLOCK_H

#include "base/clock.h"

enum { DIC_FAKE_CLOCK_START_MS = 1000000000 }; /* wall clock; the monotonic one starts at 1 s */

struct dic_fake_clock;
struct dic_fake_clock *dic_fake_clock_new(void);
void dic_fake_clock_destroy(struct dic_fake_clock *clock); /* NULL is fine */

/* Borrowed: lives as long as the fake clock. */
const struct dic_clock *dic_fake_clock_port(struct dic_fake_clock *clock);
void dic_fake_clock_advance_ms(struct dic_fake_clock *clock, int64_t ms);

/* moved(context) is called after each move, in the mover's thread and without any lock. At most 16
 * listeners; one that is gone must have said so by forget. */
void dic_fake_clock_listen(struct dic_fake_clock *clock, void (*moved)(void *context),
                           void *context);
void dic_fake_clock_forget(struct dic_fake_clock *clock, void *context);

#endif
