/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_failure.h"

#include "aws/hash.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS 1700000000000

struct sample {
    enum dic_aws_service service;
    const char *method; /* NULL: GET for S3, POST for the others */
    const char *query;
    int status;
    const char *headers;
    const char *body;
};

static struct dic_aws_failure read_bytes(const struct sample *sample, struct dic_str body)
{
    struct dic_aws_call call = {
        .service = sample->service,
        .method = sample->method != NULL          ? sample->method
                  : sample->service == DIC_AWS_S3 ? "GET"
                                                  : "POST",
        .query = dic_str(sample->query),
    };
    struct dic_http_response answer;
    dic_http_response_init(&answer);
    answer.body.ceiling = 1024 * 1024;
    answer.status = sample->status;
    dic_buf_append_text(&answer.headers, sample->headers == NULL ? "" : sample->headers);
    dic_buf_append_str(&answer.body, body);
    struct dic_aws_failure failure;
    dic_aws_failure_read(&call, &answer, "eu-west-1", NOW_MS, &failure);
    dic_http_response_clean_up(&answer);
    return failure;
}

static struct dic_aws_failure read_sample(const struct sample *sample)
{
    return read_bytes(sample, dic_str(sample->body));
}

#define S3_ERROR(code)                                               \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code \
    "</Code><Message>why</Message><RequestId>R1</RequestId><HostId>h</HostId></Error>"
#define JSON_ERROR(type) "{\"__type\":\"" type "\",\"message\":\"why\"}"

static void errors_are_classified_by_code_and_status(void **state)
{
    (void)state;
    static const struct {
        struct sample sample;
        const char *error_code;
        enum dic_aws_reaction reaction;
        enum dic_code code;
        bool unknown;
    } cases[] = {
        /* S3 */
        {{DIC_AWS_S3, NULL, NULL, 404, NULL, S3_ERROR("NoSuchKey")},
         "NoSuchKey",
         DIC_AWS_GIVE_UP,
         DIC_E_NOT_FOUND,
         false},
        {{DIC_AWS_S3, "HEAD", NULL, 404, NULL, ""},
         "HTTP 404",
         DIC_AWS_GIVE_UP,
         DIC_E_NOT_FOUND,
         false},
        {{DIC_AWS_S3, "HEAD", NULL, 403, NULL, ""},
         "HTTP 403",
         DIC_AWS_GIVE_UP,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_S3, "HEAD", NULL, 400, NULL, ""},
         "HTTP 400",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_S3, NULL, NULL, 304, NULL, ""},
         "HTTP 304",
         DIC_AWS_GIVE_UP,
         DIC_E_CONFLICT,
         false},
        {{DIC_AWS_S3, NULL, NULL, 412, NULL, S3_ERROR("PreconditionFailed")},
         "PreconditionFailed",
         DIC_AWS_GIVE_UP,
         DIC_E_CONFLICT,
         false},
        {{DIC_AWS_S3, "PUT", NULL, 409, NULL, S3_ERROR("ConditionalRequestConflict")},
         "ConditionalRequestConflict",
         DIC_AWS_GIVE_UP,
         DIC_E_CONFLICT,
         false},
        {{DIC_AWS_S3, NULL, NULL, 416, NULL, S3_ERROR("InvalidRange")},
         "InvalidRange",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_S3, NULL, NULL, 503, NULL, S3_ERROR("SlowDown")},
         "SlowDown",
         DIC_AWS_SLOW_DOWN,
         DIC_E_BUSY,
         false},
        {{DIC_AWS_S3, "PUT", NULL, 500, NULL, S3_ERROR("InternalError")},
         "InternalError",
         DIC_AWS_TRY_AGAIN,
         DIC_E_UPSTREAM,
         true},
        {{DIC_AWS_S3, "PUT", NULL, 400, NULL, S3_ERROR("RequestTimeout")},
         "RequestTimeout",
         DIC_AWS_TRY_AGAIN,
         DIC_E_UPSTREAM,
         false},
        {{DIC_AWS_S3, NULL, NULL, 503, NULL, "<html><body>Service Unavailable</body></html>"},
         "HTTP 503",
         DIC_AWS_TRY_AGAIN,
         DIC_E_UPSTREAM,
         true},
        {{DIC_AWS_S3, NULL, NULL, 403, NULL, S3_ERROR("RequestTimeTooSkewed")},
         "RequestTimeTooSkewed",
         DIC_AWS_CORRECT_CLOCK,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_S3, NULL, NULL, 403, NULL, S3_ERROR("SignatureDoesNotMatch")},
         "SignatureDoesNotMatch",
         DIC_AWS_CORRECT_CLOCK,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_S3, NULL, NULL, 400, NULL, S3_ERROR("ExpiredToken")},
         "ExpiredToken",
         DIC_AWS_NEW_CREDENTIALS,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_S3, NULL, NULL, 403, NULL, S3_ERROR("InvalidAccessKeyId")},
         "InvalidAccessKeyId",
         DIC_AWS_NEW_CREDENTIALS,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_S3, NULL, NULL, 403, NULL, S3_ERROR("AccessDenied")},
         "AccessDenied",
         DIC_AWS_GIVE_UP,
         DIC_E_DENIED,
         false},
        /* SQS and DynamoDB */
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL,
          JSON_ERROR("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException")},
         "ConditionalCheckFailedException",
         DIC_AWS_GIVE_UP,
         DIC_E_CONFLICT,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, JSON_ERROR("ResourceNotFoundException")},
         "ResourceNotFoundException",
         DIC_AWS_GIVE_UP,
         DIC_E_NOT_FOUND,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL,
          JSON_ERROR("x#ProvisionedThroughputExceededException")},
         "ProvisionedThroughputExceededException",
         DIC_AWS_SLOW_DOWN,
         DIC_E_BUSY,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL,
          JSON_ERROR("com.amazon.coral.validate#ValidationException")},
         "ValidationException",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 500, NULL, JSON_ERROR("x#InternalServerError")},
         "InternalServerError",
         DIC_AWS_TRY_AGAIN,
         DIC_E_UPSTREAM,
         true},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, JSON_ERROR("x#ExpiredTokenException")},
         "ExpiredTokenException",
         DIC_AWS_NEW_CREDENTIALS,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, JSON_ERROR("x#UnrecognizedClientException")},
         "UnrecognizedClientException",
         DIC_AWS_NEW_CREDENTIALS,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, JSON_ERROR("x#InvalidSignatureException")},
         "InvalidSignatureException",
         DIC_AWS_CORRECT_CLOCK,
         DIC_E_DENIED,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, "{}"},
         "HTTP 400",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 400, NULL, "{\"__type\":7,\"message\":[]}"},
         "HTTP 400",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 413, NULL, ""},
         "HTTP 413",
         DIC_AWS_GIVE_UP,
         DIC_E_TOO_LARGE,
         false},
        {{DIC_AWS_DYNAMODB, NULL, NULL, 302, "location: http://elsewhere/\n", ""},
         "HTTP 302",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 400,
          "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\n",
          JSON_ERROR("com.amazonaws.sqs#QueueDoesNotExist")},
         "QueueDoesNotExist",
         DIC_AWS_GIVE_UP,
         DIC_E_NOT_FOUND,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 400,
          "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\n", ""},
         "AWS.SimpleQueueService.NonExistentQueue",
         DIC_AWS_GIVE_UP,
         DIC_E_NOT_FOUND,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 403, "x-amzn-query-error: RequestThrottled;Sender\n",
          JSON_ERROR("com.amazonaws.sqs#SomeNewName")},
         "SomeNewName",
         DIC_AWS_SLOW_DOWN,
         DIC_E_BUSY,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 403, NULL, JSON_ERROR("com.amazonaws.sqs#OverLimit")},
         "OverLimit",
         DIC_AWS_SLOW_DOWN,
         DIC_E_BUSY,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 429, NULL, ""},
         "HTTP 429",
         DIC_AWS_SLOW_DOWN,
         DIC_E_BUSY,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 503, NULL, "<html>"},
         "HTTP 503",
         DIC_AWS_TRY_AGAIN,
         DIC_E_UPSTREAM,
         true},
        {{DIC_AWS_SQS, NULL, NULL, 501, NULL, ""},
         "HTTP 501",
         DIC_AWS_GIVE_UP,
         DIC_E_UPSTREAM,
         false},
        {{DIC_AWS_SQS, NULL, NULL, 400,
          "x-amzn-errortype: InvalidParameterValue:http://internal.amazon.com/coral/\n", "{}"},
         "InvalidParameterValue",
         DIC_AWS_GIVE_UP,
         DIC_E_INVALID,
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_aws_failure failure = read_sample(&cases[i].sample);
        if (strcmp(failure.error_code, cases[i].error_code) != 0 ||
            failure.reaction != cases[i].reaction || failure.code != cases[i].code ||
            failure.outcome_unknown != cases[i].unknown) {
            print_error("case %zu: '%s' reaction %d code %d unknown %d, expected '%s' %d %d %d\n",
                        i, failure.error_code, failure.reaction, failure.code,
                        failure.outcome_unknown, cases[i].error_code, cases[i].reaction,
                        cases[i].code, cases[i].unknown);
            fail();
        }
    }
}

static void message_and_request_id_are_read(void **state)
{
    (void)state;
    struct dic_aws_failure failure =
        read_sample(&(struct sample){DIC_AWS_S3, NULL, NULL, 404, NULL, S3_ERROR("NoSuchKey")});
    assert_string_equal(failure.message, "why");
    assert_string_equal(failure.request_id, "R1");
    failure = read_sample(&(struct sample){DIC_AWS_S3, NULL, NULL, 404, "x-amz-request-id: R2\n",
                                           S3_ERROR("NoSuchKey")});
    assert_string_equal(failure.request_id, "R2");
    failure = read_sample(&(struct sample){DIC_AWS_SQS, NULL, NULL, 400, "x-amzn-requestid: R3\n",
                                           "{\"__type\":\"a#B\",\"Message\":\"big M\"}"});
    assert_string_equal(failure.message, "big M");
    assert_string_equal(failure.request_id, "R3");
}

static void the_signed_request_in_a_message_is_not_shown(void **state)
{
    (void)state;
    struct dic_aws_failure failure = read_sample(
        &(struct sample){DIC_AWS_SQS, NULL, NULL, 403, NULL,
                         "{\"__type\":\"x#InvalidSignatureException\",\"message\":\"does not "
                         "match.\\n\\nThe Canonical "
                         "String should have been\\n'POST\\nx-amz-security-token:SECRET'\"}"});
    assert_string_equal(failure.message, "does not match.");
    failure = read_sample(&(struct sample){DIC_AWS_S3, NULL, NULL, 404, NULL,
                                           "<Error><Message>a\tb&#x7f;c&#13;d</Message></Error>"});
    assert_string_equal(failure.message, "a b c d");
}

static void a_bucket_in_another_region_is_told_by_its_name(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *headers;
        const char *body;
        const char *region;
        enum dic_aws_reaction reaction;
        enum dic_code code;
    } cases[] = {
        {301, "x-amz-bucket-region: us-west-2\n", S3_ERROR("PermanentRedirect"), "us-west-2",
         DIC_AWS_GIVE_UP, DIC_E_INVALID},
        {301, "x-amz-bucket-region: us-west-2\n", "", "us-west-2", DIC_AWS_GIVE_UP, DIC_E_INVALID},
        {307, "x-amz-bucket-region: us-west-2\n", "", "us-west-2", DIC_AWS_GIVE_UP, DIC_E_INVALID},
        {307, "x-amz-bucket-region: eu-west-1\n", "", "", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
        {307, NULL, "", "", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
        {400, NULL,
         "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>",
         "us-west-2", DIC_AWS_GIVE_UP, DIC_E_INVALID},
        {403, "x-amz-bucket-region: us-west-2\n", S3_ERROR("AccessDenied"), "", DIC_AWS_GIVE_UP,
         DIC_E_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_aws_failure failure = read_sample(&(struct sample){
            DIC_AWS_S3, NULL, NULL, cases[i].status, cases[i].headers, cases[i].body});
        assert_string_equal(failure.region, cases[i].region);
        assert_int_equal(failure.reaction, cases[i].reaction);
        assert_int_equal(failure.code, cases[i].code);
    }
}

static void an_error_that_says_200_is_an_error_but_an_object_is_not(void **state)
{
    (void)state;
    const char *body = "<?xml version=\"1.0\"?>\n  <Error><Code>InternalError</Code></Error>";
    struct dic_aws_failure failure =
        read_sample(&(struct sample){DIC_AWS_S3, "POST", "uploadId=1", 200, NULL, body});
    assert_int_equal(failure.reaction, DIC_AWS_TRY_AGAIN);
    assert_string_equal(failure.error_code, "InternalError");
    failure = read_sample(&(struct sample){DIC_AWS_S3, "GET", "list-type=2", 200, NULL, body});
    assert_int_equal(failure.reaction, DIC_AWS_TRY_AGAIN);
    failure = read_sample(&(struct sample){DIC_AWS_S3, "POST", "uploadId=1", 200, NULL,
                                           S3_ERROR("PreconditionFailed")});
    assert_int_equal(failure.code, DIC_E_CONFLICT);
    failure = read_sample(&(struct sample){DIC_AWS_S3, "GET", NULL, 200, NULL, body});
    assert_int_equal(failure.reaction, DIC_AWS_SUCCEEDED);
    failure = read_sample(&(struct sample){DIC_AWS_S3, "POST", "uploadId=1", 200, NULL,
                                           "<CompleteMultipartUploadResult/>"});
    assert_int_equal(failure.reaction, DIC_AWS_SUCCEEDED);
}

static void a_json_error_that_says_200_is_an_error_but_data_is_not(void **state)
{
    (void)state;
    struct sample sample = {DIC_AWS_DYNAMODB,
                            NULL,
                            NULL,
                            200,
                            NULL,
                            JSON_ERROR("com.amazonaws.dynamodb.v20120810#InternalServerError")};
    struct dic_aws_failure failure = read_sample(&sample);
    assert_int_equal(failure.reaction, DIC_AWS_TRY_AGAIN);
    assert_int_equal(failure.code, DIC_E_UPSTREAM);
    assert_true(failure.outcome_unknown);
    assert_string_equal(failure.error_code, "InternalServerError");
    sample.body = JSON_ERROR("x#ProvisionedThroughputExceededException");
    assert_int_equal(read_sample(&sample).reaction, DIC_AWS_SLOW_DOWN);
    sample.body = JSON_ERROR("x#NeverHeardOf");
    assert_int_equal(read_sample(&sample).code, DIC_E_UPSTREAM);
    static const char *const data[] = {"{\"Item\":{\"__type\":{\"S\":\"a\"}}}",
                                       "{\"Body\":\"{\\\"__type\\\":\\\"a\\\"}\"}",
                                       "{\"__type\":1}"};
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        sample.body = data[i];
        assert_int_equal(read_sample(&sample).reaction, DIC_AWS_SUCCEEDED);
    }
}

static void a_list_cut_at_any_byte_is_asked_for_again(void **state)
{
    (void)state;
    const char *body = " <List><Key>a</Key></List>\n";
    struct sample sample = {DIC_AWS_S3, NULL, "list-type=2", 200, NULL, NULL};
    for (size_t len = 0; len <= strlen(body); len++) {
        const bool ends = len > 0 && strchr(">\n", body[len - 1]) != NULL;
        struct dic_aws_failure failure = read_bytes(&sample, dic_str_len(body, len));
        assert_int_equal(failure.reaction, ends ? DIC_AWS_SUCCEEDED : DIC_AWS_TRY_AGAIN);
    }
    sample.query = NULL; /* an object, which may be anything */
    assert_int_equal(read_bytes(&sample, dic_str("a")).reaction, DIC_AWS_SUCCEEDED);
}

static void a_body_with_another_checksum_is_asked_for_again(void **state)
{
    (void)state;
    const char *body = "{\"Item\":{}}";
    char headers[64];
    snprintf(headers, sizeof headers, "x-amz-crc32: %" PRIu32 "\n", dic_crc32(dic_str(body)));
    struct sample sample = {DIC_AWS_DYNAMODB, NULL, NULL, 200, headers, body};
    assert_int_equal(read_sample(&sample).reaction, DIC_AWS_SUCCEEDED);
    sample.body = "{\"Item\":{ }";
    struct dic_aws_failure failure = read_sample(&sample);
    assert_int_equal(failure.reaction, DIC_AWS_TRY_AGAIN);
    assert_int_equal(failure.code, DIC_E_UPSTREAM);
    assert_true(failure.outcome_unknown);
    sample.body = body;
    sample.headers = "x-amz-crc32: -1\n";
    assert_int_equal(read_sample(&sample).reaction, DIC_AWS_TRY_AGAIN);
}

static void a_json_body_cut_at_any_byte_is_asked_for_again(void **state)
{
    (void)state;
    const char *body = "{\"a\":1}\n";
    struct sample sample = {DIC_AWS_SQS, NULL, NULL, 200, NULL, NULL};
    for (size_t len = 1; len <= strlen(body); len++) {
        enum dic_aws_reaction reaction = read_bytes(&sample, dic_str_len(body, len)).reaction;
        assert_int_equal(reaction, len < strlen(body) - 1 ? DIC_AWS_TRY_AGAIN : DIC_AWS_SUCCEEDED);
    }
    assert_int_equal(read_bytes(&sample, dic_str("")).reaction, DIC_AWS_SUCCEEDED);
    assert_int_equal(read_bytes(&sample, dic_str("<html></html>")).reaction, DIC_AWS_TRY_AGAIN);
}

static void an_error_document_cut_at_any_byte_is_still_an_error(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {DIC_AWS_S3, NULL, NULL, 404, NULL, S3_ERROR("NoSuchKey")},
        {DIC_AWS_SQS, NULL, NULL, 404, NULL, JSON_ERROR("a#QueueDoesNotExist")},
    };
    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 0; len <= strlen(samples[i].body); len++) {
            char *copy = malloc(len + 1);
            memcpy(copy, samples[i].body, len);
            struct dic_aws_failure failure = read_bytes(&samples[i], dic_str_len(copy, len));
            assert_int_equal(failure.reaction, DIC_AWS_GIVE_UP);
            assert_int_equal(failure.code, DIC_E_NOT_FOUND);
            free(copy);
        }
    }
}

static void codes_longer_than_their_field_are_cut(void **state)
{
    (void)state;
    char body[800];
    char code[300];
    memset(code, 'C', sizeof code - 1);
    code[sizeof code - 1] = '\0';
    snprintf(body, sizeof body, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
    struct dic_aws_failure failure =
        read_sample(&(struct sample){DIC_AWS_S3, NULL, NULL, 400, NULL, body});
    assert_int_equal(strlen(failure.error_code), sizeof failure.error_code - 1);
    assert_int_equal(strlen(failure.message), sizeof failure.message - 1);
}

static int64_t retry_after(const char *headers)
{
    return read_sample(&(struct sample){DIC_AWS_S3, NULL, NULL, 503, headers, ""}).retry_after_ms;
}

static void the_servers_wish_for_a_pause_is_read(void **state)
{
    (void)state;
    assert_int_equal(retry_after(NULL), 0);
    assert_int_equal(retry_after("retry-after: 7\n"), 7000);
    assert_int_equal(retry_after("x-amz-retry-after: 1500\nretry-after: 7\n"), 1500);
    assert_int_equal(retry_after("retry-after: Tue, 14 Nov 2023 22:13:30 GMT\n"), 10000);
    assert_int_equal(retry_after("retry-after: Tue, 14 Nov 2023 22:13:10 GMT\n"), 0);
    assert_int_equal(retry_after("retry-after: 86400\n"), 86400000);
    assert_int_equal(retry_after("retry-after: 86401\n"), 0);
    assert_int_equal(retry_after("retry-after: Wed, 15 Nov 2023 22:13:20 GMT\n"), 86400000);
    assert_int_equal(retry_after("retry-after: Wed, 15 Nov 2023 22:13:21 GMT\n"), 0);
    assert_int_equal(retry_after("retry-after: -1\n"), 0);
    assert_int_equal(retry_after("retry-after: soon\n"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_classified_by_code_and_status),
        cmocka_unit_test(message_and_request_id_are_read),
        cmocka_unit_test(the_signed_request_in_a_message_is_not_shown),
        cmocka_unit_test(a_bucket_in_another_region_is_told_by_its_name),
        cmocka_unit_test(an_error_that_says_200_is_an_error_but_an_object_is_not),
        cmocka_unit_test(a_json_error_that_says_200_is_an_error_but_data_is_not),
        cmocka_unit_test(a_list_cut_at_any_byte_is_asked_for_again),
        cmocka_unit_test(a_body_with_another_checksum_is_asked_for_again),
        cmocka_unit_test(a_json_body_cut_at_any_byte_is_asked_for_again),
        cmocka_unit_test(an_error_document_cut_at_any_byte_is_still_an_error),
        cmocka_unit_test(codes_longer_than_their_field_are_cut),
        cmocka_unit_test(the_servers_wish_for_a_pause_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
