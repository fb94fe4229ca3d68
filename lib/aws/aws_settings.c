/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_settings.h"

#include <stddef.h>

enum { MAX_WORD = 128, MAX_PATH = 4095, MAX_URL = 2047 };

#define ROW(variable, member, longest, is_secret, text)                         \
    {                                                                           \
        .name = variable, .kind = DIC_SETTING_TEXT, .fallback = "",             \
        .offset = offsetof(struct dic_aws_environment, member), .max = longest, \
        .secret = is_secret, .help = text                                       \
    }

const struct dic_setting *dic_aws_settings(size_t *count_out)
{
    static const struct dic_setting rows[] = {
        ROW("AWS_REGION", region, MAX_WORD, false, "region of bucket, queue and table"),
        ROW("AWS_DEFAULT_REGION", default_region, MAX_WORD, false,
            "the same, when AWS_REGION is unset; then the profile's"),
        ROW("AWS_ACCESS_KEY_ID", access_key_id, DIC_AWS_KEY_ID_SIZE - 1, false,
            "credentials; unset: the profile's, the container's or the instance's"),
        ROW("AWS_SECRET_ACCESS_KEY", secret_access_key, DIC_AWS_SECRET_SIZE - 1, true,
            "their secret"),
        ROW("AWS_SESSION_TOKEN", session_token, DIC_AWS_TOKEN_SIZE - 1, true,
            "their token, when they are temporary"),
        ROW("AWS_PROFILE", profile, MAX_WORD, false, "profile in the two files; unset: default"),
        ROW("AWS_SHARED_CREDENTIALS_FILE", shared_credentials_file, MAX_PATH, false,
            "unset: ~/.aws/credentials"),
        ROW("AWS_CONFIG_FILE", config_file, MAX_PATH, false, "unset: ~/.aws/config"),
        ROW("HOME", home, MAX_PATH, false, "where these two are"),
        ROW("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", container_relative_uri, MAX_URL, false,
            "set by ECS"),
        ROW("AWS_CONTAINER_CREDENTIALS_FULL_URI", container_full_uri, MAX_URL, false,
            "set by EKS; http:// for loopback, ECS, EKS and AWS_ENDPOINT_URL's host only"),
        ROW("AWS_CONTAINER_AUTHORIZATION_TOKEN", container_token, DIC_AWS_TOKEN_SIZE - 1, true,
            "sent to that endpoint"),
        ROW("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", container_token_file, MAX_PATH, false,
            "the same in a file, read at each refresh"),
        ROW("AWS_EC2_METADATA_DISABLED", metadata_disabled, MAX_WORD, false,
            "true: the instance is not asked"),
        ROW("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata_endpoint, MAX_URL, false,
            "unset: http://169.254.169.254"),
        ROW("AWS_ENDPOINT_URL", endpoint_url, MAX_URL, false,
            "endpoint of all services; unset: AWS's own"),
        ROW("AWS_ENDPOINT_URL_S3", endpoint_url_s3, MAX_URL, false, "of S3"),
        ROW("AWS_ENDPOINT_URL_SQS", endpoint_url_sqs, MAX_URL, false, "of SQS"),
        ROW("AWS_ENDPOINT_URL_DYNAMODB", endpoint_url_dynamodb, MAX_URL, false, "of DynamoDB"),
        ROW("AWS_CA_BUNDLE", ca_bundle, MAX_PATH, false,
            "file of certificates to trust; unset: the system's"),
    };
    *count_out = sizeof rows / sizeof rows[0];
    return rows;
}
