/* SPDX-License-Identifier: Apache-2.0 */
/* An item as table_memory.c keeps it, its conditions and its changes. Not shared between threads.
 */
#ifndef DIC_TABLE_MEMORY_ROW_H
#define DIC_TABLE_MEMORY_ROW_H

#include "store/table.h"

struct dic_row_text {
    char *ptr; /* owned */
    size_t len;
};

struct dic_row_pair {
    struct dic_row_text key;
    struct dic_row_text value;
};

struct dic_row_attribute {
    enum dic_attr_kind kind;
    struct dic_row_text name;
    struct dic_row_text text;
    int64_t number;
    struct dic_row_pair *pairs; /* of a map */
    size_t pair_count;
};

struct dic_row {
    struct dic_row_text pk;
    struct dic_row_attribute *attributes;
    size_t count;
};

struct dic_str dic_row_view(struct dic_row_text text);
struct dic_row_text dic_row_text_copy(struct dic_str view); /* the caller frees ptr */

struct dic_row *dic_row_new(struct dic_str pk);
struct dic_row *dic_row_copy(const struct dic_row *from);
void dic_row_destroy(struct dic_row *row); /* NULL is fine */
void dic_row_cleanup(struct dic_row **row);

/* Of a row that may be NULL: the item is absent then. */
struct dic_row_attribute *dic_row_find(const struct dic_row *row, const char *name);
void dic_row_to_item(const struct dic_row *row, struct dic_item *item);
bool dic_row_conds_hold(const struct dic_row *row, const struct dic_table_write *write);

size_t dic_row_bytes(const struct dic_row *row);
bool dic_row_text_is_one_of(struct dic_str text, const char *const words[DIC_COND_WORDS_MAX]);
DIC_MUST_USE enum dic_code dic_row_apply(struct dic_row *row, const struct dic_change *change,
                                         struct dic_err *err);

#endif
