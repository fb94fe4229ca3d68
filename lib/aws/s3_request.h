/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a bucket, for the s3*.c files alone: its address, what S3 said, what that means.
 */
#ifndef DIC_AWS_S3_REQUEST_H
#define DIC_AWS_S3_REQUEST_H

#include "aws/s3.h"

enum {
    DIC_S3_REQUEST_HEADERS = 4,
    DIC_S3_RACE_TRIES = 5, /* of a write that met another at the same moment */
    DIC_S3_RACE_BASE_MS = 50,
};

struct dic_s3_bucket {
    struct dic_s3_options options;
    char *name;
    char *host; /* the bucket's own; empty: the bucket stands in the path */
    bool is_https;
};

struct dic_s3_request {
    struct dic_s3_bucket *bucket; /* borrowed */
    struct dic_str key;           /* borrowed */
    struct dic_aws_call call;
    struct dic_buf path;
    struct dic_buf query;
    struct dic_http_header headers[DIC_S3_REQUEST_HEADERS];
    struct dic_aws_answer answer; /* of the last send */
};

/* An empty key: the bucket itself. */
void dic_s3_request_init(struct dic_s3_request *request, struct dic_s3_bucket *bucket,
                         const char *operation, const char *method, struct dic_str key);
void dic_s3_request_clean_up(struct dic_s3_request *request);
/* In the order of their names; a parameter without a value is written "name=", as it is signed. */
void dic_s3_request_query(struct dic_s3_request *request, const char *name, struct dic_str value);
void dic_s3_request_header(struct dic_s3_request *request, const char *name, struct dic_str value);
/* Reads may be cancelled. */
void dic_s3_request_is_read(struct dic_s3_request *request);
/* Longer deadlines for a body of so many bytes, sent or expected. */
void dic_s3_request_expect(struct dic_s3_request *request, int64_t body_bytes);
/* The bytes to send, with their deadlines. */
void dic_s3_request_body(struct dic_s3_request *request, struct dic_str bytes);
/* Fails in the terms of s3.h. May be called again. */
DIC_MUST_USE enum dic_code dic_s3_request_send(struct dic_s3_request *request, struct dic_err *err);
/* As presign's: what dic_aws_presign takes. */
const struct dic_aws_call *dic_s3_request_call(struct dic_s3_request *request);

/* S3's word for two conditional writes at one moment: try again from the start. */
bool dic_s3_is_race(const struct dic_aws_answer *answer);
/* Sleeps after `done` such tries. */
void dic_s3_wait_for_race(const struct dic_s3_bucket *bucket, uint32_t done);
/* The UPSTREAM of a write that met others every time. */
enum dic_code dic_s3_lost_race(struct dic_err *err);

/* What the headers say; size −1 and an empty tag when they do not. */
struct dic_s3_object dic_s3_object_of(const struct dic_http_response *response);

/* Stored with what put writes, so that a write whose answer was lost is known again. */
#define DIC_S3_WRITE_ID_HEADER "x-amz-meta-write-id"
/* *ours_out: the object under the key is what the call with this id has written. After DIC_OK err
 * is what it was: the caller's error may still be its last word. */
DIC_MUST_USE enum dic_code dic_s3_written_by(struct dic_s3_bucket *bucket, struct dic_str key,
                                             const char *write_id, bool *ours_out,
                                             struct dic_err *err);
/* For objects over DIC_S3_ONE_PUT_BYTES. Nothing is left when it fails, if S3 lets it. */
DIC_MUST_USE enum dic_code dic_s3_put_in_parts(struct dic_s3_bucket *bucket, struct dic_str key,
                                               struct dic_str bytes, bool if_absent,
                                               struct dic_err *err);
/* The CONFLICT of a put. */
enum dic_code dic_s3_exists_already(struct dic_err *err);

#endif
