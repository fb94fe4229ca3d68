/* SPDX-License-Identifier: Apache-2.0 */
/* What the suite on a server does not show: the requests that are made, and answers of no use. */
#include "store/table_dynamodb.h"

#include "scripted_aws.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PLAY(...)                                                                       \
    dic_scripted_aws_play(&scripted, (const struct dic_scripted_answer[]){__VA_ARGS__}, \
                          COUNT(((const struct dic_scripted_answer[]){__VA_ARGS__})))

static struct dic_scripted_aws scripted;
static struct dic_table table;
static struct dic_item item;
static struct dic_err err;

static int open_table(void **state)
{
    (void)state;
    dic_scripted_aws_open(&scripted);
    const struct dic_table_dynamodb_options options = {.aws = scripted.aws,
                                                       .table = "jobs",
                                                       .sleep_ms = dic_scripted_aws_sleep,
                                                       .sleep_context = &scripted};
    assert_ok(dic_table_dynamodb_new(&options, &table, NULL));
    dic_item_init(&item);
    err = (struct dic_err){0};
    return 0;
}

static int close_table(void **state)
{
    (void)state;
    dic_item_clean_up(&item);
    table.ops->destroy(table.impl);
    table.ops->destroy(NULL);
    dic_scripted_aws_close(&scripted);
    return 0;
}

/* ---- expressions ---- */

static void an_update_names_each_attribute_once(void **state)
{
    (void)state;
    const struct dic_change changes[] = {
        {.kind = DIC_ADD_NUMBER, .name = "nd", .number = 1},
        {.kind = DIC_SET_MAP_ENTRY, .name = "c", .key = dic_str("7"), .text = dic_str("x,1,0")},
        {.kind = DIC_REMOVE, .name = "obs"},
        {.kind = DIC_SET_TEXT, .name = "st", .text = dic_str("OPEN")},
        {.kind = DIC_REMOVE, .name = "obd"},
        {.kind = DIC_SET_NUMBER, .name = "ttl", .number = -3},
        {.kind = DIC_SET_MAP, .name = "full"},
    };
    const struct dic_cond conds[] = {
        {.kind = DIC_COND_TEXT_IN, .name = "st", .words = {"OPEN", "NEW"}},
        {.kind = DIC_COND_ABSENT, .name = "c", .key = dic_str("7")},
        {.kind = DIC_COND_NUMBER_LESS, .name = "exp", .number = 9, .or_else = true},
        {.kind = DIC_COND_NUMBER_EQ, .name = "cur", .number = 4},
        {.kind = DIC_COND_EXISTS, .name = "pk", .or_else = true},
    };
    const struct dic_table_write write = {dic_str("a"), changes, COUNT(changes), conds,
                                          COUNT(conds)};
    bool applied = false;
    PLAY({200, "{}", 0});
    assert_ok(table.ops->update(table.impl, &write, &applied, NULL, &err));
    assert_true(applied);
    dic_scripted_aws_assert_asked(
        &scripted,
        "UpdateItem {'TableName':'jobs','Key':{'pk':{'S':'a'}},'UpdateExpression':"
        "'SET #0.#1 = :0, #2 = :1, #3 = :2, #4 = :3 REMOVE #5, #6 ADD #7 :4',"
        "'ConditionExpression':'(#2 IN (:5,:6) AND attribute_not_exists(#0.#1)) OR "
        "(#8 < :7 AND #9 = :8) OR (attribute_exists(#10))',"
        "'ExpressionAttributeNames':{'#0':'c','#1':'7','#2':'st','#3':'ttl','#4':'full',"
        "'#5':'obs','#6':'obd','#7':'nd','#8':'exp','#9':'cur','#10':'pk'},"
        "'ExpressionAttributeValues':{':0':{'S':'x,1,0'},':1':{'S':'OPEN'},':2':{'N':'-3'},"
        "':3':{'M':{}},':4':{'N':'1'},':5':{'S':'OPEN'},':6':{'S':'NEW'},':7':{'N':'9'},"
        "':8':{'N':'4'}}}\n");
}

static void a_put_gathers_the_entries_of_its_maps(void **state)
{
    (void)state;
    const struct dic_change changes[] = {
        {.kind = DIC_SET_MAP, .name = "a"},
        {.kind = DIC_SET_MAP, .name = "b"},
        {.kind = DIC_SET_MAP_ENTRY, .name = "b", .key = dic_str("1"), .text = dic_str("x")},
        {.kind = DIC_SET_NUMBER, .name = "n", .number = 3},
        {.kind = DIC_SET_MAP_ENTRY, .name = "a", .key = dic_str("2"), .text = dic_str("y")},
        {.kind = DIC_SET_MAP_ENTRY, .name = "b", .key = dic_str("3"), .text = dic_str("z")},
    };
    const struct dic_cond absent = {.kind = DIC_COND_ABSENT, .name = "pk"};
    const struct dic_table_write write = {dic_str("k"), changes, COUNT(changes), &absent, 1};
    bool applied = false;
    item.exists = true;
    PLAY({200, "{}", 0});
    assert_ok(table.ops->put(table.impl, &write, &applied, &item, &err));
    assert_true(applied);
    assert_false(item.exists); /* nothing was there that could be told */
    dic_scripted_aws_assert_asked(
        &scripted, "PutItem {'TableName':'jobs','Item':{'pk':{'S':'k'},"
                   "'a':{'M':{'2':{'S':'y'}}},'b':{'M':{'1':{'S':'x'},'3':{'S':'z'}}},"
                   "'n':{'N':'3'}},'ConditionExpression':'(attribute_not_exists(#0))',"
                   "'ExpressionAttributeNames':{'#0':'pk'},"
                   "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}\n");
}

/* ---- many items ---- */

static void an_item_that_was_not_asked_for_or_comes_twice_is_upstream(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{'Responses':{'jobs':[{'pk':{'S':'z'}}]},'UnprocessedKeys':{}}",
        "{'Responses':{'jobs':[{'pk':{'S':'a'}},{'pk':{'S':'a'}}]},'UnprocessedKeys':{}}",
    };
    const struct dic_str pk = dic_str("a");
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        assert_code(table.ops->get_many(table.impl, &pk, 1, &item, &err), DIC_E_UPSTREAM);
    }
}

static void a_key_that_is_asked_for_twice_is_sent_once_and_fills_both(void **state)
{
    (void)state;
    const struct dic_str pks[] = {dic_str("a"), dic_str("b"), dic_str("a")};
    struct dic_item items[3];
    for (size_t i = 0; i < COUNT(items); i++) {
        dic_item_init(&items[i]);
        items[i].exists = true; /* of an earlier use */
    }
    PLAY({200, "{'Responses':{'jobs':[{'pk':{'S':'a'},'n':{'N':'5'}}]},'UnprocessedKeys':{}}", 0});
    assert_ok(table.ops->get_many(table.impl, pks, 3, items, &err));
    assert_int_equal(dic_item_number(&items[0], "n", 0), 5);
    assert_false(items[1].exists);
    assert_int_equal(dic_item_number(&items[2], "n", 0), 5);
    dic_scripted_aws_assert_asked(
        &scripted, "BatchGetItem {'RequestItems':{'jobs':{'ConsistentRead':true,'Keys':["
                   "{'pk':{'S':'a'}},{'pk':{'S':'b'}}]}}}\n");
    for (size_t i = 0; i < COUNT(items); i++) {
        dic_item_clean_up(&items[i]);
    }
}

static void an_empty_key_among_many_is_refused_before_any_call(void **state)
{
    (void)state;
    const struct dic_str pk = dic_str("");
    PLAY({200, "{}", 0});
    assert_code(table.ops->get_many(table.impl, &pk, 1, &item, &err), DIC_E_INTERNAL);
    assert_int_equal(scripted.requests, 0);
}

/* ---- queries ---- */

static size_t visited;

static enum dic_code count_visit(void *context, struct dic_str pk, struct dic_str sort_text,
                                 int64_t sort_number, struct dic_err *error)
{
    (void)context;
    (void)pk;
    (void)sort_text;
    (void)sort_number;
    (void)error;
    visited++;
    return DIC_OK;
}

static enum dic_code run_query(const struct dic_table_query *query)
{
    visited = 0;
    return table.ops->query(table.impl, query, count_visit, NULL, &err);
}

static void a_query_asks_for_no_more_than_is_left(void **state)
{
    (void)state;
    const struct dic_table_query query = {.index = "outbox",
                                          .partition_number = 3,
                                          .from_number = INT64_MIN,
                                          .to_number = 7,
                                          .limit = 3};
    PLAY({200,
          "{'Items':[{'pk':{'S':'a'},'obd':{'N':'1'}},{'pk':{'S':'b'},'obd':{'N':'2'}}],"
          "'LastEvaluatedKey':{'pk':{'S':'b'}}}",
          0},
         {200,
          "{'Items':[{'pk':{'S':'c'},'obd':{'N':'3'}},{'pk':{'S':'d'},'obd':{'N':'4'}}],"
          "'LastEvaluatedKey':{'pk':{'S':'d'}}}",
          0});
    assert_ok(run_query(&query));
    assert_int_equal(visited, 3);
#define OUTBOX                                                                                  \
    "Query {'TableName':'jobs','IndexName':'outbox','KeyConditionExpression':"                  \
    "'#0 = :0 AND #1 BETWEEN :1 AND :2','ProjectionExpression':'#2,#1',"                        \
    "'ExpressionAttributeNames':{'#0':'obs','#1':'obd','#2':'pk'},'ExpressionAttributeValues':" \
    "{':0':{'N':'3'},':1':{'N':'-9223372036854775808'},':2':{'N':'7'}},'ScanIndexForward':true,"
    dic_scripted_aws_assert_asked(&scripted,
                                  OUTBOX "'Limit':3}\n" OUTBOX
                                         "'Limit':1,'ExclusiveStartKey':{'pk':{'S':'b'}}}\n");
}

static void a_query_with_a_filter_asks_for_whole_pages(void **state)
{
    (void)state;
    const struct dic_table_query query = {.index = "listing",
                                          .partition_text = dic_str("L"),
                                          .to_text = dic_str("9"),
                                          .newest_first = true,
                                          .status_in = {"A", "B"},
                                          .limit = 2};
    PLAY({200, "{'Items':[],'LastEvaluatedKey':{'pk':{'S':'b'}}}", 0},
         {200, "{'Items':[{'pk':{'S':'a'},'crt':{'S':'1'}}]}", 0});
    assert_ok(run_query(&query));
    assert_int_equal(visited, 1);
#define LISTING                                                                                 \
    "Query {'TableName':'jobs','IndexName':'listing','KeyConditionExpression':"                 \
    "'#0 = :0 AND #1 <= :1','FilterExpression':'#2 IN (:2,:3)','ProjectionExpression':'#3,#1'," \
    "'ExpressionAttributeNames':{'#0':'lst','#1':'crt','#2':'st','#3':'pk'},"                   \
    "'ExpressionAttributeValues':{':0':{'S':'L'},':1':{'S':'9'},':2':{'S':'A'},"                \
    "':3':{'S':'B'}},'ScanIndexForward':false,'Limit':1000"
    dic_scripted_aws_assert_asked(&scripted,
                                  LISTING "}\n" LISTING ",'ExclusiveStartKey':{'pk':{'S':'b'}}}\n");
}

static void a_query_of_no_items_makes_no_call(void **state)
{
    (void)state;
    const struct dic_table_query query = {.index = "outbox", .limit = 0};
    PLAY({200, "{'Items':[]}", 0});
    assert_ok(run_query(&query));
    assert_int_equal(scripted.requests, 0);
}

/* ---- ping and settings ---- */

static void a_ping_reads_an_item_that_is_not_there(void **state)
{
    (void)state;
    PLAY({200, "{}", 0});
    assert_ok(table.ops->ping(table.impl, &err));
    dic_scripted_aws_assert_asked(
        &scripted,
        "GetItem {'TableName':'jobs','Key':{'pk':{'S':'ping'}},'ConsistentRead':false}\n");
    PLAY({400, "{'__type':'x#ResourceNotFoundException','message':'no table'}", 0});
    assert_code(table.ops->ping(table.impl, &err), DIC_E_UPSTREAM);
    assert_false(err.retryable);
    assert_non_null(strstr(err.msg, "GetItem: there is no table 'jobs'"));
}

static enum dic_code open_named(const char *name)
{
    const struct dic_table_dynamodb_options options = {.aws = scripted.aws, .table = name};
    struct dic_table other = {0};
    enum dic_code code = dic_table_dynamodb_new(&options, &other, &err);
    if (code == DIC_OK) {
        other.ops->destroy(other.impl);
    }
    return code;
}

static void a_name_that_cannot_be_a_tables_is_refused(void **state)
{
    (void)state;
    char long_name[1026];
    static const char *const bad[] = {"",     "ab",           "a b", "a\"b",
                                      "a\\b", "tabl\xC3\xA9", "a,b", "a\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_code(open_named(bad[i]), DIC_E_INVALID);
        assert_string_equal(err.field, "table");
    }
    assert_ok(open_named("abc"));
    assert_ok(open_named("arn:aws:dynamodb:eu-west-1:123456789012:table/Jobs_1.x-y"));
    memset(long_name, 'x', sizeof long_name);
    long_name[1025] = '\0';
    assert_code(open_named(long_name), DIC_E_INVALID);
    long_name[1024] = '\0';
    assert_ok(open_named(long_name));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_update_names_each_attribute_once),
        TEST(a_put_gathers_the_entries_of_its_maps),
        TEST(an_item_that_was_not_asked_for_or_comes_twice_is_upstream),
        TEST(a_key_that_is_asked_for_twice_is_sent_once_and_fills_both),
        TEST(an_empty_key_among_many_is_refused_before_any_call),
        TEST(a_query_asks_for_no_more_than_is_left),
        TEST(a_query_with_a_filter_asks_for_whole_pages),
        TEST(a_query_of_no_items_makes_no_call),
        TEST(a_ping_reads_an_item_that_is_not_there),
        TEST(a_name_that_cannot_be_a_tables_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
