/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIC_BASE_CPU_H
#define DIC_BASE_CPU_H

#include <stdint.h>

/* How many CPUs this process may use: the smaller of its affinity and its cgroup's quota, rounded
 * up; at least 1. */
uint32_t dic_cpu_count(void);

#endif
