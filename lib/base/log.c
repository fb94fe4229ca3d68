/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TAIL_BYTES = 24 }; /* room for ,"truncated":true}\n */

static enum dic_log_level threshold = DIC_LOG_INFO;
static const char *service = "";
static const char *const level_words[] = {"debug", "info", "warn", "error", "off"};

void dic_log_set_level(enum dic_log_level level)
{
    threshold = level;
}

void dic_log_set_service(const char *name)
{
    service = name;
}

enum dic_code dic_log_level_parse(struct dic_str text, enum dic_log_level *level_out,
                                  struct dic_err *err)
{
    for (int i = 0; i <= DIC_LOG_OFF; i++) {
        if (dic_str_is(text, level_words[i])) {
            *level_out = (enum dic_log_level)i;
            return DIC_OK;
        }
    }
    return dic_fail(err, DIC_E_INVALID, "'%.*s' is not one of debug, info, warn, error, off",
                    (int)(text.len < 40 ? text.len : 40), text.ptr);
}

static void put(struct dic_log *log, const char *bytes, size_t len)
{
    if (log->truncated || len > DIC_LOG_LINE_BYTES - TAIL_BYTES - log->len) {
        log->truncated = true;
        return;
    }
    memcpy(log->line + log->len, bytes, len);
    log->len += len;
}

static void put_escaped(struct dic_log *log, struct dic_str text)
{
    /* Bytes outside printable ASCII are written as \u00XX: keys may hold anything, and a log line
     * must neither break nor be forged by them. Valid UTF-8 passes as it is. */
    bool utf8 = dic_utf8_valid(text);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            put(log, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8)) {
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
            put(log, escaped, 6);
        } else {
            put(log, text.ptr + i, 1);
        }
    }
}

static void put_key(struct dic_log *log, const char *key)
{
    put(log, ",\"", 2);
    put(log, key, strlen(key));
    put(log, "\":", 2);
}

/* A field is written whole or not at all, so that a truncated line is still JSON. */
static void undo_if_truncated(struct dic_log *log, size_t before)
{
    if (log->truncated) {
        log->len = before;
    }
}

void dic_log_begin(struct dic_log *log, enum dic_log_level level, const char *event)
{
    log->level = level;
    log->len = 0;
    log->truncated = false;
    if (level < threshold) {
        return;
    }
    char time_text[DIC_TIME_TEXT_SIZE];
    dic_time_format(dic_clock_wall_ms(dic_clock_system()), time_text);
    int len = snprintf(log->line, sizeof log->line,
                       "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"event\":\"%s\"",
                       time_text, level_words[level], service, event);
    log->len = (size_t)len;
}

void dic_log_view(struct dic_log *log, const char *key, struct dic_str value)
{
    if (log->level < threshold) {
        return;
    }
    size_t before = log->len;
    put_key(log, key);
    put(log, "\"", 1);
    put_escaped(log, value);
    put(log, "\"", 1);
    undo_if_truncated(log, before);
}

void dic_log_str(struct dic_log *log, const char *key, const char *value)
{
    dic_log_view(log, key, dic_str(value));
}

static void put_raw(struct dic_log *log, const char *key, const char *value, size_t len)
{
    if (log->level < threshold) {
        return;
    }
    size_t before = log->len;
    put_key(log, key);
    put(log, value, len);
    undo_if_truncated(log, before);
}

void dic_log_int(struct dic_log *log, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    put_raw(log, key, text, (size_t)len);
}

void dic_log_ms(struct dic_log *log, const char *key, int64_t duration_ns)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%.3f", (double)duration_ns / 1e6);
    put_raw(log, key, text, (size_t)len);
}

void dic_log_bool(struct dic_log *log, const char *key, bool value)
{
    put_raw(log, key, value ? "true" : "false", value ? 4 : 5);
}

void dic_log_err(struct dic_log *log, const struct dic_err *err)
{
    dic_log_str(log, "error", dic_outcome(err->code)->word);
    if (err->field[0] != '\0') {
        dic_log_str(log, "field", err->field);
    }
    dic_log_str(log, "message", err->msg);
}

void dic_log_end(struct dic_log *log)
{
    if (log->level < threshold) {
        return;
    }
    const char *tail = log->truncated ? ",\"truncated\":true}\n" : "}\n";
    size_t tail_len = strlen(tail);
    memcpy(log->line + log->len, tail, tail_len);
    ssize_t written = write(STDERR_FILENO, log->line, log->len + tail_len);
    (void)written; /* nowhere to report that the log itself cannot be written */
}

void dic_log_message(enum dic_log_level level, const char *event, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct dic_log log;
    dic_log_begin(&log, level, event);
    dic_log_str(&log, "message", text);
    dic_log_end(&log);
}
