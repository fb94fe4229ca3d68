/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"

enum dic_code dic_table_key_check(struct dic_str pk, struct dic_err *err)
{
    if (pk.len == 0 || pk.len > DIC_TABLE_KEY_MAX_BYTES) {
        return dic_fail_field(err, DIC_E_INTERNAL, "pk", "key of %zu bytes, allowed are 1 to %d",
                              pk.len, DIC_TABLE_KEY_MAX_BYTES);
    }
    if (!dic_utf8_valid(pk)) {
        return dic_fail_field(err, DIC_E_INTERNAL, "pk", "key is not UTF-8");
    }
    return DIC_OK;
}

static bool is_entry(const struct dic_change *change)
{
    return change->kind == DIC_SET_MAP_ENTRY;
}

/* Two changes of one place: the outcome would hang on their order, which a table does not have. */
static bool overlap(const struct dic_change *a, const struct dic_change *b, bool is_put)
{
    if (!dic_str_eq(dic_str(a->name), dic_str(b->name))) {
        return false;
    }
    if (is_entry(a) && is_entry(b)) {
        return dic_str_eq(a->key, b->key);
    }
    return !(is_put && a->kind == DIC_SET_MAP && is_entry(b));
}

static enum dic_code check_change(const struct dic_table_write *write, size_t index, bool is_put,
                                  struct dic_err *err)
{
    const struct dic_change *change = &write->changes[index];
    if (dic_str_is(dic_str(change->name), "pk")) {
        return dic_fail_field(err, DIC_E_INTERNAL, "pk", "a key cannot be changed");
    }
    if (is_put && change->kind > DIC_SET_MAP_ENTRY) {
        return dic_fail_field(err, DIC_E_INTERNAL, change->name, "a put can only set '%s'",
                              change->name);
    }
    if (!dic_utf8_valid(change->text) || !dic_utf8_valid(change->key)) {
        return dic_fail_field(err, DIC_E_INTERNAL, change->name, "'%s' is not UTF-8", change->name);
    }
    bool has_map = !is_put || !is_entry(change);
    for (size_t i = 0; i < index; i++) {
        if (overlap(&write->changes[i], change, is_put)) {
            return dic_fail_field(err, DIC_E_INTERNAL, change->name, "'%s' is changed twice",
                                  change->name);
        }
        has_map = has_map || (write->changes[i].kind == DIC_SET_MAP &&
                              dic_str_is(dic_str(change->name), write->changes[i].name));
    }
    if (!has_map) {
        return dic_fail_field(err, DIC_E_INTERNAL, change->name,
                              "an entry is put into '%s' before the map", change->name);
    }
    return DIC_OK;
}

enum dic_code dic_table_write_check(const struct dic_table_write *write, bool is_put,
                                    struct dic_err *err)
{
    DIC_TRY(dic_table_key_check(write->pk, err));
    for (size_t i = 0; i < write->change_count; i++) {
        DIC_TRY(check_change(write, i, is_put, err));
    }
    for (size_t i = 0; i < write->cond_count; i++) {
        const struct dic_cond *cond = &write->conds[i];
        if (cond->kind == DIC_COND_TEXT_IN && cond->words[0] == NULL) {
            return dic_fail_field(err, DIC_E_INTERNAL, cond->name,
                                  "a condition on '%s' has no words", cond->name);
        }
    }
    return DIC_OK;
}

enum dic_code dic_table_query_check(const struct dic_table_query *query, bool *of_text_out,
                                    struct dic_err *err)
{
    *of_text_out = dic_str_is(dic_str(query->index), "listing");
    if (!*of_text_out && !dic_str_is(dic_str(query->index), "outbox")) {
        return dic_fail(err, DIC_E_INTERNAL, "there is no index '%s'", query->index);
    }
    if (!*of_text_out && query->status_in[0] != NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "index '%s' has no status", query->index);
    }
    if (*of_text_out && query->partition_text.len == 0) {
        return dic_fail(err, DIC_E_INTERNAL, "index '%s' is asked for no partition", query->index);
    }
    return DIC_OK;
}
