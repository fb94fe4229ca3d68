/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a queue as SQS has it: at-least-once, unordered, a received message is hidden for its
 * visibility timeout and comes back when it was not deleted. Any thread may call; all may block.
 */
#ifndef DIC_STORE_JOB_QUEUE_H
#define DIC_STORE_JOB_QUEUE_H

#include "base/err.h"
#include "base/rand.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIC_MESSAGE_BODY_SIZE = 256, DIC_RECEIPT_SIZE = 1100, DIC_RECEIVE_MAX = 10 };

/* What a message asks for. It names work and holds none of it. */
enum dic_message_kind {
    DIC_MESSAGE_PLAN,  /* cut the job into chunks, from where planning stopped */
    DIC_MESSAGE_CHUNK, /* classify one chunk */
    DIC_MESSAGE_SEAL,  /* finish a cancelled, expired or failed job */
};
struct dic_message {
    enum dic_message_kind kind;
    char job_id[DIC_ID_SIZE];
    uint32_t chunk; /* for DIC_MESSAGE_CHUNK */
    /* Of one that was sent anew to be handed back: what it had been through. Otherwise 0. */
    uint32_t earlier_receives;
    int64_t first_sent_ms;
};

/* JSON {"v":1,"tenant":…,"kind":…,"job":…,"chunk":…}, and "receives" and "sent" where they are
 * not 0. */
size_t dic_message_write(const struct dic_message *message, char out[DIC_MESSAGE_BODY_SIZE]);
/* DIC_E_MALFORMED: not ours. DIC_E_UNSUPPORTED: of a newer version, to be left in the queue. */
DIC_MUST_USE enum dic_code dic_message_parse(struct dic_str body, struct dic_message *out,
                                             struct dic_err *err);

struct dic_delivery {
    char receipt[DIC_RECEIPT_SIZE];
    uint32_t receive_count; /* 1 at the first delivery; without those that were handed back */
    int64_t sent_ms;        /* wall clock, of the first sending */
    bool understood;        /* message is valid; otherwise body is not ours */
    struct dic_message message;
};

struct dic_queue_depth {
    int64_t visible;
    int64_t in_flight;
};

struct dic_job_queue_ops {
    /* Any number; returns when all are durably in the queue, or an error with some of them sent. */
    enum dic_code (*send)(void *impl, const struct dic_message *messages, size_t count,
                          struct dic_err *err);
    /* Waits up to wait_ms for at least one; *count_out may be 0. max ≤ DIC_RECEIVE_MAX. */
    enum dic_code (*receive)(void *impl, struct dic_delivery *out, size_t max,
                             uint32_t visibility_s, int64_t wait_ms, size_t *count_out,
                             struct dic_err *err);
    /* visibility_s 0 gives the message back at once. DIC_E_NOT_FOUND: the lease is lost. */
    enum dic_code (*extend)(void *impl, const char *receipt, uint32_t visibility_s,
                            struct dic_err *err);
    /* Gives the message back at once as though this delivery had not been: the next one has the
     * same receive_count. For a worker that ends in good order, whose end says nothing about the
     * work. A queue that cannot take a delivery back sends the message anew and removes the old
     * one; so there may be two of it. What is not understood is only given back. After an error the
     * delivery is as it was. DIC_E_NOT_FOUND: the lease is lost. */
    enum dic_code (*hand_back)(void *impl, const struct dic_delivery *delivery,
                               struct dic_err *err);
    enum dic_code (*remove)(void *impl, const char *receipt, struct dic_err *err);
    enum dic_code (*depth)(void *impl, struct dic_queue_depth *out, struct dic_err *err);
    /* Wakes all callers of receive, which return with 0 messages (for a prompt shutdown). */
    void (*wake)(void *impl);
    void (*destroy)(void *impl);
};

struct dic_job_queue {
    const struct dic_job_queue_ops *ops;
    void *impl;
};

#endif
