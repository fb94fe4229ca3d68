/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An I/O thread. It waits for three things at once, the HTTP library's descriptor, new connections
 * and a wake-up, so the library itself never blocks (see docs/adr/0010).
 */
#ifndef DIC_BACKEND_IO_LOOP_H
#define DIC_BACKEND_IO_LOOP_H

#include "listener.h"

#include <stdbool.h>

struct dic_io_loop;

/* What the loop serves; the functions are called on its thread only. */
struct dic_io_work {
    int fd; /* readable when run has something to do */
    void (*run)(void *context);
    int64_t (*timeout_ms)(void *context); /* until run must be called in any case; −1: never */
    bool (*has_room)(void *context);      /* for another connection */
    void (*add)(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len);
    void *context;
};

/* listener is borrowed and may be shared. */
DIC_MUST_USE enum dic_code dic_io_loop_start(const struct dic_io_work *work,
                                             struct dic_listener *listener,
                                             struct dic_io_loop **loop_out, struct dic_err *err);
/* Makes it look again at what it waits for. Any thread may call; NULL is fine. */
void dic_io_loop_wake(struct dic_io_loop *loop);
/* Ends the thread; NULL is fine. */
void dic_io_loop_stop(struct dic_io_loop *loop);

#endif
