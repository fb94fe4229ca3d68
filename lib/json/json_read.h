/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON reading (RFC 8259, UTF-8 only, no duplicate keys, depth ≤ DIC_JSON_MAX_DEPTH), with
 * jansson behind it. A document is used by one thread at a time; views point into it and live as
 * long as it does. Accessors report the field's name, what was found and what was expected.
 */
#ifndef DIC_JSON_JSON_READ_H
#define DIC_JSON_JSON_READ_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIC_JSON_MAX_DEPTH = 32 };

struct dic_json; /* any value of a document; borrowed, except the root */

/* The whole text must be one JSON value. DIC_E_MALFORMED with line and column otherwise. */
DIC_MUST_USE enum dic_code dic_json_parse(struct dic_str text, struct dic_json **root_out,
                                          struct dic_err *err);
void dic_json_destroy(struct dic_json *root); /* NULL is fine */
void dic_json_cleanup(struct dic_json **root);

bool dic_json_is_object(const struct dic_json *value);
bool dic_json_is_array(const struct dic_json *value);
bool dic_json_is_null(const struct dic_json *value);
bool dic_json_is_string(const struct dic_json *value);
const char *dic_json_type_name(const struct dic_json *value);

/* NULL when the object has no such member. */
const struct dic_json *dic_json_member(const struct dic_json *object, const char *name);
size_t dic_json_size(const struct dic_json *array_or_object);
const struct dic_json *dic_json_at(const struct dic_json *array, size_t index);

/* Calls visit for each member until it returns other than DIC_OK. */
typedef enum dic_code (*dic_json_visit)(void *context, struct dic_str name,
                                        const struct dic_json *value, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_json_each(const struct dic_json *object, dic_json_visit visit,
                                         void *context, struct dic_err *err);

/* Typed values; `field` is the name used in the message. A string may hold U+0000. */
DIC_MUST_USE enum dic_code dic_json_get_str(const struct dic_json *value, const char *field,
                                            struct dic_str *out, struct dic_err *err);
/* A whole number within [min, max], also when written as 5.0 or 1e3 (JSON Schema's integer). */
DIC_MUST_USE enum dic_code dic_json_get_int(const struct dic_json *value, const char *field,
                                            int64_t min, int64_t max, int64_t *out,
                                            struct dic_err *err);
DIC_MUST_USE enum dic_code dic_json_get_real(const struct dic_json *value, const char *field,
                                             double min, double max, double *out,
                                             struct dic_err *err);
DIC_MUST_USE enum dic_code dic_json_get_bool(const struct dic_json *value, const char *field,
                                             bool *out, struct dic_err *err);

#endif
