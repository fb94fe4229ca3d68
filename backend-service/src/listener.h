/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket, shared by the I/O threads: any of them may call. Accepting never ends: what
 * went wrong with one client is skipped, and while the process or the system is out of descriptors
 * or memory the clients wait in the system's queue and the threads look again ten times a second.
 */
#ifndef DIC_BACKEND_LISTENER_H
#define DIC_BACKEND_LISTENER_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

struct dic_listener;

/* How long nothing is accepted after the system had nothing to accept with. */
enum { DIC_ACCEPT_PAUSE_MS = 100 };

/* Raises the process's limit of descriptors, as far as it may, to what so many connections and the
 * rest of a service need; logs when that is not far enough. */
void dic_listener_make_room(uint32_t connections);

/* address is numeric, IPv4 or IPv6; port 0 takes a free one. */
DIC_MUST_USE enum dic_code dic_listener_open(const char *address, uint16_t port,
                                             struct dic_listener **listener_out,
                                             struct dic_err *err);
uint16_t dic_listener_port(const struct dic_listener *listener);
/* From now on nothing is accepted; the queue is refused by dic_listener_close. */
void dic_listener_stop(struct dic_listener *listener);
/* After the threads that use it have ended; NULL is fine. */
void dic_listener_close(struct dic_listener *listener);

/* The descriptor to wait on, or −1 while there is nothing to accept or nothing to accept with;
 * *again_ms_out is then the time after which to ask again, −1 for never. */
int dic_listener_poll_fd(const struct dic_listener *listener, int64_t *again_ms_out);
/* A connected, non-blocking socket, which the caller owns, or −1. */
int dic_listener_accept(struct dic_listener *listener, struct sockaddr_storage *peer_out,
                        socklen_t *peer_len_out);

#endif
