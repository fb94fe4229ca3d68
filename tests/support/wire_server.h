/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on 127.0.0.1 that answers HTTP requests with scripted bytes, right or wrong ones, one
 * step of the script a request, whichever connection it comes on; the last step stays. It keeps
 * what it was sent.
 */
#ifndef DIC_WIRE_SERVER_H
#define DIC_WIRE_SERVER_H

#include "base/buf.h"
#include "base/thread.h"

#include <stdint.h>

enum { WIRE_MAX_STEPS = 64, WIRE_MAX_REQUESTS = 1024, WIRE_MAX_CONNECTIONS = 512 };

enum wire_end {
    WIRE_KEEP,  /* the connection stays open */
    WIRE_CLOSE, /* closed after the bytes */
    WIRE_RESET, /* with a RST */
    WIRE_HOLD,  /* nothing more happens until the client goes or the server is stopped */
};

struct wire_step {
    const char *bytes;
    size_t len; /* 0: strlen(bytes) */
    enum wire_end end;
    size_t after_requests; /* not answered before the server has got so many */
};

struct wire_server {
    uint16_t port;
    int listener;
    pthread_t acceptor;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t changed;
    struct wire_step steps[WIRE_MAX_STEPS];
    size_t step_count;
    size_t next_step;
    struct dic_buf requests[WIRE_MAX_REQUESTS]; /* head and body, as they came */
    size_t request_count;
    size_t connections;
    size_t closed; /* connections the server has closed */
    int sockets[WIRE_MAX_CONNECTIONS];
    pthread_t threads[WIRE_MAX_CONNECTIONS];
};

void wire_server_start(struct wire_server *server);
void wire_server_stop(struct wire_server *server);
/* What was scripted before is forgotten. */
void wire_server_script(struct wire_server *server, size_t count, const struct wire_step *steps);
size_t wire_server_requests(struct wire_server *server);    /* received so far */
size_t wire_server_connections(struct wire_server *server); /* accepted so far */
/* Until so many requests have been received, or connections closed, in all. */
void wire_server_wait_requests(struct wire_server *server, size_t count);
void wire_server_wait_closed(struct wire_server *server, size_t count);

#endif
