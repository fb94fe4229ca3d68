/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now = {0};
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(void *impl)
{
    (void)impl; /* the system clock has no state */
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_mono_ns(void *impl)
{
    (void)impl; /* the system clock has no state */
    return read_ns(CLOCK_BOOTTIME);
}

const struct dic_clock *dic_clock_system(void)
{
    static const struct dic_clock clock = {system_wall_ms, system_mono_ns, NULL};
    return &clock;
}

int64_t dic_clock_wall_ms(const struct dic_clock *clock)
{
    return clock->wall_ms(clock->impl);
}

int64_t dic_clock_mono_ns(const struct dic_clock *clock)
{
    return clock->mono_ns(clock->impl);
}

int64_t dic_clock_mono_ms(const struct dic_clock *clock)
{
    return dic_clock_mono_ns(clock) / 1000000;
}

void dic_sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void dic_time_format(int64_t wall_ms, char text_out[DIC_TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    snprintf(text_out, DIC_TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
             (parts.tm_year + 1900) % 10000, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
             parts.tm_min, parts.tm_sec, (int)(wall_ms % 1000));
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month] + (month == 1 && leap ? 1 : 0);
}

bool dic_time_from_parts(const struct tm *parts, int64_t *wall_ms_out)
{
    struct tm copy = *parts; /* timegm makes it normal */
    if (parts->tm_year < 70 || parts->tm_mon < 0 || parts->tm_mon > 11 || parts->tm_mday < 1 ||
        parts->tm_mday > days_in(parts->tm_year + 1900, parts->tm_mon) || parts->tm_hour < 0 ||
        parts->tm_hour > 23 || parts->tm_min < 0 || parts->tm_min > 59 || parts->tm_sec < 0 ||
        parts->tm_sec > 60) {
        return false;
    }
    *wall_ms_out = (int64_t)timegm(&copy) * 1000;
    return true;
}

void dic_deadline_in_ms(int64_t ms, struct timespec *deadline_out)
{
    clock_gettime(CLOCK_MONOTONIC, deadline_out);
    deadline_out->tv_sec += (time_t)(ms / 1000);
    deadline_out->tv_nsec += (ms % 1000) * 1000000;
    if (deadline_out->tv_nsec >= 1000000000) {
        deadline_out->tv_nsec -= 1000000000;
        deadline_out->tv_sec++;
    }
}
