/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job model: what a client asks for, the states a job goes through, and how it is cut into
 * chunks. Plain data, no I/O. Views inside a struct point into memory that the struct's owner
 * keeps.
 *
 * A job is cut into chunks (the unit of delivery, retry and accounting, at most
 * DIC_CHUNK_IMAGES images) and its chunks into segments of DIC_SEGMENT_CHUNKS (the unit of
 * planning). Chunk numbers run through the whole job: chunk c lies in segment c /
 * DIC_SEGMENT_CHUNKS.
 */
#ifndef DIC_JOB_JOB_H
#define DIC_JOB_JOB_H

#include "base/err.h"
#include "base/rand.h"
#include "base/str.h"
#include "job/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define DIC_TENANT "default" /* part of every key, path and message already */

/*
 * ACCEPTED → PLANNING → RUNNING → FINALIZING → SUCCEEDED, and from the first three
 * CANCELLING → CANCELLED, EXPIRING → EXPIRED, FAILING → FAILED. Terminal states never change.
 * Stored by word, so the order here may change.
 */
enum dic_job_state {
    DIC_JOB_ACCEPTED,
    DIC_JOB_PLANNING,
    DIC_JOB_RUNNING,
    DIC_JOB_FINALIZING,
    DIC_JOB_SUCCEEDED,
    DIC_JOB_CANCELLING,
    DIC_JOB_CANCELLED,
    DIC_JOB_EXPIRING,
    DIC_JOB_EXPIRED,
    DIC_JOB_FAILING,
    DIC_JOB_FAILED,
    DIC_JOB_STATE_COUNT,
};

const char *dic_job_state_word(enum dic_job_state state);
/* As the API says it where only the state counts: "succeeded", "running", … */
const char *dic_job_state_api_word(enum dic_job_state state);
/* DIC_E_INTERNAL for a word this version does not know. */
DIC_MUST_USE enum dic_code dic_job_state_parse(struct dic_str word, enum dic_job_state *state_out,
                                               struct dic_err *err);
bool dic_job_is_terminal(enum dic_job_state state);
/* ACCEPTED, PLANNING and RUNNING: work may still be planned or booked. */
bool dic_job_is_open(enum dic_job_state state);
/* CANCELLED of CANCELLING and so on; the state itself otherwise. */
enum dic_job_state dic_job_sealed_state(enum dic_job_state state);

/* Where the images of a job come from. */
enum dic_source_kind {
    DIC_SOURCE_KEYS,     /* named in the request */
    DIC_SOURCE_PREFIX,   /* every object under s3_prefix that passes the globs */
    DIC_SOURCE_MANIFEST, /* lines of an object in the image bucket */
    DIC_SOURCE_RETRY,    /* the failed images of job retry_of */
};

/* What the worker needs to know of a job; part of every record. */
struct dic_job_params {
    enum dic_source_kind source;
    uint32_t top_k;
    double confidence_threshold;
    int64_t deadline_ms;  /* wall clock; 0 when there is none */
    int64_t max_failures; /* -1 when there is none */
    /* The request's remaining members as canonical JSON, kept as they were checked: source fields
     * ("s3_prefix", "include", "exclude", "manifest_s3_key", "retry_of") and "tags". */
    struct dic_str spec_json;
};

struct dic_job_totals {
    int64_t images;    /* -1 until planning has ended */
    int64_t succeeded; /* rows without an error */
    int64_t failed;    /* rows with an error */
    int64_t skipped;   /* never classified, because the job was cancelled, expired or failed */
    int64_t unknown;   /* of succeeded: no prediction reached the threshold */
};

/* A job as stored. Ids are DIC_ID_LEN characters. */
struct dic_job {
    char id[DIC_ID_SIZE];
    enum dic_job_state state;
    struct dic_job_params params;
    struct dic_job_totals totals;
    uint32_t planned_segments; /* how many exist so far */
    uint32_t planned_chunks;
    int64_t planned_images;
    int64_t created_ms; /* wall clock, 0 when it has not happened */
    int64_t started_ms; /* first chunk booked */
    int64_t ended_ms;
    struct dic_str model_json; /* of the first booked chunk: name, version, sha256 */
    struct dic_str reason;     /* why it FAILED, for people; empty otherwise */
};

/* "queued", "running", "succeeded", … as the API says it: an open job is queued until its first
 * chunk is booked; its failed rows decide between succeeded and completed_with_failures. */
const char *dic_job_api_status(const struct dic_job *job);

/* True when text has the form of a job id. */
bool dic_job_id_valid(struct dic_str text);

/* A key as S3 takes it: 1 to DIC_MAX_KEY_BYTES bytes of UTF-8 without U+0000. `field` is for the
 * message. */
DIC_MUST_USE enum dic_code dic_key_check(struct dic_str key, const char *field,
                                         struct dic_err *err);

/*
 * The images of one chunk: one line an image, "key-as-JSON-string" or
 * {"k":"key","id":"client id"} — JSON, so that any key is one line.
 */
struct dic_image {
    struct dic_str key;
    struct dic_str id; /* empty when the client gave none */
};
struct dic_buf;
void dic_image_line_write(struct dic_buf *out, const struct dic_image *image);

/* Why a row is an error; words are part of the API and documented in docs/api.md. */
enum dic_row_error {
    DIC_ROW_OK,
    DIC_ROW_NOT_FOUND,   /* no object under that key */
    DIC_ROW_INVALID_KEY, /* this store cannot hold such a key */
    DIC_ROW_ACCESS_DENIED,
    DIC_ROW_FETCH_FAILED,       /* storage failed after all retries; may work later */
    DIC_ROW_EMPTY,              /* object of 0 bytes */
    DIC_ROW_TOO_LARGE,          /* over a limit of bytes, pixels, scans or memory */
    DIC_ROW_UNSUPPORTED_FORMAT, /* not a JPEG, PNG, WebP, GIF or BMP, or a variant we do not read */
    DIC_ROW_CORRUPT_IMAGE,
    DIC_ROW_DECODE_TIMEOUT,
    DIC_ROW_DECODER_CRASHED,
    DIC_ROW_INFERENCE_FAILED,
    DIC_ROW_POISON, /* its chunk was received DIC_MAX_RECEIVES times in vain */
    DIC_ROW_ERROR_COUNT,
};
const char *dic_row_error_word(enum dic_row_error error);
bool dic_row_error_retryable(enum dic_row_error error);

#endif
