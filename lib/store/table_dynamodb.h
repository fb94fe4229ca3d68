/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table port on a DynamoDB table with the partition key "pk" (text) and the global secondary
 * indexes "outbox" (obs number, obd number; keys only) and "listing" (lst text, crt text, with st).
 * Needs dynamodb:GetItem, BatchGetItem, PutItem, UpdateItem on the table and Query on its indexes.
 */
#ifndef DIC_STORE_TABLE_DYNAMODB_H
#define DIC_STORE_TABLE_DYNAMODB_H

#include "aws/aws.h"
#include "store/table.h"

struct dic_table_dynamodb_options {
    struct dic_aws *aws;                         /* borrowed */
    const char *table;                           /* name or ARN; copied */
    void (*sleep_ms)(void *context, int64_t ms); /* NULL: dic_sleep_ms */
    void *sleep_context;
};
/* Calls nobody yet. DIC_E_INVALID: the name cannot be one. */
DIC_MUST_USE enum dic_code dic_table_dynamodb_new(const struct dic_table_dynamodb_options *options,
                                                  struct dic_table *out, struct dic_err *err);

#endif
