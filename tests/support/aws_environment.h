/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIC_AWS_ENVIRONMENT_H
#define DIC_AWS_ENVIRONMENT_H

#include "aws/credentials.h"

/* As when no variable is set. */
static inline struct dic_aws_environment empty_aws_environment(void)
{
    return (struct dic_aws_environment){
        .access_key_id = "",
        .secret_access_key = "",
        .session_token = "",
        .profile = "",
        .shared_credentials_file = "",
        .config_file = "",
        .home = "",
        .container_relative_uri = "",
        .container_full_uri = "",
        .container_token = "",
        .container_token_file = "",
        .metadata_disabled = "true",
        .metadata_endpoint = "",
        .region = "",
        .default_region = "",
        .endpoint_url = "",
        .endpoint_url_s3 = "",
        .endpoint_url_sqs = "",
        .endpoint_url_dynamodb = "",
        .ca_bundle = "",
    };
}

/* With keys and a region: enough for calls. */
static inline struct dic_aws_environment test_aws_environment(void)
{
    struct dic_aws_environment environment = empty_aws_environment();
    environment.access_key_id = "AKIDTEST";
    environment.secret_access_key = "secret";
    environment.region = "eu-west-1";
    return environment;
}

#endif
