/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function in a process of its own, for work with threads and credentials that must be over and
 * forgotten before the decoders' nursery is forked (see decoder_pool.h). What it makes of memory is
 * lost with it; what it leaves in shared files stays.
 */
#ifndef DIC_ML_CHILD_RUN_H
#define DIC_ML_CHILD_RUN_H

#include "base/err.h"

#include <stdint.h>

struct dic_child_options {
    const char *what; /* it does, for messages: "reading the model" */
    enum dic_code (*run)(void *context, struct dic_err *err);
    void *context;
    int64_t timeout_ms; /* then it is killed */
};

/* To be called while the process has one thread, with SIGTERM and SIGINT blocked. What `run`
 * returned, or TIMEOUT, INTERNAL (it died), or CONFLICT: one of the two signals came, which stays
 * pending, and the child was killed at once. */
DIC_MUST_USE enum dic_code dic_child_run(const struct dic_child_options *options,
                                         struct dic_err *err);

#endif
