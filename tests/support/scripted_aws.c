/* SPDX-License-Identifier: Apache-2.0 */
#include "scripted_aws.h"

#include "test.h"

static void append_swapped(struct dic_buf *out, struct dic_str text, char from, char to)
{
    for (size_t i = 0; i < text.len; i++) {
        dic_buf_append_byte(out, text.ptr[i] == from ? to : text.ptr[i]);
    }
}

static void record(struct dic_scripted_aws *scripted, const struct dic_http_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (dic_str_is(request->headers[i].name, "x-amz-target")) {
            struct dic_str rest = request->headers[i].value;
            struct dic_str version;
            dic_str_split(&rest, '.', &version);
            dic_buf_append_str(&scripted->recorded, rest);
        }
    }
    dic_buf_append_byte(&scripted->recorded, ' ');
    append_swapped(&scripted->recorded, request->body, '"', '\'');
    dic_buf_append_byte(&scripted->recorded, '\n');
}

static enum dic_code send_scripted(void *impl, const struct dic_http_request *request,
                                   struct dic_http_response *response, struct dic_err *err)
{
    struct dic_scripted_aws *scripted = impl;
    const size_t index = scripted->requests++;
    assert_string_equal(request->method, "POST");
    assert_true(dic_str_is(request->url, "http://127.0.0.1:1/"));
    record(scripted, request);
    response->body.ceiling = request->max_response_bytes;
    dic_buf_clear(&response->body);
    dic_buf_clear(&response->headers);
    response->sent = true;
    if (scripted->respond != NULL) {
        response->status = scripted->respond(scripted->context, request->body, &response->body);
        return response->status < 0 ? dic_fail(err, DIC_E_CONFLICT, "cancelled") : DIC_OK;
    }
    assert_true(scripted->answer_count > 0);
    const struct dic_scripted_answer *answer =
        &scripted->answers[index < scripted->answer_count ? index : scripted->answer_count - 1];
    response->status = answer->status;
    const struct dic_str whole = dic_str(answer->body);
    append_swapped(&response->body, answer->len > 0 ? dic_str_len(whole.ptr, answer->len) : whole,
                   '\'', '"');
    if (response->body.poisoned) {
        return dic_fail(err, DIC_E_TOO_LARGE, "answer over %zu bytes", request->max_response_bytes);
    }
    return DIC_OK;
}

static int64_t wall_ms(void *impl)
{
    return ((const struct dic_scripted_aws *)impl)->now_ms;
}

static int64_t mono_ns(void *impl)
{
    return wall_ms(impl) * 1000000;
}

static void wake_nobody(void *impl)
{
    (void)impl;
}

void dic_scripted_aws_sleep(void *context, int64_t ms)
{
    struct dic_scripted_aws *scripted = context;
    scripted->sleeps++;
    scripted->slept_ms += ms;
    scripted->now_ms += ms;
}

void dic_scripted_aws_open(struct dic_scripted_aws *scripted)
{
    static const struct dic_http_client_ops ops = {.send = send_scripted, .wake = wake_nobody};
    *scripted =
        (struct dic_scripted_aws){.clock = {wall_ms, mono_ns, scripted}, .now_ms = 1700000000000};
    dic_buf_init(&scripted->recorded, 64 * 1024 * 1024);
    scripted->environment = (struct dic_aws_environment){
        .access_key_id = "id",
        .secret_access_key = "secret",
        .session_token = "",
        .profile = "",
        .shared_credentials_file = "",
        .config_file = "",
        .home = "/nonexistent",
        .container_relative_uri = "",
        .container_full_uri = "",
        .container_token = "",
        .container_token_file = "",
        .metadata_disabled = "true",
        .metadata_endpoint = "",
        .region = "eu-west-1",
        .default_region = "",
        .endpoint_url = "http://127.0.0.1:1",
        .endpoint_url_s3 = "",
        .endpoint_url_sqs = "",
        .endpoint_url_dynamodb = "",
        .ca_bundle = "",
    };
    const struct dic_aws_options options = {
        .environment = &scripted->environment,
        .http = {&ops, scripted},
        .clock = &scripted->clock,
        .sleep_ms = dic_scripted_aws_sleep,
        .sleep_context = scripted,
    };
    assert_ok(dic_aws_new(&options, &scripted->aws, NULL));
}

void dic_scripted_aws_close(struct dic_scripted_aws *scripted)
{
    dic_aws_destroy(scripted->aws);
    dic_buf_clean_up(&scripted->recorded);
}

void dic_scripted_aws_play(struct dic_scripted_aws *scripted,
                           const struct dic_scripted_answer *answers, size_t count)
{
    scripted->answers = answers;
    scripted->answer_count = count;
    scripted->requests = 0;
    scripted->sleeps = 0;
    scripted->slept_ms = 0;
    dic_buf_clear(&scripted->recorded);
}

void dic_scripted_aws_assert_asked(struct dic_scripted_aws *scripted, const char *expected)
{
    assert_view(dic_buf_view(&scripted->recorded), expected);
}
