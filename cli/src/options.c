/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "base/mem.h"
#include "json/json_read.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

enum { HELP_COLUMN = 26 };

static void append(struct dic_texts *texts, const char *text)
{
    texts->items = dic_realloc(texts->items, (texts->count + 1) * sizeof texts->items[0]);
    texts->items[texts->count++] = text;
}

void dic_texts_clean_up(struct dic_texts *texts)
{
    dic_free(texts->items);
    *texts = (struct dic_texts){0};
}

static const struct dic_option *find(const struct dic_option_table *tables, size_t table_count,
                                     struct dic_str name)
{
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            if (dic_str_is(name, tables[t].rows[i].name)) {
                return &tables[t].rows[i];
            }
        }
    }
    return NULL;
}

static enum dic_code check_number(const struct dic_option *option, const char *text,
                                  struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    double value = 0;
    if (dic_json_parse(dic_str(text), &root, NULL) != DIC_OK ||
        dic_json_get_real(root, option->name, -DBL_MAX, DBL_MAX, &value, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_INVALID, "--%s '%.60s' is not a number", option->name, text);
    }
    return DIC_OK;
}

static enum dic_code set_count(const struct dic_option *option, const char *text, void *target,
                               struct dic_err *err)
{
    uint64_t value = 0;
    if (dic_parse_u64(dic_str(text), 1, (uint64_t)option->max, &value, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_INVALID, "--%s '%.60s' is not a whole number from 1 to %" PRId64,
                        option->name, text, option->max);
    }
    const int64_t count = (int64_t)value;
    memcpy(target, &count, sizeof count);
    return DIC_OK;
}

static enum dic_code set_value(const struct dic_option *option, const char *text, void *target,
                               struct dic_err *err)
{
    if (option->kind == DIC_OPTION_LIST) {
        append(target, text);
        return DIC_OK;
    }
    if (option->kind == DIC_OPTION_COUNT) {
        return set_count(option, text, target, err);
    }
    if (option->kind == DIC_OPTION_NUMBER) {
        DIC_TRY(check_number(option, text, err));
    }
    memcpy(target, &text, sizeof text);
    return DIC_OK;
}

/* One option at argv[*at], which is moved on to its last argument. */
static enum dic_code take_option(const struct dic_option_table *tables, size_t table_count,
                                 int argc, char **argv, int *at, void *values_out,
                                 struct dic_err *err)
{
    struct dic_str name = dic_str(argv[*at] + 2);
    const char *value = strchr(argv[*at], '=');
    name.len = dic_str_find(name, '=');
    const struct dic_option *option = find(tables, table_count, name);
    if (option == NULL) {
        return dic_fail(err, DIC_E_INVALID, "there is no option '%.80s'; try --help", argv[*at]);
    }
    void *target = (char *)values_out + option->offset;
    if (option->kind == DIC_OPTION_FLAG) {
        if (value != NULL) {
            return dic_fail(err, DIC_E_INVALID, "--%s takes no value", option->name);
        }
        *(bool *)target = true;
        return DIC_OK;
    }
    if (value != NULL) {
        return set_value(option, value + 1, target, err);
    }
    if (*at + 1 == argc) {
        return dic_fail(err, DIC_E_INVALID, "--%s needs a value: %s", option->name, option->value);
    }
    *at += 1;
    return set_value(option, argv[*at], target, err);
}

enum dic_code dic_options_parse(const struct dic_option_table *tables, size_t table_count, int argc,
                                char **argv, void *values_out, struct dic_texts *operands_out,
                                struct dic_err *err)
{
    bool options_ended = false;
    for (int at = 0; at < argc; at++) {
        const char *argument = argv[at];
        if (options_ended || argument[0] != '-' || argument[1] == '\0') {
            append(operands_out, argument);
        } else if (strcmp(argument, "--") == 0) {
            options_ended = true;
        } else if (argument[1] != '-') {
            return dic_fail(err, DIC_E_INVALID, "there is no option '%.80s'; try --help", argument);
        } else {
            DIC_TRY(take_option(tables, table_count, argc, argv, &at, values_out, err));
        }
    }
    return DIC_OK;
}

void dic_options_help(const struct dic_option_table *table, struct dic_buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct dic_option *option = &table->rows[i];
        const size_t start = out->len;
        dic_buf_printf(out, "  --%s", option->name);
        if (option->value != NULL) {
            dic_buf_printf(out, " %s", option->value);
        }
        do {
            dic_buf_append_byte(out, ' ');
        } while (out->len < start + HELP_COLUMN && !out->poisoned);
        dic_buf_printf(out, "%s\n", option->help);
    }
}
