/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws.h"

#include "aws/aws_request.h"
#include "aws/endpoint.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_TRY_MS = 10 * 1000,
    DEFAULT_TOTAL_MS = 30 * 1000,
    CONNECT_MS = 3 * 1000,
    DEFAULT_RESPONSE_BYTES = 1024 * 1024,
};

struct dic_aws {
    struct dic_aws_options options;
    struct dic_aws_credentials_provider *credentials;
    char region[DIC_AWS_REGION_SIZE];
    struct {
        char url[DIC_AWS_ENDPOINT_SIZE];
        bool custom;
    } endpoints[DIC_AWS_SERVICE_COUNT];
};

DIC_MUST_USE
static enum dic_code set_region(struct dic_aws *aws, struct dic_err *err)
{
    const struct dic_aws_environment *environment = aws->options.environment;
    const char *region = environment->region;
    const char *name = "AWS_REGION";
    if (region[0] == '\0') {
        region = environment->default_region;
        name = "AWS_DEFAULT_REGION";
    }
    DIC_TRY(dic_aws_region_check(dic_str(region), name, err));
    snprintf(aws->region, sizeof aws->region, "%s", region);
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code set_endpoints(struct dic_aws *aws, struct dic_err *err)
{
    const struct dic_aws_environment *environment = aws->options.environment;
    const struct {
        const char *url;
        const char *variable;
    } own[DIC_AWS_SERVICE_COUNT] = {
        [DIC_AWS_S3] = {environment->endpoint_url_s3, "AWS_ENDPOINT_URL_S3"},
        [DIC_AWS_SQS] = {environment->endpoint_url_sqs, "AWS_ENDPOINT_URL_SQS"},
        [DIC_AWS_DYNAMODB] = {environment->endpoint_url_dynamodb, "AWS_ENDPOINT_URL_DYNAMODB"},
    };
    for (int i = 0; i < DIC_AWS_SERVICE_COUNT; i++) {
        char *endpoint = aws->endpoints[i].url;
        const char *url = own[i].url[0] != '\0' ? own[i].url : environment->endpoint_url;
        const char *variable = own[i].url[0] != '\0' ? own[i].variable : "AWS_ENDPOINT_URL";
        aws->endpoints[i].custom = url[0] != '\0';
        if (aws->endpoints[i].custom) {
            DIC_TRY(dic_aws_endpoint_parse(dic_str(url), variable, endpoint, err));
        } else {
            dic_aws_endpoint_default(dic_aws_service_name((enum dic_aws_service)i), aws->region,
                                     endpoint);
        }
    }
    return DIC_OK;
}

enum dic_code dic_aws_new(const struct dic_aws_options *options, struct dic_aws **out,
                          struct dic_err *err)
{
    struct dic_aws *aws = dic_calloc(1, sizeof *aws);
    aws->options = *options;
    dic_aws_credentials_provider_new(options->environment, options->http, options->clock,
                                     &aws->credentials);
    enum dic_code code = set_region(aws, err);
    if (code == DIC_OK) {
        code = set_endpoints(aws, err);
    }
    if (code != DIC_OK) {
        dic_aws_destroy(aws);
        return code;
    }
    *out = aws;
    return DIC_OK;
}

void dic_aws_destroy(struct dic_aws *aws)
{
    if (aws == NULL) {
        return;
    }
    dic_aws_credentials_provider_destroy(aws->credentials);
    dic_free(aws);
}

const char *dic_aws_region(const struct dic_aws *aws)
{
    return aws->region;
}

const char *dic_aws_endpoint(const struct dic_aws *aws, enum dic_aws_service service)
{
    return aws->endpoints[service].url;
}

bool dic_aws_endpoint_is_custom(const struct dic_aws *aws, enum dic_aws_service service)
{
    return aws->endpoints[service].custom;
}

void dic_aws_wake(struct dic_aws *aws)
{
    aws->options.http.ops->wake(aws->options.http.impl);
}

void dic_aws_answer_init(struct dic_aws_answer *answer)
{
    *answer = (struct dic_aws_answer){0};
    dic_http_response_init(&answer->http);
}

void dic_aws_answer_clean_up(struct dic_aws_answer *answer)
{
    dic_http_response_clean_up(&answer->http);
}

enum dic_code dic_aws_call(struct dic_aws *aws, const struct dic_aws_call *call,
                           struct dic_aws_answer *answer, struct dic_err *err)
{
    struct dic_aws_credentials credentials;
    DIC_TRY(dic_aws_credentials_get(aws->credentials, &credentials, err));
    struct dic_aws_signing signing = {
        .credentials = &credentials,
        .endpoint = aws->endpoints[call->service].url,
        .region = aws->region,
        .time_ms = dic_clock_wall_ms(aws->options.clock),
    };
    DIC_CLEANUP(dic_aws_request_clean_up) struct dic_aws_request request;
    dic_aws_request_init(&request);
    DIC_TRY(dic_aws_request_build(&request, &signing, call, err));
    struct dic_http_request http = {
        .method = call->method,
        .url = dic_buf_view(&request.url),
        .headers = request.headers,
        .header_count = request.header_count,
        .body = call->body,
        .connect_timeout_ms = CONNECT_MS,
        .timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : DEFAULT_TRY_MS,
        .max_response_bytes =
            call->max_response_bytes > 0 ? call->max_response_bytes : DEFAULT_RESPONSE_BYTES,
        .cancel = call->cancel,
    };
    DIC_TRY(aws->options.http.ops->send(aws->options.http.impl, &http, &answer->http, err));
    answer->tries = 1;
    if (answer->http.status >= 300) {
        return dic_fail(err,
                        answer->http.status == 404                                 ? DIC_E_NOT_FOUND
                        : answer->http.status == 403                               ? DIC_E_DENIED
                        : answer->http.status == 409 || answer->http.status == 412 ? DIC_E_CONFLICT
                        : answer->http.status >= 500                               ? DIC_E_UPSTREAM
                                                                                   : DIC_E_INVALID,
                        "%s: HTTP %d: %.200s", call->operation, answer->http.status,
                        answer->http.body.len > 0 ? answer->http.body.ptr : "");
    }
    return DIC_OK;
}

enum dic_code dic_aws_presign(struct dic_aws *aws, const struct dic_aws_call *call,
                              uint32_t expires_s, struct dic_buf *url_out, struct dic_err *err)
{
    struct dic_aws_credentials credentials;
    DIC_TRY(dic_aws_credentials_get(aws->credentials, &credentials, err));
    struct dic_aws_signing signing = {
        .credentials = &credentials,
        .endpoint = aws->endpoints[call->service].url,
        .region = aws->region,
        .time_ms = dic_clock_wall_ms(aws->options.clock),
    };
    return dic_aws_request_presign(&signing, call, expires_s, url_out, err);
}

void dic_aws_counts(struct dic_aws *aws, enum dic_aws_service service, struct dic_aws_counts *out)
{
    (void)aws;
    (void)service;
    *out = (struct dic_aws_counts){0};
}
