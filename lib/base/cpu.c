/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>

/* "max 100000" or "200000 100000": quota and period in microseconds (cgroup v2). */
static uint32_t quota_v2(void)
{
    long quota = 0;
    long period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return 0;
    }
    int fields = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    return fields == 2 && quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static long read_long(const char *path)
{
    long value = 0;
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        int fields = fscanf(file, "%ld", &value);
        value = fields == 1 ? value : 0;
        fclose(file);
    }
    return value;
}

static uint32_t quota_v1(void)
{
    long quota = read_long("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    long period = read_long("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    return quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

uint32_t dic_cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    uint32_t count = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    uint32_t quota = quota_v2();
    quota = quota == 0 ? quota_v1() : quota;
    count = quota > 0 && quota < count ? quota : count;
    return count > 0 ? count : 1;
}
