/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test_sigv4.py: reads a request as a JSON object a line, and writes what would be sent as
 * another: {"url","headers":{…}}, or {"url"} when it has "expires_s", or {"error"}.
 */
#include "aws/aws_request.h"
#include "json/json_read.h"
#include "json/json_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1024 * 1024 };

struct input {
    struct dic_aws_credentials credentials;
    struct dic_aws_signing signing;
    struct dic_aws_call call;
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS];
    int64_t expires_s;
};

static struct dic_str text_of(const struct dic_json *object, const char *name)
{
    struct dic_str text = {"", 0};
    if (dic_json_get_str(dic_json_member(object, name), name, &text, NULL) != DIC_OK) {
        abort();
    }
    return text;
}

static int64_t number_of(const struct dic_json *object, const char *name)
{
    int64_t number = 0;
    if (dic_json_get_int(dic_json_member(object, name), name, 0, INT64_MAX, &number, NULL) !=
        DIC_OK) {
        abort();
    }
    return number;
}

static void read_headers(const struct dic_json *array, struct input *input)
{
    for (size_t i = 0; i < dic_json_size(array) && i < DIC_HTTP_MAX_HEADERS; i++) {
        const struct dic_json *pair = dic_json_at(array, i);
        input->headers[i] = (struct dic_http_header){text_of(pair, "name"), text_of(pair, "value")};
    }
    input->call.headers = input->headers;
    input->call.header_count = dic_json_size(array);
}

static void read_input(const struct dic_json *object, struct input *input)
{
    *input = (struct input){0};
    snprintf(input->credentials.key_id, sizeof input->credentials.key_id, "%s",
             text_of(object, "key_id").ptr);
    snprintf(input->credentials.secret, sizeof input->credentials.secret, "%s",
             text_of(object, "secret").ptr);
    snprintf(input->credentials.token, sizeof input->credentials.token, "%s",
             text_of(object, "token").ptr);
    input->signing = (struct dic_aws_signing){
        .credentials = &input->credentials,
        .endpoint = text_of(object, "endpoint").ptr,
        .region = text_of(object, "region").ptr,
        .time_ms = number_of(object, "time_ms"),
    };
    input->call = (struct dic_aws_call){
        .service = (enum dic_aws_service)number_of(object, "service"),
        .operation = "Test",
        .method = text_of(object, "method").ptr,
        .host = text_of(object, "host"),
        .path = text_of(object, "path"),
        .query = text_of(object, "query"),
        .body = text_of(object, "body"),
        .payload_unsigned = number_of(object, "unsigned") != 0,
    };
    read_headers(dic_json_member(object, "headers"), input);
    input->expires_s = number_of(object, "expires_s");
}

static enum dic_code answer(const struct input *input, struct dic_json_writer *writer,
                            struct dic_err *err)
{
    DIC_CLEANUP(dic_aws_request_clean_up) struct dic_aws_request request;
    dic_aws_request_init(&request);
    if (input->expires_s > 0) {
        dic_buf_clear(&request.url);
        DIC_TRY(dic_aws_request_presign(&input->signing, &input->call, (uint32_t)input->expires_s,
                                        &request.url, err));
    } else {
        DIC_TRY(dic_aws_request_build(&request, &input->signing, &input->call, err));
    }
    dic_json_put_str(writer, "url", dic_buf_view(&request.url));
    dic_json_begin_object(writer, "headers");
    for (size_t i = 0; i < request.header_count; i++) {
        dic_json_put_name(writer, request.headers[i].name);
        dic_json_put_str(writer, NULL, request.headers[i].value);
    }
    dic_json_end_object(writer);
    return DIC_OK;
}

static void run_line(struct dic_str line)
{
    struct dic_json *root = NULL;
    struct dic_err err = {0};
    if (dic_json_parse(line, &root, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    struct input input;
    read_input(root, &input);
    struct dic_buf out;
    dic_buf_init(&out, MAX_LINE);
    struct dic_json_writer writer = dic_json_writer(&out);
    dic_json_begin_object(&writer, NULL);
    if (answer(&input, &writer, &err) != DIC_OK) {
        dic_json_put_text(&writer, "error", err.msg);
    }
    dic_json_end_object(&writer);
    printf("%s\n", out.ptr);
    dic_buf_clean_up(&out);
    dic_json_destroy(root);
}

int main(void)
{
    static char line[MAX_LINE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        run_line(dic_str_len(line, strcspn(line, "\n")));
    }
    return 0;
}
