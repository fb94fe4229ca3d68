/* SPDX-License-Identifier: Apache-2.0 */
#include "store/label_tally.h"

#include "base/mem.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64, MAX_NAMES_BYTES = 256 * 1024 * 1024 };

void dic_label_tally_init(struct dic_label_tally *tally)
{
    *tally = (struct dic_label_tally){0};
    dic_buf_init(&tally->names, MAX_NAMES_BYTES);
}

void dic_label_tally_clean_up(struct dic_label_tally *tally)
{
    dic_free(tally->slots);
    tally->slots = NULL;
    dic_buf_clean_up(&tally->names);
}

struct dic_str dic_label_slot_label(const struct dic_label_tally *tally,
                                    const struct dic_label_slot *slot)
{
    return dic_str_len(tally->names.ptr == NULL ? "" : tally->names.ptr + slot->offset, slot->len);
}

/* The label's slot, or the free one where it belongs. */
static struct dic_label_slot *find(const struct dic_label_tally *tally, struct dic_str label)
{
    size_t mask = tally->slot_count - 1;
    size_t at = (size_t)dic_str_hash(label) & mask;
    while (tally->slots[at].images != 0 &&
           !dic_str_eq(dic_label_slot_label(tally, &tally->slots[at]), label)) {
        at = (at + 1) & mask;
    }
    return &tally->slots[at];
}

static void grow(struct dic_label_tally *tally)
{
    struct dic_label_slot *old = tally->slots;
    size_t old_count = tally->slot_count;
    tally->slot_count = old_count == 0 ? FIRST_SLOTS : old_count * 2;
    tally->slots = dic_calloc(tally->slot_count, sizeof *tally->slots);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].images != 0) {
            *find(tally, dic_label_slot_label(tally, &old[i])) = old[i];
        }
    }
    dic_free(old);
}

void dic_label_tally_add(struct dic_label_tally *tally, struct dic_str label, int64_t images)
{
    if (images <= 0) {
        return;
    }
    if (tally->used * 2 >= tally->slot_count) {
        grow(tally);
    }
    struct dic_label_slot *slot = find(tally, label);
    if (slot->images == 0) {
        slot->offset = (uint32_t)tally->names.len;
        slot->len = (uint32_t)label.len;
        dic_buf_append_str(&tally->names, label);
        tally->used++;
    }
    /* Counts come from objects; what a damaged one says must neither overflow nor be written on. */
    const int64_t room = DIC_MAX_JOB_IMAGES - slot->images;
    slot->images += images < room ? images : room;
}

void dic_label_tally_add_all(struct dic_label_tally *tally, const struct dic_label_tally *more)
{
    for (size_t i = 0; i < more->slot_count; i++) {
        dic_label_tally_add(tally, dic_label_slot_label(more, &more->slots[i]),
                            more->slots[i].images);
    }
}

static int more_frequent_first(const void *a, const void *b)
{
    const struct dic_label_count *left = a;
    const struct dic_label_count *right = b;
    if (left->images != right->images) {
        return left->images > right->images ? -1 : 1;
    }
    return dic_str_compare(left->label, right->label);
}

size_t dic_label_tally_top(const struct dic_label_tally *tally, struct dic_label_count *out,
                           size_t max)
{
    struct dic_label_count *all =
        dic_calloc(tally->used == 0 ? 1 : tally->used, sizeof(struct dic_label_count));
    size_t count = 0;
    for (size_t i = 0; i < tally->slot_count; i++) {
        if (tally->slots[i].images != 0) {
            all[count].label = dic_label_slot_label(tally, &tally->slots[i]);
            all[count++].images = tally->slots[i].images;
        }
    }
    qsort(all, count, sizeof *all, more_frequent_first);
    count = count < max ? count : max;
    for (size_t i = 0; i < count; i++) {
        out[i] = all[i];
    }
    dic_free(all);
    return count;
}
