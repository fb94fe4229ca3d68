/* SPDX-License-Identifier: Apache-2.0 */
/* An S3 that answers what the test wrote down, one answer a request, and keeps what it was sent. */
#ifndef DIC_TEST_S3_FAKE_H
#define DIC_TEST_S3_FAKE_H

#include "aws/s3.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

#include "test.h"

enum { FAKE_MAX = 24 };

/* As headers: those of an object stored by the last write that was sent. */
#define FAKE_ECHO "echo"

struct fake_answer {
    int status;          /* 0: the connection breaks after the request was sent */
    const char *headers; /* "name: value\n" a line, or FAKE_ECHO */
    const char *body;
};

struct fake_seen {
    char method[8];
    struct dic_buf url;
    struct dic_buf headers; /* "name: value\n" a line */
    size_t body_len;
    struct dic_buf body; /* its first 4 KiB */
};

static struct fake_s3 {
    struct fake_answer answers[FAKE_MAX];
    size_t answer_count;
    struct fake_seen seen[FAKE_MAX];
    size_t seen_count;
    bool repeat_last; /* the last answer for ever; requests are counted only */
    size_t sent;
    size_t sleeps;
    int64_t slept_ms; /* time passes by sleeping only */
    struct dic_aws *aws;
    struct dic_s3_bucket *bucket;
} fake;

static inline void fake_answers(int status, const char *headers, const char *body)
{
    assert_true(fake.answer_count < FAKE_MAX);
    fake.answers[fake.answer_count++] = (struct fake_answer){status, headers, body};
}

static inline void fake_error(int status, const char *code, const char *more)
{
    static char bodies[FAKE_MAX][512];
    char *body = bodies[fake.answer_count];
    snprintf(body, sizeof bodies[0],
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
             "<Message>It did not work.</Message>%s<RequestId>4442587FB7D0A2F9</RequestId></Error>",
             code, more);
    fake_answers(status, "content-type: application/xml\n", body);
}

static inline void fake_note(struct fake_seen *seen, const struct dic_http_request *request)
{
    snprintf(seen->method, sizeof seen->method, "%s", request->method);
    dic_buf_init(&seen->url, 64 * 1024);
    dic_buf_append_str(&seen->url, request->url);
    dic_buf_init(&seen->headers, 64 * 1024);
    for (size_t i = 0; i < request->header_count; i++) {
        dic_buf_printf(&seen->headers, "%.*s: %.*s\n", DIC_STR_ARGS(request->headers[i].name),
                       DIC_STR_ARGS(request->headers[i].value));
    }
    seen->body_len = request->body.len;
    dic_buf_init(&seen->body, 4096);
    dic_buf_append(&seen->body, request->body.ptr,
                   request->body.len < 4096 ? request->body.len : 4096);
}

static inline void fake_echo(struct dic_buf *headers)
{
    static const char name[] = "x-amz-meta-write-id: ";
    dic_buf_append_text(headers, "content-length: 5\n");
    for (size_t i = fake.seen_count; i-- > 0;) {
        const char *line = strstr(fake.seen[i].headers.ptr, name);
        if (line != NULL) {
            dic_buf_append(headers, line, strcspn(line, "\n") + 1);
            return;
        }
    }
    fail_msg("no write had an id");
}

static inline enum dic_code fake_send(void *impl, const struct dic_http_request *request,
                                      struct dic_http_response *response, struct dic_err *err)
{
    (void)impl;
    const struct fake_answer *answer = NULL;
    fake.sent++;
    if (fake.repeat_last) {
        answer = &fake.answers[fake.answer_count - 1];
    } else if (fake.seen_count < fake.answer_count) {
        answer = &fake.answers[fake.seen_count];
        fake_note(&fake.seen[fake.seen_count++], request);
    } else {
        fail_msg("request %zu is not in the script: %s %.*s", fake.seen_count, request->method,
                 DIC_STR_ARGS(request->url));
    }
    dic_buf_clear(&response->headers);
    dic_buf_clear(&response->body);
    response->body.ceiling = request->max_response_bytes;
    response->status = answer->status;
    response->sent = true;
    if (answer->status == 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "the connection broke");
    }
    if (strcmp(answer->headers, FAKE_ECHO) == 0) {
        fake_echo(&response->headers);
    } else {
        dic_buf_append_text(&response->headers, answer->headers);
    }
    dic_buf_append_text(&response->body, answer->body);
    return response->body.poisoned ? dic_fail(err, DIC_E_TOO_LARGE, "the answer is too long")
                                   : DIC_OK;
}

static inline void fake_wake(void *impl)
{
    (void)impl;
}

static inline void fake_sleep(void *context, int64_t ms)
{
    (void)context;
    assert_true(ms >= 0);
    fake.sleeps++;
    fake.slept_ms += ms;
}

static inline int64_t fake_wall_ms(void *impl)
{
    (void)impl;
    return fake.slept_ms + 1440938160000; /* 2015-08-30 12:36:00, as in AWS's examples */
}

static inline int64_t fake_mono_ns(void *impl)
{
    (void)impl;
    return (fake.slept_ms + 1) * 1000000;
}

static inline void fake_open(const char *endpoint, const char *bucket)
{
    static const struct dic_http_client_ops http = {.send = fake_send, .wake = fake_wake};
    static const struct dic_clock clock = {fake_wall_ms, fake_mono_ns, NULL};
    static struct dic_aws_environment environment;
    environment = (struct dic_aws_environment){
        .access_key_id = "AKIDEXAMPLE",
        .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .session_token = "",
        .profile = "",
        .shared_credentials_file = "/nowhere",
        .config_file = "/nowhere",
        .home = "",
        .container_relative_uri = "",
        .container_full_uri = "",
        .container_token = "",
        .container_token_file = "",
        .metadata_disabled = "true",
        .metadata_endpoint = "",
        .region = "eu-west-1",
        .default_region = "",
        .endpoint_url = "",
        .endpoint_url_s3 = endpoint,
        .endpoint_url_sqs = "",
        .endpoint_url_dynamodb = "",
        .ca_bundle = "",
    };
    const struct dic_aws_options options = {
        .environment = &environment,
        .http = {&http, NULL},
        .clock = &clock,
        .sleep_ms = fake_sleep,
    };
    assert_ok(dic_aws_new(&options, &fake.aws, NULL));
    const struct dic_s3_options s3 = {.aws = fake.aws, .bucket = bucket, .sleep_ms = fake_sleep};
    assert_ok(dic_s3_bucket_new(&s3, &fake.bucket, NULL));
}

static inline int fake_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < fake.seen_count; i++) {
        dic_buf_clean_up(&fake.seen[i].url);
        dic_buf_clean_up(&fake.seen[i].headers);
        dic_buf_clean_up(&fake.seen[i].body);
    }
    dic_s3_bucket_destroy(fake.bucket);
    dic_aws_destroy(fake.aws);
    const bool all_asked = fake.repeat_last || fake.seen_count == fake.answer_count;
    memset(&fake, 0, sizeof fake);
    return all_asked ? 0 : -1;
}

/* ---- what was sent ---- */

static inline bool fake_sent(size_t index, const char *header_line)
{
    char line[512];
    assert_true(index < fake.seen_count);
    snprintf(line, sizeof line, "%s\n", header_line);
    return strstr(fake.seen[index].headers.ptr, line) != NULL;
}

static inline void fake_assert_request(size_t index, const char *method, const char *url)
{
    assert_true(index < fake.seen_count);
    assert_string_equal(fake.seen[index].method, method);
    assert_string_equal(fake.seen[index].url.ptr, url);
}

#endif
