/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the service's API. A call that got no answer, or a 503, is made again: for 3 s while the
 * service has not answered this program yet (the URL may be wrong), for 60 s when it has (it may be
 * starting anew). So a call must be one that may be repeated; all of this API are, POST /submit by
 * its Idempotency-Key. One thread.
 * Errors: DENIED, the service refused, with its message and field; TIMEOUT, UPSTREAM and BUSY,
 * nobody answered in time; INVALID, the URL cannot be one.
 */
#ifndef DIC_CLI_SERVICE_H
#define DIC_CLI_SERVICE_H

#include "net/http_client.h"

enum { DIC_SERVICE_URL_BYTES = 1024 };

struct dic_service {
    struct dic_http_client http;
    char url[DIC_SERVICE_URL_BYTES]; /* without '/' at the end */
    bool answered;
};
DIC_MUST_USE enum dic_code dic_service_init(struct dic_service *service, const char *url,
                                            struct dic_err *err);
void dic_service_clean_up(struct dic_service *service);

struct dic_service_call {
    const char *method;
    const char *path;            /* with its query, encoded */
    struct dic_str body;         /* JSON; may be empty */
    const char *idempotency_key; /* or NULL */
    int64_t wait_s;              /* Prefer: wait, or 0 */
    int64_t until_mono_ms;       /* no further try after this; 0: no such bound */
};
/* DIC_OK: a status of 2xx with a JSON object. The response is initialised by the caller. */
DIC_MUST_USE enum dic_code dic_service_call(struct dic_service *service,
                                            const struct dic_service_call *call,
                                            struct dic_http_response *response,
                                            struct dic_err *err);
/* Retry-After in ms, from 0 to 60 s; `fallback_ms` when there is none. */
int64_t dic_service_retry_after_ms(const struct dic_http_response *response, int64_t fallback_ms);

#endif
