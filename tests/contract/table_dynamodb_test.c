/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on DynamoDB, or a server that says to be it. Each test has a table of its own. */
#include "table_suite.h"

#include "base/clock.h"
#include "base/rand.h"
#include "store/table_dynamodb.h"
#include "test_aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dic_aws *aws;
static char name[64];

#define INDEX(name, partition, sort, projection)                                 \
    "{\"IndexName\":\"" name "\",\"KeySchema\":[{\"AttributeName\":\"" partition \
    "\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"" sort                        \
    "\",\"KeyType\":\"RANGE\"}],\"Projection\":" projection "}"
#define ATTRIBUTE(name, type) "{\"AttributeName\":\"" name "\",\"AttributeType\":\"" type "\"}"

static const char schema[] =
    "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\","
    "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],"
    "\"AttributeDefinitions\":[" ATTRIBUTE("pk", "S") "," ATTRIBUTE("obs", "N") "," ATTRIBUTE(
        "obd", "N") "," ATTRIBUTE("lst",
                                  "S") "," ATTRIBUTE("crt",
                                                     "S") "],"
                                                          "\"GlobalSecondaryIndexes\":[" INDEX(
                                                              "outbox", "obs", "obd",
                                                              "{\"ProjectionType\":\"KEYS_"
                                                              "ONLY\"}") "," INDEX("listing", "lst",
                                                                                   "crt",
                                                                                   "{\"Project"
                                                                                   "ionType\":"
                                                                                   "\"INCLUDE"
                                                                                   "\","
                                                                                   "\"NonKeyAt"
                                                                                   "tributes\""
                                                                                   ":[\"st\"]"
                                                                                   "}") "]}";

static void call(const char *operation, const char *body, struct dic_aws_answer *answer)
{
    char target[64];
    struct dic_err err = {0};
    snprintf(target, sizeof target, "DynamoDB_20120810.%s", operation);
    const struct dic_http_header headers[] = {
        {dic_str("content-type"), dic_str("application/x-amz-json-1.0")},
        {dic_str("x-amz-target"), dic_str(target)},
    };
    const struct dic_aws_call request = {.service = DIC_AWS_DYNAMODB,
                                         .operation = operation,
                                         .method = "POST",
                                         .path = dic_str("/"),
                                         .headers = headers,
                                         .header_count = 2,
                                         .body = dic_str(body)};
    if (dic_aws_call(aws, &request, answer, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static void call_on_table(const char *operation, struct dic_aws_answer *answer)
{
    char body[128];
    snprintf(body, sizeof body, "{\"TableName\":\"%s\"}", name);
    call(operation, body, answer);
}

static void create_table(void)
{
    char body[sizeof schema + sizeof name];
    char id[DIC_ID_SIZE];
    struct dic_aws_answer answer;
    dic_aws_answer_init(&answer);
    dic_rand_id(id);
    snprintf(name, sizeof name, "dic-suite-%s", id);
    snprintf(body, sizeof body, schema, name);
    call("CreateTable", body, &answer);
    for (int i = 0; i < 600; i++) { /* a minute */
        call_on_table("DescribeTable", &answer);
        if (strstr(answer.http.body.ptr, "CREATING") == NULL) {
            break;
        }
        dic_sleep_ms(100);
    }
    dic_aws_answer_clean_up(&answer);
}

struct dic_table dic_table_suite_open(void)
{
    struct dic_table table = {0};
    struct dic_err err = {0};
    create_table();
    const struct dic_table_dynamodb_options options = {.aws = aws, .table = name};
    if (dic_table_dynamodb_new(&options, &table, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return table;
}

void dic_table_suite_close(struct dic_table table)
{
    struct dic_aws_answer answer;
    dic_aws_answer_init(&answer);
    table.ops->destroy(table.impl);
    call_on_table("DeleteTable", &answer);
    dic_aws_answer_clean_up(&answer);
}

int main(void)
{
    if (!dic_test_aws_named("AWS_ENDPOINT_URL_DYNAMODB", "the table on DynamoDB")) {
        return DIC_TEST_SKIPPED;
    }
    aws = dic_test_aws_open();
    int failed = dic_run_table_suite();
    dic_test_aws_close(aws);
    return failed;
}
