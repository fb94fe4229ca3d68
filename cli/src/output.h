/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is shown to a person: values of JSON documents as text. Control characters of outside text
 * are shown as '?', so that no key or message drives the terminal.
 */
#ifndef DIC_CLI_OUTPUT_H
#define DIC_CLI_OUTPUT_H

#include "json/json_read.h"

#include <stdio.h>

void dic_put_safe(FILE *out, struct dic_str text);

/* The member's text, or "" when it is absent, null or not a string. */
struct dic_str dic_member_text(const struct dic_json *object, const char *name);
/* The member's number, or `otherwise`. */
int64_t dic_member_int(const struct dic_json *object, const char *name, int64_t otherwise);
/* "name      value", or nothing when the value is empty. */
void dic_put_line(FILE *out, const char *name, struct dic_str value);
/* The number in `width` columns, or "-" for a negative one. */
void dic_put_number(FILE *out, int width, int64_t value);

/* A status document as a few lines, or as one. */
void dic_put_job(FILE *out, const struct dic_json *job);
void dic_put_progress(FILE *out, const struct dic_json *job);

/* Everything on stdout has been written. DIC_E_INTERNAL otherwise, e.g. when the disk is full. */
DIC_MUST_USE enum dic_code dic_flush_stdout(struct dic_err *err);

/*
 * The elements of one array of a JSON object, as they are written there, so that what the service
 * wrote is passed on byte by byte. The text has been parsed before, and must live as long.
 */
struct dic_json_items {
    struct dic_str rest; /* ptr NULL: there is no such array */
};
struct dic_json_items dic_json_items(struct dic_str object_text, const char *member);
bool dic_json_items_next(struct dic_json_items *items, struct dic_str *item_out);

#endif
