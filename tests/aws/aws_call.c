/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the integration tests: makes calls of AWS with the credentials, region and endpoints of its
 * environment. Reads a call as a JSON object a line and writes what came of it as another; all
 * lines share one dic_aws, as the threads of a service do.
 */
#include "aws/aws.h"
#include "aws/aws_settings.h"
#include "json/json_read.h"
#include "json/json_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 4 * 1024 * 1024 };

static struct dic_str text_of(const struct dic_json *object, const char *name)
{
    struct dic_str text = {"", 0};
    const struct dic_json *value = dic_json_member(object, name);
    if (value != NULL && dic_json_get_str(value, name, &text, NULL) != DIC_OK) {
        abort();
    }
    return text;
}

static int64_t number_of(const struct dic_json *object, const char *name)
{
    int64_t number = 0;
    const struct dic_json *value = dic_json_member(object, name);
    if (value != NULL && dic_json_get_int(value, name, 0, INT64_MAX, &number, NULL) != DIC_OK) {
        abort();
    }
    return number;
}

static size_t read_headers(const struct dic_json *array,
                           struct dic_http_header headers[DIC_HTTP_MAX_HEADERS])
{
    size_t count = array == NULL ? 0 : dic_json_size(array);
    for (size_t i = 0; i < count && i < DIC_HTTP_MAX_HEADERS; i++) {
        const struct dic_json *pair = dic_json_at(array, i);
        headers[i] = (struct dic_http_header){text_of(pair, "name"), text_of(pair, "value")};
    }
    return count;
}

static void report(struct dic_buf *out, enum dic_code code, const struct dic_err *err,
                   const struct dic_aws_answer *answer)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "code", dic_outcome(code)->word);
    dic_json_put_text(&writer, "message", code == DIC_OK ? "" : err->msg);
    dic_json_put_bool(&writer, "retryable", code != DIC_OK && err->retryable);
    dic_json_put_int(&writer, "status", answer->http.status);
    dic_json_put_text(&writer, "error_code", answer->error_code);
    dic_json_put_text(&writer, "request_id", answer->request_id);
    dic_json_put_int(&writer, "tries", answer->tries);
    dic_json_put_bool(&writer, "maybe_applied", answer->maybe_applied);
    dic_json_put_str(&writer, "body", dic_buf_view(&answer->http.body));
    dic_json_end_object(&writer);
}

static void make_call(struct dic_aws *aws, const struct dic_json *object,
                      struct dic_aws_answer *answer)
{
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS];
    struct dic_aws_call call = {
        .service = (enum dic_aws_service)number_of(object, "service"),
        .operation = text_of(object, "operation").ptr,
        .method = text_of(object, "method").ptr,
        .path = text_of(object, "path"),
        .query = text_of(object, "query"),
        .headers = headers,
        .header_count = read_headers(dic_json_member(object, "headers"), headers),
        .body = text_of(object, "body"),
        .once = number_of(object, "once") != 0,
        .timeout_ms = number_of(object, "timeout_ms"),
        .total_timeout_ms = number_of(object, "total_timeout_ms"),
        .max_response_bytes = (size_t)number_of(object, "max_response_bytes"),
    };
    struct dic_err err = {0};
    enum dic_code code = dic_aws_call(aws, &call, answer, &err);
    struct dic_buf out;
    dic_buf_init(&out, 64 * 1024 * 1024);
    report(&out, code, &err, answer);
    printf("%s\n", out.ptr);
    fflush(stdout);
    dic_buf_clean_up(&out);
}

static void serve(struct dic_aws *aws)
{
    static char line[MAX_LINE];
    struct dic_aws_answer answer;
    dic_aws_answer_init(&answer);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct dic_json *object = NULL;
        if (dic_json_parse(dic_str_len(line, strcspn(line, "\n")), &object, NULL) != DIC_OK) {
            abort();
        }
        make_call(aws, object, &answer);
        dic_json_destroy(object);
    }
    dic_aws_answer_clean_up(&answer);
}

static enum dic_code run(struct dic_err *err)
{
    size_t count = 0;
    const struct dic_setting *rows = dic_aws_settings(&count);
    struct dic_aws_environment environment;
    DIC_TRY(dic_settings_read(rows, count, &environment, err));
    struct dic_http_client_options http = {.ca_bundle = environment.ca_bundle,
                                           .max_idle_handles = 4};
    struct dic_aws_options options = {.environment = &environment, .clock = dic_clock_system()};
    DIC_TRY(dic_http_client_curl_new(&http, &options.http, err));
    struct dic_aws *aws = NULL;
    enum dic_code code = dic_aws_new(&options, &aws, err);
    if (code == DIC_OK) {
        serve(aws);
    }
    dic_aws_destroy(aws);
    options.http.ops->destroy(options.http.impl);
    return code;
}

int main(void)
{
    struct dic_err err = {0};
    if (run(&err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
