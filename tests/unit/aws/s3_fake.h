/* SPDX-License-Identifier: Apache-2.0 */
/* An S3 that answers what the test wrote down, one answer a request, on the fake HTTP client. */
#ifndef DIC_TEST_S3_FAKE_H
#define DIC_TEST_S3_FAKE_H

#include "aws/s3.h"
#include "aws_environment.h"
#include "base/mem.h"
#include "fake_http.h"

#include <stdio.h>

#include "test.h"

enum { FAKE_MAX = 32, FAKE_ERROR_BYTES = 512 };

/* As headers: those of an object stored by the last write that was sent. */
#define FAKE_ECHO "echo"

static struct fake_s3 {
    struct fake_http_answer answers[FAKE_MAX];
    char errors[FAKE_MAX][FAKE_ERROR_BYTES];
    char echo[128];
    char tagged[FAKE_ERROR_BYTES];
    bool untagged; /* objects have no tag of their own accord */
    size_t answer_count;
    size_t asked;
    bool repeat_last; /* the last answer for ever */
    struct fake_http http;
    struct fake_clock clock;
    struct dic_aws *aws;
    struct dic_s3_bucket *bucket;
} fake;

/* status 0: the connection breaks after the request was sent */
static inline void fake_answers(int status, const char *headers, const char *body)
{
    assert_true(fake.answer_count < FAKE_MAX);
    fake.answers[fake.answer_count++] = (struct fake_http_answer){
        .failure = status == 0 ? DIC_E_UPSTREAM : DIC_OK,
        .sent = true,
        .status = status,
        .headers = headers,
        .body = body,
    };
}

static inline void fake_error(int status, const char *code, const char *more)
{
    assert_true(fake.answer_count < FAKE_MAX);
    char *body = fake.errors[fake.answer_count];
    snprintf(body, FAKE_ERROR_BYTES,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
             "<Message>It did not work.</Message>%s<RequestId>4442587FB7D0A2F9</RequestId></Error>",
             code, more);
    fake_answers(status, "content-type: application/xml\n", body);
}

static inline const char *fake_echo(void)
{
    for (size_t i = fake.http.record_count; i-- > 0;) {
        const struct dic_str id = fake_http_sent_header(&fake.http, i, "x-amz-meta-write-id");
        if (id.ptr != NULL) {
            snprintf(fake.echo, sizeof fake.echo, "content-length: 5\nx-amz-meta-write-id: %.*s\n",
                     DIC_STR_ARGS(id));
            return fake.echo;
        }
    }
    fail_msg("no write had an id");
    return NULL;
}

/* S3 tags what it gives and what it takes, so scripts need not say it. */
static inline void fake_tag(const struct fake_http_record *request, struct fake_http_answer *answer)
{
    const bool is_object =
        strstr(request->url, "?") == NULL &&
        (strcmp(request->method, "GET") == 0 || strcmp(request->method, "PUT") == 0);
    const bool is_good = answer->status >= 200 && answer->status < 300;
    if (!fake.untagged && is_object && is_good && strstr(answer->headers, "etag: ") == NULL) {
        snprintf(fake.tagged, sizeof fake.tagged, "etag: \"0\"\n%s", answer->headers);
        answer->headers = fake.tagged;
    }
}

static inline void fake_respond(void *context, const struct fake_http_record *request,
                                struct fake_http_answer *answer_out)
{
    (void)context;
    if (fake.asked == fake.answer_count && !fake.repeat_last) {
        fail_msg("request %zu is not in the script: %s %s", fake.asked, request->method,
                 request->url);
    }
    *answer_out = fake.answers[fake.asked < fake.answer_count ? fake.asked : fake.answer_count - 1];
    if (answer_out->headers != NULL && strcmp(answer_out->headers, FAKE_ECHO) == 0) {
        answer_out->headers = fake_echo();
    }
    fake_tag(request, answer_out);
    fake.asked++;
}

static inline void fake_open_with(const struct dic_aws_environment *given, const char *bucket)
{
    static struct dic_aws_environment environment;
    memset(&fake, 0, sizeof fake);
    environment = *given;
    fake_clock_init(&fake.clock, 1440938160000); /* 2015-08-30T12:36:00Z */
    fake_http_init(&fake.http, &fake.clock);
    fake.http.respond = fake_respond;
    const struct dic_aws_options options = {
        .environment = &environment,
        .http = fake.http.client,
        .clock = &fake.clock.clock,
        .sleep_ms = fake_clock_sleep,
        .sleep_context = &fake.clock,
    };
    assert_ok(dic_aws_new(&options, &fake.aws, NULL));
    const struct dic_s3_options s3 = {.aws = fake.aws,
                                      .bucket = bucket,
                                      .sleep_ms = fake_clock_sleep,
                                      .sleep_context = &fake.clock};
    assert_ok(dic_s3_bucket_new(&s3, &fake.bucket, NULL));
}

static inline void fake_open(const char *endpoint, const char *bucket)
{
    struct dic_aws_environment environment = test_aws_environment();
    environment.endpoint_url_s3 = endpoint;
    fake_open_with(&environment, bucket);
}

/* Fails when an answer was not asked for. */
static inline int fake_close(void **state)
{
    (void)state;
    dic_s3_bucket_destroy(fake.bucket);
    dic_aws_destroy(fake.aws);
    fake_http_clean_up(&fake.http);
    return fake.repeat_last || fake.asked == fake.answer_count ? 0 : -1;
}

/* ---- what was sent ---- */

static inline void fake_assert_request(size_t index, const char *method, const char *url)
{
    assert_true(index < fake.http.record_count);
    assert_string_equal(fake.http.records[index].method, method);
    assert_string_equal(fake.http.records[index].url, url);
}

static inline void fake_assert_header(size_t index, const char *name, const char *value)
{
    assert_view(fake_http_sent_header(&fake.http, index, name), value);
}

static inline void fake_assert_no_header(size_t index, const char *name)
{
    assert_null(fake_http_sent_header(&fake.http, index, name).ptr);
}

#endif
