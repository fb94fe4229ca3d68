/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of DynamoDB that are used here, on a table whose key is one text attribute. Any thread
 * may call, and blocks. A write whose outcome was unknown is sent again, as the AWS SDKs do: so a
 * condition may fail because of the caller's own first try.
 * Errors: as dic_aws_call, but TOO_LARGE is an item over 400 KB, INTERNAL a request that
 * DynamoDB cannot carry out or an attribute of a kind or size that is not used here, UPSTREAM also
 * an answer that is not as documented and, not retryable, a table that is not there. Views handed
 * out live during the call. docs.aws.amazon.com/amazondynamodb/latest/APIReference
 */
#ifndef DIC_AWS_DYNAMODB_H
#define DIC_AWS_DYNAMODB_H

#include "aws/aws.h"

struct dic_dynamodb_table {
    struct dic_aws *aws;  /* borrowed */
    const char *name;     /* or its ARN; no character that JSON escapes */
    const char *key_name; /* the attribute that is the key */
    void (*sleep_ms)(void *context, int64_t ms);
    void *sleep_context;
};

enum dic_dynamodb_kind {
    DIC_DYNAMODB_TEXT,
    DIC_DYNAMODB_NUMBER, /* whole, within 64 bits */
    DIC_DYNAMODB_MAP,    /* its entries follow */
    DIC_DYNAMODB_ENTRY,  /* of the map `name`: key → text */
};
struct dic_dynamodb_attribute {
    enum dic_dynamodb_kind kind;
    struct dic_str name;
    struct dic_str key;
    struct dic_str text;
    int64_t number;
};

/* Gets items one after another: first the key, then every attribute (the key among them). Return
 * other than DIC_OK to stop. */
struct dic_dynamodb_reader {
    void *context;
    enum dic_code (*begin)(void *context, struct dic_str key, struct dic_err *err);
    enum dic_code (*attribute)(void *context, const struct dic_dynamodb_attribute *attribute,
                               struct dic_err *err);
};

/* What stands for #0, #1, … and :0, :1, … in the expressions: text, number or an empty map. */
struct dic_dynamodb_placeholders {
    const struct dic_str *names;
    size_t name_count;
    const struct dic_dynamodb_attribute *values;
    size_t value_count;
};

DIC_MUST_USE enum dic_code dic_dynamodb_get(const struct dic_dynamodb_table *table,
                                            struct dic_str key, bool consistent,
                                            const struct dic_dynamodb_reader *reader,
                                            struct dic_err *err);

/* Up to DIC_DYNAMODB_BATCH keys, no two the same, each read consistently; absent ones are left out.
 * What DynamoDB leaves unprocessed is asked for again, and is BUSY in the end. */
enum { DIC_DYNAMODB_BATCH = 100 };
DIC_MUST_USE enum dic_code dic_dynamodb_get_batch(const struct dic_dynamodb_table *table,
                                                  const struct dic_str *keys, size_t count,
                                                  const struct dic_dynamodb_reader *reader,
                                                  struct dic_err *err);

struct dic_dynamodb_write {
    struct dic_str key;
    /* PutItem: all attributes besides the key, each map with its entries behind it. */
    bool is_put;
    const struct dic_dynamodb_attribute *attributes;
    size_t attribute_count;
    struct dic_str update;    /* UpdateItem: its UpdateExpression; empty: makes the item only */
    struct dic_str condition; /* empty: always */
    struct dic_dynamodb_placeholders placeholders;
};
/* reader may be NULL; it gets the new item after an update, and the one that is there when the
 * condition failed (read again when the server leaves it out). */
DIC_MUST_USE enum dic_code dic_dynamodb_write(const struct dic_dynamodb_table *table,
                                              const struct dic_dynamodb_write *write,
                                              const struct dic_dynamodb_reader *reader,
                                              bool *applied_out, struct dic_err *err);

struct dic_dynamodb_query {
    const char *index;
    struct dic_str key_condition;
    struct dic_str filter;     /* or empty */
    struct dic_str projection; /* must have the key */
    bool newest_first;
    uint32_t limit; /* items looked at, before the filter */
    struct dic_dynamodb_placeholders placeholders;
};
/* One page, eventually consistent. page: empty for the first, and empty again after the last. */
DIC_MUST_USE enum dic_code dic_dynamodb_query(const struct dic_dynamodb_table *table,
                                              const struct dic_dynamodb_query *query,
                                              const struct dic_dynamodb_reader *reader,
                                              struct dic_buf *page, struct dic_err *err);

/* "12", "-1.50E+3": a whole number within 64 bits, however it is written; false otherwise. */
bool dic_dynamodb_parse_number(struct dic_str text, int64_t *out);

#endif
