/* SPDX-License-Identifier: Apache-2.0 */
#include "store/expression_dynamodb.h"

#include "base/mem.h"

/* DynamoDB's own limits (4 KB, 300 operators) come long before. */
enum { EXPRESSION_CEILING = 1024 * 1024 };

/* ---- texts with placeholders ---- */

/* Room for so many changes and conditions at most. */
static void expression_init(struct dic_expression *expression, size_t changes, size_t conds)
{
    *expression = (struct dic_expression){0};
    dic_buf_init(&expression->text, EXPRESSION_CEILING);
    expression->names = dic_calloc(2 * (changes + conds) + 1, sizeof *expression->names);
    expression->values =
        dic_calloc(changes + DIC_COND_WORDS_MAX * conds + 1, sizeof *expression->values);
}

void dic_expression_clean_up(struct dic_expression *expression)
{
    dic_buf_clean_up(&expression->text);
    dic_free(expression->names);
    dic_free(expression->values);
}

static void put_name(struct dic_expression *expression, struct dic_str name)
{
    size_t at = 0;
    while (at < expression->name_count && !dic_str_eq(expression->names[at], name)) {
        at++;
    }
    expression->names[at] = name;
    expression->name_count += at == expression->name_count ? 1 : 0;
    dic_buf_printf(&expression->text, "#%zu", at);
}

static void put_path(struct dic_expression *expression, const char *name, struct dic_str key)
{
    put_name(expression, dic_str(name));
    if (key.len > 0) {
        dic_buf_append_byte(&expression->text, '.');
        put_name(expression, key);
    }
}

static void put_value(struct dic_expression *expression, struct dic_dynamodb_attribute value)
{
    dic_buf_printf(&expression->text, ":%zu", expression->value_count);
    expression->values[expression->value_count++] = value;
}

static void put_text(struct dic_expression *expression, struct dic_str text)
{
    put_value(expression, (struct dic_dynamodb_attribute){.kind = DIC_DYNAMODB_TEXT, .text = text});
}

static void put_number(struct dic_expression *expression, int64_t number)
{
    put_value(expression,
              (struct dic_dynamodb_attribute){.kind = DIC_DYNAMODB_NUMBER, .number = number});
}

static void put_words(struct dic_expression *expression,
                      const char *const words[DIC_COND_WORDS_MAX])
{
    dic_buf_append_text(&expression->text, " IN (");
    for (size_t i = 0; i < DIC_COND_WORDS_MAX && words[i] != NULL; i++) {
        dic_buf_append_text(&expression->text, i == 0 ? "" : ",");
        put_text(expression, dic_str(words[i]));
    }
    dic_buf_append_byte(&expression->text, ')');
}

struct dic_dynamodb_placeholders dic_expression_placeholders(
    const struct dic_expression *expression)
{
    return (struct dic_dynamodb_placeholders){expression->names, expression->name_count,
                                              expression->values, expression->value_count};
}

/* ---- conditions and changes as expressions ---- */

static void put_cond(struct dic_expression *expression, const struct dic_cond *cond)
{
    const bool is_function = cond->kind == DIC_COND_EXISTS || cond->kind == DIC_COND_ABSENT;
    if (is_function) {
        dic_buf_append_text(&expression->text, cond->kind == DIC_COND_EXISTS
                                                   ? "attribute_exists("
                                                   : "attribute_not_exists(");
    }
    put_path(expression, cond->name, cond->key);
    if (is_function) {
        dic_buf_append_byte(&expression->text, ')');
    } else if (cond->kind == DIC_COND_TEXT_IN) {
        put_words(expression, cond->words);
    } else {
        dic_buf_append_text(&expression->text, cond->kind == DIC_COND_NUMBER_EQ ? " = " : " < ");
        put_number(expression, cond->number);
    }
}

static void put_conds(struct dic_expression *expression, const struct dic_table_write *write)
{
    for (size_t i = 0; i < write->cond_count; i++) {
        const char *joint = i == 0 ? "(" : write->conds[i].or_else ? ") OR (" : " AND ";
        dic_buf_append_text(&expression->text, joint);
        put_cond(expression, &write->conds[i]);
    }
    dic_buf_append_text(&expression->text, write->cond_count > 0 ? ")" : "");
}

enum clause { CLAUSE_SET, CLAUSE_REMOVE, CLAUSE_ADD, CLAUSE_COUNT };
static const char *const clause_words[CLAUSE_COUNT] = {"SET ", " REMOVE ", " ADD "};

static enum clause clause_of(const struct dic_change *change)
{
    return change->kind == DIC_REMOVE       ? CLAUSE_REMOVE
           : change->kind == DIC_ADD_NUMBER ? CLAUSE_ADD
                                            : CLAUSE_SET;
}

static void put_change(struct dic_expression *expression, const struct dic_change *change)
{
    const bool is_entry = change->kind == DIC_SET_MAP_ENTRY;
    put_path(expression, change->name, is_entry ? change->key : dic_str_len(NULL, 0));
    switch (change->kind) {
    case DIC_SET_TEXT:
    case DIC_SET_MAP_ENTRY:
        dic_buf_append_text(&expression->text, " = ");
        put_text(expression, change->text);
        break;
    case DIC_SET_NUMBER:
        dic_buf_append_text(&expression->text, " = ");
        put_number(expression, change->number);
        break;
    case DIC_SET_MAP:
        dic_buf_append_text(&expression->text, " = ");
        put_value(expression, (struct dic_dynamodb_attribute){.kind = DIC_DYNAMODB_MAP});
        break;
    case DIC_ADD_NUMBER:
        dic_buf_append_byte(&expression->text, ' ');
        put_number(expression, change->number);
        break;
    case DIC_REMOVE:
    default:
        break;
    }
}

static void put_changes(struct dic_expression *expression, const struct dic_table_write *write)
{
    for (int clause = 0; clause < CLAUSE_COUNT; clause++) {
        const char *joint = clause_words[clause];
        for (size_t i = 0; i < write->change_count; i++) {
            if (clause_of(&write->changes[i]) == (enum clause)clause) {
                dic_buf_append_text(&expression->text, joint);
                put_change(expression, &write->changes[i]);
                joint = ", ";
            }
        }
    }
}

static void put_range(struct dic_expression *key, const struct dic_table_query *query, bool of_text)
{
    const bool from = !of_text || query->from_text.len > 0;
    const bool to = !of_text || query->to_text.len > 0;
    if (!from && !to) {
        return;
    }
    dic_buf_append_text(&key->text, " AND ");
    put_name(key, dic_str(of_text ? "crt" : "obd"));
    dic_buf_append_text(&key->text, from && to ? " BETWEEN " : from ? " >= " : " <= ");
    if (!of_text) {
        put_number(key, query->from_number);
        dic_buf_append_text(&key->text, " AND ");
        put_number(key, query->to_number);
        return;
    }
    if (from) {
        put_text(key, query->from_text);
    }
    dic_buf_append_text(&key->text, from && to ? " AND " : "");
    if (to) {
        put_text(key, query->to_text);
    }
}

static void put_key_condition(struct dic_expression *key, const struct dic_table_query *query,
                              bool of_text)
{
    put_name(key, dic_str(of_text ? "lst" : "obs"));
    dic_buf_append_text(&key->text, " = ");
    if (of_text) {
        put_text(key, query->partition_text);
    } else {
        put_number(key, query->partition_number);
    }
    put_range(key, query, of_text);
}

/* ---- whole requests ---- */

static struct dic_str part(const struct dic_expression *expression, size_t from, size_t to)
{
    return from == to ? dic_str_len(NULL, 0) : dic_str_len(expression->text.ptr + from, to - from);
}

struct dic_expression_parts dic_expression_of_write(struct dic_expression *expression,
                                                    const struct dic_table_write *write,
                                                    bool is_put)
{
    expression_init(expression, is_put ? 0 : write->change_count, write->cond_count);
    if (!is_put) {
        put_changes(expression, write);
    }
    const size_t changes_end = expression->text.len;
    put_conds(expression, write);
    return (struct dic_expression_parts){
        .update = part(expression, 0, changes_end),
        .condition = part(expression, changes_end, expression->text.len),
    };
}

struct dic_expression_parts dic_expression_of_query(struct dic_expression *expression,
                                                    const struct dic_table_query *query,
                                                    bool of_text)
{
    expression_init(expression, 3, 1); /* partition and bounds; status */
    put_key_condition(expression, query, of_text);
    const size_t key_end = expression->text.len;
    if (query->status_in[0] != NULL) {
        put_name(expression, DIC_STR_LIT("st"));
        put_words(expression, query->status_in);
    }
    const size_t filter_end = expression->text.len;
    put_name(expression, DIC_STR_LIT("pk"));
    dic_buf_append_byte(&expression->text, ',');
    put_name(expression, dic_str(of_text ? "crt" : "obd"));
    return (struct dic_expression_parts){
        .key_condition = part(expression, 0, key_end),
        .filter = part(expression, key_end, filter_end),
        .projection = part(expression, filter_end, expression->text.len),
    };
}
