/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: one HTTP request, one answer. The only implementation is http_client_curl.c; tests put
 * their own in its place. Any thread may call send, and it blocks; connections are kept and reused.
 * Redirects are never followed and names of proxies in the environment are not read: what is signed
 * for one host must not reach another.
 * Errors: TIMEOUT (a deadline of the request passed), UPSTREAM (no connection, or it broke),
 * TOO_LARGE (the answer passed max_response_bytes), CONFLICT (cancelled), INVALID (the request
 * cannot be sent). Any status is an answer and no error.
 */
#ifndef DIC_NET_HTTP_CLIENT_H
#define DIC_NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIC_HTTP_MAX_HEADERS = 40, DIC_HTTP_MAX_HEADER_BYTES = 64 * 1024 };

struct dic_http_header {
    struct dic_str name;
    struct dic_str value; /* without line breaks; empty sends the header with an empty value */
};

struct dic_http_request {
    const char *method;
    struct dic_str url; /* absolute, http or https; sent byte for byte, no path is normalised */
    const struct dic_http_header *headers;
    size_t header_count;
    struct dic_str
        body; /* sent with Content-Length when it has bytes or the method is PUT or POST */
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* of the whole exchange */
    size_t max_response_bytes;
    const atomic_bool *cancel; /* NULL, or looked at when wake is called: true ends the exchange */
};

/* The caller owns it: init once, send any number of times, clean up. */
struct dic_http_response {
    int status;
    struct dic_buf headers; /* "name: value\n" a line, names in lower case, of the last answer */
    struct dic_buf body;
    bool sent; /* the request may have reached the server (also set when send fails) */
};
void dic_http_response_init(struct dic_http_response *response);
void dic_http_response_clean_up(struct dic_http_response *response); /* idempotent */
/* Value of the first header of this name (lower case), trimmed; ptr NULL when there is none. */
struct dic_str dic_http_response_header(const struct dic_http_response *response, const char *name);

struct dic_http_client_ops {
    enum dic_code (*send)(void *impl, const struct dic_http_request *request,
                          struct dic_http_response *response, struct dic_err *err);
    /* Makes every send look at its cancel flag now. */
    void (*wake)(void *impl);
    void (*destroy)(void *impl); /* no send may be under way; NULL is fine */
};
struct dic_http_client {
    const struct dic_http_client_ops *ops;
    void *impl;
};

struct dic_http_client_options {
    const char *ca_bundle;     /* file of certificates to trust, or NULL for the system's */
    uint32_t max_idle_handles; /* kept with their connections */
};
DIC_MUST_USE enum dic_code dic_http_client_curl_new(const struct dic_http_client_options *options,
                                                    struct dic_http_client *out,
                                                    struct dic_err *err);

#endif
