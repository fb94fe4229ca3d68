/* SPDX-License-Identifier: Apache-2.0 */
/* S3's answers to reads and writes of objects: never more bytes than asked for, tags that end. */
#include "aws/s3.h"
#include "base/buf.h"
#include "fuzz_aws.h"

#include <string.h>

enum { MOST_BYTES = 64, OFFSET = 5 };

static const struct dic_str key = {"a b+c", 5};

static void check_object(const struct dic_s3_object *object)
{
    FUZZ_CHECK(object->size_bytes >= -1);
    FUZZ_CHECK(memchr(object->etag, '\0', sizeof object->etag) != NULL);
}

static void check_get(struct dic_s3_bucket *bucket, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf out;
    struct dic_s3_object object = {0};
    dic_buf_init(&out, 4096);
    enum dic_code code = dic_s3_get(bucket, key, MOST_BYTES, &out, &object, err);
    dic_fuzz_check_err(code, err);
    if (code == DIC_OK) {
        FUZZ_CHECK(out.len <= MOST_BYTES && !out.poisoned);
        check_object(&object);
    }
}

static void check_range(struct dic_s3_bucket *bucket, const char *etag, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf out;
    dic_buf_init(&out, 4096);
    enum dic_code code = dic_s3_get_range(bucket, key, OFFSET, MOST_BYTES, etag, &out, err);
    dic_fuzz_check_err(code, err);
    FUZZ_CHECK(code != DIC_OK || (out.len <= MOST_BYTES && !out.poisoned));
}

static void call(struct dic_s3_bucket *bucket, uint8_t choice, struct dic_err *err)
{
    struct dic_s3_object object = {0};
    enum dic_code code = DIC_OK;
    switch (choice % 7) {
    case 0:
        check_get(bucket, err);
        return;
    case 1:
        check_range(bucket, NULL, err);
        return;
    case 2:
        check_range(bucket, "\"e\"", err);
        return;
    case 3:
        code = dic_s3_head(bucket, key, &object, err);
        check_object(&object);
        break;
    case 4:
        code = dic_s3_put(bucket, key, DIC_STR_LIT("bytes"), false, err);
        break;
    case 5:
        code = dic_s3_put(bucket, key, DIC_STR_LIT("bytes"), true, err);
        break;
    default:
        code = dic_s3_delete(bucket, key, err);
    }
    dic_fuzz_check_err(code, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_fuzz_aws_close) struct dic_fuzz_aws fuzz;
    struct dic_s3_bucket *bucket = NULL;
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    uint8_t choice = dic_fuzz_byte(&rest);
    dic_fuzz_aws_open(&fuzz, rest);
    const struct dic_s3_options options = {.aws = fuzz.aws,
                                           .bucket = "pictures",
                                           .sleep_ms = dic_fuzz_aws_sleep,
                                           .sleep_context = &fuzz};
    FUZZ_CHECK(dic_s3_bucket_new(&options, &bucket, NULL) == DIC_OK);
    call(bucket, choice, &err);
    dic_s3_bucket_destroy(bucket);
    return 0;
}
