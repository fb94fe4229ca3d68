/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>

enum { PATH_BYTES = 256 };

/* Rounded up; what cannot be is no quota. */
static uint32_t cpus_of(long quota_us, long period_us)
{
    if (quota_us <= 0 || period_us <= 0) {
        return 0;
    }
    const long cpus = (quota_us - 1) / period_us + 1;
    return cpus > INT_MAX ? INT_MAX : (uint32_t)cpus;
}

/* Up to two numbers at the start of a file; the others stay as they are. */
static void read_numbers(const char *folder, const char *name, long *first, long *second)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        int fields = fscanf(file, "%ld %ld", first, second);
        (void)fields; /* "max" is no number, and no quota */
        fclose(file);
    }
}

uint32_t dic_cpu_quota(const char *cgroup_folder)
{
    long quota = 0;
    long period = 0;
    long ignored = 0;
    read_numbers(cgroup_folder, "cpu.max", &quota, &period); /* "max 100000" or "200000 100000" */
    if (cpus_of(quota, period) == 0) {
        read_numbers(cgroup_folder, "cpu/cpu.cfs_quota_us", &quota, &ignored);
        read_numbers(cgroup_folder, "cpu/cpu.cfs_period_us", &period, &ignored);
    }
    return cpus_of(quota, period);
}

uint32_t dic_cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    uint32_t count = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    const uint32_t quota = dic_cpu_quota("/sys/fs/cgroup");
    count = quota > 0 && quota < count ? quota : count;
    return count > 0 ? count : 1;
}
