/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue port in memory, on the system's clock or on one that a test moves. Messages are kept as
 * bodies and parsed at each delivery, as a real queue does. Any thread may call.
 * A hook sees each operation before it happens and says what goes wrong with it; it is called
 * without a lock, so it may block, move the clock and use the queue.
 */
#ifndef DIC_JOB_QUEUE_MEMORY_H
#define DIC_JOB_QUEUE_MEMORY_H

#include "fake_clock.h"
#include "store/job_queue.h"

enum dic_queue_op {
    DIC_QUEUE_SEND,    /* asked for each message */
    DIC_QUEUE_RECEIVE, /* asked once without a message, then for each that would be delivered */
    DIC_QUEUE_EXTEND,
    DIC_QUEUE_HAND_BACK,
    DIC_QUEUE_REMOVE,
    DIC_QUEUE_DEPTH,
};

struct dic_queue_call {
    enum dic_queue_op op;
    const struct dic_message *message; /* NULL: none, or a body that is not ours */
    uint32_t receive_count;            /* of the delivery at hand; 0 where there is none */
    uint32_t visibility_s;             /* of receive and extend */
};

enum dic_queue_fault_kind {
    DIC_QUEUE_WORKS,
    DIC_QUEUE_FAILS,       /* nothing happens, and the caller gets the code */
    DIC_QUEUE_ANSWER_LOST, /* it happens, but the caller gets the code */
    DIC_QUEUE_DROPS,       /* nothing happens, and the caller is told that it did */
    DIC_QUEUE_DUPLICATES,  /* there is a second copy of the message, with a life of its own */
    DIC_QUEUE_DELAYS,      /* it happens delay_ms later; the caller is told that it has */
};

/*
 * What they mean to a receive. For the call: FAILS makes it fail, all else is ignored. For a
 * message: FAILS and DROPS pass over it, so that it stays visible (a queue has no order);
 * ANSWER_LOST hides it without delivering it; with DELAYS its lease began delay_ms ago.
 */
struct dic_queue_fault {
    enum dic_queue_fault_kind kind;
    enum dic_code code; /* DIC_OK stands for DIC_E_UPSTREAM */
    int64_t delay_ms;
};

typedef struct dic_queue_fault (*dic_queue_hook)(void *context, const struct dic_queue_call *call);

/* clock NULL: the system's. On a fake clock a waiting receiver waits until the clock is moved, a
 * message comes or somebody wakes it. The clock is borrowed. The caller ends the queue with
 * ops->destroy. */
struct dic_job_queue dic_job_queue_memory_new(struct dic_fake_clock *clock);
/* NULL: none. To be set while nobody else uses the queue. */
void dic_job_queue_memory_set_hook(struct dic_job_queue queue, dic_queue_hook hook, void *context);
/* Any text of less than DIC_MESSAGE_BODY_SIZE bytes, as another program could send it. */
void dic_job_queue_memory_send_body(struct dic_job_queue queue, struct dic_str body);

#endif
