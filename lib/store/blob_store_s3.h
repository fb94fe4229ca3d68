/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one S3 bucket. Any key of 1 to 1,024 bytes is legal. A removal of what is not there is
 * no error, as in S3. Errors as lib/aws/s3.h says; one of the deployment (no such bucket, another
 * region) is UPSTREAM and not retryable, so that it is never taken for one of the object.
 */
#ifndef DIC_STORE_BLOB_STORE_S3_H
#define DIC_STORE_BLOB_STORE_S3_H

#include "aws/s3.h"
#include "store/blob_store.h"

/* The caller ends it with ops->destroy, before options->aws. Asks nobody. */
DIC_MUST_USE enum dic_code dic_blob_store_s3_new(const struct dic_s3_options *options,
                                                 struct dic_blob_store *store_out,
                                                 struct dic_err *err);

#endif
