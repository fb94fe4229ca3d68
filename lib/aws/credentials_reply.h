/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the container endpoint and the instance's metadata have in common: a small HTTP exchange
 * that is tried again a few times, and a JSON document with keys, a token and an expiration.
 */
#ifndef DIC_AWS_CREDENTIALS_REPLY_H
#define DIC_AWS_CREDENTIALS_REPLY_H

#include "aws/credentials_source.h"

/* Keys and an 8 KiB token fit; aws-c-auth's ceiling is 10,000 bytes. */
enum { DIC_AWS_CREDENTIALS_REPLY_MAX = 16 * 1024 };

/* "2026-01-31T23:59:59Z", perhaps with a fraction of a second. */
bool dic_aws_credentials_time_parse(struct dic_str text, int64_t *wall_ms_out);

/* {"AccessKeyId","SecretAccessKey","Token","Expiration"}; "Code" must be "Success" when it is
 * there. Without an Expiration they last for ever. UPSTREAM for anything else, without showing a
 * value. */
DIC_MUST_USE enum dic_code dic_aws_credentials_reply_parse(struct dic_str text,
                                                           struct dic_aws_credentials *out,
                                                           struct dic_err *err);

struct dic_aws_credentials_query {
    const char *method;
    struct dic_str url;
    const struct dic_http_header *headers;
    size_t header_count;
    int64_t timeout_ms;
    bool may_be_absent; /* then one try tells, when nothing can be connected to */
};
/* Up to three tries while it does not answer, or with a status of 429 or 5xx. DIC_OK for any other
 * status. Errors: UPSTREAM, TIMEOUT, TOO_LARGE, INVALID. */
DIC_MUST_USE enum dic_code dic_aws_credentials_ask(
    const struct dic_aws_credentials_context *context,
    const struct dic_aws_credentials_query *query, struct dic_http_response *response,
    struct dic_err *err);

#endif
