/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb.h"

#include "scripted_aws.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PLAY(...)                                                                       \
    dic_scripted_aws_play(&scripted, (const struct dic_scripted_answer[]){__VA_ARGS__}, \
                          COUNT(((const struct dic_scripted_answer[]){__VA_ARGS__})))

static struct dic_scripted_aws scripted;
static struct dic_dynamodb_table table;
static struct dic_err err;
static struct dic_buf seen; /* what the reader got */

static enum dic_code note_begin(void *context, struct dic_str key, struct dic_err *error)
{
    (void)context;
    (void)error;
    dic_buf_printf(&seen, "[%.*s]", DIC_STR_ARGS(key));
    return DIC_OK;
}

static enum dic_code note_attribute(void *context, const struct dic_dynamodb_attribute *attribute,
                                    struct dic_err *error)
{
    (void)context;
    (void)error;
    dic_buf_printf(&seen, " %.*s", DIC_STR_ARGS(attribute->name));
    switch (attribute->kind) {
    case DIC_DYNAMODB_TEXT:
        dic_buf_printf(&seen, "='%.*s'", DIC_STR_ARGS(attribute->text));
        break;
    case DIC_DYNAMODB_NUMBER:
        dic_buf_printf(&seen, "=%" PRId64, attribute->number);
        break;
    case DIC_DYNAMODB_MAP:
        dic_buf_append_text(&seen, "{}");
        break;
    case DIC_DYNAMODB_ENTRY:
    default:
        dic_buf_printf(&seen, ".%.*s='%.*s'", DIC_STR_ARGS(attribute->key),
                       DIC_STR_ARGS(attribute->text));
    }
    return DIC_OK;
}

static const struct dic_dynamodb_reader reader = {NULL, note_begin, note_attribute};

static int open_script(void **state)
{
    (void)state;
    dic_scripted_aws_open(&scripted);
    table = (struct dic_dynamodb_table){.aws = scripted.aws,
                                        .name = "jobs",
                                        .key_name = "pk",
                                        .sleep_ms = dic_scripted_aws_sleep,
                                        .sleep_context = &scripted};
    dic_buf_init(&seen, 100000);
    err = (struct dic_err){0};
    return 0;
}

static int close_script(void **state)
{
    (void)state;
    dic_buf_clean_up(&seen);
    dic_scripted_aws_close(&scripted);
    return 0;
}

static void assert_seen(const char *expected)
{
    assert_view(dic_buf_view(&seen), expected);
}

static enum dic_code get(void)
{
    dic_buf_clear(&seen);
    err = (struct dic_err){0};
    return dic_dynamodb_get(&table, dic_str("a"), true, &reader, &err);
}

static void assert_message_has(const char *words)
{
    if (strstr(err.msg, words) == NULL) {
        print_error("'%s' is not in '%s'\n", words, err.msg);
        fail();
    }
}

/* ---- numbers ---- */

static void numbers_are_read_however_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"0E+10", 0},
        {"0.000", 0},
        {"12", 12},
        {"+12", 12},
        {"-12", -12},
        {"1E+2", 100},
        {"1e2", 100},
        {"1.50E+3", 1500},
        {"1200E-2", 12},
        {"12.00", 12},
        {"000000000000000000000000000000000000000007", 7},
        {"0.00000000000000000000000000000000000001E38", 1},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"922337203685477580.7E1", INT64_MAX},
        {"10000000000000000000000000000000000000E-37", 1},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t number = 99;
        if (!dic_dynamodb_parse_number(dic_str(good[i].text), &number) ||
            number != good[i].number) {
            print_error("'%s' gave %" PRId64 "\n", good[i].text, number);
            fail();
        }
    }
}

static void what_is_no_whole_number_of_64_bits_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "+",
        ".",
        "E5",
        "1E",
        "1E+",
        "1E++",
        "--1",
        "1.2.",
        "1 ",
        " 1",
        "0x10",
        "1,000",
        "1.5",
        "12E-1",
        "1E-1",
        "1E1000",
        "1E99999999999999999999",
        "NaN",
        "Infinity",
        "1E125",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999999999999999",
        "9.9999999999999999999999999999999999999E+125",
        "10000000000000000000",
        "1E19",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t number = 0;
        if (dic_dynamodb_parse_number(dic_str(bad[i]), &number)) {
            print_error("'%s' gave %" PRId64 "\n", bad[i], number);
            fail();
        }
    }
    static const char nul[] = "1\0002";
    char long_text[300];
    int64_t number = 0;
    memset(long_text, '0', sizeof long_text);
    assert_false(dic_dynamodb_parse_number(dic_str_len(nul, 3), &number));
    assert_false(dic_dynamodb_parse_number(dic_str_len(long_text, 257), &number));
    assert_true(dic_dynamodb_parse_number(dic_str_len(long_text, 256), &number));
}

/* ---- one item ---- */

static const char item_answer[] =
    "{'Item':{'pk':{'S':'a'},'t':{'S':'x y'},'n':{'N':'1E+2'},'m':{'M':{}},"
    "'c':{'M':{'0':{'S':'u'},'1':{'S':''}}}}}";

static void an_item_is_asked_for_consistently_and_read(void **state)
{
    (void)state;
    PLAY({200, item_answer, 0});
    assert_ok(get());
    assert_seen("[a] pk='a' t='x y' n=100 m{} c{} c.0='u' c.1=''");
    dic_scripted_aws_assert_asked(
        &scripted, "GetItem {'TableName':'jobs','Key':{'pk':{'S':'a'}},'ConsistentRead':true}\n");
}

static void an_absent_item_is_not_begun(void **state)
{
    (void)state;
    PLAY({200, "{}", 0});
    assert_ok(get());
    assert_seen("");
}

static void every_truncation_of_an_answer_is_upstream(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof item_answer - 1; len++) {
        PLAY({200, item_answer, len});
        assert_code(get(), DIC_E_UPSTREAM);
        assert_true(err.retryable);
        assert_message_has("GetItem");
        assert_seen("");
    }
    PLAY({200, "", 0});
    assert_code(get(), DIC_E_UPSTREAM);
}

static void an_answer_of_another_shape_is_upstream(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "[]",
        "null",
        "7",
        "'text'",
        "<html><body>503 Service Unavailable</body></html>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        "{'Item':null}",
        "{'Item':[]}",
        "{'Item':'a'}",
        "{'Item':{}}",
        "{'Item':{'t':{'S':'x'}}}",
        "{'Item':{'pk':'a'}}",
        "{'Item':{'pk':{'N':'1'}}}",
        "{'Item':{'pk':{'S':1}}}",
        "{'Item':{'pk':{'S':'a'},'t':'x'}}",
        "{'Item':{'pk':{'S':'a'},'t':null}}",
        "{'Item':{'pk':{'S':'a'},'t':{}}}",
        "{'Item':{'pk':{'S':'a'},'t':{'S':'x','N':'1'}}}",
        "{'Item':{'pk':{'S':'a'},'t':{'S':7}}}",
        "{'Item':{'pk':{'S':'a'},'n':{'N':7}}}",
        "{'Item':{'pk':{'S':'a'},'m':{'M':[]}}}",
        "{'Item':{'pk':{'S':'a'},'m':{'M':{'k':'v'}}}}",
        "{'Item':{'pk':{'S':'a'},'m':{'M':{'k':{}}}}}",
        "{'Item':{'pk':{'S':'a'},'pk':{'S':'b'}}}",
        "{'Item':{'pk':{'S':'a'}}} trailing",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        if (get() != DIC_E_UPSTREAM) {
            print_error("%s gave %d\n", bodies[i], (int)err.code);
            fail();
        }
        assert_message_has("GetItem: the answer ");
    }
}

static void an_attribute_of_a_kind_not_used_here_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *words;
    } cases[] = {
        {"{'BOOL':true}", "attribute 'x' of item 'a' is of type BOOL, which is not used here"},
        {"{'NULL':true}", "of type NULL"},
        {"{'B':'AA=='}", "of type B,"},
        {"{'L':[]}", "of type L,"},
        {"{'SS':['a']}", "of type SS"},
        {"{'NS':['1']}", "of type NS"},
        {"{'M':{'k':{'N':'1'}}}", "attribute 'x' of item 'a' is of type N"},
        {"{'M':{'k':{'M':{}}}}", "attribute 'x' of item 'a' is of type M"},
        {"{'N':'1.5'}", "attribute 'x' of item 'a' is '1.5', which is no whole number of 64 bits"},
        {"{'N':'99999999999999999999999999999999999999'}",
         "is '99999999999999999999999999999999999999', which is no whole number"},
        {"{'N':''}", "is '', which is no whole number"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[200];
        snprintf(body, sizeof body, "{'Item':{'pk':{'S':'a'},'x':%s}}", cases[i].value);
        PLAY({200, body, 0});
        assert_code(get(), DIC_E_INTERNAL);
        assert_message_has(cases[i].words);
    }
}

/* ---- errors ---- */

static void errors_become_reactions(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum dic_code code;
    } cases[] = {
        {400, "{'__type':'com.amazon.coral.validate#ValidationException','message':'bad path'}",
         DIC_E_INTERNAL},
        {400,
         "{'__type':'com.amazon.coral.validate#ValidationException','message':"
         "'Item size has exceeded the maximum allowed size'}",
         DIC_E_TOO_LARGE},
        {400,
         "{'__type':'com.amazon.coral.validate#ValidationException','Message':"
         "'Item size to update has exceeded the maximum allowed size'}",
         DIC_E_TOO_LARGE},
        {400, "{'__type':'com.amazon.coral.service#AccessDeniedException','Message':'no'}",
         DIC_E_DENIED},
        {400, "{'__type':'x#ProvisionedThroughputExceededException','message':'slow'}", DIC_E_BUSY},
        {400, "{'__type':'x#ThrottlingException','message':'slow'}", DIC_E_BUSY},
        {400, "{'__type':'x#RequestLimitExceeded','message':'slow'}", DIC_E_BUSY},
        {400, "{'__type':'x#TransactionConflictException','message':'held'}", DIC_E_BUSY},
        {500, "{'__type':'x#InternalServerError','message':'oops'}", DIC_E_UPSTREAM},
        {503, "<html>503</html>", DIC_E_UPSTREAM},
        {404, "<html>not here</html>", DIC_E_UPSTREAM},
        {307, "", DIC_E_UPSTREAM},
        {400, "<html>bad</html>", DIC_E_INTERNAL},
        {400, "{'__type':'ConditionalCheckFailedException'}", DIC_E_UPSTREAM}, /* of a get */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        PLAY({cases[i].status, cases[i].body, 0});
        enum dic_code code = get();
        if (code != cases[i].code || code != err.code ||
            err.retryable != dic_outcome(code)->retryable) {
            print_error("%s gave %d: %s\n", cases[i].body, (int)code, err.msg);
            fail();
        }
        assert_message_has("GetItem");
    }
}

static void a_missing_table_is_no_missing_item_and_comes_back_by_no_retry(void **state)
{
    (void)state;
    PLAY({400, "{'__type':'com.amazonaws.dynamodb.v20120810#ResourceNotFoundException'}", 0});
    assert_code(get(), DIC_E_UPSTREAM);
    assert_int_equal(err.code, DIC_E_UPSTREAM);
    assert_false(err.retryable);
    assert_message_has("GetItem: there is no table 'jobs'");
}

static int answer_without_end(void *context, struct dic_str body, struct dic_buf *answer)
{
    (void)context;
    (void)body;
    while (!answer->poisoned) {
        dic_buf_append_text(answer, "                ");
    }
    return 200;
}

/* TOO_LARGE would be the item. */
static void an_answer_without_end_is_upstream(void **state)
{
    (void)state;
    scripted.respond = answer_without_end;
    assert_code(get(), DIC_E_UPSTREAM);
    assert_int_equal(err.code, DIC_E_UPSTREAM);
    assert_true(err.retryable);
}

/* ---- batches ---- */

static enum dic_code get_batch(size_t count)
{
    static const struct dic_str keys[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    dic_buf_clear(&seen);
    err = (struct dic_err){0};
    return dic_dynamodb_get_batch(&table, keys, count, &reader, &err);
}

static void unprocessed_keys_are_asked_for_again_and_only_they(void **state)
{
    (void)state;
    PLAY({200,
          "{'Responses':{'jobs':[{'pk':{'S':'b'},'n':{'N':'2'}}]},"
          "'UnprocessedKeys':{'jobs':{'Keys':[{'pk':{'S':'c'}},{'pk':{'S':'a'}}],"
          "'ConsistentRead':true}}}",
          0},
         {200,
          "{'Responses':{'jobs':[{'pk':{'S':'c'}}]},'UnprocessedKeys':"
          "{'jobs':{'Keys':[{'pk':{'S':'a'}}]}}}",
          0},
         {200, "{'Responses':{'jobs':[]},'UnprocessedKeys':{}}", 0});
    assert_ok(get_batch(3));
    assert_seen("[b] pk='b' n=2[c] pk='c'");
    dic_scripted_aws_assert_asked(
        &scripted, "BatchGetItem {'RequestItems':{'jobs':{'ConsistentRead':true,'Keys':["
                   "{'pk':{'S':'a'}},{'pk':{'S':'b'}},{'pk':{'S':'c'}}]}}}\n"
                   "BatchGetItem {'RequestItems':{'jobs':{'ConsistentRead':true,'Keys':["
                   "{'pk':{'S':'c'}},{'pk':{'S':'a'}}]}}}\n"
                   "BatchGetItem {'RequestItems':{'jobs':{'ConsistentRead':true,'Keys':["
                   "{'pk':{'S':'a'}}]}}}\n");
    assert_int_equal(scripted.sleeps, 0); /* each answer was progress */
}

static void keys_that_stay_unprocessed_are_waited_for_and_busy_in_the_end(void **state)
{
    (void)state;
    PLAY({200, "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{'Keys':[{'pk':{'S':'a'}}]}}}",
          0});
    assert_code(get_batch(1), DIC_E_BUSY);
    assert_message_has("1 of 1 keys unprocessed 8 times");
    assert_int_equal(scripted.requests, 8);
    assert_int_equal(scripted.sleeps, 7);
    assert_in_range(scripted.slept_ms, 1, 7 * 5000);
}

static void no_keys_are_no_call_and_101_are_refused(void **state)
{
    (void)state;
    struct dic_str keys[DIC_DYNAMODB_BATCH + 1];
    for (size_t i = 0; i < COUNT(keys); i++) {
        keys[i] = dic_str("k");
    }
    PLAY({200, "{'Responses':{'jobs':[]},'UnprocessedKeys':{}}", 0});
    assert_ok(get_batch(0));
    assert_int_equal(scripted.requests, 0);
    assert_ok(dic_dynamodb_get_batch(&table, keys, DIC_DYNAMODB_BATCH, &reader, &err));
    assert_code(dic_dynamodb_get_batch(&table, keys, DIC_DYNAMODB_BATCH + 1, &reader, &err),
                DIC_E_INTERNAL);
    assert_int_equal(scripted.requests, 1);
}

/* A key that is neither in the answer nor unprocessed counts as absent: so both must be there. */
static void a_batch_answer_of_another_shape_is_upstream(void **state)
{
    static const char twice[] = "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{'Keys':"
                                "[{'pk':{'S':'a'}},{'pk':{'S':'a'}}]}}}";
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{'Responses':{'jobs':[]}}",
        "{'UnprocessedKeys':{}}",
        "{'Responses':[],'UnprocessedKeys':{}}",
        "{'Responses':{},'UnprocessedKeys':{}}",
        "{'Responses':{'other':[]},'UnprocessedKeys':{}}",
        "{'Responses':{'jobs':{}},'UnprocessedKeys':{}}",
        "{'Responses':{'jobs':['a']},'UnprocessedKeys':{}}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':[]}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':null}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':[]}}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{}}}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{'Keys':{}}}}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{'Keys':['a']}}}",
        "{'Responses':{'jobs':[]},'UnprocessedKeys':{'jobs':{'Keys':[{'pk':{'S':'z'}}]}}}",
        twice,
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        if (get_batch(2) != DIC_E_UPSTREAM) {
            print_error("%s gave %d\n", bodies[i], (int)err.code);
            fail();
        }
    }
}

/* ---- writes ---- */

static const struct dic_str names[] = {{"st", 2}};
static const struct dic_dynamodb_attribute values[] = {
    {.kind = DIC_DYNAMODB_TEXT, .text = {"OPEN", 4}},
    {.kind = DIC_DYNAMODB_NUMBER, .number = -5},
    {.kind = DIC_DYNAMODB_MAP},
};

static enum dic_code update(bool conditional, const struct dic_dynamodb_reader *to,
                            bool *applied_out)
{
    const struct dic_dynamodb_write write = {
        .key = dic_str("a"),
        .update = dic_str("SET #0 = :0"),
        .condition = dic_str(conditional ? "#0 = :1" : ""),
        .placeholders = {names, 1, values, 3},
    };
    dic_buf_clear(&seen);
    err = (struct dic_err){0};
    return dic_dynamodb_write(&table, &write, to, applied_out, &err);
}

static void an_update_asks_for_the_new_item_or_the_old_one(void **state)
{
    (void)state;
    bool applied = false;
    PLAY({200, "{'Attributes':{'pk':{'S':'a'},'st':{'S':'OPEN'}}}", 0});
    assert_ok(update(true, &reader, &applied));
    assert_true(applied);
    assert_seen("[a] pk='a' st='OPEN'");
    dic_scripted_aws_assert_asked(
        &scripted, "UpdateItem {'TableName':'jobs','Key':{'pk':{'S':'a'}},"
                   "'UpdateExpression':'SET #0 = :0','ConditionExpression':'#0 = :1',"
                   "'ExpressionAttributeNames':{'#0':'st'},'ExpressionAttributeValues':"
                   "{':0':{'S':'OPEN'},':1':{'N':'-5'},':2':{'M':{}}},"
                   "'ReturnValues':'ALL_NEW','ReturnValuesOnConditionCheckFailure':'ALL_OLD'}\n");
    PLAY({200, "{}", 0});
    assert_ok(update(false, NULL, &applied));
    assert_true(applied);
    dic_scripted_aws_assert_asked(
        &scripted, "UpdateItem {'TableName':'jobs','Key':{'pk':{'S':'a'}},"
                   "'UpdateExpression':'SET #0 = :0','ExpressionAttributeNames':{'#0':'st'},"
                   "'ExpressionAttributeValues':"
                   "{':0':{'S':'OPEN'},':1':{'N':'-5'},':2':{'M':{}}}}\n");
}

static void a_put_writes_each_map_with_its_entries(void **state)
{
    (void)state;
    static const struct dic_dynamodb_attribute attributes[] = {
        {.kind = DIC_DYNAMODB_TEXT, .name = {"t", 1}, .text = {"a\"b\n", 4}},
        {.kind = DIC_DYNAMODB_MAP, .name = {"m", 1}},
        {.kind = DIC_DYNAMODB_ENTRY, .name = {"m", 1}, .key = {"\"", 1}, .text = {"1", 1}},
        {.kind = DIC_DYNAMODB_ENTRY, .name = {"m", 1}, .key = {"k", 1}, .text = {"", 0}},
        {.kind = DIC_DYNAMODB_MAP, .name = {"e", 1}},
        {.kind = DIC_DYNAMODB_NUMBER, .name = {"n", 1}, .number = INT64_MIN},
    };
    const struct dic_dynamodb_write write = {.key = dic_str("a"),
                                             .is_put = true,
                                             .attributes = attributes,
                                             .attribute_count = COUNT(attributes)};
    bool applied = false;
    PLAY({200, "{}", 0});
    assert_ok(dic_dynamodb_write(&table, &write, &reader, &applied, &err));
    assert_true(applied);
    assert_seen("");
    dic_scripted_aws_assert_asked(
        &scripted, "PutItem {'TableName':'jobs','Item':{'pk':{'S':'a'},'t':{'S':'a\\'b\\n'},"
                   "'m':{'M':{'\\'':{'S':'1'},'k':{'S':''}}},'e':{'M':{}},"
                   "'n':{'N':'-9223372036854775808'}}}\n");
}

static const char refused[] = "{'__type':'com.amazonaws.dynamodb.v20120810#"
                              "ConditionalCheckFailedException','message':'no','Item':"
                              "{'pk':{'S':'a'},'st':{'S':'CLOSED'}}}";

static void a_condition_that_fails_is_no_error_and_tells_the_item(void **state)
{
    (void)state;
    bool applied = true;
    PLAY({400, refused, 0});
    assert_ok(update(true, &reader, &applied));
    assert_false(applied);
    assert_seen("[a] pk='a' st='CLOSED'");
    assert_int_equal(scripted.requests, 1);
    applied = true;
    assert_ok(update(true, NULL, &applied));
    assert_false(applied);
}

static void an_item_that_the_refusal_leaves_out_is_read_consistently(void **state)
{
    (void)state;
    bool applied = true;
    PLAY({400, "{'__type':'ConditionalCheckFailedException'}", 0},
         {200, "{'Item':{'pk':{'S':'a'},'st':{'S':'DONE'}}}", 0});
    assert_ok(update(true, &reader, &applied));
    assert_false(applied);
    assert_seen("[a] pk='a' st='DONE'");
    assert_non_null(strstr(scripted.recorded.ptr, "GetItem {'TableName':'jobs','Key':{'pk':"
                                                  "{'S':'a'}},'ConsistentRead':true}"));
    PLAY({400, "{'__type':'ConditionalCheckFailedException'}", 0}, {200, "{}", 0});
    assert_ok(update(true, &reader, &applied)); /* absent */
    assert_false(applied);
    assert_seen("");
}

static void a_refusal_cut_off_anywhere_is_never_taken_for_success(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof refused - 1; len++) {
        bool applied = true;
        PLAY({400, refused, len});
        assert_true(update(true, &reader, &applied) != DIC_OK);
        assert_false(applied);
    }
}

static void a_written_answer_of_another_shape_is_upstream(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "[]", "{}", "{'Attributes':[]}", "{'Attributes':{}}", "<html>hello</html>"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        bool applied = true;
        PLAY({200, bodies[i], 0});
        assert_code(update(true, &reader, &applied), DIC_E_UPSTREAM);
        assert_false(applied);
    }
}

static void a_refusal_of_what_had_no_condition_is_upstream(void **state)
{
    (void)state;
    bool applied = true;
    PLAY({400, refused, 0});
    assert_code(update(false, NULL, &applied), DIC_E_UPSTREAM);
    assert_false(applied);
}

static void an_item_larger_than_any_is_not_sent(void **state)
{
    (void)state;
    static char text[5 * 1024 * 1024];
    memset(text, 'x', sizeof text);
    const struct dic_dynamodb_attribute attribute = {
        .kind = DIC_DYNAMODB_TEXT, .name = {"t", 1}, .text = {text, sizeof text}};
    const struct dic_dynamodb_write write = {
        .key = dic_str("a"), .is_put = true, .attributes = &attribute, .attribute_count = 1};
    bool applied = true;
    PLAY({200, "{}", 0});
    assert_code(dic_dynamodb_write(&table, &write, NULL, &applied, &err), DIC_E_TOO_LARGE);
    assert_int_equal(scripted.requests, 0);
}

/* ---- queries ---- */

static enum dic_code query(struct dic_buf *page)
{
    const struct dic_dynamodb_query request = {
        .index = "listing",
        .key_condition = dic_str("#0 = :0"),
        .filter = dic_str("#0 IN (:0)"),
        .projection = dic_str("#0"),
        .newest_first = true,
        .limit = 7,
        .placeholders = {names, 1, values, 1},
    };
    dic_buf_clear(&seen);
    err = (struct dic_err){0};
    return dic_dynamodb_query(&table, &request, &reader, page, &err);
}

static void a_query_goes_on_where_the_page_before_ended(void **state)
{
    (void)state;
    struct dic_buf page;
    dic_buf_init(&page, 1000);
    PLAY({200,
          "{'Items':[{'pk':{'S':'a'},'crt':{'S':'1'}},{'pk':{'S':'b'}}],'Count':2,"
          "'LastEvaluatedKey':{'pk':{'S':'b\\n'},'obs':{'N':'1E+1'},'crt':{'S':'2'}}}",
          0},
         {200, "{'Items':[],'Count':0}", 0});
    assert_ok(query(&page));
    assert_seen("[a] pk='a' crt='1'[b] pk='b'");
    assert_ok(query(&page));
    assert_seen("");
    assert_int_equal(page.len, 0);
    dic_scripted_aws_assert_asked(
        &scripted,
        "Query {'TableName':'jobs','IndexName':'listing','KeyConditionExpression':'#0 = :0',"
        "'FilterExpression':'#0 IN (:0)','ProjectionExpression':'#0',"
        "'ExpressionAttributeNames':{'#0':'st'},'ExpressionAttributeValues':{':0':{'S':'OPEN'}},"
        "'ScanIndexForward':false,'Limit':7}\n"
        "Query {'TableName':'jobs','IndexName':'listing','KeyConditionExpression':'#0 = :0',"
        "'FilterExpression':'#0 IN (:0)','ProjectionExpression':'#0',"
        "'ExpressionAttributeNames':{'#0':'st'},'ExpressionAttributeValues':{':0':{'S':'OPEN'}},"
        "'ScanIndexForward':false,'Limit':7,'ExclusiveStartKey':"
        "{'pk':{'S':'b\\n'},'obs':{'N':'10'},'crt':{'S':'2'}}}\n");
    dic_buf_clean_up(&page);
}

static void a_query_whose_pages_do_not_move_on_is_upstream(void **state)
{
    (void)state;
    struct dic_buf page;
    dic_buf_init(&page, 1000);
    PLAY({200, "{'Items':[],'LastEvaluatedKey':{'pk':{'S':'a'}}}", 0});
    assert_ok(query(&page));
    assert_code(query(&page), DIC_E_UPSTREAM);
    assert_message_has("the next page is the same again");
    dic_buf_clean_up(&page);
}

static void a_query_answer_of_another_shape_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum dic_code code;
    } cases[] = {
        {"{}", DIC_E_UPSTREAM},
        {"{'Items':{}}", DIC_E_UPSTREAM},
        {"{'Items':['a']}", DIC_E_UPSTREAM},
        {"{'Items':[],'LastEvaluatedKey':[]}", DIC_E_UPSTREAM},
        {"{'Items':[],'LastEvaluatedKey':{}}", DIC_E_UPSTREAM},
        {"{'Items':[],'LastEvaluatedKey':{'pk':{'S':'a'},'x':{'B':''}}}", DIC_E_INTERNAL},
    };
    struct dic_buf page;
    dic_buf_init(&page, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        PLAY({200, cases[i].body, 0});
        if (query(&page) != cases[i].code) {
            print_error("%s gave %d\n", cases[i].body, (int)err.code);
            fail();
        }
        dic_buf_clear(&page);
    }
    dic_buf_clean_up(&page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_script, close_script)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_read_however_they_are_written),
        TEST(what_is_no_whole_number_of_64_bits_is_refused),
        TEST(an_item_is_asked_for_consistently_and_read),
        TEST(an_absent_item_is_not_begun),
        TEST(every_truncation_of_an_answer_is_upstream),
        TEST(an_answer_of_another_shape_is_upstream),
        TEST(an_attribute_of_a_kind_not_used_here_is_named),
        TEST(errors_become_reactions),
        TEST(a_missing_table_is_no_missing_item_and_comes_back_by_no_retry),
        TEST(an_answer_without_end_is_upstream),
        TEST(unprocessed_keys_are_asked_for_again_and_only_they),
        TEST(keys_that_stay_unprocessed_are_waited_for_and_busy_in_the_end),
        TEST(no_keys_are_no_call_and_101_are_refused),
        TEST(a_batch_answer_of_another_shape_is_upstream),
        TEST(an_update_asks_for_the_new_item_or_the_old_one),
        TEST(a_put_writes_each_map_with_its_entries),
        TEST(a_condition_that_fails_is_no_error_and_tells_the_item),
        TEST(an_item_that_the_refusal_leaves_out_is_read_consistently),
        TEST(a_refusal_cut_off_anywhere_is_never_taken_for_success),
        TEST(a_written_answer_of_another_shape_is_upstream),
        TEST(a_refusal_of_what_had_no_condition_is_upstream),
        TEST(an_item_larger_than_any_is_not_sent),
        TEST(a_query_goes_on_where_the_page_before_ended),
        TEST(a_query_whose_pages_do_not_move_on_is_upstream),
        TEST(a_query_answer_of_another_shape_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
