/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <inttypes.h>
#include <string.h>

struct dic_str dic_str(const char *text)
{
    return dic_str_len(text, text == NULL ? 0 : strlen(text));
}

struct dic_str dic_str_len(const char *ptr, size_t len)
{
    return (struct dic_str){ptr, len};
}

bool dic_str_eq(struct dic_str a, struct dic_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool dic_str_is(struct dic_str view, const char *text)
{
    return dic_str_eq(view, dic_str(text));
}

int dic_str_compare(struct dic_str a, struct dic_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    return order != 0 ? order : (a.len > common) - (b.len > common);
}

bool dic_str_starts_with(struct dic_str view, struct dic_str prefix)
{
    return view.len >= prefix.len && dic_str_eq(dic_str_len(view.ptr, prefix.len), prefix);
}

size_t dic_str_find(struct dic_str view, char byte)
{
    const char *hit = view.len == 0 ? NULL : memchr(view.ptr, byte, view.len);
    return hit == NULL ? view.len : (size_t)(hit - view.ptr);
}

struct dic_str dic_str_skip(struct dic_str view, size_t count)
{
    size_t skipped = count < view.len ? count : view.len;
    return dic_str_len(view.len == 0 ? view.ptr : view.ptr + skipped, view.len - skipped);
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct dic_str dic_str_trim(struct dic_str view)
{
    while (view.len > 0 && is_blank(view.ptr[0])) {
        view = dic_str_skip(view, 1);
    }
    while (view.len > 0 && is_blank(view.ptr[view.len - 1])) {
        view.len--;
    }
    return view;
}

bool dic_str_split(struct dic_str *rest, char separator, struct dic_str *part_out)
{
    if (rest->ptr == NULL) {
        return false;
    }
    size_t at = dic_str_find(*rest, separator);
    *part_out = dic_str_len(rest->ptr, at);
    *rest = at == rest->len ? dic_str_len(NULL, 0) : dic_str_skip(*rest, at + 1);
    return true;
}

uint64_t dic_str_hash(struct dic_str view)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < view.len; i++) {
        hash = (hash ^ (unsigned char)view.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Length of the well-formed sequence at p, or 0. The table of RFC 3629 section 4. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < len) {
        return 0;
    }
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool dic_utf8_valid(struct dic_str view)
{
    const unsigned char *p = (const unsigned char *)view.ptr;
    for (size_t i = 0; i < view.len;) {
        size_t step = utf8_sequence(p + i, view.len - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

enum dic_code dic_parse_u64(struct dic_str text, uint64_t min, uint64_t max, uint64_t *value_out,
                            struct dic_err *err)
{
    uint64_t value = 0;
    bool good = text.len > 0 && text.len <= 20;
    for (size_t i = 0; good && i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        good = digit <= 9 && value <= (UINT64_MAX - digit) / 10;
        value = good ? value * 10 + digit : 0;
    }
    if (!good || value < min || value > max) {
        return dic_fail(err, DIC_E_INVALID,
                        "'%.*s' is not a whole number from %" PRIu64 " to %" PRIu64,
                        (int)(text.len < 40 ? text.len : 40), text.len ? text.ptr : "", min, max);
    }
    *value_out = value;
    return DIC_OK;
}

bool dic_glob_match(struct dic_str pattern, struct dic_str key)
{
    /* Greedy match with one remembered '*': going back to the last star is enough, since an
     * earlier one could only match a prefix that the later one can match too. */
    size_t p = 0;
    size_t k = 0;
    size_t star = SIZE_MAX;
    size_t star_key = 0;
    while (k < key.len) {
        bool quoted = p + 1 < pattern.len && pattern.ptr[p] == '\\';
        if (!quoted && p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_key = k;
        } else if (quoted ? pattern.ptr[p + 1] == key.ptr[k]
                          : p < pattern.len &&
                                (pattern.ptr[p] == '?' || pattern.ptr[p] == key.ptr[k])) {
            p += quoted ? 2 : 1;
            k++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            k = ++star_key;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}
