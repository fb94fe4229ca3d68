/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes from the calling process everything but memory and one socket: no new privileges, no other
 * file descriptors, resource limits, a seccomp allow-list. For a process with one thread that is
 * about to read what a stranger wrote. There is no way back.
 */
#ifndef DIC_ML_SANDBOX_H
#define DIC_ML_SANDBOX_H

#include "base/err.h"

#include <stdint.h>

/*
 * Sanitizers need system calls and memory of their own. In such builds the sandbox is loose: the
 * filter is a deny-list (programs, processes, sockets, tracing), RLIMIT_AS is off, standard error
 * stays open. Everything else is the same.
 */
#if defined(DIC_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DIC_SANDBOX_LOOSE 1
#else
#define DIC_SANDBOX_LOOSE 0
#endif

/* memory_limit_bytes: how far the address space may grow from now on; 0: no limit. */
DIC_MUST_USE enum dic_code dic_sandbox_enter(int kept_fd, uint64_t memory_limit_bytes,
                                             struct dic_err *err);

/* The first part of it, for a process that still has to fork: closes every descriptor but kept_fd
 * (and standard error in loose builds). */
DIC_MUST_USE enum dic_code dic_sandbox_close_others(int kept_fd, struct dic_err *err);

#endif
