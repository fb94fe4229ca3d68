/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local database. Rows that belong to a job have keys (job.seq << 20) | number, so that a job's
 * chunks lie side by side and are read in order; 20 bits hold DIC_MAX_SEGMENTS ×
 * DIC_SEGMENT_CHUNKS.
 */
#ifndef DIC_LOCAL_SCHEMA_H
#define DIC_LOCAL_SCHEMA_H

#include "job/limits.h"

#include <stdint.h>

enum { DIC_SCHEMA_VERSION = 2, DIC_KEY_BITS = 20, DIC_KEYS_PIECE_BYTES = 64 * 1024 };

_Static_assert(DIC_MAX_SEGMENTS *DIC_SEGMENT_CHUNKS <= 1 << DIC_KEY_BITS, "chunk numbers fit");

/* Step n makes version n + 1 of version n. */
extern const char *const dic_schema_steps[DIC_SCHEMA_VERSION];

static inline int64_t dic_row_key(int64_t job_seq, int64_t number)
{
    return (job_seq << DIC_KEY_BITS) | number;
}

static inline int64_t dic_row_key_last(int64_t job_seq)
{
    return dic_row_key(job_seq, (1 << DIC_KEY_BITS) - 1);
}

#endif
