/* SPDX-License-Identifier: Apache-2.0 */
/* What aws.c (making it, presigning) and aws_call.c (calls) share. */
#ifndef DIC_AWS_AWS_IMPL_H
#define DIC_AWS_AWS_IMPL_H

#include "aws/aws.h"
#include "aws/endpoint.h"
#include "aws/retry.h"
#include "base/thread.h"

struct dic_aws_service_state {
    char endpoint[DIC_AWS_ENDPOINT_SIZE]; /* immutable */
    bool custom;                          /* immutable */
    struct dic_aws_quota quota;
    struct dic_aws_rate rate;
    struct dic_aws_counts counts;
};

struct dic_aws {
    struct dic_aws_options options;                   /* immutable */
    struct dic_aws_credentials_provider *credentials; /* has its own lock */
    char region[DIC_AWS_REGION_SIZE];                 /* immutable */
    pthread_mutex_t lock; /* guards skew_ms and what is not immutable in services */
    pthread_cond_t woken;
    int64_t skew_ms; /* AWS's clock less ours */
    struct dic_aws_service_state services[DIC_AWS_SERVICE_COUNT];
};

/* AWS's wall clock less ours. */
int64_t dic_aws_skew_ms(struct dic_aws *aws);

#endif
