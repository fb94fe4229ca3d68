/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts connections whose headers do not come, whose body crawls, or that idle too long in mid-line:
 * the HTTP library's own timeout starts anew with every byte. One thread looks twice a second.
 */
#ifndef DIC_BACKEND_CONNECTION_WATCH_H
#define DIC_BACKEND_CONNECTION_WATCH_H

#include "base/clock.h"

#include <stdint.h>

struct dic_watch;
struct dic_watched; /* one connection */

struct dic_watch_options {
    uint32_t header_timeout_ms;
    uint32_t body_min_bytes_per_s;
    uint32_t idle_timeout_s;
    const struct dic_clock *clock; /* NULL: the system's */
};

struct dic_watch *dic_watch_new(const struct dic_watch_options *options);
void dic_watch_destroy(struct dic_watch *watch); /* after the last connection has ended */

/* One look, as the thread has it: cuts those that are too slow now. */
void dic_watch_look(struct dic_watch *watch);

struct dic_watched *dic_watch_add(struct dic_watch *watch, int fd);
void dic_watch_remove(struct dic_watch *watch, struct dic_watched *watched);
/* The phases of a connection; each one restarts its clock. NULL watched is fine. */
void dic_watch_headers(struct dic_watched *watched); /* a request line has come */
void dic_watch_body(struct dic_watched *watched);    /* headers are complete */
void dic_watch_body_bytes(struct dic_watched *watched, uint64_t bytes);
void dic_watch_answering(struct dic_watched *watched); /* the client has done its part */
void dic_watch_idle(struct dic_watched *watched);      /* the answer is sent */

uint64_t dic_watch_open(struct dic_watch *watch);
uint64_t dic_watch_cut(struct dic_watch *watch); /* connections cut so far */

#endif
