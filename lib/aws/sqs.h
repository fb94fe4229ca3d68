/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of SQS that are used here, in its JSON protocol, at the endpoint's root with the
 * queue's URL in the body. Any thread may call, and blocks. Errors: as dic_aws_call, but NOT_FOUND
 * is the queue or a receipt whose message is gone or in other hands, BUSY also too many messages in
 * flight, UPSTREAM also an answer that is not as documented.
 * docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference
 */
#ifndef DIC_AWS_SQS_H
#define DIC_AWS_SQS_H

#include "aws/aws.h"

enum {
    DIC_SQS_BATCH = 10,
    DIC_SQS_BATCH_BYTES = 256 * 1024, /* of all bodies; SQS takes more since 2025, others do not */
    DIC_SQS_WAIT_MAX_S = 20,
};

struct dic_sqs_queue {
    struct dic_aws *aws; /* borrowed */
    const char *url;
    void (*sleep_ms)(void *context, int64_t ms);
    void *sleep_context;
};

struct dic_sqs_entry {
    struct dic_str body;     /* 1 byte or more of UTF-8 without control characters */
    struct dic_str group_id; /* empty: none; fair queues serve groups in turn */
};
/* Any number. What SQS could not take is sent again; INVALID when SQS says that an entry can never
 * be taken. After an error some have been sent. */
DIC_MUST_USE enum dic_code dic_sqs_send(const struct dic_sqs_queue *queue,
                                        const struct dic_sqs_entry *entries, size_t count,
                                        struct dic_err *err);

struct dic_sqs_message {
    struct dic_str id;
    struct dic_str receipt;
    struct dic_str body;
    uint32_t receive_count; /* 1 when the server does not tell */
    int64_t sent_ms;        /* 0 when it does not */
};
/* Views live during the call. Return other than DIC_OK to stop. */
typedef enum dic_code (*dic_sqs_visit)(void *context, const struct dic_sqs_message *message,
                                       struct dic_err *err);
struct dic_sqs_receive {
    size_t max; /* 1 to DIC_SQS_BATCH */
    uint32_t visibility_s;
    uint32_t wait_s;           /* up to DIC_SQS_WAIT_MAX_S */
    const atomic_bool *cancel; /* as in struct dic_aws_call; the call is CONFLICT then */
};
/* A message whose body is not that of its checksum is logged and passed over: it comes again. */
DIC_MUST_USE enum dic_code dic_sqs_receive(const struct dic_sqs_queue *queue,
                                           const struct dic_sqs_receive *receive,
                                           dic_sqs_visit visit, void *context, struct dic_err *err);

DIC_MUST_USE enum dic_code dic_sqs_change_visibility(const struct dic_sqs_queue *queue,
                                                     struct dic_str receipt, uint32_t visibility_s,
                                                     struct dic_err *err);
DIC_MUST_USE enum dic_code dic_sqs_delete(const struct dic_sqs_queue *queue, struct dic_str receipt,
                                          struct dic_err *err);
/* Both approximate. */
DIC_MUST_USE enum dic_code dic_sqs_depth(const struct dic_sqs_queue *queue, int64_t *visible_out,
                                         int64_t *in_flight_out, struct dic_err *err);

#endif
