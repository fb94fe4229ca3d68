/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_read.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* struct dic_json is jansson's json_t under a name of ours; it is never defined. */
static const json_t *inner(const struct dic_json *value)
{
    return (const json_t *)value;
}

static const struct dic_json *outer(const json_t *value)
{
    return (const struct dic_json *)value;
}

/* No JSON text holds a raw NUL, and jansson takes one behind a number for the end. */
static enum dic_code check_no_nul(struct dic_str text, struct dic_err *err)
{
    size_t at = dic_str_find(text, '\0');
    if (at != text.len) {
        return dic_fail(err, DIC_E_MALFORMED, "not valid JSON: a NUL byte at byte %zu", at);
    }
    return DIC_OK;
}

/* jansson's own limit of depth is 2,048 and fixed; ours is checked by a scan before it. */
static enum dic_code check_depth(struct dic_str text, struct dic_err *err)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DIC_JSON_MAX_DEPTH) {
                return dic_fail(err, DIC_E_MALFORMED,
                                "JSON is nested deeper than %d levels at byte %zu",
                                DIC_JSON_MAX_DEPTH, i);
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return DIC_OK;
}

enum dic_code dic_json_parse(struct dic_str text, struct dic_json **root_out, struct dic_err *err)
{
    DIC_TRY(check_no_nul(text, err));
    DIC_TRY(check_depth(text, err));
    json_error_t why;
    const char *bytes = text.ptr == NULL ? "" : text.ptr;
    json_t *root = json_loadb(bytes, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (root == NULL) {
        return dic_fail(err, DIC_E_MALFORMED, "not valid JSON at line %d, column %d: %.150s",
                        why.line, why.column, why.text);
    }
    *root_out = (struct dic_json *)root;
    return DIC_OK;
}

void dic_json_destroy(struct dic_json *root)
{
    json_decref((json_t *)root);
}

void dic_json_cleanup(struct dic_json **root)
{
    dic_json_destroy(*root);
}

bool dic_json_is_object(const struct dic_json *value)
{
    return json_is_object(inner(value));
}

bool dic_json_is_array(const struct dic_json *value)
{
    return json_is_array(inner(value));
}

bool dic_json_is_null(const struct dic_json *value)
{
    return json_is_null(inner(value));
}

bool dic_json_is_string(const struct dic_json *value)
{
    return json_is_string(inner(value));
}

const char *dic_json_type_name(const struct dic_json *value)
{
    switch (json_typeof(inner(value))) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
    default:
        return "null";
    }
}

const struct dic_json *dic_json_member(const struct dic_json *object, const char *name)
{
    return outer(json_object_get(inner(object), name));
}

size_t dic_json_size(const struct dic_json *array_or_object)
{
    return dic_json_is_array(array_or_object) ? json_array_size(inner(array_or_object))
                                              : json_object_size(inner(array_or_object));
}

const struct dic_json *dic_json_at(const struct dic_json *array, size_t index)
{
    return outer(json_array_get(inner(array), index));
}

enum dic_code dic_json_each(const struct dic_json *object, dic_json_visit visit, void *context,
                            struct dic_err *err)
{
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)inner(object), name, member)
    {
        DIC_TRY(visit(context, dic_str(name), outer(member), err));
    }
    return DIC_OK;
}

static enum dic_code wrong_type(const struct dic_json *value, const char *field,
                                const char *expected, struct dic_err *err)
{
    return dic_fail_field(err, DIC_E_INVALID, field, "%s must be %s, not %s", field, expected,
                          dic_json_type_name(value));
}

enum dic_code dic_json_get_str(const struct dic_json *value, const char *field, struct dic_str *out,
                               struct dic_err *err)
{
    if (!json_is_string(inner(value))) {
        return wrong_type(value, field, "a string", err);
    }
    *out = dic_str_len(json_string_value(inner(value)), json_string_length(inner(value)));
    return DIC_OK;
}

/* 5.0 is an integer to JSON Schema and to every client that has one type of number; so it is here,
 * as far as a double tells each integer from its neighbours. */
static bool whole_number(const json_t *value, int64_t *out)
{
    static const double exact = 9007199254740992.0; /* 2^53 */
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    const double real = json_is_real(value) ? json_real_value(value) : 0.5;
    if (!(real > -exact && real < exact) || (double)(int64_t)real != real) {
        return false;
    }
    *out = (int64_t)real;
    return true;
}

enum dic_code dic_json_get_int(const struct dic_json *value, const char *field, int64_t min,
                               int64_t max, int64_t *out, struct dic_err *err)
{
    int64_t number = 0;
    if (!whole_number(inner(value), &number)) {
        return wrong_type(value, field, "an integer", err);
    }
    if (number < min || number > max) {
        return dic_fail_field(err, DIC_E_INVALID, field,
                              "%s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, field,
                              number, min, max);
    }
    *out = number;
    return DIC_OK;
}

enum dic_code dic_json_get_real(const struct dic_json *value, const char *field, double min,
                                double max, double *out, struct dic_err *err)
{
    if (!json_is_number(inner(value))) {
        return wrong_type(value, field, "a number", err);
    }
    double number = json_number_value(inner(value));
    if (!(number >= min && number <= max)) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s is %.17g, allowed are %g to %g", field,
                              number, min, max);
    }
    *out = number;
    return DIC_OK;
}

enum dic_code dic_json_get_bool(const struct dic_json *value, const char *field, bool *out,
                                struct dic_err *err)
{
    if (!json_is_boolean(inner(value))) {
        return wrong_type(value, field, "a boolean", err);
    }
    *out = json_is_true(inner(value));
    return DIC_OK;
}
