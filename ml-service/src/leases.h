/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages in a worker's hands: hidden from others by renewing their leases, until the work on
 * them ends and they are removed or given back. Any thread may call; all but keep and forget call
 * the queue.
 *
 * A renewal may be on its way when the work ends, and would hide the message again that is given
 * back: so whoever ends a lease waits for the renewal of that lease, and none comes after it.
 */
#ifndef DIC_ML_LEASES_H
#define DIC_ML_LEASES_H

#include "store/job_queue.h"

/* One message in hand, kept alive by its owner until it is forgotten, removed or given back. */
struct dic_lease {
    const struct dic_delivery *delivery;
    /* the module's own: */
    struct dic_lease *prev;
    struct dic_lease *next;
    bool renewing;
};

struct dic_leases_options {
    struct dic_job_queue queue; /* borrowed */
    uint32_t visibility_s;      /* what a renewal asks for */
};

struct dic_leases;

struct dic_leases *dic_leases_new(const struct dic_leases_options *options);
void dic_leases_destroy(struct dic_leases *leases); /* NULL is fine */

/* From now on it is renewed. */
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

/* One round over all that are kept. */
void dic_leases_renew(struct dic_leases *leases);
/* Gives back what could not be given back before. */
void dic_leases_give_back_again(struct dic_leases *leases);

/* A warning about the work on a delivery. */
void dic_delivery_log_failure(const char *event, const struct dic_delivery *delivery,
                              const struct dic_err *err);

#endif
