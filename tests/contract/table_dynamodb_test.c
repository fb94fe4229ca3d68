/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on DynamoDB, or a server that says to be it. Each test has a table of its own. */
#include "table_suite.h"

#include "aws/json_call.h"
#include "base/clock.h"
#include "base/rand.h"
#include "store/table_dynamodb.h"
#include "test_aws.h"

#include <stdio.h>
#include <stdlib.h>

static struct dic_aws *aws;
static char name[64];

static void send(struct dic_json_call *call)
{
    struct dic_err err = {0};
    if (dic_json_call_send(aws, call, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static void begin_call(struct dic_json_call *call, const char *operation)
{
    dic_json_call_init(call, DIC_AWS_DYNAMODB, operation, 10000);
    dic_json_put_text(&call->json, "TableName", name);
}

/* ---- the table as docs/protocol.md has it ---- */

static void put_attribute(struct dic_json_writer *json, const char *attribute, const char *member,
                          const char *value)
{
    dic_json_begin_object(json, NULL);
    dic_json_put_text(json, "AttributeName", attribute);
    dic_json_put_text(json, member, value);
    dic_json_end_object(json);
}

static void put_key_schema(struct dic_json_writer *json, const char *partition, const char *sort)
{
    dic_json_begin_array(json, "KeySchema");
    put_attribute(json, partition, "KeyType", "HASH");
    if (sort != NULL) {
        put_attribute(json, sort, "KeyType", "RANGE");
    }
    dic_json_end_array(json);
}

static void put_index(struct dic_json_writer *json, const char *index, const char *partition,
                      const char *sort, const char *included)
{
    dic_json_begin_object(json, NULL);
    dic_json_put_text(json, "IndexName", index);
    put_key_schema(json, partition, sort);
    dic_json_begin_object(json, "Projection");
    dic_json_put_text(json, "ProjectionType", included == NULL ? "KEYS_ONLY" : "INCLUDE");
    if (included != NULL) {
        dic_json_begin_array(json, "NonKeyAttributes");
        dic_json_put_text(json, NULL, included);
        dic_json_end_array(json);
    }
    dic_json_end_object(json);
    dic_json_end_object(json);
}

static void create_table(void)
{
    static const char *const types[][2] = {
        {"pk", "S"}, {"obs", "N"}, {"obd", "N"}, {"lst", "S"}, {"crt", "S"}};
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "CreateTable");
    dic_json_put_text(&call.json, "BillingMode", "PAY_PER_REQUEST");
    put_key_schema(&call.json, "pk", NULL);
    dic_json_begin_array(&call.json, "AttributeDefinitions");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        put_attribute(&call.json, types[i][0], "AttributeType", types[i][1]);
    }
    dic_json_end_array(&call.json);
    dic_json_begin_array(&call.json, "GlobalSecondaryIndexes");
    put_index(&call.json, "outbox", "obs", "obd", NULL);
    put_index(&call.json, "listing", "lst", "crt", "st");
    dic_json_end_array(&call.json);
    send(&call);
}

static bool table_is_being_made(void)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "DescribeTable");
    send(&call);
    return dic_json_call_body_has(&call, "CREATING");
}

/* ---- what the suite needs ---- */

struct dic_table dic_table_suite_open(void)
{
    struct dic_table table = {0};
    struct dic_err err = {0};
    char id[DIC_ID_SIZE];
    dic_rand_id(id);
    snprintf(name, sizeof name, "dic-suite-%s", id);
    create_table();
    for (int i = 0; i < 600 && table_is_being_made(); i++) { /* a minute at most */
        dic_sleep_ms(100);
    }
    const struct dic_table_dynamodb_options options = {.aws = aws, .table = name};
    if (dic_table_dynamodb_new(&options, &table, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return table;
}

void dic_table_suite_close(struct dic_table table)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    table.ops->destroy(table.impl);
    begin_call(&call, "DeleteTable");
    send(&call);
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
