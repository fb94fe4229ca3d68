/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on the ledger over its real adapters, against servers named by the environment: table
 * and queue are each test's own, the bucket (RESULT_BUCKET) is this program's. */
#include "job_store_suite.h"

#include "aws_resources.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/blob_store_s3.h"
#include "store/job_queue_sqs.h"
#include "store/job_store_ledger.h"
#include "store/table_dynamodb.h"
#include "test_aws.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { RETENTION_MS = 60000 };

struct opened {
    struct dic_store_under_test store; /* first: the suite hands it back */
    struct dic_table table;
    struct dic_blob_store results;
    char table_name[DIC_TEST_TABLE_SIZE];
    char queue_url[DIC_TEST_QUEUE_URL_SIZE];
};

static struct dic_aws *aws;
static const char *bucket;
static atomic_int_least64_t ahead_ms; /* of the system's clock: time that the tests let pass */

static int64_t wall_ms(void *impl)
{
    (void)impl;
    return dic_clock_wall_ms(dic_clock_system()) + ahead_ms;
}

static int64_t mono_ns(void *impl)
{
    (void)impl;
    return dic_clock_mono_ns(dic_clock_system()) + ahead_ms * 1000000;
}

static const struct dic_clock clock_ahead = {wall_ms, mono_ns, NULL};

static void open_adapters(struct opened *opened)
{
    struct dic_err err = {0};
    const struct dic_table_dynamodb_options table = {.aws = aws, .table = opened->table_name};
    const struct dic_job_queue_sqs_options queue = {
        .aws = aws, .url = opened->queue_url, .fair = true};
    const struct dic_s3_options results = {.aws = aws, .bucket = bucket};
    dic_test_require(dic_table_dynamodb_new(&table, &opened->table, &err), &err);
    dic_test_require(dic_job_queue_sqs_new(&queue, &opened->store.queue, &err), &err);
    dic_test_require(dic_blob_store_s3_new(&results, &opened->results, &err), &err);
}

struct dic_store_under_test *dic_suite_open(void)
{
    struct opened *opened = dic_calloc(1, sizeof *opened);
    ahead_ms = 0;
    dic_test_table_create(aws, opened->table_name);
    dic_test_queue_create(aws, opened->queue_url);
    open_adapters(opened);
    const struct dic_ledger_options options = {
        .table = opened->table,
        .queue = opened->store.queue,
        .results = opened->results,
        .clock = &clock_ahead,
        .retention_ms = RETENTION_MS,
    };
    opened->store.jobs = dic_job_store_ledger_new(&options);
    return &opened->store;
}

void dic_suite_close(struct dic_store_under_test *store)
{
    struct opened *opened = (struct opened *)store;
    store->jobs.ops->destroy(store->jobs.impl);
    store->queue.ops->destroy(store->queue.impl);
    opened->results.ops->destroy(opened->results.impl);
    opened->table.ops->destroy(opened->table.impl);
    dic_test_queue_delete(aws, opened->queue_url);
    dic_test_table_delete(aws, opened->table_name);
    dic_free(opened);
}

void dic_suite_pass(struct dic_store_under_test *store, int64_t ms)
{
    (void)store;
    ahead_ms += ms;
}

int main(void)
{
    bucket = getenv("RESULT_BUCKET");
    if (!dic_test_aws_named("AWS_ENDPOINT_URL_DYNAMODB", "the job store on DynamoDB") ||
        !dic_test_aws_named("AWS_ENDPOINT_URL_SQS", "the job store on DynamoDB") ||
        !dic_test_aws_named("AWS_ENDPOINT_URL_S3", "the job store on DynamoDB")) {
        return DIC_TEST_SKIPPED;
    }
    if (bucket == NULL) {
        fprintf(stderr, "RESULT_BUCKET names no bucket\n");
        return 1;
    }
    aws = dic_test_aws_open();
    int failed = dic_run_job_store_suite();
    dic_test_aws_close(aws);
    return failed;
}
