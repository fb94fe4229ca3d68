/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws.h"

#include "aws/retry.h"
#include "aws_environment.h"
#include "fake_http.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define START_MS 1700000000000 /* 2023-11-14T22:13:20Z */
#define START_DATE "date: Tue, 14 Nov 2023 22:13:20 GMT\n"

struct fixture {
    struct fake_clock clock;
    struct fake_http http;
    struct dic_aws_environment environment;
    struct dic_aws *aws;
    struct dic_aws_answer answer;
    struct dic_err err;
    char bodies[64][200]; /* of scripted errors */
    size_t body_count;
};

static void make_aws(struct fixture *fixture)
{
    struct dic_aws_options options = {
        .environment = &fixture->environment,
        .http = fixture->http.client,
        .clock = &fixture->clock.clock,
        .sleep_ms = fake_clock_sleep,
        .sleep_context = &fixture->clock,
    };
    assert_ok(dic_aws_new(&options, &fixture->aws, &fixture->err));
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fake_clock_init(&fixture->clock, START_MS);
    fake_http_init(&fixture->http, &fixture->clock);
    fixture->environment = test_aws_environment();
    dic_aws_answer_init(&fixture->answer);
    make_aws(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dic_aws_answer_clean_up(&fixture->answer);
    dic_aws_destroy(fixture->aws);
    fake_http_clean_up(&fixture->http);
    free(fixture);
    return 0;
}

static const struct dic_aws_call get_object = {
    .service = DIC_AWS_S3,
    .operation = "GetObject",
    .method = "GET",
    .path = {"/bucket/key", 11},
};
static const struct dic_aws_call get_item = {
    .service = DIC_AWS_DYNAMODB,
    .operation = "GetItem",
    .method = "POST",
    .path = {"/", 1},
    .body = {"{}", 2},
};

static void script(struct fixture *fixture, int status, const char *headers, const char *body)
{
    fake_http_script(&fixture->http,
                     (struct fake_http_answer){.status = status, .headers = headers, .body = body});
}

static void script_failure(struct fixture *fixture, enum dic_code code, bool sent)
{
    fake_http_script(&fixture->http, (struct fake_http_answer){.failure = code, .sent = sent});
}

static void script_error(struct fixture *fixture, int status, const char *headers, const char *code)
{
    assert_true(fixture->body_count < 64);
    char *body = fixture->bodies[fixture->body_count++];
    snprintf(body, 200, "{\"__type\":\"com.amazonaws#%s\",\"message\":\"m\"}", code);
    script(fixture, status, headers, body);
}

/* What is scripted and was not asked for. */
static void forget_script(struct fixture *fixture)
{
    fixture->http.answer_count = fixture->http.answered;
}

static enum dic_code call(struct fixture *fixture, const struct dic_aws_call *what)
{
    return dic_aws_call(fixture->aws, what, &fixture->answer, &fixture->err);
}

/* ---- what is sent ---- */

static void a_call_goes_to_the_endpoint_signed(void **state)
{
    struct fixture *fixture = *state;
    script(fixture, 200, NULL, "body");
    assert_ok(call(fixture, &get_object));
    assert_string_equal(fixture->http.records[0].url,
                        "https://s3.eu-west-1.amazonaws.com/bucket/key");
    assert_view(fake_http_sent_header(&fixture->http, 0, "host"), "s3.eu-west-1.amazonaws.com");
    assert_view(fake_http_sent_header(&fixture->http, 0, "x-amz-date"), "20231114T221320Z");
    struct dic_str authorization = fake_http_sent_header(&fixture->http, 0, "authorization");
    assert_true(dic_str_starts_with(
        authorization,
        DIC_STR_LIT("AWS4-HMAC-SHA256 Credential=AKIDTEST/20231114/eu-west-1/s3/aws4_request, "
                    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=")));
    assert_view(dic_buf_view(&fixture->answer.http.body), "body");
    assert_int_equal(fixture->answer.tries, 1);
    assert_false(fixture->answer.maybe_applied);
    assert_string_equal(fixture->answer.error_code, "");
}

static void a_buckets_host_takes_the_endpoints_place(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.host = dic_str("bucket.s3.eu-west-1.amazonaws.com");
    what.query = dic_str("list-type=2");
    script(fixture, 200, NULL, "<ListBucketResult/>");
    assert_ok(call(fixture, &what));
    assert_string_equal(fixture->http.records[0].url,
                        "https://bucket.s3.eu-west-1.amazonaws.com/bucket/key?list-type=2");
    assert_view(fake_http_sent_header(&fixture->http, 0, "host"),
                "bucket.s3.eu-west-1.amazonaws.com");
}

static void only_s3_gets_the_hash_of_the_body_in_a_header(void **state)
{
    struct fixture *fixture = *state;
    script(fixture, 200, NULL, "");
    script(fixture, 200, NULL, "{}");
    assert_ok(call(fixture, &get_object));
    assert_ok(call(fixture, &get_item));
    assert_non_null(fake_http_sent_header(&fixture->http, 0, "x-amz-content-sha256").ptr);
    assert_null(fake_http_sent_header(&fixture->http, 1, "x-amz-content-sha256").ptr);
}

static void a_payload_is_unsigned_over_https_only(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.payload_unsigned = true;
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &what));
    assert_view(fake_http_sent_header(&fixture->http, 0, "x-amz-content-sha256"),
                "UNSIGNED-PAYLOAD");
    dic_aws_destroy(fixture->aws);
    fixture->environment.endpoint_url_s3 = "http://127.0.0.1:9000";
    make_aws(fixture);
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &what));
    assert_view(fake_http_sent_header(&fixture->http, 1, "x-amz-content-sha256"),
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_session_token_is_sent_and_signed(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.session_token = "TOKEN";
    script(fixture, 200, NULL, "{}");
    assert_ok(call(fixture, &get_item));
    assert_view(fake_http_sent_header(&fixture->http, 0, "x-amz-security-token"), "TOKEN");
    assert_non_null(
        strstr(fixture->http.records[0].headers.ptr, "host;x-amz-date;x-amz-security-token"));
}

/* ---- trying again ---- */

static void a_server_error_is_tried_again_after_a_short_pause(void **state)
{
    struct fixture *fixture = *state;
    script(fixture, 500, NULL, "");
    script(fixture, 503, NULL, "");
    script(fixture, 200, NULL, "done");
    assert_ok(call(fixture, &get_object));
    assert_int_equal(fixture->answer.tries, 3);
    assert_int_equal(fixture->http.record_count, 3);
    int64_t slept = fixture->clock.mono_ms - 1000000;
    assert_in_range(slept, 0, 50 + 100);
    assert_true(fixture->answer.maybe_applied);
}

static void s3_is_tried_three_times_and_dynamodb_four(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3 + 4; i++) {
        script(fixture, 500, NULL, "");
    }
    assert_code(call(fixture, &get_object), DIC_E_UPSTREAM);
    assert_int_equal(fixture->answer.tries, 3);
    assert_true(fixture->err.retryable);
    assert_code(call(fixture, &get_item), DIC_E_UPSTREAM);
    assert_int_equal(fixture->answer.tries, 4);
    assert_int_equal(fixture->http.record_count, 7);
}

static void a_throttle_of_s3_is_tried_five_times(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        script(fixture, 503, NULL, "<Error><Code>SlowDown</Code></Error>");
    }
    assert_code(call(fixture, &get_object), DIC_E_BUSY);
    assert_int_equal(fixture->answer.tries, 5);
    assert_true(fixture->err.retryable);
    for (int i = 0; i < 4; i++) {
        script(fixture, 503, NULL, "<Error><Code>SlowDown</Code></Error>");
    }
    script(fixture, 200, NULL, "done");
    assert_ok(call(fixture, &get_object));
    assert_int_equal(fixture->answer.tries, 5);
}

static void throttling_ends_as_busy_and_names_awss_code(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        script_error(fixture, 400, "x-amzn-requestid: RID\n",
                     "ProvisionedThroughputExceededException");
    }
    assert_code(call(fixture, &get_item), DIC_E_BUSY);
    assert_string_equal(fixture->answer.error_code, "ProvisionedThroughputExceededException");
    assert_string_equal(fixture->answer.request_id, "RID");
    assert_string_equal(fixture->err.msg,
                        "GetItem: ProvisionedThroughputExceededException: m (4 tries, HTTP 400, "
                        "request id RID)");
    assert_false(fixture->answer.maybe_applied);
    struct dic_aws_counts counts;
    dic_aws_counts(fixture->aws, DIC_AWS_DYNAMODB, &counts);
    assert_int_equal(counts.calls, 1);
    assert_int_equal(counts.tries, 4);
    assert_int_equal(counts.throttled, 4);
    assert_int_equal(counts.failed, 1);
}

static void an_error_of_the_request_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    script_error(fixture, 400, NULL, "ConditionalCheckFailedException");
    assert_code(call(fixture, &get_item), DIC_E_CONFLICT);
    assert_int_equal(fixture->answer.tries, 1);
    assert_string_equal(fixture->answer.error_code, "ConditionalCheckFailedException");
    assert_non_null(strstr(fixture->answer.http.body.ptr, "ConditionalCheckFailed"));
    assert_false(fixture->err.retryable);
}

static void a_call_made_once_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.once = true;
    script(fixture, 500, NULL, "");
    assert_code(call(fixture, &what), DIC_E_UPSTREAM);
    assert_int_equal(fixture->answer.tries, 1);
}

static void a_lost_answer_makes_the_outcome_unknown_and_a_lost_request_does_not(void **state)
{
    struct fixture *fixture = *state;
    script_failure(fixture, DIC_E_UPSTREAM, false);
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    assert_false(fixture->answer.maybe_applied);
    script_failure(fixture, DIC_E_TIMEOUT, true);
    script(fixture, 412, NULL, "");
    assert_code(call(fixture, &get_object), DIC_E_CONFLICT);
    assert_true(fixture->answer.maybe_applied);
}

static void a_transport_error_is_reported_with_its_text(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        script_failure(fixture, DIC_E_TIMEOUT, true);
    }
    assert_code(call(fixture, &get_object), DIC_E_TIMEOUT);
    assert_string_equal(fixture->err.msg, "GetObject: scripted failure (3 tries)");
    assert_string_equal(fixture->answer.error_code, "");
    assert_int_equal(fixture->answer.http.status, 0);
}

static void what_cannot_be_sent_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    script_failure(fixture, DIC_E_TOO_LARGE, true);
    assert_code(call(fixture, &get_object), DIC_E_TOO_LARGE);
    struct dic_aws_call what = get_object;
    what.path = dic_str("/a b");
    assert_code(call(fixture, &what), DIC_E_INVALID);
    struct dic_buf url;
    dic_buf_init(&url, 4096);
    assert_code(dic_aws_presign(fixture->aws, &what, 60, &url, NULL), DIC_E_INVALID);
    assert_int_equal(url.len, 0);
    dic_buf_clean_up(&url);
    what = get_object;
    what.query = dic_str("a=b#c");
    assert_code(call(fixture, &what), DIC_E_INVALID);
    assert_int_equal(fixture->http.record_count, 1);
}

static void an_answer_longer_than_wanted_is_too_large_but_an_error_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.max_response_bytes = 4;
    script(fixture, 200, NULL, "1234");
    assert_ok(call(fixture, &what));
    script(fixture, 200, NULL, "12345");
    assert_code(call(fixture, &what), DIC_E_TOO_LARGE);
    script(fixture, 404, NULL, "<Error><Code>NoSuchKey</Code></Error>");
    assert_code(call(fixture, &what), DIC_E_NOT_FOUND);
    assert_string_equal(fixture->answer.error_code, "NoSuchKey");
}

/* ---- deadlines ---- */

static void a_try_gets_its_own_time_or_what_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.timeout_ms = 6000;
    what.total_timeout_ms = 10000;
    fake_http_script(&fixture->http, (struct fake_http_answer){
                                         .failure = DIC_E_TIMEOUT, .sent = true, .takes_ms = 6000});
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &what));
    assert_int_equal(fixture->http.records[0].timeout_ms, 6000);
    assert_in_range(fixture->http.records[1].timeout_ms, 4000 - 50, 4000);
}

static void no_try_begins_after_the_total_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.total_timeout_ms = 5000;
    fake_http_script(&fixture->http, (struct fake_http_answer){.status = 500, .takes_ms = 5000});
    assert_code(call(fixture, &what), DIC_E_UPSTREAM);
    assert_int_equal(fixture->answer.tries, 1);
    assert_int_equal(fixture->clock.sleeps, 0);
}

static void the_defaults_are_ten_and_thirty_seconds(void **state)
{
    struct fixture *fixture = *state;
    fake_http_script(&fixture->http, (struct fake_http_answer){.status = 500, .takes_ms = 29000});
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    assert_int_equal(fixture->http.records[0].timeout_ms, 10000);
    assert_in_range(fixture->http.records[1].timeout_ms, 1000 - 50, 1000);
}

static void the_servers_pause_is_kept_within_the_total(void **state)
{
    struct fixture *fixture = *state;
    script(fixture, 503, "retry-after: 7\n", "");
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    assert_int_equal(fixture->clock.slept_ms[0], 7000);
    script(fixture, 503, "retry-after: 30\n", "");
    assert_code(call(fixture, &get_object), DIC_E_UPSTREAM);
    assert_int_equal(fixture->clock.sleeps, 1);
}

/* ---- quota and rate ---- */

static void an_outage_is_not_answered_with_a_multiple_of_the_load(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 100; i++) {
        fake_http_script(&fixture->http, (struct fake_http_answer){.status = 500});
    }
    size_t calls = 0;
    while (fixture->http.record_count < 90) {
        assert_code(call(fixture, &get_object), DIC_E_UPSTREAM);
        calls++;
    }
    assert_int_equal(fixture->http.record_count - calls,
                     DIC_AWS_RETRY_TOKENS / DIC_AWS_RETRY_TRANSIENT_COST);
    forget_script(fixture);
    script(fixture, 500, NULL, "");
    script_error(fixture, 500, NULL, "InternalServerError"); /* another service has its own quota */
    script(fixture, 200, NULL, "{}");
    assert_code(call(fixture, &get_object), DIC_E_UPSTREAM);
    assert_int_equal(fixture->answer.tries, 1);
    assert_ok(call(fixture, &get_item));
}

static void success_fills_the_quota_again(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 60; i++) { /* every one needs a retry, which its success pays for */
        script(fixture, 500, NULL, "");
        script(fixture, 200, NULL, "");
        assert_ok(call(fixture, &get_object));
    }
    assert_int_equal(fixture->http.record_count, 120);
}

static void a_throttled_service_is_called_more_slowly(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 100; i++) { /* 50 calls a second for two seconds */
        fake_http_script(&fixture->http, (struct fake_http_answer){.status = 200, .takes_ms = 20});
        assert_ok(call(fixture, &get_object));
    }
    script(fixture, 503, NULL, "<Error><Code>SlowDown</Code></Error>");
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    int64_t start = fixture->clock.mono_ms;
    for (int i = 0; i < 100; i++) { /* these take no time, but for the waits between them */
        fake_http_script(&fixture->http, (struct fake_http_answer){.status = 200});
        assert_ok(call(fixture, &get_object));
    }
    assert_in_range(fixture->clock.mono_ms - start, 1000, 8000);
    script(fixture, 200, NULL, "{}");
    size_t sleeps = fixture->clock.sleeps;
    assert_ok(call(fixture, &get_item)); /* the other service is not held back */
    assert_int_equal(fixture->clock.sleeps, sleeps);
}

static void a_turn_after_the_deadline_is_busy_at_once(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        fake_http_script(&fixture->http,
                         (struct fake_http_answer){.status = 503,
                                                   .body = "<Error><Code>SlowDown</Code></Error>"});
    }
    assert_code(call(fixture, &get_object), DIC_E_BUSY);
    size_t sleeps = fixture->clock.sleeps;
    while (fixture->clock.sleeps == sleeps) { /* until all turns that were saved up are used */
        fake_http_script(&fixture->http, (struct fake_http_answer){.status = 200});
        assert_ok(call(fixture, &get_object));
    }
    struct dic_aws_call what = get_object;
    what.total_timeout_ms = 1000 / DIC_AWS_RATE_SLOWEST_PER_S / 2;
    sleeps = fixture->clock.sleeps;
    assert_code(call(fixture, &what), DIC_E_BUSY);
    assert_int_equal(fixture->clock.sleeps, sleeps);
    assert_int_equal(fixture->answer.tries, 0);
    assert_non_null(strstr(fixture->err.msg, "throttled"));
}

/* ---- the clock ---- */

static void a_wrong_clock_is_corrected_and_the_call_made_again(void **state)
{
    struct fixture *fixture = *state;
    fixture->clock.wall_ms -= 3600 * 1000;
    script(fixture, 403, START_DATE, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    script(fixture, 200, START_DATE, "");
    assert_ok(call(fixture, &get_object));
    assert_int_equal(fixture->answer.tries, 2);
    assert_int_equal(fixture->clock.sleeps, 0);
    assert_view(fake_http_sent_header(&fixture->http, 0, "x-amz-date"), "20231114T211320Z");
    assert_view(fake_http_sent_header(&fixture->http, 1, "x-amz-date"), "20231114T221320Z");
    script(fixture, 200, START_DATE, "{}");
    assert_ok(call(fixture, &get_item)); /* kept, for the other services too */
    assert_view(fake_http_sent_header(&fixture->http, 2, "x-amz-date"), "20231114T221320Z");
}

static void a_good_answer_tells_the_time_as_well(void **state)
{
    struct fixture *fixture = *state;
    fixture->clock.wall_ms += 600 * 1000;
    fake_http_script(&fixture->http, (struct fake_http_answer){
                                         .status = 200, .headers = START_DATE, .takes_ms = 2000});
    assert_ok(call(fixture, &get_object));
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object)); /* the Date was that of the exchange's middle */
    assert_view(fake_http_sent_header(&fixture->http, 1, "x-amz-date"), "20231114T221321Z");
}

static void a_long_poll_does_not_move_the_clock(void **state)
{
    struct fixture *fixture = *state;
    fixture->clock.wall_ms -= 20000; /* the Date is that of the end */
    fake_http_script(&fixture->http, (struct fake_http_answer){
                                         .status = 200, .headers = START_DATE, .takes_ms = 20000});
    assert_ok(call(fixture, &get_object));
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    assert_view(fake_http_sent_header(&fixture->http, 1, "x-amz-date"), "20231114T221320Z");
}

static void a_cached_answer_and_a_slow_one_tell_no_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->clock.wall_ms += 600 * 1000;
    script(fixture, 200, START_DATE "age: 600\n", "");
    script(fixture, 200, "date: yesterday\n", "");
    script(fixture, 200, NULL, "");
    for (int i = 0; i < 3; i++) {
        assert_ok(call(fixture, &get_object));
        assert_view(fake_http_sent_header(&fixture->http, (size_t)i, "x-amz-date"),
                    "20231114T222320Z");
    }
    struct dic_aws_call what = get_object;
    what.total_timeout_ms = 2000000;
    fake_http_script(&fixture->http, (struct fake_http_answer){
                                         .status = 200, .headers = START_DATE, .takes_ms = 901000});
    assert_ok(call(fixture, &what));
    script(fixture, 200, NULL, "");
    assert_ok(call(fixture, &get_object));
    assert_view(fake_http_sent_header(&fixture->http, 4, "x-amz-date"), "20231114T223821Z");
}

/* Whether a refused signature is tried again when the clock is so far off. */
static uint32_t tries_when_off_by(struct fixture *fixture, int64_t ms, const char *error_code)
{
    dic_aws_destroy(fixture->aws);
    make_aws(fixture);
    fixture->clock.wall_ms = START_MS + ms;
    script_error(fixture, 403, START_DATE, error_code);
    script_error(fixture, 403, START_DATE, error_code);
    assert_code(call(fixture, &get_item), DIC_E_DENIED);
    forget_script(fixture);
    return fixture->answer.tries;
}

static void a_refused_signature_is_the_clocks_fault_from_four_minutes_on(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(tries_when_off_by(fixture, 240000, "InvalidSignatureException"), 1);
    assert_int_equal(tries_when_off_by(fixture, 240001, "InvalidSignatureException"), 2);
    assert_int_equal(tries_when_off_by(fixture, -240000, "InvalidSignatureException"), 1);
    assert_int_equal(tries_when_off_by(fixture, -240001, "InvalidSignatureException"), 2);
    assert_int_equal(tries_when_off_by(fixture, 86400000, "AuthFailure"), 2);
    assert_int_equal(tries_when_off_by(fixture, 86400000, "SignatureDoesNotMatch"), 2);
    assert_int_equal(tries_when_off_by(fixture, 5000, "RequestExpired"), 2);
    assert_int_equal(tries_when_off_by(fixture, 0, "RequestTimeTooSkewed"), 1);
    assert_int_equal(tries_when_off_by(fixture, 86400000, "AccessDenied"), 1);
}

/* ---- credentials ---- */

#define CREDENTIALS(id) \
    "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"s\",\"Token\":\"T" id "\"}"

static void use_container(struct fixture *fixture)
{
    fixture->environment.access_key_id = "";
    fixture->environment.secret_access_key = "";
    fixture->environment.container_relative_uri = "/creds";
}

static bool signed_by(const struct fixture *fixture, size_t record, const char *key_id)
{
    char start[80];
    snprintf(start, sizeof start, "AWS4-HMAC-SHA256 Credential=%s/", key_id);
    return dic_str_starts_with(fake_http_sent_header(&fixture->http, record, "authorization"),
                               dic_str(start));
}

static void expired_credentials_are_asked_for_again_once(void **state)
{
    struct fixture *fixture = *state;
    use_container(fixture);
    script(fixture, 200, NULL, CREDENTIALS("A"));
    script(fixture, 200, NULL, "{}");
    assert_ok(call(fixture, &get_item));
    fake_clock_advance(&fixture->clock, 1000);
    script_error(fixture, 400, NULL, "ExpiredTokenException");
    script(fixture, 200, NULL, CREDENTIALS("B"));
    script(fixture, 200, NULL, "{}");
    assert_ok(call(fixture, &get_item));
    assert_int_equal(fixture->answer.tries, 2);
    assert_true(signed_by(fixture, 2, "A"));
    assert_true(signed_by(fixture, 4, "B"));
    fake_clock_advance(&fixture->clock, 1000);
    script_error(fixture, 400, NULL, "ExpiredTokenException");
    script(fixture, 200, NULL, CREDENTIALS("C"));
    script_error(fixture, 400, NULL, "ExpiredTokenException");
    assert_code(call(fixture, &get_item), DIC_E_DENIED);
    assert_int_equal(fixture->answer.tries, 2);
}

static void credentials_that_stay_the_same_are_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    script_error(fixture, 403, NULL, "UnrecognizedClientException");
    assert_code(call(fixture, &get_item), DIC_E_DENIED);
    assert_int_equal(fixture->answer.tries, 1);
    assert_string_equal(fixture->answer.error_code, "UnrecognizedClientException");
}

static void a_container_endpoint_that_fails_for_a_moment_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    use_container(fixture);
    for (int i = 0; i < 3; i++) {
        script_failure(fixture, DIC_E_UPSTREAM, false);
    }
    script(fixture, 200, NULL, CREDENTIALS("A"));
    script(fixture, 200, NULL, "{}");
    assert_ok(call(fixture, &get_item));
    assert_int_equal(fixture->clock.slept_ms[0], 1000);
}

static void without_credentials_nothing_is_sent(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.access_key_id = "";
    fixture->environment.secret_access_key = "";
    assert_code(call(fixture, &get_item), DIC_E_DENIED);
    assert_int_equal(fixture->http.record_count, 0);
    assert_non_null(strstr(fixture->err.msg, "GetItem: no AWS credentials: AWS_ACCESS_KEY_ID"));
}

/* ---- half an hour of a bad endpoint: credentials for six minutes, a third of its answers no good
 * ---- */

struct bad_endpoint {
    const struct fake_clock *clock;
    uint32_t seed;
    uint32_t issued;
    int64_t expires_ms;        /* of those issued last */
    int64_t expired_before_ms; /* of those before */
    char reply[32 * 1024];
    size_t stale; /* calls signed with expired ones */
};

static uint32_t next_random(struct bad_endpoint *endpoint)
{
    endpoint->seed = endpoint->seed * 1664525u + 1013904223u; /* Numerical Recipes' generator */
    return endpoint->seed >> 16;
}

static void answer_badly(struct bad_endpoint *endpoint, struct fake_http_answer *out)
{
    static const char zero[] = "{\"AccessKeyId\":\"A\0\"}";
    memset(endpoint->reply, 'x', sizeof endpoint->reply);
    endpoint->reply[sizeof endpoint->reply - 1] = '\0';
    const struct fake_http_answer answers[] = {
        {.failure = DIC_E_UPSTREAM},
        {.failure = DIC_E_TIMEOUT, .sent = true, .takes_ms = 2000},
        {.status = 500, .body = "oops"},
        {.status = 404, .body = "not yet"},
        {.status = 200, .body = "<html></html>"},
        {.status = 200, .body = ""},
        {.status = 200, .body = endpoint->reply}, /* over the ceiling */
        {.status = 200, .body = zero, .body_len = sizeof zero - 1},
        {.status = 200, .body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expir"},
    };
    *out = answers[next_random(endpoint) % (sizeof answers / sizeof answers[0])];
}

static void issue(struct bad_endpoint *endpoint, struct fake_http_answer *out)
{
    char time[DIC_TIME_TEXT_SIZE];
    endpoint->expired_before_ms = endpoint->expires_ms;
    endpoint->expires_ms = endpoint->clock->wall_ms + 6 * 60 * 1000;
    endpoint->issued++;
    dic_time_format(endpoint->expires_ms, time);
    snprintf(endpoint->reply, sizeof endpoint->reply,
             "{\"AccessKeyId\":\"AKID%u\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
             "\"%s\"}",
             endpoint->issued, time);
    *out = (struct fake_http_answer){.status = 200, .body = endpoint->reply};
}

static void respond_as_bad_endpoint(void *context, const struct fake_http_record *request,
                                    struct fake_http_answer *out)
{
    struct bad_endpoint *endpoint = context;
    if (strstr(request->url, "/creds") == NULL) {
        char newest[32];
        snprintf(newest, sizeof newest, "Credential=AKID%u/", endpoint->issued);
        bool is_newest = strstr(request->headers.ptr, newest) != NULL;
        int64_t expires_ms = is_newest ? endpoint->expires_ms : endpoint->expired_before_ms;
        endpoint->stale += endpoint->clock->wall_ms >= expires_ms;
        *out = (struct fake_http_answer){.status = 200, .body = "{}"};
    } else if (endpoint->issued > 0 && next_random(endpoint) % 10 < 3) {
        answer_badly(endpoint, out);
    } else {
        issue(endpoint, out);
    }
}

static void half_an_hour_of_a_bad_credentials_endpoint_fails_no_call(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct bad_endpoint endpoint = {.clock = &fixture->clock, .seed = seed};
        use_container(fixture);
        dic_aws_destroy(fixture->aws);
        make_aws(fixture);
        fixture->http.respond = respond_as_bad_endpoint;
        fixture->http.respond_context = &endpoint;
        for (int second = 0; second < 1800; second++) {
            if (call(fixture, &get_item) != DIC_OK) {
                print_error("seed %u, second %d: %s\n", seed, second, fixture->err.msg);
                fail();
            }
            fake_clock_advance(&fixture->clock, 1000);
            fake_http_forget(&fixture->http);
        }
        assert_int_equal(endpoint.stale, 0);
        assert_in_range(endpoint.issued, 25, 40); /* about one a minute */
    }
}

/* ---- threads ---- */

static void respond_with_errors(void *context, const struct fake_http_record *request,
                                struct fake_http_answer *out)
{
    (void)request;
    uint32_t *count = context;
    *out = (struct fake_http_answer){.status = ++*count % 5 == 0 ? 500 : 200, .body = "{}"};
}

static void sleep_not(void *context, int64_t ms)
{
    (void)context;
    (void)ms;
}

static void *call_many_times(void *context)
{
    struct dic_aws *aws = context;
    struct dic_aws_answer answer;
    dic_aws_answer_init(&answer);
    size_t failed = 0;
    for (int i = 0; i < 40; i++) {
        failed += dic_aws_call(aws, i % 2 == 0 ? &get_item : &get_object, &answer, NULL) != DIC_OK;
        dic_aws_wake(aws);
    }
    dic_aws_answer_clean_up(&answer);
    return failed == 0 ? context : NULL;
}

static void threads_call_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    uint32_t count = 0;
    fixture->http.respond = respond_with_errors;
    fixture->http.respond_context = &count;
    struct dic_aws_options options = {.environment = &fixture->environment,
                                      .http = fixture->http.client,
                                      .clock = &fixture->clock.clock,
                                      .sleep_ms = sleep_not};
    dic_aws_destroy(fixture->aws);
    assert_ok(dic_aws_new(&options, &fixture->aws, NULL));
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        dic_thread_start(&threads[i], "caller", call_many_times, fixture->aws);
    }
    for (size_t i = 0; i < 8; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        assert_non_null(fine);
    }
    struct dic_aws_counts s3;
    struct dic_aws_counts dynamodb;
    dic_aws_counts(fixture->aws, DIC_AWS_S3, &s3);
    dic_aws_counts(fixture->aws, DIC_AWS_DYNAMODB, &dynamodb);
    assert_int_equal(s3.calls, 160);
    assert_int_equal(dynamodb.calls, 160);
    assert_int_equal(s3.tries + dynamodb.tries, fixture->http.record_count);
    assert_int_equal(s3.tries + dynamodb.tries, 320 + fixture->http.record_count / 5);
}

/* ---- cancelling ---- */

static void a_cancelled_call_ends_as_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    atomic_bool cancel = true;
    struct dic_aws_call what = get_object;
    what.cancel = &cancel;
    assert_code(call(fixture, &what), DIC_E_CONFLICT);
    assert_int_equal(fixture->http.record_count, 0);
}

static void cancel_during_sleep(void *context, int64_t ms)
{
    (void)ms;
    atomic_store((atomic_bool *)context, true);
}

static void a_call_cancelled_between_its_tries_ends(void **state)
{
    struct fixture *fixture = *state;
    atomic_bool cancel = false;
    struct dic_aws_options options = {
        .environment = &fixture->environment,
        .http = fixture->http.client,
        .clock = &fixture->clock.clock,
        .sleep_ms = cancel_during_sleep,
        .sleep_context = &cancel,
    };
    dic_aws_destroy(fixture->aws);
    assert_ok(dic_aws_new(&options, &fixture->aws, NULL));
    struct dic_aws_call what = get_object;
    what.cancel = &cancel;
    script(fixture, 503, "retry-after: 1\n", "");
    assert_code(call(fixture, &what), DIC_E_CONFLICT);
    assert_int_equal(fixture->http.record_count, 1);
}

struct waking {
    struct dic_aws *aws;
    atomic_bool cancel;
};

static void *cancel_and_wake(void *context)
{
    struct waking *waking = context;
    atomic_store(&waking->cancel, true);
    dic_aws_wake(waking->aws);
    return NULL;
}

static pthread_t waker;

static void start_waker(void *context, const struct dic_http_request *request)
{
    (void)request;
    dic_thread_start(&waker, "waker", cancel_and_wake, context);
}

/* With the real clock: the pause would be 25 s, and the test fails by its time limit. */
static void waking_ends_a_pause_at_once(void **state)
{
    struct fixture *fixture = *state;
    dic_aws_destroy(fixture->aws);
    struct dic_aws_options options = {
        .environment = &fixture->environment,
        .http = fixture->http.client,
        .clock = dic_clock_system(),
    };
    assert_ok(dic_aws_new(&options, &fixture->aws, NULL));
    struct waking waking = {.aws = fixture->aws};
    fixture->http.on_send = start_waker;
    fixture->http.on_send_context = &waking;
    struct dic_aws_call what = get_object;
    what.cancel = &waking.cancel;
    fake_http_script(&fixture->http,
                     (struct fake_http_answer){.status = 503, .headers = "retry-after: 25\n"});
    int64_t start = dic_clock_mono_ms(dic_clock_system());
    assert_code(call(fixture, &what), DIC_E_CONFLICT);
    assert_in_range(dic_clock_mono_ms(dic_clock_system()) - start, 0, 20000);
    dic_thread_join(waker);
    assert_int_equal(fixture->http.wakes, 1);
}

/* ---- region, endpoints, presigned URLs ---- */

static void a_bucket_elsewhere_is_told_with_both_regions(void **state)
{
    struct fixture *fixture = *state;
    script(fixture, 301, "x-amz-bucket-region: us-west-2\n", "");
    assert_code(call(fixture, &get_object), DIC_E_INVALID);
    assert_string_equal(fixture->err.msg, "GetObject: the bucket is in region us-west-2, requests "
                                          "are signed for eu-west-1 (AWS_REGION)");
}

static void endpoints_come_from_the_services_variable_then_the_common_one(void **state)
{
    struct fixture *fixture = *state;
    assert_false(dic_aws_endpoint_is_custom(fixture->aws, DIC_AWS_SQS));
    dic_aws_destroy(fixture->aws);
    fixture->environment.endpoint_url = "http://localhost:4566/";
    fixture->environment.endpoint_url_sqs = "https://sqs.example:443";
    make_aws(fixture);
    assert_string_equal(dic_aws_endpoint(fixture->aws, DIC_AWS_S3), "http://localhost:4566");
    assert_string_equal(dic_aws_endpoint(fixture->aws, DIC_AWS_SQS), "https://sqs.example");
    assert_true(dic_aws_endpoint_is_custom(fixture->aws, DIC_AWS_DYNAMODB));
    assert_string_equal(dic_aws_region(fixture->aws), "eu-west-1");
}

static enum dic_code new_with(struct fixture *fixture)
{
    struct dic_aws *aws = NULL;
    struct dic_aws_options options = {.environment = &fixture->environment,
                                      .http = fixture->http.client,
                                      .clock = &fixture->clock.clock};
    enum dic_code code = dic_aws_new(&options, &aws, &fixture->err);
    dic_aws_destroy(aws);
    return code;
}

static void a_wrong_region_or_endpoint_stops_the_start_by_name(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.region = "";
    assert_code(new_with(fixture), DIC_E_INVALID);
    assert_string_equal(fixture->err.field, "AWS_REGION");
    fixture->environment.default_region = "eu/west";
    assert_code(new_with(fixture), DIC_E_INVALID);
    assert_string_equal(fixture->err.field, "AWS_DEFAULT_REGION");
    fixture->environment.default_region = "eu-west-3";
    assert_ok(new_with(fixture));
    fixture->environment.region = "eu.west";
    assert_code(new_with(fixture), DIC_E_INVALID);
    fixture->environment.region = "eu-west-2";
    assert_ok(new_with(fixture));
    fixture->environment.endpoint_url_dynamodb = "localhost:8000";
    assert_code(new_with(fixture), DIC_E_INVALID);
    assert_string_equal(fixture->err.field, "AWS_ENDPOINT_URL_DYNAMODB");
}

static void an_answer_that_is_broken_names_its_request_id(void **state)
{
    struct fixture *fixture = *state;
    struct dic_aws_call what = get_object;
    what.query = dic_str("list-type=2");
    for (int i = 0; i < 3; i++) {
        script(fixture, 200, "x-amz-request-id: R1\n", "<List");
    }
    assert_code(call(fixture, &what), DIC_E_UPSTREAM);
    assert_string_equal(
        fixture->err.msg,
        "GetObject: the answer is no XML document (3 tries, HTTP 200, request id R1)");
}

static void a_presigned_url_lasts_from_one_second_to_seven_days(void **state)
{
    struct fixture *fixture = *state;
    struct dic_buf url;
    dic_buf_init(&url, 4096);
    assert_code(dic_aws_presign(fixture->aws, &get_object, 0, &url, NULL), DIC_E_INVALID);
    assert_code(dic_aws_presign(fixture->aws, &get_object, 604801, &url, NULL), DIC_E_INVALID);
    assert_int_equal(url.len, 0);
    assert_ok(dic_aws_presign(fixture->aws, &get_object, 604800, &url, NULL));
    assert_true(dic_str_starts_with(
        dic_buf_view(&url), DIC_STR_LIT("https://s3.eu-west-1.amazonaws.com/bucket/key?"
                                        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
                                        "AKIDTEST%2F20231114%2Feu-west-1%2Fs3%2Faws4_request&"
                                        "X-Amz-Date=20231114T221320Z&X-Amz-Expires=604800&"
                                        "X-Amz-SignedHeaders=host&X-Amz-Signature=")));
    dic_buf_clear(&url);
    assert_ok(dic_aws_presign(fixture->aws, &get_object, 1, &url, NULL));
    assert_int_equal(fixture->http.record_count, 0);
    dic_buf_clean_up(&url);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_goes_to_the_endpoint_signed),
        TEST(a_buckets_host_takes_the_endpoints_place),
        TEST(only_s3_gets_the_hash_of_the_body_in_a_header),
        TEST(a_payload_is_unsigned_over_https_only),
        TEST(a_session_token_is_sent_and_signed),
        TEST(a_server_error_is_tried_again_after_a_short_pause),
        TEST(s3_is_tried_three_times_and_dynamodb_four),
        TEST(a_throttle_of_s3_is_tried_five_times),
        TEST(throttling_ends_as_busy_and_names_awss_code),
        TEST(an_error_of_the_request_is_not_tried_again),
        TEST(a_call_made_once_is_not_tried_again),
        TEST(a_lost_answer_makes_the_outcome_unknown_and_a_lost_request_does_not),
        TEST(a_transport_error_is_reported_with_its_text),
        TEST(what_cannot_be_sent_is_not_tried_again),
        TEST(an_answer_longer_than_wanted_is_too_large_but_an_error_is_read),
        TEST(a_try_gets_its_own_time_or_what_is_left),
        TEST(no_try_begins_after_the_total_deadline),
        TEST(the_defaults_are_ten_and_thirty_seconds),
        TEST(the_servers_pause_is_kept_within_the_total),
        TEST(an_outage_is_not_answered_with_a_multiple_of_the_load),
        TEST(success_fills_the_quota_again),
        TEST(a_throttled_service_is_called_more_slowly),
        TEST(a_turn_after_the_deadline_is_busy_at_once),
        TEST(a_wrong_clock_is_corrected_and_the_call_made_again),
        TEST(a_good_answer_tells_the_time_as_well),
        TEST(a_long_poll_does_not_move_the_clock),
        TEST(a_cached_answer_and_a_slow_one_tell_no_time),
        TEST(a_refused_signature_is_the_clocks_fault_from_four_minutes_on),
        TEST(expired_credentials_are_asked_for_again_once),
        TEST(credentials_that_stay_the_same_are_not_tried_again),
        TEST(a_container_endpoint_that_fails_for_a_moment_is_waited_for),
        TEST(without_credentials_nothing_is_sent),
        TEST(half_an_hour_of_a_bad_credentials_endpoint_fails_no_call),
        TEST(threads_call_side_by_side),
        TEST(a_cancelled_call_ends_as_a_conflict),
        TEST(a_call_cancelled_between_its_tries_ends),
        TEST(waking_ends_a_pause_at_once),
        TEST(a_bucket_elsewhere_is_told_with_both_regions),
        TEST(endpoints_come_from_the_services_variable_then_the_common_one),
        TEST(a_wrong_region_or_endpoint_stops_the_start_by_name),
        TEST(an_answer_that_is_broken_names_its_request_id),
        TEST(a_presigned_url_lasts_from_one_second_to_seven_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
