/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding in sandboxed child processes. A small "nursery" process is forked before threads,
 * credentials and the inference library exist; it forks decoders (and new ones for those that
 * died), so a decoder never holds anything worth stealing. Bytes go in and tensors come out through
 * memory shared by the parent and that one decoder. Each decoder is driven by one thread of the
 * parent.
 */
#ifndef DIC_ML_DECODER_POOL_H
#define DIC_ML_DECODER_POOL_H

#include "base/err.h"
#include "base/str.h"
#include "image_decode.h"

#include <stdint.h>

/* What runs in the child; dic_image_decode, or a test's own. */
typedef void (*dic_decode_function)(const uint8_t *bytes, size_t len,
                                    const struct dic_tensor_spec *spec, float *tensor_out,
                                    struct dic_image_report *report_out);

struct dic_decoder_pool_options {
    uint32_t decoders;            /* 1 to 64 */
    uint32_t tensors_per_decoder; /* shared-memory tensor slots of each, 1 to 16 */
    size_t max_image_bytes;
    uint64_t memory_limit_bytes; /* RLIMIT_AS above what the child starts with; 0: none (ASan) */
    uint32_t timeout_ms;         /* wall time for one picture, then the child is killed */
    struct dic_tensor_spec spec;
    dic_decode_function decode;
};

struct dic_decoder_pool;

/* Must be called while the process has one thread. */
DIC_MUST_USE enum dic_code dic_decoder_pool_start(const struct dic_decoder_pool_options *options,
                                                  struct dic_decoder_pool **pool_out,
                                                  struct dic_err *err);
void dic_decoder_pool_destroy(struct dic_decoder_pool *pool); /* kills the children; NULL is fine */

/* Slot 0 … tensors_per_decoder−1 of one decoder; 64-byte aligned, lives as long as the pool. */
float *dic_decoder_pool_tensor(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot);

/* Decodes into a slot; blocks up to timeout_ms. A child that dies or is killed is replaced, and the
 * report says DECODER_CRASHED or DECODE_TIMEOUT. One caller at a time for each decoder. */
void dic_decoder_pool_decode(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot,
                             struct dic_str bytes, struct dic_image_report *report_out);

/* How many children were replaced since the start. */
uint64_t dic_decoder_pool_respawns(const struct dic_decoder_pool *pool);

#endif
