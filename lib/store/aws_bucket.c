/* SPDX-License-Identifier: Apache-2.0 */
#include "store/aws_bucket.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/blob_store_s3.h"

enum { MAX_IDLE_HANDLES = 64 };

struct dic_aws_bucket {
    struct dic_http_client http;
    struct dic_aws *aws;
    struct dic_blob_store blobs;
};

enum dic_code dic_aws_connect(const struct dic_aws_environment *environment,
                              struct dic_http_client *http_out, struct dic_aws **aws_out,
                              struct dic_err *err)
{
    const struct dic_http_client_options http = {
        .ca_bundle = environment->ca_bundle[0] != '\0' ? environment->ca_bundle : NULL,
        .max_idle_handles = MAX_IDLE_HANDLES,
    };
    DIC_TRY(dic_http_client_curl_new(&http, http_out, err));
    const struct dic_aws_options aws = {
        .environment = environment,
        .http = *http_out,
        .clock = dic_clock_system(),
    };
    return dic_aws_new(&aws, aws_out, err);
}

static enum dic_code open_bucket(struct dic_aws_bucket *bucket,
                                 const struct dic_aws_environment *environment, const char *name,
                                 struct dic_err *err)
{
    DIC_TRY(dic_aws_connect(environment, &bucket->http, &bucket->aws, err));
    const struct dic_s3_options options = {.aws = bucket->aws, .bucket = name};
    return dic_blob_store_s3_new(&options, &bucket->blobs, err);
}

enum dic_code dic_aws_bucket_open(const struct dic_aws_environment *environment, const char *name,
                                  struct dic_aws_bucket **out, struct dic_err *err)
{
    struct dic_aws_bucket *bucket = dic_calloc(1, sizeof *bucket);
    const enum dic_code code = open_bucket(bucket, environment, name, err);
    if (code != DIC_OK) {
        dic_aws_bucket_close(bucket);
        return code;
    }
    *out = bucket;
    return DIC_OK;
}

void dic_aws_bucket_close(struct dic_aws_bucket *bucket)
{
    if (bucket == NULL) {
        return;
    }
    if (bucket->blobs.ops != NULL) {
        bucket->blobs.ops->destroy(bucket->blobs.impl);
    }
    dic_aws_destroy(bucket->aws);
    if (bucket->http.ops != NULL) {
        bucket->http.ops->destroy(bucket->http.impl);
    }
    dic_free(bucket);
}

struct dic_blob_store dic_aws_bucket_blobs(const struct dic_aws_bucket *bucket)
{
    return bucket->blobs;
}
