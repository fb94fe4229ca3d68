/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_write.h"

#include "base/clock.h"

#include <inttypes.h>
#include <math.h>

struct dic_json_writer dic_json_writer(struct dic_buf *out)
{
    return (struct dic_json_writer){out, false};
}

static void begin_value(struct dic_json_writer *writer, const char *name)
{
    if (writer->need_comma) {
        dic_buf_append_byte(writer->out, ',');
    }
    if (name != NULL) {
        dic_buf_append_byte(writer->out, '"');
        dic_buf_append_text(writer->out, name);
        dic_buf_append(writer->out, "\":", 2);
    }
    writer->need_comma = true;
}

static void put_special(struct dic_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        dic_buf_append(out, "\\\"", 2);
        break;
    case '\\':
        dic_buf_append(out, "\\\\", 2);
        break;
    case '\n':
        dic_buf_append(out, "\\n", 2);
        break;
    case '\r':
        dic_buf_append(out, "\\r", 2);
        break;
    case '\t':
        dic_buf_append(out, "\\t", 2);
        break;
    default:
        if (c < 0x20) {
            dic_buf_printf(out, "\\u%04x", c);
        } else {
            dic_buf_append(out, "\xEF\xBF\xBD", 3); /* U+FFFD for a byte that is not UTF-8 */
        }
    }
}

static void put_escaped(struct dic_buf *out, struct dic_str text)
{
    bool utf8 = dic_utf8_valid(text);
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == '"' || c == '\\' || (c >= 0x80 && !utf8)) {
            dic_buf_append(out, text.ptr + start, i - start);
            put_special(out, c);
            start = i + 1;
        }
    }
    if (text.len > start) {
        dic_buf_append(out, text.ptr + start, text.len - start);
    }
}

static void put_quoted(struct dic_buf *out, struct dic_str text)
{
    dic_buf_append_byte(out, '"');
    put_escaped(out, text);
    dic_buf_append_byte(out, '"');
}

void dic_json_begin_object(struct dic_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    dic_buf_append_byte(writer->out, '{');
    writer->need_comma = false;
}

void dic_json_end_object(struct dic_json_writer *writer)
{
    dic_buf_append_byte(writer->out, '}');
    writer->need_comma = true;
}

void dic_json_begin_array(struct dic_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    dic_buf_append_byte(writer->out, '[');
    writer->need_comma = false;
}

void dic_json_end_array(struct dic_json_writer *writer)
{
    dic_buf_append_byte(writer->out, ']');
    writer->need_comma = true;
}

void dic_json_put_str(struct dic_json_writer *writer, const char *name, struct dic_str value)
{
    begin_value(writer, name);
    put_quoted(writer->out, value);
}

void dic_json_put_text(struct dic_json_writer *writer, const char *name, const char *value)
{
    dic_json_put_str(writer, name, dic_str(value));
}

void dic_json_put_int(struct dic_json_writer *writer, const char *name, int64_t value)
{
    begin_value(writer, name);
    if (value < 0) {
        dic_buf_append_byte(writer->out, '-');
    }
    dic_buf_append_u64(writer->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void dic_json_put_int_or_null(struct dic_json_writer *writer, const char *name, int64_t value)
{
    if (value < 0) {
        dic_json_put_null(writer, name);
    } else {
        dic_json_put_int(writer, name, value);
    }
}

void dic_json_put_real(struct dic_json_writer *writer, const char *name, double value, int decimals)
{
    begin_value(writer, name);
    if (isfinite(value)) {
        dic_buf_printf(writer->out, "%.*f", decimals, value);
    } else {
        dic_buf_append(writer->out, "null", 4);
    }
}

void dic_json_put_bool(struct dic_json_writer *writer, const char *name, bool value)
{
    begin_value(writer, name);
    dic_buf_append_text(writer->out, value ? "true" : "false");
}

void dic_json_put_null(struct dic_json_writer *writer, const char *name)
{
    begin_value(writer, name);
    dic_buf_append(writer->out, "null", 4);
}

void dic_json_put_raw(struct dic_json_writer *writer, const char *name, struct dic_str json)
{
    begin_value(writer, name);
    dic_buf_append_str(writer->out, json);
}

void dic_json_put_time(struct dic_json_writer *writer, const char *name, int64_t wall_ms)
{
    char text[DIC_TIME_TEXT_SIZE];
    dic_time_format(wall_ms, text);
    dic_json_put_text(writer, name, text);
}

void dic_json_put_name(struct dic_json_writer *writer, struct dic_str name)
{
    begin_value(writer, NULL);
    put_quoted(writer->out, name);
    dic_buf_append_byte(writer->out, ':');
    writer->need_comma = false;
}
