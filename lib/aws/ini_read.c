/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/ini_read.h"

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_comment_sign(char byte)
{
    return byte == '#' || byte == ';';
}

/* Up to a comment sign with white space before it. */
static struct dic_str without_comment(struct dic_str text)
{
    for (size_t i = 1; i < text.len; i++) {
        if (is_comment_sign(text.ptr[i]) && is_blank(text.ptr[i - 1])) {
            text.len = i;
        }
    }
    return dic_str_trim(text);
}

DIC_MUST_USE
static enum dic_code read_section(struct dic_str line, size_t number, struct dic_str *section_out,
                                  struct dic_err *err)
{
    size_t end = dic_str_find(line, ']');
    struct dic_str after = dic_str_trim(dic_str_skip(line, end + 1));
    if (end == line.len || (after.len > 0 && !is_comment_sign(after.ptr[0]))) {
        return dic_fail(err, DIC_E_MALFORMED, "line %zu is not '[', a section's name and ']'",
                        number);
    }
    *section_out = dic_str_trim(dic_str_len(line.ptr + 1, end - 1));
    return DIC_OK;
}

enum dic_code dic_ini_read(struct dic_str text, dic_ini_visit visit, void *context,
                           struct dic_err *err)
{
    struct dic_str rest = text;
    struct dic_str line;
    struct dic_str section = {"", 0};
    for (size_t number = 1; dic_str_split(&rest, '\n', &line); number++) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        struct dic_str trimmed = dic_str_trim(line);
        if (trimmed.len == 0 || is_comment_sign(trimmed.ptr[0]) || is_blank(line.ptr[0])) {
            continue;
        }
        if (line.ptr[0] == '[') {
            DIC_TRY(read_section(line, number, &section, err));
            continue;
        }
        size_t equals = dic_str_find(line, '=');
        struct dic_str name = dic_str_trim(dic_str_len(line.ptr, equals));
        if (equals == line.len || name.len == 0) {
            return dic_fail(err, DIC_E_MALFORMED, "line %zu is not a name, '=' and a value",
                            number);
        }
        struct dic_str value = dic_str_trim(dic_str_skip(line, equals + 1));
        DIC_TRY(visit(context, section, name, without_comment(value), err));
    }
    return DIC_OK;
}
