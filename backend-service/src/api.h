/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers' shared state: ports and settings, made in main, read-only afterwards. */
#ifndef DIC_BACKEND_API_H
#define DIC_BACKEND_API_H

#include "base/clock.h"
#include "http.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

#include <stdatomic.h>

struct dic_server;
struct dic_upload_signer;

struct dic_api {
    struct dic_job_store jobs;
    struct dic_job_queue queue;
    struct dic_blob_store images; /* the image bucket */
    struct dic_blob_store results;
    const struct dic_clock *clock;
    const struct dic_server *_Atomic server; /* for /metrics; set when requests may come already */
    double usd_per_million_images;           /* for estimated_cost_usd */
    uint32_t chunk_images;                   /* DIC_CHUNK_IMAGES unless set otherwise */
    const char *version;
    /* Where the image store takes no uploads itself: signs the URLs of our own PUT route. */
    const struct dic_upload_signer *upload_signer;
    atomic_bool draining; /* /readyz fails, waits end */
    /* Appends further Prometheus text, e.g. the worker's in local mode; NULL when there is none. */
    void (*extra_metrics)(void *context, struct dic_buf *out);
    void *extra_metrics_context;
};

enum dic_handling dic_api_submit(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response);
enum dic_handling dic_api_status(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response);
enum dic_handling dic_api_result(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response);
enum dic_handling dic_api_cancel(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response);
enum dic_handling dic_api_retry(struct dic_api *api, const struct dic_request *request,
                                struct dic_response *response);
enum dic_handling dic_api_jobs(struct dic_api *api, const struct dic_request *request,
                               struct dic_response *response);
enum dic_handling dic_api_uploads(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response);
enum dic_handling dic_api_upload_put(struct dic_api *api, const struct dic_request *request,
                                     struct dic_response *response);
extern const struct dic_body_rule dic_api_upload_body; /* of the PUT */
enum dic_handling dic_api_healthz(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response);
enum dic_handling dic_api_readyz(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response);
enum dic_handling dic_api_metrics(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response);
enum dic_handling dic_api_version(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response);
enum dic_handling dic_api_openapi(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response);
enum dic_handling dic_api_root(struct dic_api *api, const struct dic_request *request,
                               struct dic_response *response);

#endif
