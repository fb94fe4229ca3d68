/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc; /* libFuzzer's signature */
    (void)argv;
    dic_log_set_level(DIC_LOG_OFF);
    return 0;
}

_Noreturn void dic_fuzz_finding(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

void dic_fuzz_check_err(enum dic_code code, const struct dic_err *err)
{
    FUZZ_CHECK(code >= DIC_OK && code < DIC_CODE_COUNT);
    FUZZ_CHECK(memchr(err->msg, '\0', sizeof err->msg) != NULL);
    FUZZ_CHECK(memchr(err->field, '\0', sizeof err->field) != NULL);
    FUZZ_CHECK(code == DIC_OK || (err->code == code && err->msg[0] != '\0'));
}

struct dic_str dic_fuzz_view(const uint8_t *bytes, size_t len)
{
    return dic_str_len((const char *)bytes, len);
}

struct dic_str dic_fuzz_part(struct dic_str *rest)
{
    size_t len = dic_str_find(*rest, (char)0xFF);
    struct dic_str part = dic_str_len(rest->len == 0 ? "" : rest->ptr, len);
    *rest = dic_str_skip(*rest, len + 1);
    return part;
}

uint8_t dic_fuzz_byte(struct dic_str *rest)
{
    uint8_t byte = rest->len == 0 ? 0 : (uint8_t)rest->ptr[0];
    *rest = dic_str_skip(*rest, 1);
    return byte;
}

/* ---- UTF-8: decoded, and the code point judged (the code under test goes by RFC 3629's table) */

static const unsigned char *read_code_point(const unsigned char *at, const unsigned char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    int more = *at < 0x80 ? 0 : *at < 0xC0 ? -1 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : 3;
    if (more < 0 || *at > 0xF7 || end - at <= more) {
        return NULL;
    }
    uint32_t point = more == 0 ? *at : *at & (0x3FU >> more);
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return NULL;
        }
        point = point << 6 | (at[i] & 0x3FU);
    }
    bool good = point >= least[more] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    return good ? at + more + 1 : NULL;
}

bool dic_fuzz_is_utf8(struct dic_str text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    const unsigned char *end = text.len == 0 ? at : at + text.len;
    while (at != NULL && at < end) {
        at = read_code_point(at, end);
    }
    return text.len == 0 || at != NULL;
}

/* ---- JSON: functions that move past what they name, and say whether it was there ---- */

struct json {
    const char *at;
    const char *end;
    int depth;
};

static bool value(struct json *json);

static char peek(const struct json *json)
{
    return json->at < json->end ? *json->at : '\0';
}

static bool take(struct json *json, char byte)
{
    bool is_there = json->at < json->end && *json->at == byte;
    json->at += is_there ? 1 : 0;
    return is_there;
}

static void space(struct json *json)
{
    while (json->at < json->end && memchr(" \t\r\n", *json->at, 4) != NULL) {
        json->at++;
    }
}

static bool word(struct json *json, const char *text)
{
    for (; *text != '\0'; text++) {
        if (!take(json, *text)) {
            return false;
        }
    }
    return true;
}

static bool digits(struct json *json)
{
    const char *start = json->at;
    while (peek(json) >= '0' && peek(json) <= '9') {
        json->at++;
    }
    return json->at > start;
}

static bool number(struct json *json)
{
    take(json, '-');
    if (!take(json, '0') && !digits(json)) {
        return false;
    }
    if (take(json, '.') && !digits(json)) {
        return false;
    }
    if (take(json, 'e') || take(json, 'E')) {
        if (!take(json, '+')) {
            take(json, '-');
        }
        return digits(json);
    }
    return true;
}

/* The four digits of a \u; −1 when they are not there. */
static int32_t hex4(struct json *json)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = peek(json);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
        json->at++;
    }
    return unit;
}

static bool escape(struct json *json)
{
    char c = peek(json);
    json->at++;
    if (c != 'u') {
        return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
    }
    int32_t unit = hex4(json);
    if (unit >= 0xD800 && unit < 0xDC00) {
        int32_t low = word(json, "\\u") ? hex4(json) : -1;
        return low >= 0xDC00 && low < 0xE000;
    }
    return unit >= 0 && (unit < 0xDC00 || unit > 0xDFFF);
}

static bool string(struct json *json)
{
    if (!take(json, '"')) {
        return false;
    }
    while (json->at < json->end && *json->at != '"') {
        if ((unsigned char)*json->at < 0x20) {
            return false;
        }
        if (take(json, '\\') && (json->at == json->end || !escape(json))) {
            return false;
        }
        if (peek(json) != '"' && peek(json) != '\\' && (unsigned char)peek(json) >= 0x20) {
            json->at++;
        }
    }
    return take(json, '"');
}

static bool members(struct json *json, char close, bool named)
{
    space(json);
    if (take(json, close)) {
        return true;
    }
    do {
        space(json);
        if (named) {
            if (!string(json)) {
                return false;
            }
            space(json);
            if (!take(json, ':')) {
                return false;
            }
        }
        if (!value(json)) {
            return false;
        }
    } while (take(json, ','));
    return take(json, close);
}

static bool value(struct json *json)
{
    space(json);
    bool good = false;
    if (++json->depth > 1000) {
        return false;
    }
    if (take(json, '{')) {
        good = members(json, '}', true);
    } else if (take(json, '[')) {
        good = members(json, ']', false);
    } else if (peek(json) == '"') {
        good = string(json);
    } else if (peek(json) == 't') {
        good = word(json, "true");
    } else if (peek(json) == 'f') {
        good = word(json, "false");
    } else if (peek(json) == 'n') {
        good = word(json, "null");
    } else {
        good = number(json);
    }
    json->depth--;
    space(json);
    return good;
}

bool dic_fuzz_is_json(struct dic_str text)
{
    if (text.len == 0 || !dic_fuzz_is_utf8(text)) {
        return false;
    }
    struct json json = {text.ptr, text.ptr + text.len, 0};
    return value(&json) && json.at == json.end;
}
