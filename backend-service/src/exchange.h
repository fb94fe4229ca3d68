/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, from the request line to the last byte; knows nothing of the HTTP
 * library. Belongs to one thread at a time: the I/O thread, then perhaps a handler thread, then the
 * I/O thread again.
 */
#ifndef DIC_BACKEND_EXCHANGE_H
#define DIC_BACKEND_EXCHANGE_H

#include "handler_pool.h"
#include "http.h"
#include "uri.h"

#include <stdatomic.h>

struct dic_watched;

enum {
    DIC_MAX_URI_BYTES = 2048,
    DIC_MAX_HEADER_BYTES = 16 * 1024,
    DIC_MAX_HEADERS = 100,
};

enum dic_exchange_state {
    DIC_EXCHANGE_NEW,     /* the request line is known */
    DIC_EXCHANGE_BODY,    /* headers are checked */
    DIC_EXCHANGE_WORKING, /* with a handler; the connection is suspended */
    DIC_EXCHANGE_READY,   /* the response is to be sent */
    DIC_EXCHANGE_SENT,
};

struct dic_exchange {
    struct dic_pool_item item; /* first: the pool hands it back */
    struct dic_request request;
    struct dic_response response;
    enum dic_exchange_state state;
    const struct dic_route *route;
    char *target; /* as it came; NULL when over the limit */
    struct dic_buf path;
    struct dic_query query;
    struct dic_buf body;
    bool close_after; /* framing is in doubt */
    bool body_refused;
    size_t dropped_bytes; /* of a refused body */
    struct dic_watched *watched;
    struct dic_api *api; /* for rules of a route's body */
    void *connection;    /* the library's */
    void *io_thread;     /* the server's, that runs the connection */
    void *server;
};

/* target is what stands in the request line. Never NULL. */
struct dic_exchange *dic_exchange_new(const char *target);
void dic_exchange_destroy(struct dic_exchange *exchange);

/* What the headers say, gathered by the server. */
struct dic_head_facts {
    size_t header_count;
    size_t header_bytes;
    size_t hosts;
    size_t content_lengths;
    size_t transfer_encodings;
    struct dic_str content_length;
    struct dic_str transfer_encoding;
    struct dic_str content_type;
    struct dic_str content_encoding;
    bool is_http_1_0;
    bool bad_header;      /* see dic_exchange_header_is_sound */
    const char *repeated; /* a header that may stand once and stands twice, or NULL */
    unsigned seen;        /* of those that may stand once: a bit each */
};

/* Takes one header down. name is NUL-terminated; both live as long as the facts. */
void dic_head_facts_add(struct dic_head_facts *facts, struct dic_str name, struct dic_str value);

/* RFC 9110 sections 5.1 and 5.5: the name is a token, the value has no control characters but tabs.
 * Others could be read as another header by somebody else. */
bool dic_exchange_header_is_sound(struct dic_str name, struct dic_str value);
/* Everything that can be decided before the body: limits, framing, path, query, route, type.
 * *status_out is the answer's status when it is not the code's own. */
DIC_MUST_USE enum dic_code dic_exchange_check_head(struct dic_exchange *exchange,
                                                   const struct dic_head_facts *facts,
                                                   int *status_out, struct dic_err *err);
void dic_exchange_fail(struct dic_exchange *exchange, const struct dic_err *err, int status);
void dic_exchange_log(const struct dic_exchange *exchange, int64_t now_ns);

#endif
