/* SPDX-License-Identifier: Apache-2.0 */
#include "split_search.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ticker.h"

#include <stdio.h>
#include <string.h>

extern const unsigned char dic_probe_jpg[];
extern const unsigned long dic_probe_jpg_len;

enum {
    EPOCH_MS = 250,
    WARM_UP_MS = 40,    /* first inferences are slow */
    WAITS_PER_PLACE = 2 /* pictures that must wait for each decoder and lane, to call them busy */
};

/* A slice of so few pictures says little: only a clear lead counts at the start. */
static const double probe_lead = 1.10;

static int64_t now_ns(void)
{
    return dic_clock_mono_ns(dic_clock_system());
}

struct dic_split_search {
    struct dic_pipeline *pipeline;
    struct dic_split_tuner tuner; /* the thread's */
    uint32_t probe_ms;
    struct dic_ticker ticker;
};

/* ---- at the start ---- */

struct probe {
    struct dic_pipeline *pipeline;
    struct dic_split_search *search;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    uint32_t out; /* tasks that the pipeline has */
    uint32_t finished;
    bool given_up;
    int64_t first_ns; /* when the first and the last of `finished` came */
    int64_t last_ns;
};

/* Each task goes round and round until the probe stops. */
static void probe_done(struct dic_task *task)
{
    struct probe *probe = task->context;
    const int64_t at_ns = now_ns();
    dic_lock(&probe->lock);
    probe->first_ns = probe->finished == 0 ? at_ns : probe->first_ns;
    probe->last_ns = at_ns;
    probe->finished++;
    const bool again = !atomic_load(&probe->stop);
    probe->out -= !again;
    pthread_cond_signal(&probe->changed);
    dic_unlock(&probe->lock);
    if (again) {
        dic_pipeline_submit(probe->pipeline, task);
    }
}

/* With the lock held. */
static bool work_has_come(const struct probe *probe)
{
    struct dic_pipeline_counts counts;
    dic_pipeline_counts(probe->pipeline, &counts);
    return counts.in_work > probe->out || dic_ticker_stopping(&probe->search->ticker);
}

static void run_until(struct probe *probe, int64_t end_ns, uint32_t enough)
{
    DIC_GUARD(&probe->lock);
    for (int64_t left_ns = end_ns - now_ns();
         left_ns > 0 && probe->finished < enough && !probe->given_up; left_ns = end_ns - now_ns()) {
        probe->given_up = work_has_come(probe);
        dic_cond_wait_ms(&probe->changed, &probe->lock, left_ns / 1000000 + 1);
    }
}

static double measure(struct probe *probe, struct dic_split split, uint32_t slice_ms)
{
    dic_pipeline_set_split(probe->pipeline, split.decoders, split.lanes);
    dic_lock(&probe->lock);
    probe->finished = 0;
    dic_unlock(&probe->lock);
    run_until(probe, now_ns() + (int64_t)slice_ms * 1000000, UINT32_MAX);
    DIC_GUARD(&probe->lock);
    if (probe->finished < 2 || probe->last_ns <= probe->first_ns) {
        return 0;
    }
    return (probe->finished - 1) * 1e9 / (double)(probe->last_ns - probe->first_ns);
}

static void wait_for_all(struct probe *probe)
{
    atomic_store(&probe->stop, true);
    DIC_GUARD(&probe->lock);
    while (probe->out > 0) {
        dic_cond_wait_ms(&probe->changed, &probe->lock, -1);
    }
}

static void log_rates(const struct dic_split *splits, const double *rates, uint32_t count,
                      uint32_t best)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "split_measured");
    dic_log_int(&log, "decoders", splits[best].decoders);
    dic_log_int(&log, "lanes", splits[best].lanes);
    for (uint32_t i = 0; i < count; i++) {
        char name[48];
        snprintf(name, sizeof name, "images_per_s_%ux%u", splits[i].decoders, splits[i].lanes);
        dic_log_int(&log, name, (int64_t)rates[i]);
    }
    dic_log_end(&log);
}

static uint32_t best_of(const double *rates, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (rates[i] > rates[best] * (best == 0 ? probe_lead : 1)) {
            best = i;
        }
    }
    return best;
}

static void submit_all(struct probe *probe, struct dic_task *tasks, uint32_t count)
{
    probe->out = count;
    for (uint32_t i = 0; i < count; i++) {
        tasks[i].key = DIC_STR_LIT("probe.jpg");
        tasks[i].bytes = dic_str_len((const char *)dic_probe_jpg, dic_probe_jpg_len);
        tasks[i].top_k = 1;
        tasks[i].done = probe_done;
        tasks[i].context = probe;
        tasks[i].abandon = &probe->stop;
        dic_pipeline_submit(probe->pipeline, &tasks[i]);
    }
}

/* Returns the index of the best one. */
static uint32_t probe_splits(struct dic_split_search *search)
{
    const struct dic_split *splits = search->tuner.splits;
    const uint32_t count = search->tuner.count;
    double rates[DIC_SPLITS_MAX] = {0};
    const uint32_t places = (splits[0].decoders + splits[0].lanes) * WAITS_PER_PLACE;
    struct dic_task *tasks = dic_calloc(places, sizeof *tasks);
    struct probe probe = {.pipeline = search->pipeline, .search = search};
    uint32_t best = 0;
    dic_mutex_init(&probe.lock);
    dic_cond_init(&probe.changed);
    submit_all(&probe, tasks, places);
    run_until(&probe, now_ns() + (int64_t)WARM_UP_MS * 1000000, places);
    const uint32_t slice_ms = search->probe_ms / (2 * count);
    /* There and back: nobody is always first. */
    for (uint32_t i = 0; i < 2 * count && !probe.given_up; i++) {
        const uint32_t index = i < count ? i : 2 * count - 1 - i;
        rates[index] += measure(&probe, splits[index], slice_ms) / 2;
    }
    wait_for_all(&probe);
    if (!probe.given_up) {
        best = best_of(rates, count);
        log_rates(splits, rates, count, best);
    }
    dic_pipeline_set_split(search->pipeline, splits[best].decoders, splits[best].lanes);
    pthread_mutex_destroy(&probe.lock);
    pthread_cond_destroy(&probe.changed);
    dic_free(tasks);
    return best;
}

/* ---- while working ---- */

static void log_change(struct dic_split split)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "split_changed");
    dic_log_int(&log, "decoders", split.decoders);
    dic_log_int(&log, "lanes", split.lanes);
    dic_log_end(&log);
}

static void end_epoch(struct dic_split_search *search, const struct dic_pipeline_counts *before,
                      const struct dic_pipeline_counts *after, int64_t spent_ns)
{
    struct dic_split_tuner *tuner = &search->tuner;
    const uint32_t holder = tuner->holder;
    const uint64_t busy =
        (uint64_t)WAITS_PER_PLACE * (tuner->splits[0].decoders + tuner->splits[0].lanes);
    const bool was_busy = before->in_work >= busy && after->in_work >= busy;
    const double rate = (double)(after->done - before->done) * 1e9 / (double)spent_ns;
    const struct dic_split split =
        was_busy ? dic_split_tuner_next(tuner, rate) : dic_split_tuner_skip(tuner);
    if (split.decoders != after->active_decoders || split.lanes != after->active_lanes) {
        dic_pipeline_set_split(search->pipeline, split.decoders, split.lanes);
    }
    if (tuner->holder != holder) {
        log_change(tuner->splits[tuner->holder]);
    }
}

static void *search_run(void *arg)
{
    struct dic_split_search *search = arg;
    struct dic_pipeline_counts before;
    if (search->probe_ms > 0) {
        dic_split_tuner_restart(&search->tuner, probe_splits(search));
    }
    dic_pipeline_counts(search->pipeline, &before);
    int64_t before_ns = now_ns();
    while (dic_ticker_sleep(&search->ticker, EPOCH_MS)) {
        struct dic_pipeline_counts after;
        dic_pipeline_counts(search->pipeline, &after);
        const int64_t after_ns = now_ns();
        end_epoch(search, &before, &after, after_ns - before_ns);
        before = after;
        before_ns = after_ns;
    }
    return NULL;
}

struct dic_split_search *dic_split_search_start(struct dic_pipeline *pipeline,
                                                const struct dic_split *splits, uint32_t count,
                                                uint32_t probe_ms)
{
    dic_pipeline_set_split(pipeline, splits[0].decoders, splits[0].lanes);
    if (count < 2) {
        return NULL;
    }
    struct dic_split_search *search = dic_calloc(1, sizeof *search);
    search->pipeline = pipeline;
    search->probe_ms = probe_ms;
    dic_split_tuner_init(&search->tuner, splits, count, 0);
    dic_ticker_start(&search->ticker, "split", search_run, search);
    return search;
}

void dic_split_search_stop(struct dic_split_search *search)
{
    if (search == NULL) {
        return;
    }
    dic_ticker_stop(&search->ticker);
    dic_free(search);
}
