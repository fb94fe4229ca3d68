/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are returned by value as enum dic_code and described in a struct the caller owns.
 * A code names a reaction (what the caller should do), the message names the cause.
 * No thread-local state, no allocation; a struct dic_err may be NULL where nobody wants the text.
 */
#ifndef DIC_BASE_ERR_H
#define DIC_BASE_ERR_H

#include <stdbool.h>

#define DIC_MUST_USE __attribute__((warn_unused_result))
#define DIC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum dic_code {
    DIC_OK = 0,
    DIC_E_MALFORMED,   /* cannot be parsed at all */
    DIC_E_INVALID,     /* parsed, but a value is out of its bounds */
    DIC_E_NOT_FOUND,   /* the named thing does not exist */
    DIC_E_DENIED,      /* it exists, but may not be read or changed */
    DIC_E_CONFLICT,    /* the state does not allow it (any more) */
    DIC_E_TOO_LARGE,   /* over a limit of size */
    DIC_E_UNSUPPORTED, /* understood, but not offered */
    DIC_E_BUSY,        /* no capacity now, try later */
    DIC_E_TIMEOUT,     /* a deadline passed */
    DIC_E_UPSTREAM,    /* storage, queue or network failed */
    DIC_E_INTERNAL,    /* a bug or a broken installation */
    DIC_CODE_COUNT,
};

struct dic_err {
    enum dic_code code;
    bool retryable;
    char field[64]; /* name of the offending field, or empty */
    char msg[320];  /* one line, lower case, with the value and the bound in it */
};

/* What the services do about each code; one table, in err.c. */
struct dic_outcome {
    const char *word; /* machine-readable, as in the API's error.code */
    int http_status;
    bool retryable;
};

const struct dic_outcome *dic_outcome(enum dic_code code);

/* Fill err (which may be NULL) and return code, so that a failure is one statement. */
DIC_PRINTF(3, 4)
enum dic_code dic_fail(struct dic_err *err, enum dic_code code, const char *fmt, ...);

/* The same for a value that has a name in the outside world. */
DIC_PRINTF(4, 5)
enum dic_code dic_fail_field(struct dic_err *err, enum dic_code code, const char *field,
                             const char *fmt, ...);

/* The only macro that jumps: return the code of a step that failed. */
#define DIC_TRY(call)                         \
    do {                                      \
        enum dic_code dic_try_code_ = (call); \
        if (dic_try_code_ != DIC_OK) {        \
            return dic_try_code_;             \
        }                                     \
    } while (0)

/* Runs function(&variable) when the variable leaves its scope. */
#define DIC_CLEANUP(function) __attribute__((cleanup(function)))

#endif
