/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines are single JSON objects on stderr, written with one write(2) each, so that lines of
 * several threads never mix. `event` is a fixed word, values are fields. Any thread may log.
 * Usage:  struct dic_log log; dic_log_begin(&log, DIC_LOG_INFO, "chunk_done");
 *         dic_log_str(&log, "job_id", id); dic_log_int(&log, "images", n); dic_log_end(&log);
 * A line over DIC_LOG_LINE_BYTES loses its last fields and says "truncated":true.
 */
#ifndef DIC_BASE_LOG_H
#define DIC_BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

enum dic_log_level { DIC_LOG_DEBUG, DIC_LOG_INFO, DIC_LOG_WARN, DIC_LOG_ERROR, DIC_LOG_OFF };
enum { DIC_LOG_LINE_BYTES = 4096 };

struct dic_log {
    enum dic_log_level level;
    size_t len;
    bool truncated;
    char line[DIC_LOG_LINE_BYTES];
};

/* Process-wide, to be set in main before threads start; the default is DIC_LOG_INFO. */
void dic_log_set_level(enum dic_log_level level);
DIC_MUST_USE enum dic_code dic_log_level_parse(struct dic_str text, enum dic_log_level *level_out,
                                               struct dic_err *err);
void dic_log_set_service(const char *name); /* must outlive the process's logging */

void dic_log_begin(struct dic_log *log, enum dic_log_level level, const char *event);
void dic_log_str(struct dic_log *log, const char *key, const char *value);
void dic_log_view(struct dic_log *log, const char *key, struct dic_str value);
void dic_log_int(struct dic_log *log, const char *key, int64_t value);
void dic_log_ms(struct dic_log *log, const char *key, int64_t duration_ns); /* 3 decimals */
void dic_log_bool(struct dic_log *log, const char *key, bool value);
void dic_log_err(struct dic_log *log, const struct dic_err *err); /* code and message */
void dic_log_end(struct dic_log *log);

/* One field-less line with a message, for start-up and shutdown. */
DIC_PRINTF(3, 4)
void dic_log_message(enum dic_log_level level, const char *event, const char *fmt, ...);

#endif
