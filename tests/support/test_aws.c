/* SPDX-License-Identifier: Apache-2.0 */
#include "test_aws.h"

#include <stdio.h>
#include <stdlib.h>

static struct dic_aws_environment environment;
static struct dic_http_client http;

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

bool dic_test_aws_named(const char *name, const char *what)
{
    if (variable(name)[0] != '\0' || variable("AWS_ENDPOINT_URL")[0] != '\0') {
        return true;
    }
    fprintf(stderr, "SKIPPED: %s is not tested, as neither %s nor AWS_ENDPOINT_URL is set\n", what,
            name);
    return false;
}

static void read_environment(void)
{
    environment = (struct dic_aws_environment){
        .access_key_id = variable("AWS_ACCESS_KEY_ID"),
        .secret_access_key = variable("AWS_SECRET_ACCESS_KEY"),
        .session_token = variable("AWS_SESSION_TOKEN"),
        .profile = variable("AWS_PROFILE"),
        .shared_credentials_file = variable("AWS_SHARED_CREDENTIALS_FILE"),
        .config_file = variable("AWS_CONFIG_FILE"),
        .home = variable("HOME"),
        .container_relative_uri = "",
        .container_full_uri = "",
        .container_token = "",
        .container_token_file = "",
        .metadata_disabled = "true",
        .metadata_endpoint = "",
        .region = variable("AWS_REGION"),
        .default_region = variable("AWS_DEFAULT_REGION"),
        .endpoint_url = variable("AWS_ENDPOINT_URL"),
        .endpoint_url_s3 = variable("AWS_ENDPOINT_URL_S3"),
        .endpoint_url_sqs = variable("AWS_ENDPOINT_URL_SQS"),
        .endpoint_url_dynamodb = variable("AWS_ENDPOINT_URL_DYNAMODB"),
        .ca_bundle = variable("AWS_CA_BUNDLE"),
    };
}

struct dic_aws *dic_test_aws_open(void)
{
    struct dic_aws *aws = NULL;
    struct dic_err err = {0};
    read_environment();
    const struct dic_http_client_options options = {
        .ca_bundle = environment.ca_bundle[0] == '\0' ? NULL : environment.ca_bundle,
        .max_idle_handles = 16,
    };
    if (dic_http_client_curl_new(&options, &http, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    const struct dic_aws_options aws_options = {
        .environment = &environment, .http = http, .clock = dic_clock_system()};
    if (dic_aws_new(&aws_options, &aws, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return aws;
}

void dic_test_aws_close(struct dic_aws *aws)
{
    dic_aws_destroy(aws);
    http.ops->destroy(http.impl);
}
