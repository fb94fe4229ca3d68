/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of one command: operands, and options as a table ("--name value", "--name=value",
 * "--flag"; "--" ends them). Of an option given twice the last one counts, but a list keeps all.
 */
#ifndef DIC_CLI_OPTIONS_H
#define DIC_CLI_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Views of the command line; items is owned. */
struct dic_texts {
    const char **items;
    size_t count;
};
void dic_texts_clean_up(struct dic_texts *texts);

enum dic_option_kind {
    DIC_OPTION_FLAG,   /* bool at offset */
    DIC_OPTION_TEXT,   /* const char * */
    DIC_OPTION_LIST,   /* struct dic_texts */
    DIC_OPTION_NUMBER, /* const char *: a JSON number, whose bounds are the service's to judge */
    DIC_OPTION_COUNT,  /* int64_t within [1, max] */
};
struct dic_option {
    const char *name; /* without the two dashes */
    enum dic_option_kind kind;
    size_t offset;
    const char *value; /* how help calls it; NULL for a flag */
    const char *help;
    int64_t max; /* for a count */
};

struct dic_option_table {
    const struct dic_option *rows;
    size_t count;
};

/* Fills the struct that the offsets are of, and appends the operands. What is found first wins:
 * tables are looked through in order. DIC_E_INVALID names the argument. */
DIC_MUST_USE enum dic_code dic_options_parse(const struct dic_option_table *tables,
                                             size_t table_count, int argc, char **argv,
                                             void *values_out, struct dic_texts *operands_out,
                                             struct dic_err *err);
void dic_options_help(const struct dic_option_table *table, struct dic_buf *out);

#endif
