/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue port on an SQS standard queue. Needs sqs:SendMessage, ReceiveMessage, DeleteMessage,
 * ChangeMessageVisibility and GetQueueAttributes on it. A wait is in whole seconds, rounded up, and
 * a receive without a wait may miss messages, as SQS then looks at some of its servers only.
 */
#ifndef DIC_STORE_JOB_QUEUE_SQS_H
#define DIC_STORE_JOB_QUEUE_SQS_H

#include "aws/aws.h"
#include "store/job_queue.h"

struct dic_job_queue_sqs_options {
    struct dic_aws *aws;           /* borrowed */
    const char *url;               /* of the queue; copied */
    const struct dic_clock *clock; /* borrowed; NULL: the system's */
    /* Messages go in groups, one for each job, which SQS serves in turn, so that a large job does
     * not make a small one wait ("fair queue"). Servers of before 2025 refuse groups here. */
    bool fair;
    void (*sleep_ms)(void *context, int64_t ms); /* NULL: dic_sleep_ms */
    void *sleep_context;
};
/* Calls nobody yet. DIC_E_INVALID: the URL cannot be one. */
DIC_MUST_USE enum dic_code dic_job_queue_sqs_new(const struct dic_job_queue_sqs_options *options,
                                                 struct dic_job_queue *out, struct dic_err *err);

#endif
