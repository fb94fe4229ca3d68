/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials_source.h"

enum dic_code dic_aws_credentials_from_environment(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err)
{
    const struct dic_aws_environment *environment = context->environment;
    bool has_id = environment->access_key_id[0] != '\0';
    bool has_secret = environment->secret_access_key[0] != '\0';
    if (!has_id && !has_secret) {
        return dic_fail(err, DIC_E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    }
    if (!has_id || !has_secret) {
        const char *missing = has_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID";
        return dic_fail_field(err, DIC_E_DENIED, missing,
                              "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set, %s "
                              "is missing",
                              missing);
    }
    DIC_TRY(dic_aws_credentials_copy(dic_str(environment->access_key_id), "AWS_ACCESS_KEY_ID",
                                     out->key_id, sizeof out->key_id, err));
    DIC_TRY(dic_aws_credentials_copy(dic_str(environment->secret_access_key),
                                     "AWS_SECRET_ACCESS_KEY", out->secret, sizeof out->secret,
                                     err));
    if (environment->session_token[0] == '\0') {
        return DIC_OK;
    }
    return dic_aws_credentials_copy(dic_str(environment->session_token), "AWS_SESSION_TOKEN",
                                    out->token, sizeof out->token, err);
}
