/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages in a worker's hands: hidden from others by renewing their leases, until the work on
 * them ends and they are removed or given back. Any thread may call; those that renew, remove or
 * give back call the queue.
 *
 * Work that is stuck loses its lease, so that another worker gets it. Messages stand in line, as
 * the pipeline takes images and the planner takes jobs: one that waits for its turn is not stuck
 * while what is ahead of it moves. So a lease is renewed unless neither its own work nor any ahead
 * of it moved, and none ahead of it ended, for DIC_STALLED_S; and a chunk's for at most
 * DIC_MAX_CHUNK_HOLD_S. What moves again is renewed again.
 *
 * A renewal may be on its way when the work ends, and would hide the message again that is given
 * back: so whoever ends a lease waits for the renewal of that lease, and none comes after it.
 */
#ifndef DIC_ML_LEASES_H
#define DIC_ML_LEASES_H

#include "base/clock.h"
#include "store/job_queue.h"

#include <stdatomic.h>

/* Chunks and plans are worked on side by side, each in their own order. */
enum dic_line { DIC_LINE_CHUNKS, DIC_LINE_PLANS, DIC_LINE_COUNT };

/* One message in hand, kept alive by its owner until it is forgotten, removed or given back. */
struct dic_lease {
    const struct dic_delivery *delivery;
    enum dic_line line;
    const atomic_uint *steps; /* changes with each step of the work */
    /* the module's own: */
    struct dic_lease *prev;
    struct dic_lease *next;
    bool renewing;
    bool let_go;
    unsigned seen_steps;
    int64_t kept_ms;
    int64_t moved_ms;
};

struct dic_leases_options {
    struct dic_job_queue queue; /* borrowed */
    const struct dic_clock *clock;
    uint32_t visibility_s; /* what a renewal asks for */
};

struct dic_leases;

struct dic_leases *dic_leases_new(const struct dic_leases_options *options);
void dic_leases_destroy(struct dic_leases *leases); /* NULL is fine */

/* From now on it is renewed; it is the last of its line. */
void dic_leases_keep(struct dic_leases *leases, struct dic_lease *lease);

/* Each of these ends the lease of a delivery, if one is kept. What fails is logged; the message
 * comes back when its visibility timeout is over, and nothing is lost. */
void dic_leases_forget(struct dic_leases *leases, const struct dic_delivery *delivery);
void dic_leases_remove(struct dic_leases *leases, const struct dic_delivery *delivery);
/* It comes again in so many seconds. */
void dic_leases_give_back(struct dic_leases *leases, const struct dic_delivery *delivery,
                          uint32_t seconds);
/* At once, and as though it had not been received: the worker ends, which is not the work's fault.
 */
void dic_leases_hand_back(struct dic_leases *leases, const struct dic_delivery *delivery);
/* It failed by what may pass in a moment or in an hour: longer each time it was received. */
void dic_leases_try_later(struct dic_leases *leases, const struct dic_delivery *delivery);

/* Looks at what has moved, which is known no finer than this is called. */
void dic_leases_look(struct dic_leases *leases);
/* One round over all that are kept. */
void dic_leases_renew(struct dic_leases *leases);
/* Gives back what could not be given back before. */
void dic_leases_give_back_again(struct dic_leases *leases);

/* A warning about the work on a delivery. */
void dic_delivery_log_failure(const char *event, const struct dic_delivery *delivery,
                              const struct dic_err *err);

#endif
