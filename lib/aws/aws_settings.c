/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_settings.h"

#include <stddef.h>

#define TEXT(name, member, is_secret, help)                                                \
    {                                                                                      \
        name, DIC_SETTING_TEXT, offsetof(struct dic_aws_environment, member), "", 0, 8192, \
            is_secret, help                                                                \
    }

const struct dic_setting dic_aws_settings_table[] = {
    TEXT("AWS_REGION", region, false, "region of all services; needed here or in the profile"),
    TEXT("AWS_DEFAULT_REGION", default_region, false, "the same, when AWS_REGION is empty"),
    TEXT("AWS_ENDPOINT_URL", endpoint_url, false, "other endpoint than AWS's own, of all services"),
    TEXT("AWS_ENDPOINT_URL_S3", endpoint_url_s3, false, "of S3 alone (path style is used then)"),
    TEXT("AWS_ENDPOINT_URL_SQS", endpoint_url_sqs, false, "of SQS alone"),
    TEXT("AWS_ENDPOINT_URL_DYNAMODB", endpoint_url_dynamodb, false, "of DynamoDB alone"),
    TEXT("AWS_CA_BUNDLE", ca_bundle, false,
         "file of certificates to trust instead of the system's"),
    TEXT("AWS_ACCESS_KEY_ID", access_key_id, true, "credentials: id of the key"),
    TEXT("AWS_SECRET_ACCESS_KEY", secret_access_key, true, "credentials: the key"),
    TEXT("AWS_SESSION_TOKEN", session_token, true, "credentials: token of temporary ones"),
    TEXT("AWS_PROFILE", profile, false, "profile of the shared files; empty: default"),
    TEXT("AWS_SHARED_CREDENTIALS_FILE", shared_credentials_file, false,
         "empty: ~/.aws/credentials"),
    TEXT("AWS_CONFIG_FILE", config_file, false, "empty: ~/.aws/config"),
    TEXT("HOME", home, false, "folder of .aws"),
    TEXT("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", container_relative_uri, false,
         "set by ECS: where a task's credentials are"),
    TEXT("AWS_CONTAINER_CREDENTIALS_FULL_URI", container_full_uri, false,
         "the same as a whole URL"),
    TEXT("AWS_CONTAINER_AUTHORIZATION_TOKEN", container_token, true, "token for it"),
    TEXT("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", container_token_file, false,
         "file with the token"),
    TEXT("AWS_EC2_METADATA_DISABLED", metadata_disabled, false,
         "true: an instance's credentials are not asked for"),
    TEXT("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata_endpoint, false,
         "of the instance metadata service"),
};
const size_t dic_aws_settings_count =
    sizeof dic_aws_settings_table / sizeof dic_aws_settings_table[0];
