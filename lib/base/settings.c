/* SPDX-License-Identifier: Apache-2.0 */
#include "base/settings.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum dic_code bad_value(const struct dic_setting *setting, const char *text,
                               struct dic_err *err)
{
    const char *shown = setting->secret ? "***" : text;
    const char *what = setting->kind == DIC_SETTING_TEXT     ? "text with a length in bytes"
                       : setting->kind == DIC_SETTING_NUMBER ? "a whole number"
                                                             : "a number";
    return dic_fail_field(err, DIC_E_INVALID, setting->name,
                          "%s='%.60s' is not %s from %" PRId64 " to %" PRId64, setting->name, shown,
                          what, setting->min, setting->max);
}

static enum dic_code read_number(const struct dic_setting *setting, const char *text,
                                 int64_t *value_out, struct dic_err *err)
{
    struct dic_str digits = dic_str(text);
    bool negative = digits.len > 1 && text[0] == '-';
    uint64_t magnitude = 0;
    struct dic_str rest = negative ? dic_str_skip(digits, 1) : digits;
    if (dic_parse_u64(rest, 0, INT64_MAX, &magnitude, NULL) != DIC_OK) {
        return bad_value(setting, text, err);
    }
    int64_t value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < setting->min || value > setting->max) {
        return bad_value(setting, text, err);
    }
    *value_out = value;
    return DIC_OK;
}

static enum dic_code read_real(const struct dic_setting *setting, const char *text,
                               double *value_out, struct dic_err *err)
{
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    bool whole = end != text && *end == '\0' && errno == 0 && isfinite(value);
    if (!whole || value < (double)setting->min || value > (double)setting->max) {
        return bad_value(setting, text, err);
    }
    *value_out = value;
    return DIC_OK;
}

static enum dic_code read_one(const struct dic_setting *setting, void *settings_out,
                              struct dic_err *err)
{
    const char *text = getenv(setting->name);
    if (text == NULL || text[0] == '\0') {
        text = setting->fallback;
    }
    if (text == NULL) {
        return dic_fail_field(err, DIC_E_INVALID, setting->name, "%s must be set: %s",
                              setting->name, setting->help);
    }
    void *target = (char *)settings_out + setting->offset;
    if (setting->kind == DIC_SETTING_NUMBER) {
        return read_number(setting, text, target, err);
    }
    if (setting->kind == DIC_SETTING_REAL) {
        return read_real(setting, text, target, err);
    }
    size_t len = strlen(text);
    if (len < (size_t)setting->min || len > (size_t)setting->max) {
        return bad_value(setting, text, err);
    }
    memcpy(target, &text, sizeof text);
    return DIC_OK;
}

enum dic_code dic_settings_read(const struct dic_setting *table, size_t count, void *settings_out,
                                struct dic_err *err)
{
    for (size_t i = 0; i < count; i++) {
        DIC_TRY(read_one(&table[i], settings_out, err));
    }
    return DIC_OK;
}

static void log_value(struct dic_log *log, const struct dic_setting *setting, const void *settings)
{
    const void *value = (const char *)settings + setting->offset;
    if (setting->secret) {
        dic_log_str(log, setting->name, "***");
    } else if (setting->kind == DIC_SETTING_NUMBER) {
        int64_t number = 0;
        memcpy(&number, value, sizeof number);
        dic_log_int(log, setting->name, number);
    } else if (setting->kind == DIC_SETTING_REAL) {
        double number = 0;
        memcpy(&number, value, sizeof number);
        char text[40];
        snprintf(text, sizeof text, "%g", number);
        dic_log_str(log, setting->name, text);
    } else {
        const char *text = NULL;
        memcpy(&text, value, sizeof text);
        dic_log_str(log, setting->name, text);
    }
}

void dic_settings_log(const struct dic_setting *table, size_t count, const void *settings)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "settings");
    for (size_t i = 0; i < count; i++) {
        log_value(&log, &table[i], settings);
    }
    dic_log_end(&log);
}

static void put_range(struct dic_buf *out, const struct dic_setting *setting)
{
    if (setting->kind == DIC_SETTING_TEXT) {
        dic_buf_printf(out, "%" PRId64 "–%" PRId64 " bytes", setting->min, setting->max);
    } else {
        dic_buf_printf(out, "%" PRId64 "–%" PRId64, setting->min, setting->max);
    }
}

void dic_settings_help(const struct dic_setting *table, size_t count, struct dic_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        dic_buf_printf(out, "  %-26s %s\n%-29s(default: %s; ", table[i].name, table[i].help, "",
                       table[i].fallback == NULL      ? "none, must be set"
                       : table[i].fallback[0] == '\0' ? "empty"
                                                      : table[i].fallback);
        put_range(out, &table[i]);
        dic_buf_append_text(out, ")\n");
    }
}

void dic_settings_docs(const struct dic_setting *table, size_t count, struct dic_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const char *fallback = table[i].fallback;
        dic_buf_printf(out, "| `%s` | %s%s%s | ", table[i].name, fallback && *fallback ? "`" : "",
                       fallback == NULL ? "must be set"
                       : *fallback      ? fallback
                                        : "empty",
                       fallback && *fallback ? "`" : "");
        put_range(out, &table[i]);
        dic_buf_printf(out, " | %s |\n", table[i].help);
    }
}
