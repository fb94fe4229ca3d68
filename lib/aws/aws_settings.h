/* SPDX-License-Identifier: Apache-2.0 */
/* The environment variables of struct dic_aws_environment, as a table for base/settings.h; every
 * one may be unset. */
#ifndef DIC_AWS_AWS_SETTINGS_H
#define DIC_AWS_AWS_SETTINGS_H

#include "aws/credentials.h"
#include "base/settings.h"

/* Offsets are those of struct dic_aws_environment. Lives as long as the program. */
const struct dic_setting *dic_aws_settings(size_t *count_out);

#endif
