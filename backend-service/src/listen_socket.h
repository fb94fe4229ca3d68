/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket on which the server takes connections. Opened here, not by the HTTP library: 1.0.1
 * loses the reason when an address is taken. Any thread may call it; the caller owns the socket.
 */
#ifndef DIC_BACKEND_LISTEN_SOCKET_H
#define DIC_BACKEND_LISTEN_SOCKET_H

#include "base/err.h"

#include <stdint.h>

/*
 * Listens on a numeric IPv4 or IPv6 address; an IPv6 one takes no IPv4 connections. Port 0 takes a
 * free one; *port_out says which. Never shares a port with another process, but takes one that a
 * process left with connections in TIME_WAIT. Errors: DIC_E_INVALID for an address that is not
 * numeric, DIC_E_UPSTREAM with the system's reason for one that cannot be had.
 */
DIC_MUST_USE enum dic_code dic_listen_socket(const char *bind_address, uint16_t port, int *fd_out,
                                             uint16_t *port_out, struct dic_err *err);

#endif
