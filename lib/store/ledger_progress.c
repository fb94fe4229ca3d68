/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger_progress.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/ledger_impl.h"

#include <string.h>

enum {
    JOBS = 256,
    BATCH = 100,
    REFRESH_MS = 1000, /* for a job of up to BATCH open segments, in proportion beyond */
    FULL_WORDS = DIC_MAX_SEGMENTS / 64,
};

struct entry {
    char job_id[DIC_ID_SIZE]; /* empty: unused */
    uint64_t used;
    int64_t read_ms; /* of the monotonic clock */
    uint32_t segments;
    uint64_t full[FULL_WORDS];
    struct dic_ledger_sums full_sums;
    struct dic_ledger_sums sums;
    bool busy; /* somebody reads it anew; the others are given what is there */
};

struct dic_ledger_progress {
    pthread_mutex_t lock; /* guards all below */
    uint64_t clock;
    struct entry *entries[JOBS];
};

struct dic_ledger_progress *dic_ledger_progress_new(void)
{
    struct dic_ledger_progress *progress = dic_calloc(1, sizeof *progress);
    dic_mutex_init(&progress->lock);
    return progress;
}

void dic_ledger_progress_destroy(struct dic_ledger_progress *progress)
{
    if (progress == NULL) {
        return;
    }
    for (int i = 0; i < JOBS; i++) {
        dic_free(progress->entries[i]);
    }
    pthread_mutex_destroy(&progress->lock);
    dic_free(progress);
}

/* The job's entry, or a new one in the place of the one not used for longest; NULL when all are
 * busy. */
static struct entry *find(struct dic_ledger_progress *progress, const char *job_id)
{
    int oldest = -1;
    for (int i = 0; i < JOBS; i++) {
        struct entry *entry = progress->entries[i];
        if (entry == NULL) {
            oldest = i;
            break;
        }
        if (strcmp(entry->job_id, job_id) == 0) {
            return entry;
        }
        if (!entry->busy && (oldest < 0 || entry->used < progress->entries[oldest]->used)) {
            oldest = i;
        }
    }
    if (oldest < 0) {
        return NULL;
    }
    dic_free(progress->entries[oldest]);
    progress->entries[oldest] = dic_calloc(1, sizeof(struct entry));
    memcpy(progress->entries[oldest]->job_id, job_id, DIC_ID_LEN);
    return progress->entries[oldest];
}

static bool is_marked(const struct entry *entry, uint32_t segment)
{
    return (entry->full[segment / 64] >> (segment % 64) & 1) != 0;
}

static void take(struct entry *entry, uint32_t segment, const struct dic_item *item)
{
    dic_ledger_add_segment_sums(&entry->sums, item);
    if (dic_ledger_is_full(item)) {
        dic_ledger_add_segment_sums(&entry->full_sums, item);
        entry->full[segment / 64] |= UINT64_C(1) << (segment % 64);
    }
}

struct reading {
    char pks[BATCH][DIC_LEDGER_PK_SIZE];
    uint32_t numbers[BATCH];
    struct dic_str views[BATCH];
    struct dic_item items[BATCH];
};

static void reading_destroy(struct reading **reading)
{
    for (int i = 0; i < BATCH; i++) {
        dic_item_clean_up(&(*reading)->items[i]);
    }
    dic_free(*reading);
}

/* Reads all segments that are not known to be full into a copy that is nobody else's. */
static enum dic_code read_open(struct dic_ledger *ledger, struct entry *entry, uint32_t segments,
                               struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    DIC_CLEANUP(reading_destroy) struct reading *reading = dic_calloc(1, sizeof *reading);
    uint32_t next = 0;
    for (int i = 0; i < BATCH; i++) {
        dic_item_init(&reading->items[i]);
    }
    entry->sums = entry->full_sums;
    while (next < segments) {
        uint32_t count = 0;
        for (; next < segments && count < BATCH; next++) {
            if (!is_marked(entry, next)) {
                dic_ledger_segment_pk(reading->pks[count], entry->job_id, next);
                reading->views[count] = dic_str(reading->pks[count]);
                reading->numbers[count++] = next;
            }
        }
        if (count > 0) {
            DIC_TRY(table->ops->get_many(table->impl, reading->views, count, reading->items, err));
        }
        for (uint32_t i = 0; i < count; i++) {
            take(entry, reading->numbers[i], &reading->items[i]);
        }
    }
    return DIC_OK;
}

static bool is_fresh(const struct entry *entry, uint32_t segments, int64_t now_ms)
{
    int64_t open = (int64_t)segments - entry->sums.full;
    int64_t interval = REFRESH_MS + (open > BATCH ? REFRESH_MS * (open / BATCH) : 0);
    return entry->read_ms != 0 &&
           (entry->busy || (entry->segments == segments && now_ms - entry->read_ms < interval));
}

/* What is there when it is fresh; otherwise what is known of full segments, to go on from. */
static bool look_up(struct dic_ledger_progress *progress, uint32_t segments, int64_t now_ms,
                    struct entry *copy)
{
    DIC_GUARD(&progress->lock);
    struct entry *entry = find(progress, copy->job_id);
    if (entry == NULL) {
        return false;
    }
    bool fresh = is_fresh(entry, segments, now_ms);
    entry->used = ++progress->clock;
    entry->busy = entry->busy || !fresh;
    *copy = *entry;
    return fresh;
}

static void keep(struct dic_ledger_progress *progress, struct entry *copy, bool was_read)
{
    DIC_GUARD(&progress->lock);
    struct entry *entry = find(progress, copy->job_id); /* another one may be there by now */
    if (entry != NULL && was_read) {
        copy->used = entry->used;
        *entry = *copy;
    }
    if (entry != NULL) {
        entry->busy = false;
    }
}

enum dic_code dic_ledger_progress_get(struct dic_ledger *ledger, const char *job_id,
                                      uint32_t segments, struct dic_ledger_sums *out,
                                      struct dic_err *err)
{
    const int64_t now_ms = dic_clock_mono_ms(ledger->options.clock) + 1; /* 0: never read */
    DIC_CLEANUP(dic_free_cleanup) struct entry *copy = dic_calloc(1, sizeof *copy);
    enum dic_code code = DIC_OK;
    segments = segments < DIC_MAX_SEGMENTS ? segments : DIC_MAX_SEGMENTS;
    memcpy(copy->job_id, job_id, DIC_ID_LEN);
    if (!look_up(ledger->progress, segments, now_ms, copy)) {
        code = read_open(ledger, copy, segments, err);
        copy->segments = segments;
        copy->read_ms = now_ms;
        keep(ledger->progress, copy, code == DIC_OK);
    }
    *out = copy->sums;
    return code;
}
