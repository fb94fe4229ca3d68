/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: connections, limits, timeouts, dispatch. I/O threads parse requests; a handler
 * whose route says inline_ok runs there when the store is local, every other one runs on one of
 * handler_threads, so that a slow store never stops the I/O. Any thread may call the functions.
 */
#ifndef DIC_BACKEND_SERVER_H
#define DIC_BACKEND_SERVER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct dic_api;
struct dic_server;

struct dic_server_options {
    const char *bind_address; /* numeric, e.g. "127.0.0.1" */
    uint16_t port;            /* 0: any free one */
    uint32_t io_threads;
    uint32_t handler_threads;
    uint32_t max_connections;      /* further ones wait in the system's queue */
    uint64_t body_budget_bytes;    /* of all requests together; 503 beyond it */
    uint32_t header_timeout_ms;    /* headers complete, from the first byte or the accept */
    uint32_t body_min_bytes_per_s; /* after header_timeout_ms of body */
    uint32_t idle_timeout_s;       /* keep-alive */
    bool allow_inline;             /* inline_ok routes may run on I/O threads */
    struct dic_api *api;           /* borrowed */
};

DIC_MUST_USE enum dic_code dic_server_start(const struct dic_server_options *options,
                                            struct dic_server **server_out, struct dic_err *err);
uint16_t dic_server_port(const struct dic_server *server);
/* Stops accepting, answers parked requests at once, waits up to grace_ms for open ones. */
void dic_server_stop(struct dic_server *server, uint32_t grace_ms);
void dic_server_destroy(struct dic_server *server); /* after stop; NULL is fine */

struct dic_server_counts {
    uint64_t connections; /* open now */
    uint64_t requests;    /* answered, all time */
    uint64_t by_class[6]; /* answers 1xx … 5xx at [1] … [5] */
    uint64_t body_bytes;  /* held now */
    uint64_t refused;     /* connections refused or cut by a limit or timeout */
};
void dic_server_counts(const struct dic_server *server, struct dic_server_counts *out);

#endif
