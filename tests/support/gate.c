/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

void dic_gate_init(struct dic_gate *gate, uint32_t tickets)
{
    *gate = (struct dic_gate){.tickets = tickets};
    dic_mutex_init(&gate->lock);
    dic_cond_init(&gate->changed);
}

void dic_gate_clean_up(struct dic_gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->changed);
}

void dic_gate_pass(struct dic_gate *gate)
{
    DIC_GUARD(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->tickets == 0) {
        dic_cond_wait_ms(&gate->changed, &gate->lock, -1);
    }
    gate->tickets -= gate->tickets == DIC_GATE_OPEN ? 0 : 1;
    gate->waiting--;
    gate->passed++;
    pthread_cond_broadcast(&gate->changed);
}

void dic_gate_let(struct dic_gate *gate, uint32_t tickets)
{
    DIC_GUARD(&gate->lock);
    gate->tickets = tickets == DIC_GATE_OPEN ? tickets : gate->tickets + tickets;
    pthread_cond_broadcast(&gate->changed);
}

void dic_gate_await_waiting(struct dic_gate *gate, uint32_t count)
{
    DIC_GUARD(&gate->lock);
    while (gate->waiting < count) {
        dic_cond_wait_ms(&gate->changed, &gate->lock, -1);
    }
}

void dic_gate_await_passed(struct dic_gate *gate, uint32_t count)
{
    DIC_GUARD(&gate->lock);
    while (gate->passed < count) {
        dic_cond_wait_ms(&gate->changed, &gate->lock, -1);
    }
}
