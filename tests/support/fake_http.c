/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_http.h"

#include "test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_http_record *record(struct fake_http *fake,
                                       const struct dic_http_request *request)
{
    if (fake->record_count == FAKE_HTTP_MAX_RECORDS) {
        abort();
    }
    struct fake_http_record *kept = &fake->records[fake->record_count++];
    snprintf(kept->method, sizeof kept->method, "%s", request->method);
    snprintf(kept->url, sizeof kept->url, "%.*s", DIC_STR_ARGS(request->url));
    dic_buf_init(&kept->headers, 256 * 1024);
    dic_buf_init(&kept->body, 64 * 1024 * 1024);
    for (size_t i = 0; i < request->header_count; i++) {
        for (size_t k = 0; k < request->headers[i].name.len; k++) {
            dic_buf_append_byte(&kept->headers,
                                (char)tolower((unsigned char)request->headers[i].name.ptr[k]));
        }
        dic_buf_append_text(&kept->headers, ": ");
        dic_buf_append_str(&kept->headers, request->headers[i].value);
        dic_buf_append_byte(&kept->headers, '\n');
    }
    dic_buf_append_str(&kept->body, request->body);
    kept->timeout_ms = request->timeout_ms;
    kept->max_response_bytes = request->max_response_bytes;
    return kept;
}

static struct fake_http_answer next_answer(struct fake_http *fake,
                                           const struct dic_http_request *request)
{
    DIC_GUARD(&fake->lock);
    const struct fake_http_record *kept = record(fake, request);
    struct fake_http_answer answer = {0};
    if (fake->respond != NULL) {
        fake->respond(fake->respond_context, kept, &answer);
    } else if (fake->answered < fake->answer_count) {
        answer = fake->answers[fake->answered++];
    } else {
        print_error("no answer is scripted for %s %s\n", kept->method, kept->url);
        abort();
    }
    if (fake->clock != NULL) {
        fake_clock_advance(fake->clock, answer.takes_ms);
    }
    return answer;
}

static enum dic_code fake_send(void *impl, const struct dic_http_request *request,
                               struct dic_http_response *response, struct dic_err *err)
{
    struct fake_http *fake = impl;
    response->status = 0;
    response->sent = false;
    dic_buf_clear(&response->headers);
    dic_buf_clear(&response->body);
    response->body.ceiling = request->max_response_bytes;
    if (fake->on_send != NULL) {
        fake->on_send(fake->on_send_context, request);
    }
    if (request->cancel != NULL && atomic_load(request->cancel)) {
        return dic_fail(err, DIC_E_CONFLICT, "cancelled");
    }
    struct fake_http_answer answer = next_answer(fake, request);
    if (answer.failure != DIC_OK) {
        response->sent = answer.sent;
        return dic_fail(err, answer.failure, "scripted failure");
    }
    response->sent = true;
    response->status = answer.status;
    if (answer.headers != NULL) {
        dic_buf_append_text(&response->headers, answer.headers);
    }
    if (answer.body != NULL) {
        dic_buf_append(&response->body, answer.body,
                       answer.body_len > 0 ? answer.body_len : strlen(answer.body));
    }
    return response->body.poisoned ? dic_fail(err, DIC_E_TOO_LARGE, "too large") : DIC_OK;
}

static void fake_wake(void *impl)
{
    struct fake_http *fake = impl;
    DIC_GUARD(&fake->lock);
    fake->wakes++;
}

static void fake_destroy(void *impl)
{
    (void)impl; /* the test cleans it up */
}

void fake_http_init(struct fake_http *fake, struct fake_clock *clock)
{
    static const struct dic_http_client_ops ops = {fake_send, fake_wake, fake_destroy};
    *fake = (struct fake_http){.client = {&ops, fake}, .clock = clock};
    dic_mutex_init(&fake->lock);
}

void fake_http_forget(struct fake_http *fake)
{
    DIC_GUARD(&fake->lock);
    for (size_t i = 0; i < fake->record_count; i++) {
        dic_buf_clean_up(&fake->records[i].headers);
        dic_buf_clean_up(&fake->records[i].body);
    }
    fake->record_count = 0;
}

void fake_http_clean_up(struct fake_http *fake)
{
    fake_http_forget(fake);
    pthread_mutex_destroy(&fake->lock);
}

void fake_http_script(struct fake_http *fake, struct fake_http_answer answer)
{
    assert_true(fake->answer_count < FAKE_HTTP_MAX_ANSWERS);
    fake->answers[fake->answer_count++] = answer;
}

struct dic_str fake_http_sent_header(const struct fake_http *fake, size_t index, const char *name)
{
    assert_true(index < fake->record_count);
    struct dic_http_response view = {.headers = fake->records[index].headers};
    return dic_http_response_header(&view, name);
}
