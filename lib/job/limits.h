/* SPDX-License-Identifier: Apache-2.0 */
/* Every ceiling on something that comes from outside, in one place; docs/limits.md lists them. */
#ifndef DIC_JOB_LIMITS_H
#define DIC_JOB_LIMITS_H

enum {
    DIC_MAX_BODY_BYTES = 12 * 1024 * 1024,
    DIC_MAX_INLINE_KEYS = 10000,
    DIC_MAX_KEY_BYTES = 1024, /* S3's own limit on key length */
    DIC_MAX_TOP_K = 100,
    DIC_DEFAULT_TOP_K = 5,
    DIC_MAX_TAGS = 16,
    DIC_MAX_TAG_NAME_BYTES = 64,
    DIC_MAX_TAG_VALUE_BYTES = 512,
    DIC_MAX_GLOBS = 16, /* include and exclude each */
    DIC_MAX_GLOB_BYTES = 256,
    DIC_MAX_IDEMPOTENCY_KEY_BYTES = 255,
    DIC_IDEMPOTENCY_HOURS = 24,
    DIC_MAX_DEADLINE_S = 14 * 24 * 3600,
    DIC_MAX_MANIFEST_LINE_BYTES = 8192,
    DIC_MAX_ROW_ID_BYTES = 256, /* a client's own id of an image */

    DIC_MAX_UPLOADS = 1000, /* of one POST /uploads */
    DIC_MAX_UPLOAD_NAME_BYTES = 255,
    DIC_UPLOAD_EXPIRES_S = 3600,

    DIC_CHUNK_IMAGES = 100, /* default; DIC_MAX_CHUNK_IMAGES is the ceiling */
    DIC_MAX_CHUNK_IMAGES = 500,
    DIC_MAX_CHUNK_BYTES = 256 * 1024 * 1024,
    DIC_SEGMENT_CHUNKS = 32,
    DIC_MAX_SEGMENTS = 4096,
    DIC_MAX_JOB_IMAGES = 10000000,

    DIC_VISIBILITY_S = 120,
    DIC_HEARTBEAT_S = DIC_VISIBILITY_S / 3,
    DIC_MAX_RECEIVES = 10,
    /* A lease is renewed while its work moves. Longer than any single step may take: an image ends
     * within DIC_DECODE_TIMEOUT_MS of its fetch, a call of AWS within 30 s. */
    DIC_STALLED_S = 60,
    DIC_MAX_CHUNK_HOLD_S = 30 * 60, /* then somebody else may try; SQS itself allows 12 h */
    DIC_MAX_PAGE = 1000,            /* rows of a result page, jobs of a list page: default 100 */
    DIC_DEFAULT_PAGE = 100,
    DIC_MAX_WAIT_S = 50, /* Prefer: wait=N, below a load balancer's 60 s idle timeout */

    DIC_MAX_IMAGE_BYTES = 25 * 1024 * 1024,
    DIC_MAX_IMAGE_SIDE = 16384,
    DIC_MAX_IMAGE_PIXELS = 64000000,
    DIC_MAX_JPEG_SCANS = 100,
    DIC_MAX_DECODE_MEMORY = 256 * 1024 * 1024,
    DIC_DECODER_OVERHEAD = 32 * 1024 * 1024, /* beside the picture: rows, tables, the allocator */
#ifdef DIC_SANITIZED /* instrumented, the largest pictures take several times as long */
    DIC_DECODE_TIMEOUT_MS = 30000,
#else
    DIC_DECODE_TIMEOUT_MS = 5000,
#endif
};

#endif
