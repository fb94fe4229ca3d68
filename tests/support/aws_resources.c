/* SPDX-License-Identifier: Apache-2.0 */
#include "aws_resources.h"

#include "aws/json_call.h"
#include "base/clock.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE_TRIES = 600, TABLE_TRY_MS = 100 }; /* a minute at most */

void dic_test_require(enum dic_code code, const struct dic_err *err)
{
    if (code != DIC_OK) {
        fprintf(stderr, "%s\n", err->msg);
        abort();
    }
}

static void send(struct dic_aws *aws, struct dic_json_call *call)
{
    struct dic_err err = {0};
    dic_test_require(dic_json_call_send(aws, call, &err), &err);
}

/* ---- tables ---- */

static void begin_call(struct dic_json_call *call, const char *operation, const char *name)
{
    dic_json_call_init(call, DIC_AWS_DYNAMODB, operation, 10000);
    dic_json_put_text(&call->json, "TableName", name);
}

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

static void create_table(struct dic_aws *aws, const char *name)
{
    static const char *const types[][2] = {
        {"pk", "S"}, {"obs", "N"}, {"obd", "N"}, {"lst", "S"}, {"crt", "S"}};
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "CreateTable", name);
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
    send(aws, &call);
}

static bool table_is_being_made(struct dic_aws *aws, const char *name)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "DescribeTable", name);
    send(aws, &call);
    return dic_json_call_body_has(&call, "CREATING");
}

void dic_test_table_create(struct dic_aws *aws, char name_out[DIC_TEST_TABLE_SIZE])
{
    char id[DIC_ID_SIZE];
    dic_rand_id(id);
    snprintf(name_out, DIC_TEST_TABLE_SIZE, "dic-suite-%s", id);
    create_table(aws, name_out);
    for (int i = 0; i < TABLE_TRIES && table_is_being_made(aws, name_out); i++) {
        dic_sleep_ms(TABLE_TRY_MS);
    }
}

void dic_test_table_delete(struct dic_aws *aws, const char *name)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, "DeleteTable", name);
    send(aws, &call);
}

/* ---- queues ---- */

void dic_test_queue_create(struct dic_aws *aws, char url_out[DIC_TEST_QUEUE_URL_SIZE])
{
    char name[64];
    char id[DIC_ID_SIZE];
    struct dic_err err = {0};
    struct dic_str text = {0};
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    dic_rand_id(id);
    snprintf(name, sizeof name, "dic-suite-%s", id);
    dic_json_call_init(&call, DIC_AWS_SQS, "CreateQueue", 1000);
    dic_json_put_text(&call.json, "QueueName", name);
    send(aws, &call);
    const struct dic_json *member = dic_json_member(call.root, "QueueUrl");
    if (member == NULL) {
        fprintf(stderr, "CreateQueue gave no QueueUrl\n");
        abort();
    }
    dic_test_require(dic_json_get_str(member, "QueueUrl", &text, &err), &err);
    snprintf(url_out, DIC_TEST_QUEUE_URL_SIZE, "%.*s", DIC_STR_ARGS(text));
}

void dic_test_queue_delete(struct dic_aws *aws, const char *url)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    dic_json_call_init(&call, DIC_AWS_SQS, "DeleteQueue", 1000);
    call.no_output = true;
    dic_json_put_text(&call.json, "QueueUrl", url);
    send(aws, &call);
}
