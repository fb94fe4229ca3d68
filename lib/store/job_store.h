/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: jobs, their chunks and the accounting of every image. Each function can be repeated after
 * an unknown outcome, by the same caller or another, and the result is the same: first writer wins.
 * Any thread may call; all may block, unless ops->is_local says that reads take microseconds.
 *
 * Records are handed out in a struct dic_buf that the caller owns: views in the struct point into
 * it, so the buffer must live as long as the struct and must not be appended to.
 *
 * Messages: a function that makes work also makes the messages that carry it. An adapter that can
 * write both in one transaction does so (*sent_out = true); otherwise the caller sends them, and
 * the sweeper finds those that were lost.
 */
#ifndef DIC_STORE_JOB_STORE_H
#define DIC_STORE_JOB_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "job/job.h"

#include <stdbool.h>
#include <stdint.h>

/* Ceilings of the buffers that records are read into. */
enum {
    DIC_JOB_RECORD_BYTES = 1024 * 1024,
    DIC_CHUNK_RECORD_BYTES = 2 * 1024 * 1024,
    DIC_RESUME_BYTES = 16 * 1024, /* where a planner goes on */
};

/* What a call that failed says of the work: nothing is left of it. It is booked, stopped or gone.
 */
static inline bool dic_is_work_gone(enum dic_code code)
{
    return code == DIC_E_NOT_FOUND || code == DIC_E_CONFLICT;
}

/* One chunk to be planned. lines: one line an image (see dic_image_line_write), each with '\n'. */
struct dic_chunk_plan {
    int64_t first_image; /* index in the job of its first image */
    uint32_t images;
    struct dic_str lines;
};

/* A segment to be planned: chunks [segment * DIC_SEGMENT_CHUNKS, … + count). */
struct dic_segment_plan {
    uint32_t segment;
    uint32_t chunk_count; /* 1 to DIC_SEGMENT_CHUNKS */
    const struct dic_chunk_plan *chunks;
    bool is_last;
    struct dic_str resume; /* where planning goes on, for the planner; opaque here, ≤ 2 KiB */
};

struct dic_new_job {
    struct dic_job_params params;
    int64_t created_ms;
    struct dic_str idempotency_key; /* empty: none */
    struct dic_str request_hash;    /* of the whole request; compared when the key is known */
    const struct dic_segment_plan *segment; /* NULL: a worker will plan it */
    struct dic_str
        keys; /* a long list to be planned by a worker: lines as above; empty otherwise */
    struct dic_str retry_of; /* empty, or the parent: then at most one live child exists */
    uint32_t chunk_images;   /* how this service cuts lists: a segment's chunks have so many images;
                                0: without a rule */
    int64_t images;          /* 0: how many there are is not known before planning ends */
};

enum dic_create_result {
    DIC_CREATED,
    DIC_CREATE_REPLAYED, /* the idempotency key (or the parent's live child) names this job */
};

/* A chunk as the worker sees it. */
struct dic_chunk {
    int64_t first_image;
    uint32_t images;
    bool booked;          /* somebody has already booked it */
    struct dic_str lines; /* its images */
};

struct dic_label_count {
    struct dic_str label;
    int64_t images;
};

/* The outcome of a chunk; rows: one JSON object a line, in image order. */
struct dic_booking {
    uint32_t chunk;
    uint32_t succeeded;
    uint32_t failed;
    uint32_t unknown;
    struct dic_str rows;
    struct dic_str model_json;
    const struct dic_label_count *labels; /* of this chunk's classified rows */
    size_t label_count;
    const char
        *receipt; /* of the message, removed in the same transaction where possible; or NULL */
};

enum dic_book_result {
    DIC_BOOKED,
    DIC_BOOK_LATE,   /* another attempt was first; its rows stay */
    DIC_BOOK_CLOSED, /* the job is being cancelled, has ended, or is gone: nothing was booked */
};

struct dic_rows {
    uint32_t chunk;
    int64_t first_image;
    uint32_t images;
    uint32_t failed;
    struct dic_str rows;
};

/* One finished chunk of a result, in order; rows are valid during the call. Return other than
 * DIC_OK to stop: DIC_E_CONFLICT as a stop that is no error is not needed, use limit. */
typedef enum dic_code (*dic_rows_visit)(void *context, const struct dic_rows *rows,
                                        struct dic_err *err);

/* One job of a listing; valid during the call. */
typedef enum dic_code (*dic_job_visit)(void *context, const struct dic_job *job,
                                       struct dic_err *err);

struct dic_job_filter {
    const char *status;       /* as in the API, or NULL */
    int64_t before_ms;        /* created before, or at the same time with a smaller id; */
    struct dic_str before_id; /* empty: from the newest */
    uint32_t limit;
};

struct dic_job_store_ops {
    bool is_local; /* reads need no other thread or machine */

    /* Durable when it returns. DIC_E_INVALID (field "Idempotency-Key") when the key is known with
     * another request_hash. id_out is the job's id, new or old. */
    enum dic_code (*create)(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                            enum dic_create_result *result_out, bool *sent_out,
                            struct dic_err *err);
    enum dic_code (*get)(void *impl, const char *job_id, struct dic_job *out,
                         struct dic_buf *memory, struct dic_err *err);
    /* As get, but the totals of a live job may be missing: for those who want what was asked. */
    enum dic_code (*peek)(void *impl, const char *job_id, struct dic_job *out,
                          struct dic_buf *memory, struct dic_err *err);
    enum dic_code (*list)(void *impl, const struct dic_job_filter *filter, dic_job_visit visit,
                          void *context, struct dic_err *err);

    /* Planning. begin_plan moves ACCEPTED to PLANNING and tells where to go on: the first segment
     * that does not exist and the resume text of the one before (empty for segment 0).
     * DIC_E_CONFLICT when the job is past planning. */
    enum dic_code (*begin_plan)(void *impl, const char *job_id, uint32_t *segment_out,
                                struct dic_buf *resume_out, struct dic_err *err);
    /* A part of the list given to create: from byte offset, at most len bytes. */
    enum dic_code (*get_keys)(void *impl, const char *job_id, int64_t offset, int64_t len,
                              struct dic_buf *out, struct dic_err *err);
    /* Adds a segment if it does not exist. A segment with is_last ends planning (RUNNING). A job
     * without images has one last segment with chunk_count 0 and so ends at once. */
    enum dic_code (*add_segment)(void *impl, const char *job_id,
                                 const struct dic_segment_plan *segment, bool *sent_out,
                                 struct dic_err *err);

    /* The source is bad: as stop with DIC_JOB_FAILING, but only while the job is being planned and
     * this is its next segment; DIC_E_CONFLICT otherwise: what a slow planner finds is not the
     * job's fault once another has planned past it. */
    enum dic_code (*fail_plan)(void *impl, const char *job_id, uint32_t segment,
                               struct dic_str reason, struct dic_err *err);

    /* DIC_E_NOT_FOUND: no such job or chunk; DIC_E_CONFLICT: the job is not open any more. */
    enum dic_code (*get_chunk)(void *impl, const char *job_id, uint32_t chunk,
                               struct dic_chunk *out, struct dic_buf *memory, struct dic_err *err);
    /* First writer wins; moves the job on when this was its last chunk, or to FAILING when
     * max_failures is passed. */
    enum dic_code (*book)(void *impl, const char *job_id, const struct dic_booking *booking,
                          enum dic_book_result *result_out, struct dic_err *err);

    /* Finished chunks from `chunk` on, without a gap, at most limit of them. */
    enum dic_code (*rows)(void *impl, const char *job_id, uint32_t chunk, uint32_t limit,
                          dic_rows_visit visit, void *context, struct dic_err *err);
    /* The most frequent labels of a job, most frequent first, at most *count_io. */
    enum dic_code (*labels)(void *impl, const char *job_id, struct dic_label_count *out,
                            size_t *count_io, struct dic_buf *memory, struct dic_err *err);

    /* stop is CANCELLING, EXPIRING or FAILING; DIC_E_CONFLICT when the job has ended or is past
     * stopping; repeating it is fine. No booking that starts after it returns is booked. */
    enum dic_code (*stop)(void *impl, const char *job_id, enum dic_job_state stop,
                          struct dic_str reason, struct dic_err *err);
    /* Ends a stopping job: counts what was never classified as skipped. */
    enum dic_code (*seal)(void *impl, const char *job_id, struct dic_err *err);

    /* One round of the sweeper, at most `limit` jobs: re-sends lost messages, expires jobs whose
     * deadline has passed, ends what is stopping, removes what is older than retention_ms. */
    enum dic_code (*sweep)(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                           uint32_t *repaired_out, struct dic_err *err);
    /* Cheap check that the store answers, for /readyz. */
    enum dic_code (*ping)(void *impl, struct dic_err *err);
    void (*destroy)(void *impl);
};

struct dic_job_store {
    const struct dic_job_store_ops *ops;
    void *impl;
};

#endif
