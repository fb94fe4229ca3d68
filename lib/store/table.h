/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a table of small items with conditional writes, as DynamoDB has it; what the ledger
 * (job_store_ledger.h) needs of one, and no more. Adapters: table_dynamodb.c, and one in memory for
 * tests. An item has a text key, the attribute "pk", and attributes of three kinds: text, whole
 * number, and a map from text to text. Every function is atomic for its item. Any thread may call,
 * and blocks.
 * Errors: BUSY, TIMEOUT, UPSTREAM (the outcome of a write is then unknown; not retryable when there
 * is no such table), DENIED, TOO_LARGE (an item over the table's limit), INTERNAL (an attribute of
 * another kind). A condition that does not hold is no error. An adapter may repeat a write whose
 * outcome it does not know: so a condition may fail because the write itself has been done, and
 * what is added needs a condition that the write makes false, or it may be added twice.
 */
#ifndef DIC_STORE_TABLE_H
#define DIC_STORE_TABLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Names and values of one item, DynamoDB's limit of 400 KB; a key's own limit. */
enum { DIC_TABLE_ITEM_MAX_BYTES = 400 * 1024, DIC_TABLE_KEY_MAX_BYTES = 2048 };

enum dic_attr_kind { DIC_ATTR_TEXT, DIC_ATTR_NUMBER, DIC_ATTR_MAP };

/* ---- reading an item ---- */

/* Filled by the table, owned by the caller; views point into its memory. Init once, fill any number
 * of times. Not shared between threads. */
struct dic_item {
    bool exists;
    struct dic_item_entry *entries; /* owned; see item.c */
    size_t count;
    size_t capacity;
    struct dic_buf memory;
};
void dic_item_init(struct dic_item *item);
void dic_item_clean_up(struct dic_item *item); /* idempotent */
void dic_item_clear(struct dic_item *item);    /* exists = false, no attributes */

/* Empty (ptr NULL) or `fallback` when there is no such attribute of this kind. */
struct dic_str dic_item_text(const struct dic_item *item, const char *name);
int64_t dic_item_number(const struct dic_item *item, const char *name, int64_t fallback);
bool dic_item_has(const struct dic_item *item, const char *name);
/* An entry of a map; ptr NULL when there is none. */
struct dic_str dic_item_map_get(const struct dic_item *item, const char *name, struct dic_str key);
size_t dic_item_map_size(const struct dic_item *item, const char *name);
/* The index-th entry in no particular order; false past the last. */
bool dic_item_map_at(const struct dic_item *item, const char *name, size_t index,
                     struct dic_str *key_out, struct dic_str *value_out);

/* For adapters: add an attribute; text is copied. A map's entries are added right after it. What
 * does not fit into twice the size of an item is left out, and dic_buf_check(&item->memory) tells.
 */
void dic_item_add_text(struct dic_item *item, struct dic_str name, struct dic_str text);
void dic_item_add_number(struct dic_item *item, struct dic_str name, int64_t number);
void dic_item_add_map(struct dic_item *item, struct dic_str name);
void dic_item_add_map_entry(struct dic_item *item, struct dic_str name, struct dic_str key,
                            struct dic_str text);

/* ---- writing ---- */

enum dic_change_kind {
    DIC_SET_TEXT,
    DIC_SET_NUMBER,
    DIC_SET_MAP,       /* to an empty map */
    DIC_SET_MAP_ENTRY, /* map[key] = text; the map must exist */
    DIC_ADD_NUMBER,    /* adds; an absent attribute counts as 0 */
    DIC_REMOVE,
};
struct dic_change {
    enum dic_change_kind kind;
    const char *name;
    struct dic_str key; /* of DIC_SET_MAP_ENTRY */
    struct dic_str text;
    int64_t number;
};

enum dic_cond_kind {
    DIC_COND_EXISTS, /* the attribute, or with a key the map's entry; name "pk" asks for the item */
    DIC_COND_ABSENT,
    DIC_COND_TEXT_IN,     /* equal to one of words */
    DIC_COND_NUMBER_EQ,   /* false for an absent attribute */
    DIC_COND_NUMBER_LESS, /* attribute < number; false for an absent attribute */
};
enum { DIC_COND_WORDS_MAX = 8 };
/* Conditions are joined by "and"; `or` starts a new group, and one group that holds is enough. */
struct dic_cond {
    enum dic_cond_kind kind;
    const char *name;
    struct dic_str key;                    /* of a map entry; empty for the attribute itself */
    const char *words[DIC_COND_WORDS_MAX]; /* unused ones NULL */
    int64_t number;
    bool or_else;
};

struct dic_table_write {
    struct dic_str pk;
    const struct dic_change *changes;
    size_t change_count;
    const struct dic_cond *conds; /* none: always */
    size_t cond_count;
};

struct dic_table_query {
    const char *index; /* "outbox" (obs number, obd number) or "listing" (lst text, crt text) */
    struct dic_str partition_text;
    int64_t partition_number;
    /* Bounds of the sort key, inclusive; of text when the index has text, an empty bound is none.
     */
    struct dic_str from_text, to_text;
    int64_t from_number, to_number;
    bool newest_first; /* descending */
    const char
        *status_in[DIC_COND_WORDS_MAX]; /* only items whose "st" is one of these; none: all.
                                           Of "listing" only: the other index holds keys only */
    uint32_t limit;                     /* items visited at most */
};
/* The pk and the sort key of one item; valid during the call. Return other than DIC_OK to stop. */
typedef enum dic_code (*dic_table_visit)(void *context, struct dic_str pk, struct dic_str sort_text,
                                         int64_t sort_number, struct dic_err *err);

/* For adapters: what no table can do is INTERNAL, and the same everywhere: an empty or overlong
 * key, the key changed, one attribute changed twice, a put that does more than SET_*, a condition
 * without words, an index that is not there. */
DIC_MUST_USE enum dic_code dic_table_key_check(struct dic_str pk, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_table_write_check(const struct dic_table_write *write, bool is_put,
                                                 struct dic_err *err);
DIC_MUST_USE enum dic_code dic_table_query_check(const struct dic_table_query *query,
                                                 bool *of_text_out, struct dic_err *err);

struct dic_table_ops {
    /* Consistent. Absent: exists = false. */
    enum dic_code (*get)(void *impl, struct dic_str pk, struct dic_item *item_out,
                         struct dic_err *err);
    /* Any number of keys, each consistent by itself; items_out[i] is of pks[i] and initialised. */
    enum dic_code (*get_many)(void *impl, const struct dic_str *pks, size_t count,
                              struct dic_item *items_out, struct dic_err *err);
    /* Replaces the whole item by the changes (SET_* only). item_out may be NULL; it gets the item
     * that was there when the condition failed. */
    enum dic_code (*put)(void *impl, const struct dic_table_write *write, bool *applied_out,
                         struct dic_item *item_out, struct dic_err *err);
    /* Changes attributes. Makes an item where none is: so a condition should ask for "pk". item_out
     * may be NULL; it gets the new item, or, when the condition failed, the one that was there. */
    enum dic_code (*update)(void *impl, const struct dic_table_write *write, bool *applied_out,
                            struct dic_item *item_out, struct dic_err *err);
    /* Eventually consistent: an item may be missing or no longer match. */
    enum dic_code (*query)(void *impl, const struct dic_table_query *query, dic_table_visit visit,
                           void *context, struct dic_err *err);
    enum dic_code (*ping)(void *impl, struct dic_err *err);
    void (*destroy)(void *impl);
};
struct dic_table {
    const struct dic_table_ops *ops;
    void *impl;
};

#endif
