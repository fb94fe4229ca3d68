/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of S3, SQS or DynamoDB means, and what to do about it. For aws.c. Pure functions;
 * any thread may call. */
#ifndef DIC_AWS_AWS_FAILURE_H
#define DIC_AWS_AWS_FAILURE_H

#include "aws/aws.h"
#include "aws/endpoint.h"

enum dic_aws_reaction {
    DIC_AWS_SUCCEEDED,
    DIC_AWS_GIVE_UP,
    DIC_AWS_TRY_AGAIN,       /* transient: a server error, a broken answer */
    DIC_AWS_SLOW_DOWN,       /* throttled */
    DIC_AWS_NEW_CREDENTIALS, /* once */
    DIC_AWS_CORRECT_CLOCK,   /* once, if the clock is wrong indeed */
};

struct dic_aws_failure {
    enum dic_aws_reaction reaction;
    enum dic_code code;
    bool outcome_unknown;   /* the server may have done what it was asked for */
    bool clock_is_why;      /* the code can mean nothing else but a wrong clock */
    int64_t retry_after_ms; /* the server's wish; 0: none */
    char error_code[80];    /* AWS's, or "HTTP 503" */
    char message[200];      /* AWS's, one line */
    char request_id[80];
    char region[DIC_AWS_REGION_SIZE]; /* the bucket's, when it is not ours */
};

/* Reads an answer that has arrived. `region` is the one the request was signed for; now_ms is the
 * wall clock, for a Retry-After that is a date. */
void dic_aws_failure_read(const struct dic_aws_call *call, const struct dic_http_response *answer,
                          const char *region, int64_t now_ms, struct dic_aws_failure *out);

#endif
