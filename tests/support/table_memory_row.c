/* SPDX-License-Identifier: Apache-2.0 */
#include "table_memory_row.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- texts, attributes, rows ---- */

struct dic_row_text dic_row_text_copy(struct dic_str view)
{
    return (struct dic_row_text){dic_strdup_len(view.ptr, view.len), view.len};
}

struct dic_str dic_row_view(struct dic_row_text text)
{
    return dic_str_len(text.ptr, text.len);
}

static void attribute_clean_up(struct dic_row_attribute *attribute)
{
    for (size_t i = 0; i < attribute->pair_count; i++) {
        dic_free(attribute->pairs[i].key.ptr);
        dic_free(attribute->pairs[i].value.ptr);
    }
    dic_free(attribute->pairs);
    dic_free(attribute->name.ptr);
    dic_free(attribute->text.ptr);
}

void dic_row_destroy(struct dic_row *row)
{
    for (size_t i = 0; row != NULL && i < row->count; i++) {
        attribute_clean_up(&row->attributes[i]);
    }
    if (row != NULL) {
        dic_free(row->attributes);
        dic_free(row->pk.ptr);
        dic_free(row);
    }
}

void dic_row_cleanup(struct dic_row **row)
{
    dic_row_destroy(*row);
}

struct dic_row *dic_row_new(struct dic_str pk)
{
    struct dic_row *row = dic_calloc(1, sizeof *row);
    row->pk = dic_row_text_copy(pk);
    return row;
}

struct dic_row_attribute *dic_row_find(const struct dic_row *row, const char *name)
{
    for (size_t i = 0; row != NULL && i < row->count; i++) {
        if (dic_str_is(dic_row_view(row->attributes[i].name), name)) {
            return &row->attributes[i];
        }
    }
    return NULL;
}

/* The attribute, made or emptied, of the kind given. */
static struct dic_row_attribute *set_attribute(struct dic_row *row, const char *name,
                                               enum dic_attr_kind kind)
{
    struct dic_row_attribute *attribute = dic_row_find(row, name);
    if (attribute != NULL) {
        attribute_clean_up(attribute);
    } else {
        row->attributes = dic_realloc(row->attributes, (row->count + 1) * sizeof *row->attributes);
        attribute = &row->attributes[row->count++];
    }
    *attribute = (struct dic_row_attribute){.kind = kind, .name = dic_row_text_copy(dic_str(name))};
    return attribute;
}

static void remove_attribute(struct dic_row *row, const char *name)
{
    struct dic_row_attribute *attribute = dic_row_find(row, name);
    if (attribute != NULL) {
        attribute_clean_up(attribute);
        *attribute = row->attributes[--row->count];
    }
}

static struct dic_row_pair *find_pair(const struct dic_row_attribute *map, struct dic_str key)
{
    for (size_t i = 0; map != NULL && map->kind == DIC_ATTR_MAP && i < map->pair_count; i++) {
        if (dic_str_eq(dic_row_view(map->pairs[i].key), key)) {
            return &map->pairs[i];
        }
    }
    return NULL;
}

static void set_pair(struct dic_row_attribute *map, struct dic_str key, struct dic_str value)
{
    struct dic_row_pair *pair = find_pair(map, key);
    if (pair == NULL) {
        map->pairs = dic_realloc(map->pairs, (map->pair_count + 1) * sizeof *map->pairs);
        pair = &map->pairs[map->pair_count++];
        *pair = (struct dic_row_pair){.key = dic_row_text_copy(key)};
    }
    dic_free(pair->value.ptr);
    pair->value = dic_row_text_copy(value);
}

struct dic_row *dic_row_copy(const struct dic_row *from)
{
    struct dic_row *row = dic_row_new(dic_row_view(from->pk));
    for (size_t i = 0; i < from->count; i++) {
        const struct dic_row_attribute *source = &from->attributes[i];
        struct dic_row_attribute *copy = set_attribute(row, source->name.ptr, source->kind);
        copy->text = dic_row_text_copy(dic_row_view(source->text));
        copy->number = source->number;
        for (size_t k = 0; k < source->pair_count; k++) {
            set_pair(copy, dic_row_view(source->pairs[k].key),
                     dic_row_view(source->pairs[k].value));
        }
    }
    return row;
}

/* As DynamoDB counts: names and values in UTF-8, a number by its pairs of digits and one byte, a
 * map 3 bytes and one an entry.
 * docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
size_t dic_row_bytes(const struct dic_row *row)
{
    size_t bytes = strlen("pk") + row->pk.len;
    for (size_t i = 0; i < row->count; i++) {
        const struct dic_row_attribute *attribute = &row->attributes[i];
        char digits[24];
        int len = snprintf(digits, sizeof digits, "%" PRId64, attribute->number);
        bytes += attribute->name.len + attribute->text.len;
        bytes += attribute->kind == DIC_ATTR_NUMBER ? ((size_t)len + 1) / 2 + 1 : 0;
        bytes += attribute->kind == DIC_ATTR_MAP ? 3 : 0;
        for (size_t k = 0; k < attribute->pair_count; k++) {
            bytes += attribute->pairs[k].key.len + attribute->pairs[k].value.len + 1;
        }
    }
    return bytes;
}

void dic_row_to_item(const struct dic_row *row, struct dic_item *item)
{
    dic_item_clear(item);
    if (row == NULL) {
        return;
    }
    item->exists = true;
    dic_item_add_text(item, DIC_STR_LIT("pk"), dic_row_view(row->pk));
    for (size_t i = 0; i < row->count; i++) {
        const struct dic_row_attribute *attribute = &row->attributes[i];
        if (attribute->kind == DIC_ATTR_TEXT) {
            dic_item_add_text(item, dic_row_view(attribute->name), dic_row_view(attribute->text));
        } else if (attribute->kind == DIC_ATTR_NUMBER) {
            dic_item_add_number(item, dic_row_view(attribute->name), attribute->number);
        } else {
            dic_item_add_map(item, dic_row_view(attribute->name));
            for (size_t k = 0; k < attribute->pair_count; k++) {
                dic_item_add_map_entry(item, dic_row_view(attribute->name),
                                       dic_row_view(attribute->pairs[k].key),
                                       dic_row_view(attribute->pairs[k].value));
            }
        }
    }
}

/* ---- conditions and changes ---- */

bool dic_row_text_is_one_of(struct dic_str text, const char *const words[DIC_COND_WORDS_MAX])
{
    for (size_t i = 0; i < DIC_COND_WORDS_MAX && words[i] != NULL; i++) {
        if (dic_str_is(text, words[i])) {
            return true;
        }
    }
    return false;
}

static bool cond_holds(const struct dic_row *row, const struct dic_cond *cond)
{
    const bool of_item = dic_str_is(dic_str(cond->name), "pk");
    const struct dic_row_attribute *attribute = dic_row_find(row, cond->name);
    const struct dic_row_pair *pair = cond->key.len > 0 ? find_pair(attribute, cond->key) : NULL;
    const bool there = of_item ? row != NULL : cond->key.len > 0 ? pair != NULL : attribute != NULL;
    const bool is_number =
        attribute != NULL && attribute->kind == DIC_ATTR_NUMBER && cond->key.len == 0;
    switch (cond->kind) {
    case DIC_COND_EXISTS:
        return there;
    case DIC_COND_ABSENT:
        return !there;
    case DIC_COND_TEXT_IN:
        if (cond->key.len > 0) {
            return pair != NULL && dic_row_text_is_one_of(dic_row_view(pair->value), cond->words);
        }
        return attribute != NULL && attribute->kind == DIC_ATTR_TEXT &&
               dic_row_text_is_one_of(dic_row_view(attribute->text), cond->words);
    case DIC_COND_NUMBER_EQ:
        return is_number && attribute->number == cond->number;
    case DIC_COND_NUMBER_LESS:
    default:
        return is_number && attribute->number < cond->number;
    }
}

bool dic_row_conds_hold(const struct dic_row *row, const struct dic_table_write *write)
{
    bool group = true;
    for (size_t i = 0; i < write->cond_count; i++) {
        if (write->conds[i].or_else && i > 0) {
            if (group) {
                return true;
            }
            group = true;
        }
        group = group && cond_holds(row, &write->conds[i]);
    }
    return group;
}

static enum dic_code wrong_kind(const struct dic_row *row, const char *name, const char *expected,
                                struct dic_err *err)
{
    return dic_fail_field(err, DIC_E_INTERNAL, name, "attribute '%s' of item '%s' is no %s", name,
                          row->pk.ptr, expected);
}

static enum dic_code add_number(struct dic_row *row, const struct dic_change *change,
                                struct dic_err *err)
{
    struct dic_row_attribute *attribute = dic_row_find(row, change->name);
    if (attribute == NULL) {
        attribute = set_attribute(row, change->name, DIC_ATTR_NUMBER);
    }
    if (attribute->kind != DIC_ATTR_NUMBER) {
        return wrong_kind(row, change->name, "number", err);
    }
    if (__builtin_add_overflow(attribute->number, change->number, &attribute->number)) {
        return dic_fail_field(err, DIC_E_INTERNAL, change->name,
                              "'%s' of item '%s' is over 64 bits", change->name, row->pk.ptr);
    }
    return DIC_OK;
}

enum dic_code dic_row_apply(struct dic_row *row, const struct dic_change *change,
                            struct dic_err *err)
{
    struct dic_row_attribute *attribute = NULL;
    switch (change->kind) {
    case DIC_SET_TEXT:
        set_attribute(row, change->name, DIC_ATTR_TEXT)->text = dic_row_text_copy(change->text);
        return DIC_OK;
    case DIC_SET_NUMBER:
        set_attribute(row, change->name, DIC_ATTR_NUMBER)->number = change->number;
        return DIC_OK;
    case DIC_SET_MAP:
        set_attribute(row, change->name, DIC_ATTR_MAP);
        return DIC_OK;
    case DIC_SET_MAP_ENTRY:
        attribute = dic_row_find(row, change->name);
        if (attribute == NULL || attribute->kind != DIC_ATTR_MAP) {
            return wrong_kind(row, change->name, "map", err);
        }
        set_pair(attribute, change->key, change->text);
        return DIC_OK;
    case DIC_ADD_NUMBER:
        return add_number(row, change, err);
    case DIC_REMOVE:
    default:
        remove_attribute(row, change->name);
        return DIC_OK;
    }
}
