/* SPDX-License-Identifier: Apache-2.0 */
/* The region of the profile that the environment names; credentials_source.h has its keys. */
#ifndef DIC_AWS_CREDENTIALS_PROFILE_H
#define DIC_AWS_CREDENTIALS_PROFILE_H

#include "aws/credentials.h"
#include "aws/endpoint.h"

/* INVALID, naming what can be set, when there is none. */
DIC_MUST_USE enum dic_code dic_aws_profile_region(const struct dic_aws_environment *environment,
                                                  char region_out[DIC_AWS_REGION_SIZE],
                                                  struct dic_err *err);

#endif
