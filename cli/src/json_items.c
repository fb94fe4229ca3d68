/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_spaces(struct dic_str text, size_t at)
{
    while (at < text.len && is_space(text.ptr[at])) {
        at++;
    }
    return at;
}

/* Behind the string that starts at `at`. */
static size_t skip_string(struct dic_str text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++) {
        at += text.ptr[at] == '\\' ? 1 : 0;
    }
    return at < text.len ? at + 1 : text.len;
}

/* Behind the value that starts at `at`. */
static size_t skip_value(struct dic_str text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        const char c = text.ptr[at];
        if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c))) {
            return at;
        }
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : 0;
        depth -= (c == '}' || c == ']') ? 1 : 0;
        at++;
    }
    return at;
}

struct dic_json_items dic_json_items(struct dic_str object_text, const char *member)
{
    struct dic_str text = object_text;
    size_t at = skip_spaces(text, 0) + 1; /* behind '{' */
    for (;;) {
        const size_t name = skip_spaces(text, at);
        if (name >= text.len || text.ptr[name] != '"') {
            return (struct dic_json_items){{NULL, 0}};
        }
        const size_t name_end = skip_string(text, name);
        struct dic_str found = dic_str_len(text.ptr + name + 1, name_end - name - 2);
        const size_t value = skip_spaces(text, skip_spaces(text, name_end) + 1); /* behind ':' */
        if (dic_str_is(found, member)) {
            const bool is_array = value < text.len && text.ptr[value] == '[';
            return (struct dic_json_items){is_array ? dic_str_skip(text, value + 1)
                                                    : dic_str_len(NULL, 0)};
        }
        at = skip_spaces(text, skip_value(text, value)) + 1; /* behind ',' */
    }
}

bool dic_json_items_next(struct dic_json_items *items, struct dic_str *item_out)
{
    struct dic_str text = items->rest;
    if (text.ptr == NULL) {
        return false;
    }
    const size_t start = skip_spaces(text, 0);
    if (start >= text.len || text.ptr[start] == ']') {
        items->rest = dic_str_len(NULL, 0);
        return false;
    }
    const size_t end = skip_value(text, start);
    *item_out = dic_str_len(text.ptr + start, end - start);
    const size_t next = skip_spaces(text, end);
    const bool more = next < text.len && text.ptr[next] == ',';
    items->rest = dic_str_skip(text, more ? next + 1 : next);
    return true;
}
