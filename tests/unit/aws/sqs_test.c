/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sqs.h"

#include "base/log.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "scripted_aws.h"
#include "test.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PLAY(...)                                                                       \
    dic_scripted_aws_play(&scripted, (const struct dic_scripted_answer[]){__VA_ARGS__}, \
                          COUNT(((const struct dic_scripted_answer[]){__VA_ARGS__})))
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592" /* md5sum of "hello" */
#define SENT(id) "{'Id':'" id "','MessageId':'m','MD5OfMessageBody':'" HELLO_MD5 "'}"
#define FAILED(id, code, senders) \
    "{'Id':'" id "','Code':'" code "','Message':'words','SenderFault':" senders "}"

static struct dic_scripted_aws scripted;
static struct dic_sqs_queue queue;
static struct dic_err err;
static struct dic_buf seen;

static int open_script(void **state)
{
    (void)state;
    dic_scripted_aws_open(&scripted);
    queue = (struct dic_sqs_queue){.aws = scripted.aws,
                                   .url = "http://q/1",
                                   .sleep_ms = dic_scripted_aws_sleep,
                                   .sleep_context = &scripted};
    dic_buf_init(&seen, 1000000);
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

static void assert_message_has(const char *words)
{
    if (strstr(err.msg, words) == NULL) {
        print_error("'%s' is not in '%s'\n", words, err.msg);
        fail();
    }
}

/* ---- sending ---- */

static enum dic_code send_hellos(size_t count)
{
    struct dic_sqs_entry entries[30];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct dic_sqs_entry){.body = dic_str("hello"),
                                            .group_id = dic_str(i == 1 ? "job" : "")};
    }
    err = (struct dic_err){0};
    return dic_sqs_send(&queue, entries, count, &err);
}

static void a_batch_is_sent_with_ids_bodies_and_groups(void **state)
{
    (void)state;
    PLAY({200, "{'Successful':[" SENT("1") "," SENT("0") "],'Failed':[]}", 0});
    assert_ok(send_hellos(2));
    dic_scripted_aws_assert_asked(&scripted,
                                  "SendMessageBatch {'QueueUrl':'http://q/1','Entries':["
                                  "{'Id':'0','MessageBody':'hello'},"
                                  "{'Id':'1','MessageBody':'hello','MessageGroupId':'job'}]}\n");
    PLAY({200, "{}", 0});
    assert_ok(send_hellos(0));
    assert_int_equal(scripted.requests, 0);
}

static void entries_that_failed_are_sent_again_and_only_they(void **state)
{
    (void)state;
    PLAY({200,
          "{'Successful':[" SENT("1") "],'Failed':[" FAILED(
              "0", "InternalError", "false") "," FAILED("2", "ServiceUnavailable", "false") "]}",
          0},
         {200, "{'Successful':[" SENT("0") "]}", 0}, /* nothing is said of 2 */
         {200, "{'Successful':[" SENT("2") "],'Failed':null}", 0});
    assert_ok(send_hellos(3));
    dic_scripted_aws_assert_asked(
        &scripted, "SendMessageBatch {'QueueUrl':'http://q/1','Entries':["
                   "{'Id':'0','MessageBody':'hello'},"
                   "{'Id':'1','MessageBody':'hello','MessageGroupId':'job'},"
                   "{'Id':'2','MessageBody':'hello'}]}\n"
                   "SendMessageBatch {'QueueUrl':'http://q/1','Entries':["
                   "{'Id':'0','MessageBody':'hello'},{'Id':'2','MessageBody':'hello'}]}\n"
                   "SendMessageBatch {'QueueUrl':'http://q/1','Entries':["
                   "{'Id':'2','MessageBody':'hello'}]}\n");
    assert_int_equal(scripted.sleeps, 2);
}

static void an_entry_that_keeps_failing_is_busy_in_the_end(void **state)
{
    (void)state;
    PLAY({200, "{'Failed':[" FAILED("0", "InternalError", "false") "]}", 0});
    assert_code(send_hellos(1), DIC_E_BUSY);
    assert_int_equal(scripted.requests, 6);
    assert_message_has("1 of 1 messages failed 6 times");
}

static void an_entry_that_is_the_senders_fault_is_not_sent_again(void **state)
{
    (void)state;
    PLAY({200,
          "{'Successful':[" SENT("0") "],'Failed':[" FAILED("1", "InvalidMessageContents",
                                                            "true") "]}",
          0});
    assert_code(send_hellos(2), DIC_E_INVALID);
    assert_int_equal(scripted.requests, 1);
    assert_message_has("InvalidMessageContents: words");
    assert_false(err.retryable);
    PLAY({200, "{'Failed':[{'Id':'0','Code':'X','SenderFault':true}]}", 0});
    assert_code(send_hellos(1), DIC_E_INVALID);
    assert_message_has("X: no reason given");
}

static void an_entry_that_arrived_changed_is_sent_again(void **state)
{
    (void)state;
    PLAY({200,
          "{'Successful':[{'Id':'0','MessageId':'m',"
          "'MD5OfMessageBody':'00000000000000000000000000000000'}]}",
          0},
         {200, "{'Successful':[" SENT("0") "]}", 0});
    assert_ok(send_hellos(1));
    assert_int_equal(scripted.requests, 2);
}

static void a_batch_answer_of_another_shape_is_upstream(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "'x'",
        "<html>ok</html>",
        "{'Successful':{}}",
        "{'Successful':'x'}",
        "{'Failed':{}}",
        "{'Successful':['x']}",
        "{'Successful':[{}]}",
        "{'Successful':[{'Id':0,'MD5OfMessageBody':'x'}]}",
        "{'Successful':[{'Id':'0'}]}",
        "{'Successful':[{'Id':'0','MD5OfMessageBody':7}]}",
        "{'Successful':[" SENT("2") "]}",
        "{'Successful':[" SENT("x") "]}",
        "{'Successful':[" SENT("-1") "]}",
        "{'Successful':[" SENT("") "]}",
        "{'Failed':[7]}",
        "{'Failed':[{'Id':'0','SenderFault':false}]}",
        "{'Failed':[{'Id':'0','Code':'X'}]}",
        "{'Failed':[{'Id':'0','Code':'X','SenderFault':'true'}]}",
        "{'Failed':[" FAILED("9", "X", "false") "]}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        if (send_hellos(2) != DIC_E_UPSTREAM) {
            print_error("%s gave %d\n", bodies[i], (int)err.code);
            fail();
        }
        assert_message_has("SendMessageBatch");
    }
}

static void every_truncation_of_a_batch_answer_is_upstream(void **state)
{
    (void)state;
    static const char body[] = "{'Successful':[" SENT("0") "],'Failed':[]}";
    for (size_t len = 1; len < sizeof body - 1; len++) {
        PLAY({200, body, len});
        assert_code(send_hellos(1), DIC_E_UPSTREAM);
    }
}

/* What SQS would answer, with the sizes of the batches it got. */
static int accept_all(void *context, struct dic_str body, struct dic_buf *answer)
{
    struct dic_json *root = NULL;
    struct dic_json_writer json = dic_json_writer(answer);
    size_t bytes = 0;
    (void)context;
    assert_ok(dic_json_parse(body, &root, NULL));
    const struct dic_json *entries = dic_json_member(root, "Entries");
    dic_json_begin_object(&json, NULL);
    dic_json_begin_array(&json, "Successful");
    for (size_t i = 0; i < dic_json_size(entries); i++) {
        const struct dic_json *entry = dic_json_at(entries, i);
        struct dic_str id;
        struct dic_str text;
        unsigned char digest[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE + 1];
        unsigned size = 0;
        assert_ok(dic_json_get_str(dic_json_member(entry, "Id"), "Id", &id, NULL));
        assert_ok(dic_json_get_str(dic_json_member(entry, "MessageBody"), "Body", &text, NULL));
        assert_int_equal(EVP_Digest(text.ptr, text.len, digest, &size, EVP_md5(), NULL), 1);
        for (unsigned k = 0; k < size; k++) {
            snprintf(hex + 2 * (size_t)k, 3, "%02x", digest[k]);
        }
        dic_json_begin_object(&json, NULL);
        dic_json_put_str(&json, "Id", id);
        dic_json_put_text(&json, "MD5OfMessageBody", hex);
        dic_json_end_object(&json);
        bytes += text.len;
    }
    dic_json_end_array(&json);
    dic_json_end_object(&json);
    dic_buf_printf(&seen, "%zu:%zu ", dic_json_size(entries), bytes);
    dic_json_destroy(root);
    return 200;
}

static void expect_batches(const size_t *sizes, size_t count, enum dic_code code,
                           const char *expected)
{
    static char text[DIC_SQS_BATCH_BYTES + 1];
    struct dic_sqs_entry entries[21];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct dic_sqs_entry){.body = dic_str_len(text, sizes[i])};
    }
    dic_buf_clear(&seen);
    dic_buf_append_text(&seen, "");
    scripted.respond = accept_all;
    assert_code(dic_sqs_send(&queue, entries, count, &err), code);
    assert_string_equal(seen.ptr, expected);
}

static void many_messages_go_in_batches_of_ten_and_256_kib(void **state)
{
    (void)state;
    enum { K = 1024, MOST = DIC_SQS_BATCH_BYTES };
    static const size_t small[21] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    expect_batches(small, 9, DIC_OK, "9:9 ");
    expect_batches(small, 10, DIC_OK, "10:10 ");
    expect_batches(small, 11, DIC_OK, "10:10 1:1 ");
    expect_batches(small, 21, DIC_OK, "10:10 10:10 1:1 ");
    expect_batches((size_t[]){MOST - 1}, 1, DIC_OK, "1:262143 ");
    expect_batches((size_t[]){MOST}, 1, DIC_OK, "1:262144 ");
    expect_batches((size_t[]){MOST + 1}, 1, DIC_E_TOO_LARGE, "");
    assert_message_has("message of 262145 bytes, limit 262144");
    expect_batches((size_t[]){MOST - 1, 1}, 2, DIC_OK, "2:262144 ");
    expect_batches((size_t[]){MOST, 1}, 2, DIC_OK, "1:262144 1:1 ");
    expect_batches((size_t[]){100 * K, 100 * K, 100 * K}, 3, DIC_OK, "2:204800 1:102400 ");
    expect_batches((size_t[]){5, MOST + 1}, 2, DIC_E_TOO_LARGE, "1:5 ");
}

/* ---- receiving ---- */

static enum dic_code note_message(void *context, const struct dic_sqs_message *message,
                                  struct dic_err *error)
{
    (void)error;
    dic_buf_printf(&seen, "%.*s/%.*s/%.*s/%" PRIu32 "/%" PRId64 " ", DIC_STR_ARGS(message->id),
                   DIC_STR_ARGS(message->receipt), DIC_STR_ARGS(message->body),
                   message->receive_count, message->sent_ms);
    return context == NULL ? DIC_OK : DIC_E_CONFLICT;
}

static enum dic_code receive(void *context)
{
    const struct dic_sqs_receive request = {.max = 10, .visibility_s = 120, .wait_s = 20};
    dic_buf_clear(&seen);
    dic_buf_append_text(&seen, "");
    err = (struct dic_err){0};
    return dic_sqs_receive(&queue, &request, note_message, context, &err);
}

#define MESSAGE(id, rest)                                                                    \
    "{'MessageId':'" id "','ReceiptHandle':'r" id "','Body':'hello','MD5OfBody':'" HELLO_MD5 \
    "'" rest "}"
#define ATTRIBUTES ",'Attributes':{'ApproximateReceiveCount':'3','SentTimestamp':'1700000000123'}"

static void messages_are_read_with_their_counts_and_times(void **state)
{
    (void)state;
    PLAY({200,
          "{'Messages':[" MESSAGE("1", ATTRIBUTES) "," MESSAGE("2", ",'Attributes':{}") "," MESSAGE(
              "3", ",'MessageAttributes':{'x':{}}") "]}",
          0});
    assert_ok(receive(NULL));
    assert_string_equal(seen.ptr, "1/r1/hello/3/1700000000123 2/r2/hello/1/0 3/r3/hello/1/0 ");
    dic_scripted_aws_assert_asked(
        &scripted, "ReceiveMessage {'QueueUrl':'http://q/1','MaxNumberOfMessages':10,"
                   "'VisibilityTimeout':120,'WaitTimeSeconds':20,'MessageSystemAttributeNames':"
                   "['ApproximateReceiveCount','SentTimestamp']}\n");
}

static void an_empty_queue_may_say_so_in_three_ways(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{}", "{'Messages':[]}", "{'Messages':null}"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        assert_ok(receive(NULL));
        assert_string_equal(seen.ptr, "");
    }
}

static void a_message_whose_checksum_is_wrong_is_passed_over(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    PLAY({200,
          "{'Messages':[{'MessageId':'1','ReceiptHandle':'r','Body':'hellO','MD5OfBody':'" HELLO_MD5
          "'}," MESSAGE("2", "") "]}",
          0});
    assert_ok(receive(NULL));
    assert_string_equal(seen.ptr, "2/r2/hello/1/0 ");
}

static void a_visit_that_fails_ends_the_call_with_its_code(void **state)
{
    (void)state;
    PLAY({200, "{'Messages':[" MESSAGE("1", "") "," MESSAGE("2", "") "]}", 0});
    assert_code(receive(&seen), DIC_E_CONFLICT);
    assert_string_equal(seen.ptr, "1/r1/hello/1/0 ");
}

static void a_received_answer_of_another_shape_is_upstream(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "<html></html>",
        "{'Messages':{}}",
        "{'Messages':'x'}",
        "{'Messages':['x']}",
        "{'Messages':[{}]}",
        "{'Messages':[null]}",
        "{'Messages':[{'MessageId':'1','ReceiptHandle':'r','Body':'hello'}]}",
        "{'Messages':[{'MessageId':'1','ReceiptHandle':'r','MD5OfBody':'x'}]}",
        "{'Messages':[{'MessageId':'1','Body':'hello','MD5OfBody':'x'}]}",
        "{'Messages':[{'ReceiptHandle':'r','Body':'hello','MD5OfBody':'x'}]}",
        "{'Messages':[{'MessageId':'1','ReceiptHandle':'r','Body':{},'MD5OfBody':'x'}]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':[]") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':'x'") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'ApproximateReceiveCount':1}") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'ApproximateReceiveCount':''}") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'ApproximateReceiveCount':'-1'}") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'ApproximateReceiveCount':'4294967296'}") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'SentTimestamp':'1.5'}") "]}",
        "{'Messages':[" MESSAGE("1", ",'Attributes':{'SentTimestamp':'9223372036854775808'}") "]}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        if (receive(NULL) != DIC_E_UPSTREAM) {
            print_error("%s gave %d\n", bodies[i], (int)err.code);
            fail();
        }
        assert_message_has("ReceiveMessage");
    }
}

static void every_truncation_of_a_received_answer_is_upstream(void **state)
{
    (void)state;
    static const char body[] = "{'Messages':[" MESSAGE("1", ATTRIBUTES) "]}";
    for (size_t len = 1; len < sizeof body - 1; len++) {
        PLAY({200, body, len});
        assert_code(receive(NULL), DIC_E_UPSTREAM);
        assert_string_equal(seen.ptr, "");
    }
}

static int answer_with_a_mebibyte(void *context, struct dic_str body, struct dic_buf *answer)
{
    (void)context;
    (void)body;
    dic_buf_append_text(answer, "{\"Messages\":[{\"MessageId\":\"1\",\"ReceiptHandle\":\"r\","
                                "\"MD5OfBody\":\"x\",\"Body\":\"");
    for (int i = 0; i < 1024 * 1024; i++) {
        dic_buf_append_byte(answer, 'x');
    }
    dic_buf_append_text(answer, "\"}]}");
    return 200;
}

static void a_message_of_a_mebibyte_is_read_whole(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    scripted.respond = answer_with_a_mebibyte;
    assert_ok(receive(NULL));
    assert_string_equal(seen.ptr, ""); /* its checksum is wrong */
}

/* ---- leases, depth, errors ---- */

static void leases_are_changed_and_ended_by_receipt(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        PLAY({200, bodies[i], 0});
        assert_ok(dic_sqs_change_visibility(&queue, dic_str("r\"1"), 0, &err));
        assert_ok(dic_sqs_delete(&queue, dic_str("r1"), &err));
        dic_scripted_aws_assert_asked(
            &scripted, "ChangeMessageVisibility {'QueueUrl':'http://q/1','ReceiptHandle':'r\\'1',"
                       "'VisibilityTimeout':0}\n"
                       "DeleteMessage {'QueueUrl':'http://q/1','ReceiptHandle':'r1'}\n");
    }
    static const char *const bad[] = {"<html>ok</html>", "[]", "{", "null"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        PLAY({200, bad[i], 0});
        assert_code(dic_sqs_delete(&queue, dic_str("r1"), &err), DIC_E_UPSTREAM);
    }
}

static void the_depth_is_read_from_strings(void **state)
{
    (void)state;
    int64_t visible = 0;
    int64_t in_flight = 0;
    PLAY({200,
          "{'Attributes':{'ApproximateNumberOfMessages':'7',"
          "'ApproximateNumberOfMessagesNotVisible':'9223372036854775807'}}",
          0});
    assert_ok(dic_sqs_depth(&queue, &visible, &in_flight, &err));
    assert_int_equal(visible, 7);
    assert_true(in_flight == INT64_MAX);
    dic_scripted_aws_assert_asked(
        &scripted, "GetQueueAttributes {'QueueUrl':'http://q/1','AttributeNames':["
                   "'ApproximateNumberOfMessages','ApproximateNumberOfMessagesNotVisible']}\n");
    static const char *const bad[] = {
        "",
        "{}",
        "{'Attributes':{}}",
        "{'Attributes':[]}",
        "{'Attributes':{'ApproximateNumberOfMessages':'7'}}",
        "{'Attributes':{'ApproximateNumberOfMessagesNotVisible':'7'}}",
        "{'Attributes':{'ApproximateNumberOfMessages':7,"
        "'ApproximateNumberOfMessagesNotVisible':'7'}}",
        "{'Attributes':{'ApproximateNumberOfMessages':'-7',"
        "'ApproximateNumberOfMessagesNotVisible':'7'}}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        PLAY({200, bad[i], 0});
        assert_code(dic_sqs_depth(&queue, &visible, &in_flight, &err), DIC_E_UPSTREAM);
    }
}

static void errors_become_reactions(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum dic_code code;
    } cases[] = {
        {400, "{'__type':'com.amazonaws.sqs#QueueDoesNotExist','message':'x'}", DIC_E_NOT_FOUND},
        {400, "{'__type':'AWS.SimpleQueueService.NonExistentQueue','message':'x'}",
         DIC_E_NOT_FOUND},
        {400, "{'__type':'com.amazonaws.sqs#ReceiptHandleIsInvalid','message':'x'}",
         DIC_E_NOT_FOUND},
        {400, "{'__type':'com.amazonaws.sqs#MessageNotInflight'}", DIC_E_NOT_FOUND},
        {400, "{'__type':'com.amazonaws.sqs#InvalidIdFormat'}", DIC_E_NOT_FOUND},
        {400,
         "{'__type':'com.amazonaws.sqs#InvalidParameterValue','message':'Value x for parameter "
         "ReceiptHandle is invalid. Reason: Message does not exist or is not available for "
         "visibility timeout change.'}",
         DIC_E_NOT_FOUND},
        {400,
         "{'__type':'com.amazonaws.sqs#InvalidParameterValue','message':'Value x for parameter "
         "ReceiptHandle is invalid. Reason: The receipt handle has expired.'}",
         DIC_E_NOT_FOUND},
        {400, "{'__type':'com.amazonaws.sqs#InvalidParameterValue','message':'other'}",
         DIC_E_INVALID},
        {400, "{'__type':'com.amazonaws.sqs#OverLimit','message':'120000'}", DIC_E_BUSY},
        {400, "{'__type':'com.amazonaws.sqs#KmsThrottled'}", DIC_E_BUSY},
        {400, "{'__type':'com.amazonaws.sqs#KmsAccessDenied'}", DIC_E_DENIED},
        {400, "{'__type':'com.amazonaws.sqs#BatchRequestTooLong'}", DIC_E_TOO_LARGE},
        {403, "{'__type':'AccessDeniedException'}", DIC_E_DENIED},
        {400, "{'__type':'ThrottlingException'}", DIC_E_BUSY},
        {404, "<html>no such page</html>", DIC_E_UPSTREAM},
        {500, "<html>oops</html>", DIC_E_UPSTREAM},
        {503, "", DIC_E_UPSTREAM},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        PLAY({cases[i].status, cases[i].body, 0});
        err = (struct dic_err){0};
        enum dic_code code = dic_sqs_change_visibility(&queue, dic_str("r"), 60, &err);
        if (code != cases[i].code || code != err.code ||
            err.retryable != dic_outcome(code)->retryable) {
            print_error("%s gave %d: %s\n", cases[i].body, (int)code, err.msg);
            fail();
        }
        assert_message_has("ChangeMessageVisibility");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_script, close_script)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_sent_with_ids_bodies_and_groups),
        TEST(entries_that_failed_are_sent_again_and_only_they),
        TEST(an_entry_that_keeps_failing_is_busy_in_the_end),
        TEST(an_entry_that_is_the_senders_fault_is_not_sent_again),
        TEST(an_entry_that_arrived_changed_is_sent_again),
        TEST(a_batch_answer_of_another_shape_is_upstream),
        TEST(every_truncation_of_a_batch_answer_is_upstream),
        TEST(many_messages_go_in_batches_of_ten_and_256_kib),
        TEST(messages_are_read_with_their_counts_and_times),
        TEST(an_empty_queue_may_say_so_in_three_ways),
        TEST(a_message_whose_checksum_is_wrong_is_passed_over),
        TEST(a_visit_that_fails_ends_the_call_with_its_code),
        TEST(a_received_answer_of_another_shape_is_upstream),
        TEST(every_truncation_of_a_received_answer_is_upstream),
        TEST(a_message_of_a_mebibyte_is_read_whole),
        TEST(leases_are_changed_and_ended_by_receipt),
        TEST(the_depth_is_read_from_strings),
        TEST(errors_become_reactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
