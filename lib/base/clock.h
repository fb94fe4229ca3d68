/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, behind a struct so that tests can hold it still. Any thread may call.
 * wall_ms is for people and records (milliseconds since 1970, may jump); mono_ns is for durations
 * and leases: CLOCK_BOOTTIME, which goes on while the machine sleeps.
 */
#ifndef DIC_BASE_CLOCK_H
#define DIC_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct dic_clock {
    int64_t (*wall_ms)(void *impl);
    int64_t (*mono_ns)(void *impl);
    void *impl;
};

const struct dic_clock *dic_clock_system(void);

int64_t dic_clock_wall_ms(const struct dic_clock *clock);
int64_t dic_clock_mono_ms(const struct dic_clock *clock);
int64_t dic_clock_mono_ns(const struct dic_clock *clock);

void dic_sleep_ms(int64_t ms);

/* "2026-01-31T23:59:59.123Z" */
enum { DIC_TIME_TEXT_SIZE = 80 };
void dic_time_format(int64_t wall_ms, char text_out[DIC_TIME_TEXT_SIZE]);

/* A time in UTC from its parts (year − 1900, month − 1). False when there is no such time: before
 * 1970, 31 April, 24:00. A 60th second is the next minute's first. */
struct tm;
bool dic_time_from_parts(const struct tm *parts, int64_t *wall_ms_out);

/* An absolute CLOCK_MONOTONIC time ms from now, for condition variables made with
 * dic_cond_init (their clock is CLOCK_MONOTONIC). */
struct timespec;
void dic_deadline_in_ms(int64_t ms, struct timespec *deadline_out);

#endif
