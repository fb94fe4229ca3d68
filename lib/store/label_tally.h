/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of labels, at most DIC_MAX_JOB_IMAGES of each: a hash table that only grows. Not shared
 * between threads. */
#ifndef DIC_STORE_LABEL_TALLY_H
#define DIC_STORE_LABEL_TALLY_H

#include "base/buf.h"
#include "store/job_store.h"

struct dic_label_slot {
    uint32_t offset; /* of the label's bytes in names */
    uint32_t len;
    int64_t images; /* 0: the slot is free */
};

struct dic_label_tally {
    struct dic_label_slot *slots;
    size_t slot_count; /* a power of two */
    size_t used;
    struct dic_buf names;
};
void dic_label_tally_init(struct dic_label_tally *tally);
void dic_label_tally_clean_up(struct dic_label_tally *tally);
void dic_label_tally_add(struct dic_label_tally *tally, struct dic_str label, int64_t images);
void dic_label_tally_add_all(struct dic_label_tally *tally, const struct dic_label_tally *more);
/* The most frequent ones, most frequent first, equal ones by label; views into the tally. Returns
 * how many: at most max. */
size_t dic_label_tally_top(const struct dic_label_tally *tally, struct dic_label_count *out,
                           size_t max);
struct dic_str dic_label_slot_label(const struct dic_label_tally *tally,
                                    const struct dic_label_slot *slot);

#endif
