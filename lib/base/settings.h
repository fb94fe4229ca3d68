/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings come from environment variables; each program has one table of them. A value out of its
 * bounds stops the start, with a message that names the variable, the value and the bounds.
 * Used in main, before threads start. This module alone calls getenv.
 */
#ifndef DIC_BASE_SETTINGS_H
#define DIC_BASE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum dic_setting_kind {
    DIC_SETTING_TEXT,   /* const char * at offset; points into the environment or the table */
    DIC_SETTING_NUMBER, /* int64_t at offset, within [min, max] */
    DIC_SETTING_REAL,   /* double at offset, within [min, max] */
};

struct dic_setting {
    const char *name;
    enum dic_setting_kind kind;
    size_t offset;
    const char *fallback; /* used when the variable is unset or empty; NULL: it must be set */
    int64_t min;          /* for text: the fewest and most bytes */
    int64_t max;
    bool secret; /* printed as "***" */
    const char *help;
};

DIC_MUST_USE enum dic_code dic_settings_read(const struct dic_setting *table, size_t count,
                                             void *settings_out, struct dic_err *err);
/* One log line with every effective value, secrets masked. */
void dic_settings_log(const struct dic_setting *table, size_t count, const void *settings);
/* The table as text for --help, and as Markdown rows for docs/configuration.md. */
void dic_settings_help(const struct dic_setting *table, size_t count, struct dic_buf *out);
void dic_settings_docs(const struct dic_setting *table, size_t count, struct dic_buf *out);

#endif
