/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct dic_outcome outcomes[DIC_CODE_COUNT] = {
    [DIC_OK] = {"OK", 200, false},
    [DIC_E_MALFORMED] = {"MALFORMED", 400, false},
    [DIC_E_INVALID] = {"INVALID", 422, false},
    [DIC_E_NOT_FOUND] = {"NOT_FOUND", 404, false},
    [DIC_E_DENIED] = {"DENIED", 403, false},
    [DIC_E_CONFLICT] = {"CONFLICT", 409, false},
    [DIC_E_TOO_LARGE] = {"TOO_LARGE", 413, false},
    [DIC_E_UNSUPPORTED] = {"UNSUPPORTED", 422, false},
    [DIC_E_BUSY] = {"BUSY", 503, true},
    [DIC_E_TIMEOUT] = {"TIMEOUT", 503, true},
    [DIC_E_UPSTREAM] = {"UPSTREAM", 503, true},
    [DIC_E_INTERNAL] = {"INTERNAL", 500, false},
};

const struct dic_outcome *dic_outcome(enum dic_code code)
{
    return &outcomes[code < DIC_CODE_COUNT ? code : DIC_E_INTERNAL];
}

DIC_PRINTF(4, 0)
static enum dic_code fill(struct dic_err *err, enum dic_code code, const char *field,
                          const char *fmt, va_list args)
{
    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->retryable = dic_outcome(code)->retryable;
    snprintf(err->field, sizeof err->field, "%s", field);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    return code;
}

enum dic_code dic_fail(struct dic_err *err, enum dic_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, "", fmt, args);
    va_end(args);
    return code;
}

enum dic_code dic_fail_field(struct dic_err *err, enum dic_code code, const char *field,
                             const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, code, field, fmt, args);
    va_end(args);
    return code;
}
