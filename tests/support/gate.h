/* SPDX-License-Identifier: Apache-2.0 */
/* Where a test holds threads up, and knows that they have come: events instead of sleeps. */
#ifndef DIC_GATE_H
#define DIC_GATE_H

#include "base/thread.h"

struct dic_gate {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    uint32_t tickets; /* how many may still pass; UINT32_MAX: all */
    uint32_t waiting;
    uint32_t passed;
};

enum { DIC_GATE_CLOSED = 0 };
#define DIC_GATE_OPEN UINT32_MAX

void dic_gate_init(struct dic_gate *gate, uint32_t tickets);
void dic_gate_clean_up(struct dic_gate *gate);
/* For the threads held up. */
void dic_gate_pass(struct dic_gate *gate);
/* For the test. */
void dic_gate_let(struct dic_gate *gate, uint32_t tickets); /* so many more */
void dic_gate_await_waiting(struct dic_gate *gate, uint32_t count);
void dic_gate_await_passed(struct dic_gate *gate, uint32_t count);

#endif
