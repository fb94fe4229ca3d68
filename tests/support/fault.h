/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing system calls for tests: fault_preload.c stands before the C library's functions of the
 * same names and fails those calls that a record in shared memory asks for. As a library it goes
 * before a whole program (LD_PRELOAD, DIC_FAULT_FILE names the record's file); as a source of a
 * test program it goes before what is linked into it. Processes that are forked see the same
 * record.
 */
#ifndef DIC_TEST_FAULT_H
#define DIC_TEST_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

/* tests/api/faults.py writes it too: the layout is fixed. */
struct dic_fault {
    _Atomic uint32_t armed; /* 0: nothing fails */
    int32_t error;          /* errno of the calls that fail */
    uint32_t first;         /* matching calls fail from this one on, the first is 1 */
    uint32_t count;         /* so many; 0: all */
    _Atomic uint32_t calls;
    _Atomic uint32_t failed;
    char function[24]; /* "fsync"; 64-bit variants have the plain name */
    char path[128];    /* only files whose name has this in it ("x$": ends with x); "": all */
};

/* The record of this process; test programs that link fault_preload.c use it directly. */
struct dic_fault *dic_fault(void);

#endif
