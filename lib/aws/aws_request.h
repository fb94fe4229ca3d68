/* SPDX-License-Identifier: Apache-2.0 */
/* A call as an HTTP request: URL, headers, signature. For aws.c. */
#ifndef DIC_AWS_AWS_REQUEST_H
#define DIC_AWS_AWS_REQUEST_H

#include "aws/aws.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"

/* What a request is signed with. */
struct dic_aws_signing {
    const struct dic_aws_credentials *credentials;
    const char *endpoint; /* "https://host:port" */
    const char *region;
    int64_t time_ms; /* AWS's wall clock */
};

/* The caller owns it; headers point into it, the call and the credentials. */
struct dic_aws_request {
    struct dic_buf url;
    struct dic_buf authorization;
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS];
    size_t header_count;
    char date[DIC_SIGV4_DATE_SIZE];
    char payload_hash[DIC_SHA256_HEX_SIZE];
};
void dic_aws_request_init(struct dic_aws_request *request);
void dic_aws_request_clean_up(struct dic_aws_request *request); /* idempotent */

/* "s3", as in a scope and in AWS's hosts. */
const char *dic_aws_service_name(enum dic_aws_service service);

/* Fills an initialised request. Errors: INVALID, TOO_LARGE. */
DIC_MUST_USE enum dic_code dic_aws_request_build(struct dic_aws_request *request,
                                                 const struct dic_aws_signing *signing,
                                                 const struct dic_aws_call *call,
                                                 struct dic_err *err);
DIC_MUST_USE enum dic_code dic_aws_request_presign(const struct dic_aws_signing *signing,
                                                   const struct dic_aws_call *call,
                                                   uint32_t expires_s, struct dic_buf *url_out,
                                                   struct dic_err *err);

#endif
