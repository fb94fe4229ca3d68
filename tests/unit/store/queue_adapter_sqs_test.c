/* SPDX-License-Identifier: Apache-2.0 */
/* What the suite on a server cannot bring about: times, odd receipts, cancelled polls. */
#include "store/job_queue_sqs.h"

#include "base/clock.h"
#include "base/log.h"
#include "capture.h"
#include "scripted_aws.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

static struct dic_scripted_aws scripted;
static struct dic_job_queue queue;
static struct dic_err err;
static int64_t now_ms;

static int64_t fake_now_ns(void *impl)
{
    (void)impl;
    return now_ms * 1000000;
}

static const struct dic_clock fake_clock = {.mono_ns = fake_now_ns};

static void open_queue_at(const char *url, bool fair)
{
    const struct dic_job_queue_sqs_options options = {.aws = scripted.aws,
                                                      .url = url,
                                                      .clock = &fake_clock,
                                                      .fair = fair,
                                                      .sleep_ms = dic_scripted_aws_sleep,
                                                      .sleep_context = &scripted};
    assert_ok(dic_job_queue_sqs_new(&options, &queue, &err));
}

static int open_queue(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    dic_scripted_aws_open(&scripted);
    open_queue_at("http://q/1", true);
    err = (struct dic_err){0};
    now_ms = 1000;
    return 0;
}

static int close_queue(void **state)
{
    (void)state;
    queue.ops->destroy(queue.impl);
    queue.ops->destroy(NULL);
    dic_scripted_aws_close(&scripted);
    return 0;
}

static enum dic_code receive(size_t max, int64_t wait_ms, struct dic_delivery *out, size_t *count)
{
    return queue.ops->receive(queue.impl, out, max, 120, wait_ms, count, &err);
}

/* ---- receipts and counts ---- */

static char receipt[2000];

static int answer_with_receipt(void *context, struct dic_str body, struct dic_buf *answer)
{
    (void)context;
    (void)body;
    dic_buf_printf(answer,
                   "{\"Messages\":[{\"MessageId\":\"1\",\"ReceiptHandle\":\"%s\",\"Body\":\"hello\""
                   ",\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}]}",
                   receipt);
    return 200;
}

static enum dic_code receive_receipt_of(size_t bytes)
{
    struct dic_delivery delivery;
    size_t count = 9;
    memset(receipt, 'r', sizeof receipt);
    receipt[bytes] = '\0';
    scripted.respond = answer_with_receipt;
    enum dic_code code = receive(1, 0, &delivery, &count);
    assert_int_equal(count, code == DIC_OK ? 1 : 0);
    if (code == DIC_OK) {
        assert_string_equal(delivery.receipt, receipt);
        assert_false(delivery.understood);
    }
    return code;
}

static void a_receipt_that_fits_is_kept_and_a_longer_one_is_an_error(void **state)
{
    (void)state;
    assert_ok(receive_receipt_of(1));
    assert_ok(receive_receipt_of(DIC_RECEIPT_SIZE - 2));
    assert_ok(receive_receipt_of(DIC_RECEIPT_SIZE - 1));
    assert_code(receive_receipt_of(DIC_RECEIPT_SIZE), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "receipt of 1100 bytes, limit 1099"));
    assert_code(receive_receipt_of(0), DIC_E_UPSTREAM);
}

static int answer_with_two(void *context, struct dic_str body, struct dic_buf *answer)
{
    static const char one[] = "{\"MessageId\":\"1\",\"ReceiptHandle\":\"r\",\"Body\":\"hello\","
                              "\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}";
    (void)context;
    (void)body;
    dic_buf_printf(answer, "{\"Messages\":[%s,%s]}", one, one);
    return 200;
}

static void more_messages_than_were_asked_for_are_an_error(void **state)
{
    (void)state;
    struct dic_delivery deliveries[2];
    size_t count = 9;
    scripted.respond = answer_with_two;
    assert_ok(receive(2, 0, deliveries, &count)); /* the same message twice is no matter */
    assert_int_equal(count, 2);
    assert_code(receive(1, 0, deliveries, &count), DIC_E_UPSTREAM);
    assert_int_equal(count, 0);
}

/* ---- what is not ours ---- */

static int message_number;

static int answer_with_foreign(void *context, struct dic_str body, struct dic_buf *answer)
{
    (void)context;
    (void)body;
    dic_buf_printf(
        answer,
        "{\"Messages\":[{\"MessageId\":\"m%d\",\"ReceiptHandle\":\"r\",\"Body\":\"hello\""
        ",\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}]}",
        message_number);
    return 200;
}

/* Whether the message, which is delivered this many times, is told of, and how often. */
static int lines_about(int number, int deliveries)
{
    struct dic_delivery delivery;
    size_t count = 0;
    int lines = 0;
    message_number = number;
    scripted.respond = answer_with_foreign;
    dic_log_set_level(DIC_LOG_WARN);
    dic_capture_begin(STDERR_FILENO);
    for (int i = 0; i < deliveries; i++) {
        assert_ok(receive(1, 0, &delivery, &count));
        assert_int_equal(count, 1);
        assert_false(delivery.understood);
    }
    const char *at = dic_capture_end();
    dic_log_set_level(DIC_LOG_OFF);
    while ((at = strstr(at, "\"event\":\"message_not_ours\"")) != NULL) {
        assert_non_null(strstr(at, "\"queue\":\"http://q/1\""));
        assert_non_null(strstr(at, "\"message_id\":\"m"));
        at++;
        lines++;
    }
    return lines;
}

static void a_message_that_is_not_ours_is_told_of_once(void **state)
{
    (void)state;
    enum { REMEMBERED = 256 };
    assert_int_equal(lines_about(0, 20), 1);
    assert_int_equal(lines_about(1, 2), 1);
    assert_int_equal(lines_about(0, 1), 0);
    for (int i = 2; i < REMEMBERED; i++) {
        assert_int_equal(lines_about(i, 1), 1);
    }
    assert_int_equal(lines_about(0, 1), 0); /* as many as are remembered */
    assert_int_equal(lines_about(REMEMBERED, 1), 1);
    assert_int_equal(lines_about(0, 1), 1); /* forgotten by now */
}

/* ---- waiting ---- */

static uint32_t asked_s[16]; /* WaitTimeSeconds of each poll */
static size_t polls;
static size_t wake_at; /* the poll during which somebody wakes; 0: none */
static bool cancelled; /* and whether the poll notices */

static int let_time_pass(void *context, struct dic_str body, struct dic_buf *answer)
{
    static const char member[] = "\"WaitTimeSeconds\":";
    const char *at = strstr(body.ptr, member);
    (void)context;
    assert_non_null(at);
    asked_s[polls] = (uint32_t)strtoul(at + sizeof member - 1, NULL, 10);
    now_ms += (int64_t)asked_s[polls] * 1000;
    polls++;
    dic_buf_append_text(answer, "{}");
    if (polls != wake_at) {
        return 200;
    }
    queue.ops->wake(queue.impl);
    return cancelled ? -1 : 200;
}

static void expect_polls(int64_t wait_ms, const uint32_t *seconds, size_t count)
{
    struct dic_delivery delivery;
    size_t received = 9;
    polls = 0;
    scripted.respond = let_time_pass;
    assert_ok(receive(1, wait_ms, &delivery, &received));
    assert_int_equal(received, 0);
    assert_int_equal(polls, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(asked_s[i], seconds[i]);
    }
}

static void a_wait_is_long_polls_of_up_to_20_seconds(void **state)
{
    (void)state;
    wake_at = 0;
    expect_polls(-1, (uint32_t[]){0}, 1);
    expect_polls(0, (uint32_t[]){0}, 1);
    expect_polls(1, (uint32_t[]){1}, 1);
    expect_polls(1000, (uint32_t[]){1}, 1);
    expect_polls(1001, (uint32_t[]){2}, 1);
    expect_polls(19999, (uint32_t[]){20}, 1);
    expect_polls(20000, (uint32_t[]){20}, 1);
    expect_polls(20001, (uint32_t[]){20, 1}, 2);
    expect_polls(45000, (uint32_t[]){20, 20, 5}, 3);
}

static void a_wake_ends_the_wait_without_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        cancelled = i == 0;
        wake_at = 2;
        expect_polls(100000, (uint32_t[]){20, 20}, 2);
        wake_at = 0; /* and the next is not woken by it */
        expect_polls(21000, (uint32_t[]){20, 1}, 2);
    }
}

static void a_message_ends_the_wait_at_once(void **state)
{
    (void)state;
    struct dic_delivery deliveries[2];
    size_t count = 9;
    scripted.respond = answer_with_two;
    assert_ok(receive(2, 60000, deliveries, &count));
    assert_int_equal(count, 2);
    assert_int_equal(scripted.requests, 1);
}

static int cancel_unasked(void *context, struct dic_str body, struct dic_buf *answer)
{
    (void)context;
    (void)body;
    (void)answer;
    return -1;
}

static void a_poll_that_breaks_off_by_itself_is_an_error(void **state)
{
    (void)state;
    struct dic_delivery delivery;
    size_t count = 9;
    scripted.respond = cancel_unasked;
    assert_true(receive(1, 1000, &delivery, &count) != DIC_OK);
    assert_int_equal(count, 0);
}

/* ---- sending ---- */

static void messages_carry_their_job_as_group_when_the_queue_is_fair(void **state)
{
    (void)state;
    static const struct dic_scripted_answer answer = {400, "{'__type':'x#InvalidMessageContents'}",
                                                      0};
    static const struct dic_message message = {
        .kind = DIC_MESSAGE_CHUNK, .job_id = "abcdefghijklmnopqrstuvwxyz", .chunk = 7};
    for (int fair = 0; fair < 2; fair++) {
        queue.ops->destroy(queue.impl);
        open_queue_at("http://q/1", fair);
        dic_scripted_aws_play(&scripted, &answer, 1);
        assert_code(queue.ops->send(queue.impl, &message, 1, &err), DIC_E_INVALID);
        const char *group =
            strstr(scripted.recorded.ptr, ",'MessageGroupId':'abcdefghijklmnopqrstuvwxyz'}]");
        assert_true((group != NULL) == fair);
    }
}

/* ---- handing back ---- */

static const struct dic_delivery in_hand = {
    .receipt = "r",
    .receive_count = 4,
    .sent_ms = 1234567890123,
    .understood = true,
    .message = {.kind = DIC_MESSAGE_CHUNK, .job_id = "abcdefghijklmnopqrstuvwxyz", .chunk = 7}};
#define ANEW                                                                  \
    "{\\'v\\':1,\\'tenant\\':\\'default\\',\\'kind\\':\\'chunk\\',\\'job\\':" \
    "\\'abcdefghijklmnopqrstuvwxyz\\',\\'chunk\\':7,\\'receives\\':3,\\'sent\\':1234567890123}"
#define SEND_ANEW                                                                         \
    "SendMessageBatch {'QueueUrl':'http://q/1','Entries':[{'Id':'0','MessageBody':'" ANEW \
    "','MessageGroupId':'abcdefghijklmnopqrstuvwxyz'}]}\n"
#define DELETE_OLD "DeleteMessage {'QueueUrl':'http://q/1','ReceiptHandle':'r'}\n"

static const struct dic_scripted_answer is_sent = {
    200, "{'Successful':[{'Id':'0','MD5OfMessageBody':'0f86aad7d9ccc3f3719a40bc98f45205'}]}", 0};

static void to_hand_back_is_to_send_anew_and_then_to_delete(void **state)
{
    (void)state;
    const struct dic_scripted_answer answers[] = {is_sent, {200, "", 0}};
    dic_scripted_aws_play(&scripted, answers, 2);
    assert_ok(queue.ops->hand_back(queue.impl, &in_hand, &err));
    dic_scripted_aws_assert_asked(&scripted, SEND_ANEW DELETE_OLD);
}

static void a_delete_that_fails_leaves_two_and_is_no_failure(void **state)
{
    (void)state;
    const struct dic_scripted_answer answers[] = {is_sent, {400, "{'__type':'x#AccessDenied'}", 0}};
    dic_scripted_aws_play(&scripted, answers, 2);
    assert_ok(queue.ops->hand_back(queue.impl, &in_hand, &err));
    dic_scripted_aws_assert_asked(&scripted, SEND_ANEW DELETE_OLD);
}

static void what_cannot_be_sent_anew_is_not_deleted(void **state)
{
    (void)state;
    const struct dic_scripted_answer answer = {400, "{'__type':'x#InvalidMessageContents'}", 0};
    dic_scripted_aws_play(&scripted, &answer, 1);
    assert_code(queue.ops->hand_back(queue.impl, &in_hand, &err), DIC_E_INVALID);
    dic_scripted_aws_assert_asked(&scripted, SEND_ANEW);
}

static void what_is_not_understood_is_only_given_back(void **state)
{
    (void)state;
    const struct dic_scripted_answer answer = {200, "", 0};
    const struct dic_delivery foreign = {.receipt = "r", .receive_count = 4};
    dic_scripted_aws_play(&scripted, &answer, 1);
    assert_ok(queue.ops->hand_back(queue.impl, &foreign, &err));
    dic_scripted_aws_assert_asked(&scripted, "ChangeMessageVisibility {'QueueUrl':'http://q/1',"
                                             "'ReceiptHandle':'r','VisibilityTimeout':0}\n");
}

static uint32_t count_after(const char *receives, const char *earlier)
{
    struct dic_buf body;
    struct dic_delivery delivery;
    size_t count = 0;
    dic_buf_init(&body, 10000);
    dic_buf_printf(
        &body,
        "{'Messages':[{'MessageId':'1','ReceiptHandle':'r','Body':'{\\'v\\':1,"
        "\\'tenant\\':\\'default\\',\\'kind\\':\\'plan\\',\\'job\\':"
        "\\'abcdefghijklmnopqrstuvwxyz\\',\\'chunk\\':0,\\'receives\\':%s,\\'sent\\':5}',"
        "'MD5OfBody':'%s','Attributes':{'ApproximateReceiveCount':'%s',"
        "'SentTimestamp':'9'}}]}",
        earlier,
        strcmp(earlier, "9") == 0 ? "1f10f68f1ebd83e9c935a848feb749fa"
                                  : "37924abcb3fc94ede75b947c4cbd10bc",
        receives);
    const struct dic_scripted_answer answer = {200, body.ptr, 0};
    dic_scripted_aws_play(&scripted, &answer, 1);
    assert_ok(receive(1, 0, &delivery, &count));
    dic_buf_clean_up(&body);
    assert_int_equal(count, 1);
    assert_int_equal(delivery.sent_ms, 5);
    return delivery.receive_count;
}

static void what_a_message_had_been_through_is_counted_with_its_receives(void **state)
{
    (void)state;
    assert_int_equal(count_after("1", "9"), 10);
    assert_int_equal(count_after("3", "9"), 12);
    assert_true(count_after("4294967295", "9") == UINT32_MAX);
    assert_true(count_after("2", "4294967295") == UINT32_MAX);
}

/* ---- settings ---- */

static void a_url_that_cannot_be_one_is_refused(void **state)
{
    (void)state;
    char long_url[1026];
    struct dic_job_queue other = {0};
    struct dic_job_queue_sqs_options options = {.aws = scripted.aws};
    static const char *const bad[] = {"",
                                      "queue",
                                      "ftp://q/1",
                                      "http:/q",
                                      "http://q/\"",
                                      "http://q/a b",
                                      "http://q/\\",
                                      "http://q/\n",
                                      "http://q/\x7f",
                                      "http://q/\xC3\xA9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.url = bad[i];
        assert_code(dic_job_queue_sqs_new(&options, &other, &err), DIC_E_INVALID);
        assert_string_equal(err.field, "url");
    }
    memset(long_url, 'x', sizeof long_url - 1);
    memcpy(long_url, "https://", 8);
    long_url[1025] = '\0';
    options.url = long_url;
    assert_code(dic_job_queue_sqs_new(&options, &other, &err), DIC_E_INVALID);
    long_url[1024] = '\0';
    assert_ok(dic_job_queue_sqs_new(&options, &other, &err));
    other.ops->destroy(other.impl);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_queue, close_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_receipt_that_fits_is_kept_and_a_longer_one_is_an_error),
        TEST(more_messages_than_were_asked_for_are_an_error),
        TEST(a_message_that_is_not_ours_is_told_of_once),
        TEST(a_wait_is_long_polls_of_up_to_20_seconds),
        TEST(a_wake_ends_the_wait_without_an_error),
        TEST(a_message_ends_the_wait_at_once),
        TEST(a_poll_that_breaks_off_by_itself_is_an_error),
        TEST(messages_carry_their_job_as_group_when_the_queue_is_fair),
        TEST(to_hand_back_is_to_send_anew_and_then_to_delete),
        TEST(a_delete_that_fails_leaves_two_and_is_no_failure),
        TEST(what_cannot_be_sent_anew_is_not_deleted),
        TEST(what_is_not_understood_is_only_given_back),
        TEST(what_a_message_had_been_through_is_counted_with_its_receives),
        TEST(a_url_that_cannot_be_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
