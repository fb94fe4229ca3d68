/* SPDX-License-Identifier: Apache-2.0 */
/* Views of bytes, passed by value; they own nothing and need no NUL at the end. */
#ifndef DIC_BASE_STR_H
#define DIC_BASE_STR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dic_str {
    const char *ptr;
    size_t len;
};

/* For printf("%.*s", DIC_STR_ARGS(view)). */
#define DIC_STR_ARGS(view) (int)(view).len, (view).ptr
#define DIC_STR_LIT(literal) ((struct dic_str){(literal), sizeof(literal) - 1})

struct dic_str dic_str(const char *text); /* NULL gives an empty view */
struct dic_str dic_str_len(const char *ptr, size_t len);
bool dic_str_eq(struct dic_str a, struct dic_str b);
bool dic_str_is(struct dic_str view, const char *text);
/* Byte by byte, as numbers from 0 to 255: < 0, 0 or > 0. A prefix comes first. */
int dic_str_compare(struct dic_str a, struct dic_str b);
bool dic_str_starts_with(struct dic_str view, struct dic_str prefix);
/* Position of a byte, or view.len when it is absent. */
size_t dic_str_find(struct dic_str view, char byte);
struct dic_str dic_str_skip(struct dic_str view, size_t count);
struct dic_str dic_str_trim(struct dic_str view); /* without spaces and tabs around it */
/* Takes up to and without the separator from rest; false when rest was already used up. */
bool dic_str_split(struct dic_str *rest, char separator, struct dic_str *part_out);

/* FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923). Not for keys that an attacker may choose. */
uint64_t dic_str_hash(struct dic_str view);

/* Well-formed UTF-8 as RFC 3629: no surrogates, no overlong forms, at most U+10FFFF. */
bool dic_utf8_valid(struct dic_str view);

/* Decimal digits only, no sign, no spaces; DIC_E_INVALID outside [min, max] names the bounds. */
DIC_MUST_USE enum dic_code dic_parse_u64(struct dic_str text, uint64_t min, uint64_t max,
                                         uint64_t *value_out, struct dic_err *err);

/* Shell-like pattern over whole keys: '*' any bytes ('/' too), '?' one byte, '\' quotes the next.
 * Takes time proportional to pattern × key at worst, and no memory. */
bool dic_glob_match(struct dic_str pattern, struct dic_str key);

#endif
