/* SPDX-License-Identifier: Apache-2.0 */
/* The table port's conditions, changes and queries as DynamoDB's expressions. For table_dynamodb.c
 * alone. docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html */
#ifndef DIC_STORE_EXPRESSION_DYNAMODB_H
#define DIC_STORE_EXPRESSION_DYNAMODB_H

#include "aws/dynamodb.h"
#include "store/table.h"

/* All expressions of one request, and what stands for their #n and :n. Sizes are known beforehand.
 */
struct dic_expression {
    struct dic_buf text; /* to be checked before it is used */
    struct dic_str *names;
    size_t name_count;
    struct dic_dynamodb_attribute *values;
    size_t value_count;
};
void dic_expression_clean_up(struct dic_expression *expression);

/* Views into the text; empty where there is none. */
struct dic_expression_parts {
    struct dic_str update;
    struct dic_str condition;
    struct dic_str key_condition;
    struct dic_str filter;
    struct dic_str projection;
};
/* Both fill an expression that is not initialised, whatever happens. */
struct dic_expression_parts dic_expression_of_write(struct dic_expression *expression,
                                                    const struct dic_table_write *write,
                                                    bool is_put);
struct dic_expression_parts dic_expression_of_query(struct dic_expression *expression,
                                                    const struct dic_table_query *query,
                                                    bool of_text);
struct dic_dynamodb_placeholders dic_expression_placeholders(
    const struct dic_expression *expression);

#endif
