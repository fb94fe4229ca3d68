/* SPDX-License-Identifier: Apache-2.0 */
/* One bucket with connections of its own, and how all adapters are connected to AWS. For main. */
#ifndef DIC_STORE_AWS_BUCKET_H
#define DIC_STORE_AWS_BUCKET_H

#include "aws/aws.h"
#include "store/blob_store.h"

/* The caller ends aws, then http; either may be set after an error. The environment is borrowed. */
DIC_MUST_USE enum dic_code dic_aws_connect(const struct dic_aws_environment *environment,
                                           struct dic_http_client *http_out,
                                           struct dic_aws **aws_out, struct dic_err *err);

struct dic_aws_bucket;

/* Checks what can be checked without asking AWS. */
DIC_MUST_USE enum dic_code dic_aws_bucket_open(const struct dic_aws_environment *environment,
                                               const char *name, struct dic_aws_bucket **out,
                                               struct dic_err *err);
void dic_aws_bucket_close(struct dic_aws_bucket *bucket); /* NULL is fine */
/* Lives until the bucket is closed. */
struct dic_blob_store dic_aws_bucket_blobs(const struct dic_aws_bucket *bucket);

#endif
