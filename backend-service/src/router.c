/* SPDX-License-Identifier: Apache-2.0 */
/* The route table: the one place that says which paths there are. openapi.yaml is tested against
 * it. */
#include "api.h"

const struct dic_route dic_routes[] = {
    {DIC_POST, "/submit", dic_api_submit, false, NULL},
    {DIC_GET, "/status/{job-id}", dic_api_status, true, NULL},
    {DIC_GET, "/result/{job-id}", dic_api_result, false, NULL},
    {DIC_POST, "/cancel/{job-id}", dic_api_cancel, false, NULL},
    {DIC_POST, "/retry/{job-id}", dic_api_retry, false, NULL},
    {DIC_GET, "/jobs", dic_api_jobs, false, NULL},
    {DIC_POST, "/uploads", dic_api_uploads, false, NULL},
    {DIC_PUT, "/uploads/{upload-id}", dic_api_upload_put, false, &dic_api_upload_body},
    {DIC_GET, "/healthz", dic_api_healthz, true, NULL},
    {DIC_GET, "/readyz", dic_api_readyz, false, NULL},
    {DIC_GET, "/metrics", dic_api_metrics, false, NULL},
    {DIC_GET, "/version", dic_api_version, true, NULL},
    {DIC_GET, "/openapi.yaml", dic_api_openapi, true, NULL},
    {DIC_GET, "/", dic_api_root, true, NULL},
    {0, NULL, NULL, false, NULL},
};
