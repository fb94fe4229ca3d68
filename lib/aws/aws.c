/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws.h"

#include "aws/aws_impl.h"
#include "aws/aws_request.h"
#include "aws/credentials_profile.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- making it ---- */

DIC_MUST_USE
static enum dic_code set_region(struct dic_aws *aws, struct dic_err *err)
{
    const struct dic_aws_environment *environment = aws->options.environment;
    if (environment->region[0] != '\0') {
        DIC_TRY(dic_aws_region_check(dic_str(environment->region), "AWS_REGION", err));
        snprintf(aws->region, sizeof aws->region, "%s", environment->region);
        return DIC_OK;
    }
    if (environment->default_region[0] != '\0') {
        DIC_TRY(
            dic_aws_region_check(dic_str(environment->default_region), "AWS_DEFAULT_REGION", err));
        snprintf(aws->region, sizeof aws->region, "%s", environment->default_region);
        return DIC_OK;
    }
    return dic_aws_profile_region(environment, aws->region, err);
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
        struct dic_aws_service_state *service = &aws->services[i];
        const char *url = own[i].url[0] != '\0' ? own[i].url : environment->endpoint_url;
        const char *variable = own[i].url[0] != '\0' ? own[i].variable : "AWS_ENDPOINT_URL";
        service->custom = url[0] != '\0';
        if (service->custom) {
            DIC_TRY(dic_aws_endpoint_parse(dic_str(url), variable, service->endpoint, err));
        } else {
            dic_aws_endpoint_default(dic_aws_service_name((enum dic_aws_service)i), aws->region,
                                     service->endpoint);
        }
    }
    return DIC_OK;
}

enum dic_code dic_aws_new(const struct dic_aws_options *options, struct dic_aws **out,
                          struct dic_err *err)
{
    struct dic_aws *aws = dic_calloc(1, sizeof *aws);
    aws->options = *options;
    dic_mutex_init(&aws->lock);
    dic_cond_init(&aws->woken);
    dic_aws_credentials_provider_new(options->environment, options->http, options->clock,
                                     &aws->credentials);
    for (int i = 0; i < DIC_AWS_SERVICE_COUNT; i++) {
        dic_aws_quota_init(&aws->services[i].quota);
        dic_aws_rate_init(&aws->services[i].rate, dic_clock_mono_ms(options->clock));
    }
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
    pthread_cond_destroy(&aws->woken);
    pthread_mutex_destroy(&aws->lock);
    dic_free(aws);
}

const char *dic_aws_region(const struct dic_aws *aws)
{
    return aws->region;
}

const char *dic_aws_endpoint(const struct dic_aws *aws, enum dic_aws_service service)
{
    return aws->services[service].endpoint;
}

bool dic_aws_endpoint_is_custom(const struct dic_aws *aws, enum dic_aws_service service)
{
    return aws->services[service].custom;
}

void dic_aws_wake(struct dic_aws *aws)
{
    {
        DIC_GUARD(&aws->lock);
        pthread_cond_broadcast(&aws->woken);
    }
    aws->options.http.ops->wake(aws->options.http.impl);
}

void dic_aws_counts(struct dic_aws *aws, enum dic_aws_service service, struct dic_aws_counts *out)
{
    DIC_GUARD(&aws->lock);
    *out = aws->services[service].counts;
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

int64_t dic_aws_skew_ms(struct dic_aws *aws)
{
    DIC_GUARD(&aws->lock);
    return aws->skew_ms;
}

/* S3 API Reference, "Authenticating Requests: Using Query Parameters" */
enum { LONGEST_URL_S = 7 * 24 * 3600, SHORTEST_URL_S = 60 };

enum dic_code dic_aws_presign_ceiling(struct dic_aws *aws, uint32_t *seconds_out,
                                      struct dic_err *err)
{
    struct dic_aws_credentials credentials;
    DIC_TRY(dic_aws_credentials_get(aws->credentials, &credentials, err));
    const int64_t expires_ms = credentials.expires_ms;
    explicit_bzero(&credentials, sizeof credentials);
    const int64_t left_s = (expires_ms - dic_clock_wall_ms(aws->options.clock)) / 1000;
    *seconds_out = LONGEST_URL_S;
    if (expires_ms == 0 || left_s >= LONGEST_URL_S) {
        return DIC_OK;
    }
    if (left_s < SHORTEST_URL_S) {
        return dic_fail(err, DIC_E_BUSY, "the credentials end before a signed URL could be used");
    }
    *seconds_out = (uint32_t)left_s;
    return DIC_OK;
}

enum dic_code dic_aws_presign(struct dic_aws *aws, const struct dic_aws_call *call,
                              uint32_t expires_s, struct dic_buf *url_out, struct dic_err *err)
{
    if (expires_s < 1 || expires_s > LONGEST_URL_S) {
        return dic_fail(err, DIC_E_INVALID, "a signed URL for %u s, it can be 1 to %d", expires_s,
                        LONGEST_URL_S);
    }
    struct dic_aws_credentials credentials;
    DIC_TRY(dic_aws_credentials_get(aws->credentials, &credentials, err));
    struct dic_aws_signing signing = {
        .credentials = &credentials,
        .endpoint = aws->services[call->service].endpoint,
        .region = aws->region,
        .time_ms = dic_clock_wall_ms(aws->options.clock) + dic_aws_skew_ms(aws),
    };
    enum dic_code code = dic_aws_request_presign(&signing, call, expires_s, url_out, err);
    explicit_bzero(&credentials, sizeof credentials);
    return code;
}
