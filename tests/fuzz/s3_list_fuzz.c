/* SPDX-License-Identifier: Apache-2.0 */
/* A listing that S3 answers: keys in order below the prefix, no more than asked for. */
#include "aws/s3.h"
#include "base/buf.h"
#include "fuzz_aws.h"

struct seen {
    struct dic_buf last;
    uint32_t count;
};

static enum dic_code visit(void *context, struct dic_str key, int64_t size_bytes,
                           struct dic_err *err)
{
    struct seen *seen = context;
    (void)err; /* nothing fails here */
    FUZZ_CHECK(key.len >= 1 && key.len <= DIC_S3_MAX_KEY_BYTES && size_bytes >= 0);
    FUZZ_CHECK(dic_str_starts_with(key, DIC_STR_LIT("a")));
    FUZZ_CHECK(dic_str_compare(key, dic_buf_view(&seen->last)) > 0);
    dic_buf_clear(&seen->last);
    dic_buf_append_str(&seen->last, key);
    seen->count++;
    return DIC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_fuzz_aws_close) struct dic_fuzz_aws fuzz;
    struct dic_s3_bucket *bucket = NULL;
    struct dic_err err = {0};
    bool more = false;
    struct seen seen = {.count = 0};
    dic_buf_init(&seen.last, 2 * DIC_S3_MAX_KEY_BYTES);
    dic_fuzz_aws_open(&fuzz, dic_fuzz_view(bytes, len));
    const struct dic_s3_options options = {.aws = fuzz.aws,
                                           .bucket = "pictures",
                                           .sleep_ms = dic_fuzz_aws_sleep,
                                           .sleep_context = &fuzz};
    FUZZ_CHECK(dic_s3_bucket_new(&options, &bucket, NULL) == DIC_OK);
    const struct dic_s3_listing listing = {.prefix = DIC_STR_LIT("a"),
                                           .max_keys = 1 + (uint32_t)len % 7,
                                           .visit = visit,
                                           .context = &seen};
    enum dic_code code = dic_s3_list(bucket, &listing, &more, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(seen.count <= listing.max_keys);
    dic_buf_clean_up(&seen.last);
    dic_s3_bucket_destroy(bucket);
    return 0;
}
