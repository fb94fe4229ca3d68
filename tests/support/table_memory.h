/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table port in memory, as strict as DynamoDB where the port says so. Any thread may call.
 * A hook decides about each operation before it happens; it is called without a lock, so it may
 * wait, let other threads go first, or use the table itself.
 */
#ifndef DIC_TABLE_MEMORY_H
#define DIC_TABLE_MEMORY_H

#include "store/table.h"

enum dic_table_fault {
    DIC_TABLE_GO_ON,
    DIC_TABLE_FAIL,       /* UPSTREAM, and nothing has happened */
    DIC_TABLE_APPLY_FAIL, /* UPSTREAM, though it has happened */
};

/*
 * op and pk: "get", "put", "update" with the item's key; "get_many" once for each key, before that
 * one is read; "query" with the index's name; "query_item" for each item of an answer: other than
 * GO_ON leaves it out, as an index that lags behind does; "ping" with an empty pk.
 */
struct dic_table_memory_hook {
    enum dic_table_fault (*decide)(void *context, const char *op, struct dic_str pk);
    void *context;
};

/* hook.decide may be NULL. */
void dic_table_memory_new(struct dic_table_memory_hook hook, struct dic_table *out);

/* Every item in the order of keys, as it is at the call; "pk" is one of its attributes. Return
 * other than DIC_OK to stop. The hook is not asked. */
typedef enum dic_code (*dic_table_memory_visit)(void *context, const struct dic_item *item,
                                                struct dic_err *err);
DIC_MUST_USE enum dic_code dic_table_memory_each(const struct dic_table *table,
                                                 dic_table_memory_visit visit, void *context,
                                                 struct dic_err *err);

#endif
