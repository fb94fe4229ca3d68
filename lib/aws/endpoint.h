/* SPDX-License-Identifier: Apache-2.0 */
/* Regions, and where their services answer. Pure functions; any thread may call. */
#ifndef DIC_AWS_ENDPOINT_H
#define DIC_AWS_ENDPOINT_H

#include "base/err.h"
#include "base/str.h"

enum { DIC_AWS_REGION_SIZE = 33, DIC_AWS_ENDPOINT_SIZE = 264 };

/* "eu-west-1": 1 to 32 letters, digits and '-'. It becomes part of a host's name. */
DIC_MUST_USE enum dic_code dic_aws_region_check(struct dic_str region, const char *where,
                                                struct dic_err *err);

/* AWS's own endpoint of a service ("sqs"), in the region's partition. */
void dic_aws_endpoint_default(const char *service, const char *region,
                              char endpoint_out[DIC_AWS_ENDPOINT_SIZE]);

/* A URL somebody configured: http or https, a host and perhaps a port, nothing else but a '/' at
 * the end, which goes, as does a port that is the scheme's own. `variable` is named in errors. */
DIC_MUST_USE enum dic_code dic_aws_endpoint_parse(struct dic_str url, const char *variable,
                                                  char endpoint_out[DIC_AWS_ENDPOINT_SIZE],
                                                  struct dic_err *err);

/* "host:port" of such an endpoint. */
struct dic_str dic_aws_endpoint_authority(const char *endpoint);
bool dic_aws_endpoint_is_https(const char *endpoint);

#endif
