/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /submit, checked. Views point into the parsed document, which it owns. */
#ifndef DIC_BACKEND_SUBMIT_REQUEST_H
#define DIC_BACKEND_SUBMIT_REQUEST_H

#include "base/buf.h"
#include "job/job.h"
#include "json/json_read.h"

struct dic_submit_request {
    struct dic_json *root;
    struct dic_job_params params; /* deadline_ms is still the request's deadline_seconds × 1000 */
    const struct dic_json *keys;  /* of source KEYS */
    struct dic_str prefix;        /* of source PREFIX */
    const struct dic_json *include; /* NULL when absent */
    const struct dic_json *exclude;
    struct dic_str manifest; /* of source MANIFEST */
    const struct dic_json *tags;
    struct dic_buf spec; /* canonical JSON behind params.spec_json */
    char hash[65];       /* sha256 of everything asked for, in canonical form */
};

/* Every error names the member, the value and the bound. Clean up in any case. */
DIC_MUST_USE enum dic_code dic_submit_request_parse(struct dic_str body,
                                                    struct dic_submit_request *out,
                                                    struct dic_err *err);
void dic_submit_request_clean_up(struct dic_submit_request *request);

/* Key i as a view. */
struct dic_str dic_submit_request_key(const struct dic_submit_request *request, size_t index);

#endif
