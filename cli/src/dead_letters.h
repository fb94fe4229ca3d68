/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where dead letters are: copies under dlq/<tenant>/<job>/<chunk> in the result bucket, of chunks
 * that were booked as errors; and messages still in the dead-letter queue, which no worker has
 * taken yet or none understood. Messages are handled as they are, so that those of another version
 * are shown and moved too. One thread. Errors: as lib/aws/s3.h and sqs.h say.
 */
#ifndef DIC_CLI_DEAD_LETTERS_H
#define DIC_CLI_DEAD_LETTERS_H

#include "base/buf.h"
#include "store/job_queue.h"

struct dic_dead_store;

/* From the environment: RESULT_BUCKET, JOB_QUEUE_URL, JOB_DLQ_URL, FAIR_QUEUE and AWS_*. */
DIC_MUST_USE enum dic_code dic_dead_store_open(struct dic_dead_store **out, struct dic_err *err);
void dic_dead_store_close(struct dic_dead_store *store); /* NULL is fine */
void dic_dead_store_cleanup(struct dic_dead_store **store);

/* Which dead letters are meant. */
struct dic_dead_filter {
    const char *job; /* NULL: all */
    int64_t chunk;   /* -1: all of the job */
};

struct dic_dead_copy {
    struct dic_str key;
    char job[DIC_ID_SIZE];
    uint32_t chunk;
};
typedef enum dic_code (*dic_dead_copy_visit)(void *context, const struct dic_dead_copy *copy,
                                             struct dic_err *err);
/* In order of their keys. A copy may be removed while it is visited. */
DIC_MUST_USE enum dic_code dic_dead_copies(struct dic_dead_store *store,
                                           const struct dic_dead_filter *filter,
                                           dic_dead_copy_visit visit, void *context,
                                           struct dic_err *err);
/* Of the first job after this one (""; the first of all) that has copies; job_out is "" when there
 * is none. */
DIC_MUST_USE enum dic_code dic_dead_next_job(struct dic_dead_store *store, const char *after,
                                             char job_out[DIC_ID_SIZE], struct dic_err *err);
DIC_MUST_USE enum dic_code dic_dead_copy_read(struct dic_dead_store *store,
                                              const struct dic_dead_copy *copy, struct dic_buf *out,
                                              struct dic_err *err);
DIC_MUST_USE enum dic_code dic_dead_copy_remove(struct dic_dead_store *store,
                                                const struct dic_dead_copy *copy,
                                                struct dic_err *err);

struct dic_dead_message {
    struct dic_str id;
    struct dic_str body;
    struct dic_str receipt;
    uint32_t receive_count;
    int64_t sent_ms;
    bool understood; /* else why says why not, and message is not valid */
    struct dic_message message;
    struct dic_err why;
    bool settled; /* set by send and remove */
};
typedef enum dic_code (*dic_dead_message_visit)(void *context, struct dic_dead_message *message,
                                                struct dic_err *err);
/* Receives what the queue holds, at most DIC_DEAD_MESSAGES_MAX; what was not settled is given back
 * at the end (or comes back within minutes, if this program is ended). *more_out: not all were
 * seen. */
enum { DIC_DEAD_MESSAGES_MAX = 10000 };
DIC_MUST_USE enum dic_code dic_dead_messages(struct dic_dead_store *store,
                                             const struct dic_dead_filter *filter,
                                             dic_dead_message_visit visit, void *context,
                                             bool *more_out, struct dic_err *err);
/* To the job queue, and out of this one: a crash between the two leaves it in both, which is
 * harmless. */
DIC_MUST_USE enum dic_code dic_dead_message_send(struct dic_dead_store *store,
                                                 struct dic_dead_message *message,
                                                 struct dic_err *err);
DIC_MUST_USE enum dic_code dic_dead_message_remove(struct dic_dead_store *store,
                                                   struct dic_dead_message *message,
                                                   struct dic_err *err);

#endif
