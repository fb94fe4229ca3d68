/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "store/table.h"

#include <string.h>

/* Twice what a table holds in one item (400 KB), for names that are kept once and no text more. */
enum { ITEM_CEILING = 2 * DIC_TABLE_ITEM_MAX_BYTES };

/* An attribute, or an entry of a map; a map's entries stand right behind the map. Places in memory
 * are offsets, as memory moves while it grows. */
struct dic_item_entry {
    enum dic_attr_kind kind;
    size_t map;      /* index of the map it is an entry of, or its own */
    size_t map_size; /* entries that follow */
    size_t name_at;  /* or the key of an entry */
    size_t name_len;
    size_t text_at;
    size_t text_len;
    int64_t number;
};

void dic_item_init(struct dic_item *item)
{
    *item = (struct dic_item){0};
    dic_buf_init(&item->memory, ITEM_CEILING);
}

void dic_item_clean_up(struct dic_item *item)
{
    dic_free(item->entries);
    dic_buf_clean_up(&item->memory);
    dic_item_init(item);
}

void dic_item_clear(struct dic_item *item)
{
    item->exists = false;
    item->count = 0;
    dic_buf_clear(&item->memory);
}

static struct dic_str name_of(const struct dic_item *item, const struct dic_item_entry *entry)
{
    return dic_str_len(item->memory.ptr + entry->name_at, entry->name_len);
}

static struct dic_str text_of(const struct dic_item *item, const struct dic_item_entry *entry)
{
    return dic_str_len(item->memory.ptr + entry->text_at, entry->text_len);
}

/* ---- reading ---- */

static const struct dic_item_entry *find(const struct dic_item *item, const char *name)
{
    for (size_t i = 0; i < item->count; i += 1 + item->entries[i].map_size) {
        if (dic_str_is(name_of(item, &item->entries[i]), name)) {
            return &item->entries[i];
        }
    }
    return NULL;
}

static const struct dic_item_entry *find_kind(const struct dic_item *item, const char *name,
                                              enum dic_attr_kind kind)
{
    const struct dic_item_entry *entry = find(item, name);
    return entry != NULL && entry->kind == kind ? entry : NULL;
}

struct dic_str dic_item_text(const struct dic_item *item, const char *name)
{
    const struct dic_item_entry *entry = find_kind(item, name, DIC_ATTR_TEXT);
    return entry == NULL ? dic_str_len(NULL, 0) : text_of(item, entry);
}

int64_t dic_item_number(const struct dic_item *item, const char *name, int64_t fallback)
{
    const struct dic_item_entry *entry = find_kind(item, name, DIC_ATTR_NUMBER);
    return entry == NULL ? fallback : entry->number;
}

bool dic_item_has(const struct dic_item *item, const char *name)
{
    return find(item, name) != NULL;
}

struct dic_str dic_item_map_get(const struct dic_item *item, const char *name, struct dic_str key)
{
    const struct dic_item_entry *map = find_kind(item, name, DIC_ATTR_MAP);
    for (size_t i = 1; map != NULL && i <= map->map_size; i++) {
        if (dic_str_eq(name_of(item, map + i), key)) {
            return text_of(item, map + i);
        }
    }
    return dic_str_len(NULL, 0);
}

size_t dic_item_map_size(const struct dic_item *item, const char *name)
{
    const struct dic_item_entry *map = find_kind(item, name, DIC_ATTR_MAP);
    return map == NULL ? 0 : map->map_size;
}

bool dic_item_map_at(const struct dic_item *item, const char *name, size_t index,
                     struct dic_str *key_out, struct dic_str *value_out)
{
    const struct dic_item_entry *map = find_kind(item, name, DIC_ATTR_MAP);
    if (map == NULL || index >= map->map_size) {
        return false;
    }
    *key_out = name_of(item, map + 1 + index);
    *value_out = text_of(item, map + 1 + index);
    return true;
}

/* ---- adding ---- */

static struct dic_item_entry *add(struct dic_item *item, enum dic_attr_kind kind,
                                  struct dic_str name, struct dic_str text)
{
    if (item->count == item->capacity) {
        item->capacity = item->capacity == 0 ? 16 : item->capacity * 2;
        item->entries = dic_realloc(item->entries, item->capacity * sizeof *item->entries);
    }
    struct dic_item_entry *entry = &item->entries[item->count];
    *entry = (struct dic_item_entry){.kind = kind, .map = item->count};
    entry->name_at = item->memory.len;
    entry->name_len = name.len;
    dic_buf_append_str(&item->memory, name);
    entry->text_at = item->memory.len;
    entry->text_len = text.len;
    dic_buf_append_str(&item->memory, text);
    if (!item->memory.poisoned) { /* else what does not fit is left out; the adapter checks */
        item->count++;
    }
    return entry;
}

void dic_item_add_text(struct dic_item *item, struct dic_str name, struct dic_str text)
{
    add(item, DIC_ATTR_TEXT, name, text);
}

void dic_item_add_number(struct dic_item *item, struct dic_str name, int64_t number)
{
    add(item, DIC_ATTR_NUMBER, name, dic_str_len(NULL, 0))->number = number;
}

void dic_item_add_map(struct dic_item *item, struct dic_str name)
{
    add(item, DIC_ATTR_MAP, name, dic_str_len(NULL, 0));
}

/* The map that was added last, or SIZE_MAX when what was added last is another attribute. */
static size_t last_map(const struct dic_item *item, struct dic_str name)
{
    if (item->count == 0) {
        return SIZE_MAX;
    }
    size_t at = item->entries[item->count - 1].map;
    const struct dic_item_entry *entry = &item->entries[at];
    bool same = entry->kind == DIC_ATTR_MAP && dic_str_eq(name_of(item, entry), name);
    return same ? at : SIZE_MAX;
}

void dic_item_add_map_entry(struct dic_item *item, struct dic_str name, struct dic_str key,
                            struct dic_str text)
{
    if (last_map(item, name) == SIZE_MAX) {
        dic_item_add_map(item, name);
    }
    size_t map = last_map(item, name);
    if (map == SIZE_MAX) {
        return; /* the memory is full */
    }
    struct dic_item_entry *entry = add(item, DIC_ATTR_TEXT, key, text);
    entry->map = map;
    item->entries[map].map_size += item->memory.poisoned ? 0 : 1;
}
