/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb_item.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers ---- */

enum {
    NUMBER_MAX_BYTES = 256, /* DynamoDB's have 38 digits and exponents to ±130 */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "E+12" and nothing after it. */
static bool parse_exponent(struct dic_str text, int *out)
{
    if (text.len == 0) {
        *out = 0;
        return true;
    }
    bool negative = text.len > 1 && text.ptr[1] == '-';
    uint64_t value = 0;
    size_t sign = text.len > 1 && (negative || text.ptr[1] == '+') ? 1 : 0;
    if ((text.ptr[0] | 0x20) != 'e' ||
        dic_parse_u64(dic_str_skip(text, 1 + sign), 0, 999, &value, NULL) != DIC_OK) {
        return false;
    }
    *out = negative ? -(int)value : (int)value;
    return true;
}

/* digits × 10^exponent, when that is whole and fits. */
static bool scale(const char *digits, size_t count, int exponent, bool negative, int64_t *out)
{
    while (count > 0 && digits[count - 1] == '0') {
        count--;
        exponent++;
    }
    if (count == 0) {
        *out = 0;
        return true;
    }
    if (exponent < 0) {
        return false;
    }
    int64_t value = 0;
    for (int i = 0; i < (int)count + exponent; i++) {
        const int digit = i < (int)count ? digits[i] - '0' : 0;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    /* The negative side reaches one further. */
    return negative ? (*out = value, true) : !__builtin_sub_overflow(0, value, out);
}

bool dic_dynamodb_parse_number(struct dic_str text, int64_t *out)
{
    char digits[NUMBER_MAX_BYTES]; /* without zeros in front */
    size_t count = 0;
    size_t seen = 0;
    int after_point = 0;
    bool point = false;
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t at = text.len > 0 && (negative || text.ptr[0] == '+') ? 1 : 0;
    if (text.len > NUMBER_MAX_BYTES) {
        return false;
    }
    for (; at < text.len && (is_digit(text.ptr[at]) || (text.ptr[at] == '.' && !point)); at++) {
        if (text.ptr[at] == '.') {
            point = true;
            continue;
        }
        seen++;
        after_point += point ? 1 : 0;
        if (count > 0 || text.ptr[at] != '0') {
            digits[count++] = text.ptr[at];
        }
    }
    int exponent = 0;
    return seen > 0 && parse_exponent(dic_str_skip(text, at), &exponent) &&
           scale(digits, count, exponent - after_point, negative, out);
}

/* ---- reading ---- */

DIC_MUST_USE
static enum dic_code malformed(const struct dic_dynamodb_source *source, const char *what,
                               struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has %s", source->operation, what);
}

enum dic_code dic_dynamodb_read_key(const struct dic_dynamodb_source *source,
                                    const struct dic_json *item, struct dic_str *key_out,
                                    struct dic_err *err)
{
    const struct dic_json *key = NULL;
    if (dic_json_is_object(item)) {
        key = dic_json_member(item, source->key_name);
    }
    const struct dic_json *text =
        key != NULL && dic_json_is_object(key) ? dic_json_member(key, "S") : NULL;
    if (text == NULL || dic_json_get_str(text, source->key_name, key_out, NULL) != DIC_OK) {
        return malformed(source, "an item without its key", err);
    }
    return DIC_OK;
}

struct reading {
    const struct dic_dynamodb_source *source;
    const struct dic_dynamodb_reader *reader;
    struct dic_str key;
    struct dic_dynamodb_attribute attribute; /* the one being read, or its map */
};

/* The one member of a value: its type's letter and what it holds. */
struct typed {
    struct dic_str type;
    const struct dic_json *value;
};

static enum dic_code note_member(void *context, struct dic_str name, const struct dic_json *value,
                                 struct dic_err *err)
{
    (void)err;
    *(struct typed *)context = (struct typed){name, value};
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code read_type(const struct dic_dynamodb_source *source,
                               const struct dic_json *value, struct typed *out, struct dic_err *err)
{
    if (!dic_json_is_object(value) || dic_json_size(value) != 1) {
        return malformed(source, "a value that is no object of one member", err);
    }
    return dic_json_each(value, note_member, out, err);
}

DIC_MUST_USE
static enum dic_code not_used_here(const struct reading *reading, struct dic_str type,
                                   struct dic_err *err)
{
    return dic_fail(err, DIC_E_INTERNAL,
                    "attribute '%.*s' of item '%.*s' is of type %.*s, which is not used here",
                    DIC_STR_ARGS(reading->attribute.name), DIC_STR_ARGS(reading->key),
                    DIC_STR_ARGS(type));
}

/* S and N. */
DIC_MUST_USE
static enum dic_code read_scalar(const struct reading *reading, const struct typed *typed,
                                 struct dic_dynamodb_attribute *out, struct dic_err *err)
{
    const bool is_number = dic_str_is(typed->type, "N");
    if (!is_number && !dic_str_is(typed->type, "S")) {
        return not_used_here(reading, typed->type, err);
    }
    if (dic_json_get_str(typed->value, "S", &out->text, NULL) != DIC_OK) {
        return malformed(reading->source, "a value that is no string", err);
    }
    if (!is_number) {
        return DIC_OK;
    }
    out->kind = DIC_DYNAMODB_NUMBER;
    if (!dic_dynamodb_parse_number(out->text, &out->number)) {
        return dic_fail(err, DIC_E_INTERNAL,
                        "attribute '%.*s' of item '%.*s' is '%.*s', which is no whole number of "
                        "64 bits",
                        DIC_STR_ARGS(out->name), DIC_STR_ARGS(reading->key),
                        (int)(out->text.len < 60 ? out->text.len : 60), out->text.ptr);
    }
    return DIC_OK;
}

static enum dic_code read_entry(void *context, struct dic_str key, const struct dic_json *value,
                                struct dic_err *err)
{
    const struct reading *reading = context;
    struct dic_dynamodb_attribute entry = {
        .kind = DIC_DYNAMODB_ENTRY, .name = reading->attribute.name, .key = key};
    struct typed typed = {0};
    DIC_TRY(read_type(reading->source, value, &typed, err));
    if (!dic_str_is(typed.type, "S")) {
        return not_used_here(reading, typed.type, err);
    }
    DIC_TRY(read_scalar(reading, &typed, &entry, err));
    return reading->reader->attribute(reading->reader->context, &entry, err);
}

static enum dic_code read_attribute(void *context, struct dic_str name,
                                    const struct dic_json *value, struct dic_err *err)
{
    struct reading *reading = context;
    const struct dic_dynamodb_reader *reader = reading->reader;
    struct typed typed = {0};
    reading->attribute = (struct dic_dynamodb_attribute){.kind = DIC_DYNAMODB_TEXT, .name = name};
    DIC_TRY(read_type(reading->source, value, &typed, err));
    if (!dic_str_is(typed.type, "M")) {
        DIC_TRY(read_scalar(reading, &typed, &reading->attribute, err));
        return reader->attribute(reader->context, &reading->attribute, err);
    }
    if (!dic_json_is_object(typed.value)) {
        return malformed(reading->source, "a map that is no object", err);
    }
    reading->attribute.kind = DIC_DYNAMODB_MAP;
    DIC_TRY(reader->attribute(reader->context, &reading->attribute, err));
    return dic_json_each(typed.value, read_entry, reading, err);
}

enum dic_code dic_dynamodb_read_item(const struct dic_dynamodb_source *source,
                                     const struct dic_json *item,
                                     const struct dic_dynamodb_reader *reader, struct dic_err *err)
{
    struct reading reading = {.source = source, .reader = reader};
    DIC_TRY(dic_dynamodb_read_key(source, item, &reading.key, err));
    DIC_TRY(reader->begin(reader->context, reading.key, err));
    return dic_json_each(item, read_attribute, &reading, err);
}

/* ---- copying a key of an index ---- */

static enum dic_code begin_nothing(void *context, struct dic_str key, struct dic_err *err)
{
    (void)context;
    (void)key;
    (void)err;
    return DIC_OK;
}

static enum dic_code copy_attribute(void *context, const struct dic_dynamodb_attribute *attribute,
                                    struct dic_err *err)
{
    struct dic_json_writer *json = context;
    (void)err;
    dic_json_put_name(json, attribute->name);
    dic_dynamodb_put_value(json, NULL, attribute);
    return DIC_OK;
}

enum dic_code dic_dynamodb_copy_key(const struct dic_dynamodb_source *source,
                                    const struct dic_json *item, struct dic_buf *out,
                                    struct dic_err *err)
{
    struct dic_json_writer json = dic_json_writer(out);
    const struct dic_dynamodb_reader copier = {&json, begin_nothing, copy_attribute};
    dic_json_begin_object(&json, NULL);
    DIC_TRY(dic_dynamodb_read_item(source, item, &copier, err));
    dic_json_end_object(&json);
    return DIC_OK;
}

/* ---- writing ---- */

void dic_dynamodb_put_value(struct dic_json_writer *json, const char *name,
                            const struct dic_dynamodb_attribute *value)
{
    char digits[24];
    dic_json_begin_object(json, name);
    switch (value->kind) {
    case DIC_DYNAMODB_NUMBER:
        snprintf(digits, sizeof digits, "%" PRId64, value->number);
        dic_json_put_text(json, "N", digits);
        break;
    case DIC_DYNAMODB_MAP:
        dic_json_begin_object(json, "M");
        dic_json_end_object(json);
        break;
    case DIC_DYNAMODB_TEXT:
    case DIC_DYNAMODB_ENTRY:
    default:
        dic_json_put_str(json, "S", value->text);
    }
    dic_json_end_object(json);
}

/* The map at *index and its entries behind it. */
static void put_map(struct dic_json_writer *json, const struct dic_dynamodb_write *write,
                    size_t *index)
{
    dic_json_begin_object(json, NULL);
    dic_json_begin_object(json, "M");
    while (*index + 1 < write->attribute_count &&
           write->attributes[*index + 1].kind == DIC_DYNAMODB_ENTRY) {
        const struct dic_dynamodb_attribute *entry = &write->attributes[++*index];
        dic_json_put_name(json, entry->key);
        dic_dynamodb_put_value(json, NULL, entry);
    }
    dic_json_end_object(json);
    dic_json_end_object(json);
}

void dic_dynamodb_put_item(struct dic_json_writer *json, const char *name, const char *key_name,
                           const struct dic_dynamodb_write *write)
{
    const struct dic_dynamodb_attribute key = {.kind = DIC_DYNAMODB_TEXT, .text = write->key};
    dic_json_begin_object(json, name);
    dic_dynamodb_put_value(json, key_name, &key);
    for (size_t i = 0; i < write->attribute_count; i++) {
        dic_json_put_name(json, write->attributes[i].name);
        if (write->attributes[i].kind == DIC_DYNAMODB_MAP) {
            put_map(json, write, &i);
        } else {
            dic_dynamodb_put_value(json, NULL, &write->attributes[i]);
        }
    }
    dic_json_end_object(json);
}
