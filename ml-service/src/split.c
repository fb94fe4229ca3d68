/* SPDX-License-Identifier: Apache-2.0 */
#include "split.h"

#include <string.h>

/* ---- candidates ---- */

static void add(struct dic_split *splits, uint32_t *count, uint32_t decoders, uint32_t lanes)
{
    const struct dic_split split = {decoders == 0 ? 1 : decoders, lanes == 0 ? 1 : lanes};
    for (uint32_t i = 0; i < *count; i++) {
        if (splits[i].decoders == split.decoders && splits[i].lanes == split.lanes) {
            return;
        }
    }
    if (*count < DIC_SPLITS_MAX) {
        splits[(*count)++] = split;
    }
}

uint32_t dic_split_candidates(uint32_t cpus, uint32_t fixed_decoders, uint32_t fixed_lanes,
                              struct dic_split splits_out[DIC_SPLITS_MAX])
{
    const uint32_t half = cpus / 2;
    const uint32_t quarter = cpus / 4;
    /* All; one of each for two threads of a core; then more of the one or of the other. */
    const struct dic_split wanted[] = {
        {cpus, cpus},           {half, half},           {half, cpus},
        {cpus, half},           {quarter, cpus - half}, {quarter, cpus - quarter},
        {half, cpus - quarter},
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        add(splits_out, &count, fixed_decoders > 0 ? fixed_decoders : wanted[i].decoders,
            fixed_lanes > 0 ? fixed_lanes : wanted[i].lanes);
    }
    return count;
}

/* ---- tuner ---- */

static void begin_match(struct dic_split_tuner *tuner)
{
    tuner->on_challenger = false;
    tuner->turns = 0;
    tuner->wins = 0;
    tuner->holder_sum = 0;
    tuner->challenger_sum = 0;
}

static void next_challenger(struct dic_split_tuner *tuner, uint32_t from)
{
    tuner->challenger = from == tuner->holder ? from + 1 : from;
    begin_match(tuner);
}

static void begin_round(struct dic_split_tuner *tuner)
{
    tuner->changed = false;
    next_challenger(tuner, 0);
}

static void end_round(struct dic_split_tuner *tuner)
{
    tuner->next_rest = tuner->changed ? DIC_SPLIT_REST : tuner->next_rest * 2;
    if (tuner->next_rest > DIC_SPLIT_REST_MAX) {
        tuner->next_rest = DIC_SPLIT_REST_MAX;
    }
    tuner->rest = tuner->next_rest;
    begin_round(tuner);
}

void dic_split_tuner_init(struct dic_split_tuner *tuner, const struct dic_split *splits,
                          uint32_t count, uint32_t holder)
{
    *tuner = (struct dic_split_tuner){.count = count};
    memcpy(tuner->splits, splits, count * sizeof *splits);
    dic_split_tuner_restart(tuner, holder);
}

void dic_split_tuner_restart(struct dic_split_tuner *tuner, uint32_t holder)
{
    tuner->holder = holder;
    tuner->rest = 0;
    tuner->next_rest = DIC_SPLIT_REST;
    begin_round(tuner);
}

static void end_match(struct dic_split_tuner *tuner)
{
    const bool faster = tuner->wins * 4 >= tuner->turns * 3 &&
                        tuner->challenger_sum > tuner->holder_sum * DIC_SPLIT_MARGIN;
    const uint32_t tried = tuner->challenger;
    if (faster) {
        tuner->holder = tried;
        tuner->changed = true;
    }
    next_challenger(tuner, tried + 1);
    if (tuner->challenger >= tuner->count) {
        end_round(tuner);
    }
}

/* After one turn already when the challenger is far behind: nobody shall pay for three more. */
static void end_turn(struct dic_split_tuner *tuner, double rate)
{
    tuner->turns++;
    tuner->wins += rate > tuner->holder_rate;
    tuner->holder_sum += tuner->holder_rate;
    tuner->challenger_sum += rate;
    tuner->on_challenger = false;
    const bool hopeless = tuner->challenger_sum < tuner->holder_sum * 0.85;
    if (hopeless || tuner->turns == DIC_SPLIT_TURNS) {
        end_match(tuner);
    }
}

struct dic_split dic_split_tuner_next(struct dic_split_tuner *tuner, double rate)
{
    if (tuner->count < 2) {
        return tuner->splits[tuner->holder];
    }
    if (tuner->rest > 0) {
        tuner->rest--;
    } else if (tuner->on_challenger) {
        end_turn(tuner, rate);
    } else {
        tuner->holder_rate = rate;
        tuner->on_challenger = true;
    }
    return tuner->splits[tuner->on_challenger ? tuner->challenger : tuner->holder];
}

struct dic_split dic_split_tuner_skip(struct dic_split_tuner *tuner)
{
    tuner->on_challenger = false;
    return tuner->splits[tuner->holder];
}
