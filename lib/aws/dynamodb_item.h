/* SPDX-License-Identifier: Apache-2.0 */
/* Items in DynamoDB's JSON, {"name":{"S":"text"},"count":{"N":"12"}}: reading and writing. For
 * dynamodb.c alone. */
#ifndef DIC_AWS_DYNAMODB_ITEM_H
#define DIC_AWS_DYNAMODB_ITEM_H

#include "aws/dynamodb.h"
#include "json/json_read.h"
#include "json/json_write.h"

/* Where an item comes from, for messages. */
struct dic_dynamodb_source {
    const char *operation;
    const char *key_name;
};

DIC_MUST_USE enum dic_code dic_dynamodb_read_key(const struct dic_dynamodb_source *source,
                                                 const struct dic_json *item,
                                                 struct dic_str *key_out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_dynamodb_read_item(const struct dic_dynamodb_source *source,
                                                  const struct dic_json *item,
                                                  const struct dic_dynamodb_reader *reader,
                                                  struct dic_err *err);
/* Appends the item as JSON again. */
DIC_MUST_USE enum dic_code dic_dynamodb_copy_key(const struct dic_dynamodb_source *source,
                                                 const struct dic_json *item, struct dic_buf *out,
                                                 struct dic_err *err);

/* {"S":…}, {"N":…}, or an empty {"M":{}}. */
void dic_dynamodb_put_value(struct dic_json_writer *json, const char *name,
                            const struct dic_dynamodb_attribute *value);
/* The key and all of write's attributes. */
void dic_dynamodb_put_item(struct dic_json_writer *json, const char *name, const char *key_name,
                           const struct dic_dynamodb_write *write);

#endif
