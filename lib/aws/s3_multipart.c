/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large object in parts: CreateMultipartUpload, UploadPart…, CompleteMultipartUpload. Nothing is
 * visible before the last call, and that one carries the condition. What fails is aborted, since S3
 * charges for parts that were left behind.
 */
#include "aws/s3_request.h"
#include "aws/xml_read.h"
#include "base/log.h"
#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_PARTS = 10000, /* S3's own bound */
    MAX_UPLOAD_ID_BYTES = 2048,
    COMPLETE_TRIES = 3, /* of one that answers 200 and an error */
    COMPLETE_MS = 120000, /* S3 puts the parts together before it answers */
    PART_LINE_BYTES = 64 + 6 * DIC_S3_ETAG_SIZE,
};

struct upload {
    struct dic_s3_bucket *bucket; /* borrowed */
    struct dic_str key;
    struct dic_str bytes;
    bool if_absent;
    char write_id[DIC_ID_SIZE];
    struct dic_buf id;
    struct dic_buf parts; /* <Part>…</Part>… of what was uploaded */
};

static void upload_clean_up(struct upload *upload)
{
    dic_buf_clean_up(&upload->id);
    dic_buf_clean_up(&upload->parts);
}
