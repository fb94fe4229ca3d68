/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, whole numbers and patterns, each against another way to do the same. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 64, MAX_KEY = 256 };

static void check_number(struct dic_str text)
{
    char copy[32] = {0};
    uint64_t value = 0;
    bool plain = text.len > 0 && text.len < sizeof copy;
    for (size_t i = 0; plain && i < text.len; i++) {
        plain = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        copy[i] = text.ptr[i];
    }
    bool taken = dic_parse_u64(text, 0, UINT64_MAX, &value, NULL) == DIC_OK;
    FUZZ_CHECK(!taken || plain);
    if (plain && text.len <= 20) { /* longer ones are refused, even with zeros in front */
        errno = 0;
        unsigned long long expected = strtoull(copy, NULL, 10);
        FUZZ_CHECK(taken == (errno == 0) && (!taken || value == expected));
    }
}

/* By dynamic programming: after each byte of the pattern, which prefixes of the key match. */
static bool glob_by_table(struct dic_str pattern, struct dic_str key)
{
    bool now[MAX_KEY + 1] = {true};
    for (size_t p = 0; p < pattern.len; p++) {
        bool next[MAX_KEY + 1] = {false};
        char c = pattern.ptr[p];
        bool quoted = c == '\\' && p + 1 < pattern.len;
        c = quoted ? pattern.ptr[++p] : c;
        for (size_t k = 0; k <= key.len; k++) {
            if (c == '*' && !quoted) {
                next[k] = now[k] || (k > 0 && next[k - 1]);
            } else if (k > 0) {
                next[k] = now[k - 1] && ((c == '?' && !quoted) || c == key.ptr[k - 1]);
            }
        }
        memcpy(now, next, sizeof now);
    }
    return now[key.len];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_str text = dic_fuzz_view(bytes, len);
    FUZZ_CHECK(dic_utf8_valid(text) == dic_fuzz_is_utf8(text));
    check_number(text);
    struct dic_str rest = text;
    struct dic_str pattern = dic_fuzz_part(&rest);
    if (pattern.len <= MAX_PATTERN && rest.len <= MAX_KEY) {
        FUZZ_CHECK(dic_glob_match(pattern, rest) == glob_by_table(pattern, rest));
    }
    struct dic_str trimmed = dic_str_trim(text);
    FUZZ_CHECK(trimmed.len <= text.len);
    return 0;
}
