/* SPDX-License-Identifier: Apache-2.0 */
#include "store/aws_store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/aws_bucket.h"
#include "store/blob_store_s3.h"
#include "store/job_queue_sqs.h"
#include "store/job_store_ledger.h"
#include "store/table_dynamodb.h"

#include <inttypes.h>
#include <stddef.h>

#define AT(member) offsetof(struct dic_aws_store_settings, member)

const struct dic_setting dic_aws_store_settings_table[] = {
    {"IMAGE_BUCKET", DIC_SETTING_TEXT, AT(image_bucket), NULL, 3, 63, false,
     "bucket of the clients' images"},
    {"RESULT_BUCKET", DIC_SETTING_TEXT, AT(result_bucket), NULL, 3, 63, false,
     "bucket of manifests and results; no request can name its keys"},
    {"JOB_QUEUE_URL", DIC_SETTING_TEXT, AT(job_queue_url), NULL, 8, 1024, false,
     "SQS queue of the work"},
    {"JOB_DLQ_URL", DIC_SETTING_TEXT, AT(job_dlq_url), NULL, 8, 1024, false,
     "its dead-letter queue"},
    {"JOB_TABLE", DIC_SETTING_TEXT, AT(job_table), NULL, 3, 1024, false,
     "DynamoDB table of the jobs; name or ARN"},
    {"FAIR_QUEUE", DIC_SETTING_NUMBER, AT(fair_queue), "1", 0, 1, false,
     "0: without message groups, for servers that refuse them on a standard queue"},
};
const size_t dic_aws_store_settings_count =
    sizeof dic_aws_store_settings_table / sizeof dic_aws_store_settings_table[0];

struct dic_aws_store {
    const struct dic_aws_store_settings *settings;
    struct dic_http_client http;
    struct dic_aws *aws;
    struct dic_blob_store images;
    struct dic_blob_store results;
    struct dic_job_queue queue;
    struct dic_job_queue dead;
    struct dic_table table;
    struct dic_job_store jobs;
};

static enum dic_code open_bucket(const struct dic_aws_store *store, const char *name,
                                 struct dic_blob_store *out, struct dic_err *err)
{
    const struct dic_s3_options options = {.aws = store->aws, .bucket = name};
    return dic_blob_store_s3_new(&options, out, err);
}

static enum dic_code open_queue(const struct dic_aws_store *store, const char *url,
                                struct dic_job_queue *out, struct dic_err *err)
{
    const struct dic_job_queue_sqs_options options = {
        .aws = store->aws, .url = url, .fair = store->settings->fair_queue != 0};
    return dic_job_queue_sqs_new(&options, out, err);
}

static enum dic_code open_all(struct dic_aws_store *store,
                              const struct dic_aws_environment *environment, int64_t retention_ms,
                              int64_t look_ms, struct dic_err *err)
{
    const struct dic_aws_store_settings *settings = store->settings;
    DIC_TRY(dic_aws_connect(environment, &store->http, &store->aws, err));
    DIC_TRY(open_bucket(store, settings->image_bucket, &store->images, err));
    DIC_TRY(open_bucket(store, settings->result_bucket, &store->results, err));
    DIC_TRY(open_queue(store, settings->job_queue_url, &store->queue, err));
    DIC_TRY(open_queue(store, settings->job_dlq_url, &store->dead, err));
    const struct dic_table_dynamodb_options table = {.aws = store->aws,
                                                     .table = settings->job_table};
    DIC_TRY(dic_table_dynamodb_new(&table, &store->table, err));
    const struct dic_ledger_options ledger = {
        .table = store->table,
        .queue = store->queue,
        .results = store->results,
        .clock = dic_clock_system(),
        .retention_ms = retention_ms,
        .look_ms = look_ms,
    };
    store->jobs = dic_job_store_ledger_new(&ledger);
    return DIC_OK;
}

enum dic_code dic_aws_store_open(const struct dic_aws_store_settings *settings,
                                 const struct dic_aws_environment *environment,
                                 int64_t retention_ms, int64_t look_ms, struct dic_aws_store **out,
                                 struct dic_err *err)
{
    struct dic_aws_store *store = dic_calloc(1, sizeof *store);
    store->settings = settings;
    enum dic_code code = open_all(store, environment, retention_ms, look_ms, err);
    if (code != DIC_OK) {
        dic_aws_store_close(store);
        return code;
    }
    *out = store;
    return DIC_OK;
}

#define CLOSE(port)                           \
    do {                                      \
        if ((port).ops != NULL) {             \
            (port).ops->destroy((port).impl); \
        }                                     \
    } while (0)

void dic_aws_store_close(struct dic_aws_store *store)
{
    if (store == NULL) {
        return;
    }
    CLOSE(store->jobs);
    CLOSE(store->table);
    CLOSE(store->dead);
    CLOSE(store->queue);
    CLOSE(store->results);
    CLOSE(store->images);
    dic_aws_destroy(store->aws);
    CLOSE(store->http);
    dic_free(store);
}

struct dic_job_store dic_aws_store_jobs(const struct dic_aws_store *store)
{
    return store->jobs;
}

struct dic_job_queue dic_aws_store_queue(const struct dic_aws_store *store)
{
    return store->queue;
}

struct dic_job_queue dic_aws_store_dead(const struct dic_aws_store *store)
{
    return store->dead;
}

struct dic_blob_store dic_aws_store_images(const struct dic_aws_store *store)
{
    return store->images;
}

struct dic_blob_store dic_aws_store_results(const struct dic_aws_store *store)
{
    return store->results;
}

struct dic_http_client dic_aws_store_http(const struct dic_aws_store *store)
{
    return store->http;
}

void dic_aws_store_log_calls(const struct dic_aws_store *store)
{
    static const struct {
        const char *calls, *requests, *throttled, *failed;
    } names[DIC_AWS_SERVICE_COUNT] = {
        [DIC_AWS_S3] = {"s3_calls", "s3_requests", "s3_throttled", "s3_failed"},
        [DIC_AWS_SQS] = {"sqs_calls", "sqs_requests", "sqs_throttled", "sqs_failed"},
        [DIC_AWS_DYNAMODB] = {"dynamodb_calls", "dynamodb_requests", "dynamodb_throttled",
                              "dynamodb_failed"},
    };
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "aws_calls");
    for (int i = 0; i < DIC_AWS_SERVICE_COUNT; i++) {
        struct dic_aws_counts counts;
        dic_aws_counts(store->aws, (enum dic_aws_service)i, &counts);
        dic_log_int(&log, names[i].calls, (int64_t)counts.calls);
        dic_log_int(&log, names[i].requests, (int64_t)counts.tries);
        dic_log_int(&log, names[i].throttled, (int64_t)counts.throttled);
        dic_log_int(&log, names[i].failed, (int64_t)counts.failed);
    }
    dic_log_end(&log);
}

static void put_metric(struct dic_buf *out, const char *name, const char *help,
                       const uint64_t values[DIC_AWS_SERVICE_COUNT])
{
    static const char *const services[DIC_AWS_SERVICE_COUNT] = {
        [DIC_AWS_S3] = "s3", [DIC_AWS_SQS] = "sqs", [DIC_AWS_DYNAMODB] = "dynamodb"};
    dic_buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (int i = 0; i < DIC_AWS_SERVICE_COUNT; i++) {
        dic_buf_printf(out, "%s{service=\"%s\"} %" PRIu64 "\n", name, services[i], values[i]);
    }
}

void dic_aws_store_metrics(void *context, struct dic_buf *out)
{
    const struct dic_aws_store *store = context;
    uint64_t calls[DIC_AWS_SERVICE_COUNT];
    uint64_t tries[DIC_AWS_SERVICE_COUNT];
    uint64_t throttled[DIC_AWS_SERVICE_COUNT];
    uint64_t failed[DIC_AWS_SERVICE_COUNT];
    for (int i = 0; i < DIC_AWS_SERVICE_COUNT; i++) {
        struct dic_aws_counts counts;
        dic_aws_counts(store->aws, (enum dic_aws_service)i, &counts);
        calls[i] = counts.calls;
        tries[i] = counts.tries;
        throttled[i] = counts.throttled;
        failed[i] = counts.failed;
    }
    put_metric(out, "classifier_aws_calls_total", "Calls of AWS services.", calls);
    put_metric(out, "classifier_aws_requests_total", "Requests sent for them, retries included.",
               tries);
    put_metric(out, "classifier_aws_throttled_total", "Answers that asked for fewer requests.",
               throttled);
    put_metric(out, "classifier_aws_failed_total", "Calls that failed after all tries.", failed);
}
