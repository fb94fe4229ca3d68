/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIC_BASE_CPU_H
#define DIC_BASE_CPU_H

#include <stdint.h>

/* How many CPUs this process may use: the smaller of its affinity and its cgroup's quota, rounded
 * up; at least 1. */
uint32_t dic_cpu_count(void);

/* The quota alone, from the cgroup file system mounted there (version 2, else 1); 0: none. */
uint32_t dic_cpu_quota(const char *cgroup_folder);

#endif
