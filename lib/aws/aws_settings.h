/* SPDX-License-Identifier: Apache-2.0 */
/* The environment variables of the AWS SDKs that this project understands, as a settings table. */
#ifndef DIC_AWS_AWS_SETTINGS_H
#define DIC_AWS_AWS_SETTINGS_H

#include "aws/credentials.h"
#include "base/settings.h"

/* Into a struct dic_aws_environment. */
extern const struct dic_setting dic_aws_settings_table[];
extern const size_t dic_aws_settings_count;

#endif
