/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of decoder_pool.c: the nursery process, the decoders it forks, and what is said on
 * their sockets. Private to the pool. Messages are fixed structs: both ends are the same program.
 *
 *   parent ── control socket ── nursery      request: which decoder; reply: its new socket
 *   parent ── one socket each ── decoder     hello; then job → reply, one at a time
 */
#ifndef DIC_ML_DECODER_CHILD_H
#define DIC_ML_DECODER_CHILD_H

#include "decoder_pool.h"

#include <sys/types.h>

enum { DIC_DECODERS_MAX = 64 };

/* Memory shared by the parent and one decoder: tensor slots, then the picture's bytes. */
struct dic_decoder_region {
    uint8_t *base;
    size_t size;
    size_t tensor_stride;
    size_t input_offset; /* page aligned */
};

struct dic_nursery_request {
    uint32_t decoder; /* to be killed if it lives, and forked anew */
};

/* Comes with the parent's end of the new decoder's socket, unless error is set. */
struct dic_nursery_reply {
    int32_t error;      /* errno of the fork, or 0 */
    int32_t old_status; /* waitpid's, of the process that was replaced */
};

struct dic_decoder_job {
    uint64_t sequence; /* from 1; 0 is the hello */
    uint64_t len;
    uint32_t slot;
    uint32_t unused;
};

struct dic_decoder_reply {
    uint64_t sequence;
    uint32_t error; /* enum dic_row_error */
    uint32_t partial;
    uint32_t width;
    uint32_t height;
    char format[8];
    char message[160];
};

struct dic_nursery {
    const struct dic_decoder_pool_options *options;
    const struct dic_decoder_region *regions; /* options->decoders of them */
    int control_fd;
    pid_t parent;
    pid_t children[DIC_DECODERS_MAX]; /* 0: none; the nursery's own */
};

/* The life of the nursery process; ends when the control socket is closed. */
_Noreturn void dic_nursery_run(struct dic_nursery *nursery);

#endif
