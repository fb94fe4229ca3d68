/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One place credentials may come from; credentials.c asks them in turn, from one thread at a time.
 * A source answers DIC_OK, NOT_FOUND ("not configured here", so that the next one is asked), or
 * another error, which is the chain's: who configured a source wants that one.
 */
#ifndef DIC_AWS_CREDENTIALS_SOURCE_H
#define DIC_AWS_CREDENTIALS_SOURCE_H

#include "aws/credentials.h"

struct dic_aws_credentials_context {
    const struct dic_aws_environment *environment;
    struct dic_http_client http;
    const struct dic_clock *clock;
};

typedef enum dic_code (*dic_aws_credentials_source)(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err);

DIC_MUST_USE enum dic_code dic_aws_credentials_from_environment(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err);

DIC_MUST_USE enum dic_code dic_aws_credentials_from_profile(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err);
DIC_MUST_USE enum dic_code dic_aws_credentials_from_container(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err);
DIC_MUST_USE enum dic_code dic_aws_credentials_from_instance(
    const struct dic_aws_credentials_context *context, struct dic_aws_credentials *out,
    struct dic_err *err);

/* Copies a value of outside into a field, or DIC_E_INVALID when it is empty, too long, or could not
 * be a header's value. `what` names it in the error; the value itself is never shown. */
DIC_MUST_USE enum dic_code dic_aws_credentials_copy(struct dic_str value, const char *what,
                                                    char *field_out, size_t field_size,
                                                    struct dic_err *err);

#endif
