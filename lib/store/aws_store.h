/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All adapters of a deployment on AWS, made from settings: buckets on S3, queues on SQS, jobs on
 * DynamoDB. Opened and closed by main; what it hands out lives until it is closed.
 */
#ifndef DIC_STORE_AWS_STORE_H
#define DIC_STORE_AWS_STORE_H

#include "aws/aws.h"
#include "base/settings.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_aws_store_settings {
    const char *image_bucket;
    const char *result_bucket;
    const char *job_queue_url;
    const char *job_dlq_url;
    const char *job_table;
    int64_t fair_queue;
};
extern const struct dic_setting dic_aws_store_settings_table[];
extern const size_t dic_aws_store_settings_count;

struct dic_aws_store;

/* Checks what can be checked without asking AWS. Settings and environment are borrowed; retention
 * and look as for the ledger. */
DIC_MUST_USE enum dic_code dic_aws_store_open(const struct dic_aws_store_settings *settings,
                                              const struct dic_aws_environment *environment,
                                              int64_t retention_ms, int64_t look_ms,
                                              struct dic_aws_store **out, struct dic_err *err);
void dic_aws_store_close(struct dic_aws_store *store); /* NULL is fine */

struct dic_job_store dic_aws_store_jobs(const struct dic_aws_store *store);
struct dic_job_queue dic_aws_store_queue(const struct dic_aws_store *store);
struct dic_job_queue dic_aws_store_dead(const struct dic_aws_store *store); /* dead letters */
struct dic_blob_store dic_aws_store_images(const struct dic_aws_store *store);
struct dic_blob_store dic_aws_store_results(const struct dic_aws_store *store);
struct dic_http_client dic_aws_store_http(const struct dic_aws_store *store);
/* One log line with the calls made since the start, by service. */
void dic_aws_store_log_calls(const struct dic_aws_store *store);
/* Prometheus text of the calls made; context is the store. */
void dic_aws_store_metrics(void *store, struct dic_buf *out);

#endif
