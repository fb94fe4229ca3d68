/* SPDX-License-Identifier: Apache-2.0 */
/* The route table: the one place that says which paths there are. openapi.yaml is tested against
 * it. */
#include "api.h"

const struct dic_route dic_routes[] = {
    {DIC_POST, "/submit", dic_api_submit, false},
    {DIC_GET, "/status/{job-id}", dic_api_status, true},
    {DIC_GET, "/result/{job-id}", dic_api_result, false},
    {DIC_POST, "/cancel/{job-id}", dic_api_cancel, false},
    {DIC_POST, "/retry/{job-id}", dic_api_retry, false},
    {DIC_GET, "/jobs", dic_api_jobs, false},
    {DIC_GET, "/healthz", dic_api_healthz, true},
    {DIC_GET, "/readyz", dic_api_readyz, false},
    {DIC_GET, "/metrics", dic_api_metrics, false},
    {DIC_GET, "/version", dic_api_version, true},
    {DIC_GET, "/openapi.yaml", dic_api_openapi, true},
    {DIC_GET, "/", dic_api_root, true},
    {0, NULL, NULL, false},
};
