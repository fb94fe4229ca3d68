/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handler sees of HTTP: a parsed request and a response to fill. server.c alone knows the
 * HTTP library; router.c maps method and path to handlers; api_*.c are the handlers.
 *
 * A handler is called by one thread, with a request that is complete (body read, limits checked).
 * It may be called again for the same request when it answered DIC_HANDLE_LATER; between the calls
 * no thread is held.
 */
#ifndef DIC_BACKEND_HTTP_H
#define DIC_BACKEND_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum dic_method {
    DIC_GET = 1,
    DIC_HEAD = 2,
    DIC_POST = 4,
    DIC_PUT = 8,
    DIC_DELETE = 16,
    DIC_METHOD_OTHER = 32
};

enum { DIC_MAX_RESPONSE_HEADERS = 8, DIC_HEADER_VALUE_SIZE = 320, DIC_REQUEST_ID_SIZE = 27 };

struct dic_request {
    enum dic_method method;
    struct dic_str path;     /* percent-decoded once, without the query */
    struct dic_str path_arg; /* the {job-id} of the route, or empty */
    struct dic_str body;
    char request_id[DIC_REQUEST_ID_SIZE]; /* ours, random; also in the X-Request-Id answer header */
    int64_t started_ns;                   /* monotonic, when the headers were complete */
    int calls; /* how often the handler was called before for this request */

    /* Percent-decoded query parameter or header, ptr NULL when absent; set by the server. A
     * parameter or single-value header that is given twice makes the server answer 400. */
    struct dic_str (*query)(const struct dic_request *request, const char *name);
    struct dic_str (*header)(const struct dic_request *request, const char *name);
    /* Calls visit for each query parameter, so that handlers can refuse unknown ones. */
    enum dic_code (*each_query)(const struct dic_request *request,
                                enum dic_code (*visit)(void *context, struct dic_str name,
                                                       struct dic_str value, struct dic_err *err),
                                void *context, struct dic_err *err);
    void *server_data;
};

struct dic_response_header {
    char name[32];
    char value[DIC_HEADER_VALUE_SIZE];
};

/* A body made piece by piece, in constant memory: next appends some bytes to out (at least one
 * unless *end_out is set). An error cuts the connection, so that the client sees a broken body. */
struct dic_stream {
    enum dic_code (*next)(void *context, struct dic_buf *out, bool *end_out, struct dic_err *err);
    void (*destroy)(void *context);
    void *context;
};

struct dic_response {
    int status;
    const char *content_type; /* static text */
    struct dic_buf body;      /* ignored when stream.next is set */
    struct dic_stream stream;
    size_t header_count;
    struct dic_response_header headers[DIC_MAX_RESPONSE_HEADERS];
    int64_t later_ms; /* with DIC_HANDLE_LATER: call again after this long, or at shutdown */
    char job_id[DIC_REQUEST_ID_SIZE]; /* for the log line; empty when the request is about none */
    struct dic_err err;               /* for the log line; code DIC_OK when there is none */
};

enum dic_handling { DIC_HANDLED, DIC_HANDLE_LATER };

struct dic_api; /* the handlers' shared state, in api.h */

typedef enum dic_handling (*dic_handler)(struct dic_api *api, const struct dic_request *request,
                                         struct dic_response *response);

/* What the headers say of a body that has not been read yet. */
struct dic_body_head {
    struct dic_str content_type; /* ptr NULL when there is none */
    int64_t length;              /* −1: not said, the body comes in chunks */
};

/* For a route whose body is no JSON. *status_out is the answer's status when it is not the code's
 * own. Runs on an I/O thread. */
struct dic_body_rule {
    size_t max_bytes;
    enum dic_code (*check)(struct dic_api *api, const struct dic_request *request,
                           const struct dic_body_head *head, int *status_out, struct dic_err *err);
};

/* One row of the route table. A last segment "{…}" matches any one. */
struct dic_route {
    unsigned methods; /* of enum dic_method; HEAD is answered wherever GET is */
    const char *path;
    dic_handler handler;
    bool inline_ok; /* answers within microseconds when the store is local: run on the I/O thread */
    const struct dic_body_rule *body; /* NULL: JSON of up to DIC_MAX_BODY_BYTES, or none */
};

/* The table, in router.c; ends with a row whose path is NULL. */
extern const struct dic_route dic_routes[];

/* Finds the route: DIC_E_NOT_FOUND for an unknown path, DIC_E_UNSUPPORTED for a known path with
 * another method (then *methods_out has those that are allowed, for the Allow header). */
DIC_MUST_USE enum dic_code dic_route_find(enum dic_method method, struct dic_str path,
                                          const struct dic_route **route_out,
                                          struct dic_str *path_arg_out, unsigned *methods_out,
                                          struct dic_err *err);

void dic_response_header(struct dic_response *response, const char *name, const char *value);
/* {"error":{"code","message","field"?,"request_id"}}; the status comes from the code's row of the
 * outcome table unless status is not 0. Retryable codes get Retry-After. */
void dic_response_error(struct dic_response *response, const struct dic_request *request,
                        const struct dic_err *err, int status);

#endif
