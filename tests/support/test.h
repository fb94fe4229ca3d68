/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka and what it wants to be included first, and a few checks of ours. */
#ifndef DIC_TEST_H
#define DIC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

#define assert_ok(call) assert_int_equal((call), DIC_OK)
#define assert_code(call, code) assert_int_equal((call), (code))
#define assert_view(view, text) dic_assert_view((view), (text), __FILE__, __LINE__)

static inline void dic_assert_view(struct dic_str view, const char *text, const char *file,
                                   int line)
{
    if (!dic_str_is(view, text)) {
        print_error("'%.*s' is not '%s'\n", DIC_STR_ARGS(view), text);
        _fail(file, line);
    }
}

#endif
