/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many decoders and how many inference lanes share the CPUs. What is best depends on the
 * hardware in ways that the operating system may hide (two CPUs can be threads of one core), so it
 * is measured. This module decides, split_search.h measures. Pure: one thread, no clock.
 */
#ifndef DIC_ML_SPLIT_H
#define DIC_ML_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

enum { DIC_SPLITS_MAX = 12 };

struct dic_split {
    uint32_t decoders;
    uint32_t lanes;
};

/*
 * The splits worth a try on so many CPUs, the first one being the usual best (as many of each as
 * there are CPUs: whoever has work runs). fixed_decoders and fixed_lanes: 0, or the only number
 * allowed. Returns how many; at least one.
 */
uint32_t dic_split_candidates(uint32_t cpus, uint32_t fixed_decoders, uint32_t fixed_lanes,
                              struct dic_split splits_out[DIC_SPLITS_MAX]);

/*
 * Refines the split while real work is done. Time is cut into epochs in which the pipeline had all
 * the work it could take; the tuner is told the rate of each and says what the next one uses. A
 * challenger runs turn by turn with the holder, as the rate drifts with the pictures and with
 * the machine's other users; it takes over when it was faster in most of the turns and by more than
 * DIC_SPLIT_MARGIN in sum. After a round of all challengers the tuner rests, for longer each time
 * nothing changed, so that trying costs little.
 */
#define DIC_SPLIT_MARGIN 1.03
enum { DIC_SPLIT_TURNS = 4, DIC_SPLIT_REST = 32, DIC_SPLIT_REST_MAX = 4096 };

struct dic_split_tuner {
    struct dic_split splits[DIC_SPLITS_MAX];
    uint32_t count;
    uint32_t holder;
    uint32_t challenger; /* index, == count: none left in this round */
    bool on_challenger;  /* the running epoch's */
    bool changed;        /* in this round */
    uint32_t turns;
    uint32_t wins;
    double holder_rate; /* of the turn's first half */
    double holder_sum;
    double challenger_sum;
    uint32_t rest; /* epochs to go without trying */
    uint32_t next_rest;
};

void dic_split_tuner_init(struct dic_split_tuner *tuner, const struct dic_split *splits,
                          uint32_t count, uint32_t holder);
/* Forgets what was measured. */
void dic_split_tuner_restart(struct dic_split_tuner *tuner, uint32_t holder);
/* rate: images/s of the epoch that ended, in the split of the last call (at first: the holder). */
struct dic_split dic_split_tuner_next(struct dic_split_tuner *tuner, double rate);
/* The epoch that ended says nothing: there was not enough work, say. The turn is begun anew. */
struct dic_split dic_split_tuner_skip(struct dic_split_tuner *tuner);

#endif
