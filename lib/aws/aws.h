/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of an AWS API: signed, sent, its answer classified, tried again as the AWS SDKs'
 * standard mode does (3 tries, 4 for DynamoDB; base delay 50 ms, 25 ms for DynamoDB, 1 s after a
 * throttle; full jitter; ceiling 20 s; a token bucket of 500 a service from which a transient
 * failure takes 14 and a throttle 5, given back by success), with the clock's skew learned from the
 * answers' Date and credentials asked for again when AWS calls them expired. Throttling lowers the
 * service's rate of calls (adaptive: halved on a throttle, recovering while calls succeed). Any
 * thread may call, and blocks.
 */
#ifndef DIC_AWS_AWS_H
#define DIC_AWS_AWS_H

#include "aws/credentials.h"
#include "net/http_client.h"

enum dic_aws_service { DIC_AWS_S3, DIC_AWS_SQS, DIC_AWS_DYNAMODB, DIC_AWS_SERVICE_COUNT };

struct dic_aws;

struct dic_aws_options {
    const struct dic_aws_environment *environment; /* borrowed */
    struct dic_http_client http;                   /* borrowed */
    const struct dic_clock *clock;                 /* borrowed */
    void (*sleep_ms)(void *context, int64_t ms);   /* NULL: dic_sleep_ms */
    void *sleep_context;
};
/* Region: AWS_REGION, AWS_DEFAULT_REGION, the profile's; without one DIC_E_INVALID. Endpoints: the
 * service's variable, then AWS_ENDPOINT_URL, then AWS's own host for the region. */
DIC_MUST_USE enum dic_code dic_aws_new(const struct dic_aws_options *options, struct dic_aws **out,
                                       struct dic_err *err);
void dic_aws_destroy(struct dic_aws *aws); /* NULL is fine */

const char *dic_aws_region(const struct dic_aws *aws);
/* Scheme and authority without a '/' at the end, e.g. "https://sqs.eu-west-1.amazonaws.com". */
const char *dic_aws_endpoint(const struct dic_aws *aws, enum dic_aws_service service);
bool dic_aws_endpoint_is_custom(const struct dic_aws *aws, enum dic_aws_service service);
/* Wakes calls that have a cancel flag. */
void dic_aws_wake(struct dic_aws *aws);

struct dic_aws_call {
    enum dic_aws_service service;
    const char *operation; /* "GetObject": for errors, logs and counts */
    const char *method;
    struct dic_str host;  /* authority of another host than the endpoint's (a bucket's), or empty */
    struct dic_str path;  /* as it is sent: URI-encoded, starts with '/' */
    struct dic_str query; /* as it is sent: URI-encoded, without '?'; may be empty */
    /* Besides host, x-amz-date, x-amz-security-token and x-amz-content-sha256. All are signed. */
    const struct dic_http_header *headers;
    size_t header_count;
    struct dic_str body;
    bool payload_unsigned;     /* S3 over https only: not hashed */
    bool once;                 /* no second try, whatever happens */
    int64_t timeout_ms;        /* a try; 0: 10 s */
    int64_t total_timeout_ms;  /* all tries and the waits between them; 0: 30 s */
    size_t max_response_bytes; /* 0: 1 MiB */
    const atomic_bool *cancel; /* as in struct dic_http_request */
};

/* Of the last try; the caller owns it and may use it for many calls. */
struct dic_aws_answer {
    struct dic_http_response http;
    char error_code[80]; /* AWS's own, e.g. "NoSuchKey"; empty after success */
    char request_id[80];
    uint32_t tries;
    bool maybe_applied; /* an earlier try's outcome is unknown: a write may have happened */
};
void dic_aws_answer_init(struct dic_aws_answer *answer);
void dic_aws_answer_clean_up(struct dic_aws_answer *answer);

/*
 * DIC_OK: a status of 2xx with a body that arrived whole. Otherwise AWS's error as a code:
 * NOT_FOUND, DENIED, CONFLICT (409, 412, failed conditions), INVALID (other 4xx), BUSY (throttled
 * to the end), TIMEOUT, UPSTREAM, TOO_LARGE; the message names operation, AWS's code, its message
 * and request id. The answer's body holds AWS's error document then.
 */
DIC_MUST_USE enum dic_code dic_aws_call(struct dic_aws *aws, const struct dic_aws_call *call,
                                        struct dic_aws_answer *answer, struct dic_err *err);

/* A URL for others to use until expires_s from now (1 to 604800), e.g. a PUT with the headers
 * given, which the user of the URL must send as they are. Appends to url_out. */
DIC_MUST_USE enum dic_code dic_aws_presign(struct dic_aws *aws, const struct dic_aws_call *call,
                                           uint32_t expires_s, struct dic_buf *url_out,
                                           struct dic_err *err);

/* How long a URL that is signed now can be good for: it ends with the credentials that signed it.
 * BUSY when these end within a minute. */
DIC_MUST_USE enum dic_code dic_aws_presign_ceiling(struct dic_aws *aws, uint32_t *seconds_out,
                                                   struct dic_err *err);

/* Counts since the start, for /metrics. */
struct dic_aws_counts {
    uint64_t calls; /* of the caller */
    uint64_t tries; /* requests sent */
    uint64_t throttled;
    uint64_t failed; /* calls that ended in BUSY, TIMEOUT or UPSTREAM */
};
void dic_aws_counts(struct dic_aws *aws, enum dic_aws_service service, struct dic_aws_counts *out);

#endif
