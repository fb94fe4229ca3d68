/* SPDX-License-Identifier: Apache-2.0 */
#include "uri.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum dic_code decode_escape(struct dic_str text, size_t at, char *out, struct dic_err *err)
{
    int high = at + 1 < text.len ? hex_digit(text.ptr[at + 1]) : -1;
    int low = at + 2 < text.len ? hex_digit(text.ptr[at + 2]) : -1;
    if (high < 0 || low < 0) {
        return dic_fail(err, DIC_E_MALFORMED, "the request target has a bad %%-escape at byte %zu",
                        at);
    }
    *out = (char)(high * 16 + low);
    if (*out == '\0') {
        return dic_fail(err, DIC_E_MALFORMED, "the request target has a %%00 at byte %zu", at);
    }
    return DIC_OK;
}

enum dic_code dic_uri_decode(struct dic_str text, bool is_query, struct dic_buf *out,
                             struct dic_err *err)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            DIC_TRY(decode_escape(text, i, &c, err));
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        } else if (c <= 0x20 || c == 0x7F || (c & 0x80) != 0) {
            return dic_fail(err, DIC_E_MALFORMED,
                            "the request target has an unescaped byte 0x%02x at byte %zu",
                            (unsigned)(unsigned char)c, i);
        }
        dic_buf_append_byte(out, c);
    }
    return dic_buf_check(out, err);
}

struct dic_str dic_query_find(const struct dic_query *query, struct dic_str name)
{
    for (size_t i = 0; i < query->count; i++) {
        if (dic_str_eq(query->parameters[i].name, name)) {
            return query->parameters[i].value;
        }
    }
    return dic_str(NULL);
}

static enum dic_code add_parameter(struct dic_query *query, struct dic_str text,
                                   struct dic_err *err)
{
    size_t equals = dic_str_find(text, '=');
    struct dic_str raw_name = dic_str_len(text.ptr, equals);
    struct dic_str raw_value = dic_str_skip(text, equals + 1);
    if (query->count == DIC_MAX_QUERY_PARAMETERS) {
        return dic_fail(err, DIC_E_MALFORMED, "the query has more than %d parameters",
                        DIC_MAX_QUERY_PARAMETERS);
    }
    size_t start = query->text.len;
    DIC_TRY(dic_uri_decode(raw_name, true, &query->text, err));
    size_t middle = query->text.len;
    DIC_TRY(dic_uri_decode(raw_value, true, &query->text, err));
    struct dic_str name = dic_str_len(query->text.ptr + start, middle - start);
    struct dic_str value = dic_str_len(query->text.ptr + middle, query->text.len - middle);
    if (dic_query_find(query, name).ptr != NULL) {
        return dic_fail_field(err, DIC_E_MALFORMED, "query",
                              "query parameter '%.*s' is given twice",
                              (int)(name.len < 40 ? name.len : 40), name.ptr);
    }
    query->parameters[query->count].name = name;
    query->parameters[query->count++].value = value;
    return DIC_OK;
}

enum dic_code dic_query_parse(struct dic_str text, struct dic_query *out, struct dic_err *err)
{
    memset(out, 0, sizeof *out);
    dic_buf_init(&out->text, text.len + 1);
    /* Views are taken while the buffer is filled: it must not move. */
    if (!dic_buf_reserve(&out->text, text.len + 1)) {
        return dic_buf_check(&out->text, err);
    }
    struct dic_str rest = text;
    struct dic_str part = {0};
    while (text.len > 0 && dic_str_split(&rest, '&', &part)) {
        if (part.len > 0) {
            DIC_TRY(add_parameter(out, part, err));
        }
    }
    return DIC_OK;
}

void dic_query_clean_up(struct dic_query *query)
{
    dic_buf_clean_up(&query->text);
}
