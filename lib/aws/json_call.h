/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call in AWS's JSON protocol 1.0, as SQS and DynamoDB speak it: a POST of an object to the
 * endpoint's root, the operation in a header. Init, write the members of the request, send, read
 * root, clean up. Not shared between threads.
 * smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
 */
#ifndef DIC_AWS_JSON_CALL_H
#define DIC_AWS_JSON_CALL_H

#include "aws/aws.h"
#include "json/json_read.h"
#include "json/json_write.h"

struct dic_json_call {
    enum dic_aws_service service;
    const char *operation;
    int64_t timeout_ms; /* these four as in struct dic_aws_call */
    int64_t total_timeout_ms;
    size_t max_response_bytes;
    const atomic_bool *cancel;
    bool no_output; /* the operation answers nothing: an empty body is right, root NULL then */

    struct dic_buf body;
    struct dic_json_writer json; /* inside the request's object */
    struct dic_aws_answer answer;
    struct dic_json *root; /* the answer's object, or NULL */
};

/* DynamoDB or SQS. body_ceiling: of the request. */
void dic_json_call_init(struct dic_json_call *call, enum dic_aws_service service,
                        const char *operation, size_t body_ceiling);
void dic_json_call_clean_up(struct dic_json_call *call);

/* As dic_aws_call; UPSTREAM also when the answer is no JSON object, redirects or has no end. After
 * another error of AWS's the answer's error_code and body are there, and root only after read_root.
 */
DIC_MUST_USE enum dic_code dic_json_call_send(struct dic_aws *aws, struct dic_json_call *call,
                                              struct dic_err *err);
DIC_MUST_USE enum dic_code dic_json_call_read_root(struct dic_json_call *call, struct dic_err *err);

/* AWS's own word for the error, e.g. "QueueDoesNotExist". */
bool dic_json_call_failed_with(const struct dic_json_call *call, const char *error_code);
bool dic_json_call_body_has(const struct dic_json_call *call, const char *words);

/* The same error under another code, which is returned. */
enum dic_code dic_aws_recode(struct dic_err *err, enum dic_code code);

/* Waits before try (1, 2, …) again what AWS has left undone without calling it an error: full
 * jitter below 50 ms · 2^try, at most 5 s, as the SDKs do. */
void dic_aws_back_off(void (*sleep_ms)(void *context, int64_t ms), void *sleep_context, int try);

#endif
