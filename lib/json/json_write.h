/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into a buffer; commas are put by the writer. Text that is not valid UTF-8 is written
 * with each bad byte as U+FFFD, so the output is always JSON. Overflow poisons the buffer.
 */
#ifndef DIC_JSON_JSON_WRITE_H
#define DIC_JSON_JSON_WRITE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct dic_json_writer {
    struct dic_buf *out; /* borrowed */
    bool need_comma;
};

struct dic_json_writer dic_json_writer(struct dic_buf *out);

/* name is NULL inside arrays and for the root; member names are ours and need no escaping. */
void dic_json_begin_object(struct dic_json_writer *writer, const char *name);
void dic_json_end_object(struct dic_json_writer *writer);
void dic_json_begin_array(struct dic_json_writer *writer, const char *name);
void dic_json_end_array(struct dic_json_writer *writer);
void dic_json_put_str(struct dic_json_writer *writer, const char *name, struct dic_str value);
void dic_json_put_text(struct dic_json_writer *writer, const char *name, const char *value);
void dic_json_put_int(struct dic_json_writer *writer, const char *name, int64_t value);
/* Fixed decimals, as for confidences; NaN and infinities become null. */
void dic_json_put_real(struct dic_json_writer *writer, const char *name, double value,
                       int decimals);
void dic_json_put_bool(struct dic_json_writer *writer, const char *name, bool value);
/* null for a negative one, which stands for "not known". */
void dic_json_put_int_or_null(struct dic_json_writer *writer, const char *name, int64_t value);
void dic_json_put_null(struct dic_json_writer *writer, const char *name);
/* json is trusted to be one JSON value. */
void dic_json_put_raw(struct dic_json_writer *writer, const char *name, struct dic_str json);
void dic_json_put_time(struct dic_json_writer *writer, const char *name, int64_t wall_ms);
/* A member whose name comes from outside (labels, tags). */
void dic_json_put_name(struct dic_json_writer *writer, struct dic_str name);

#endif
