/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and moving the items of a job. */
#include "base/mem.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <string.h>

enum { SEGMENT_BATCH = 100 }; /* items that one BatchGetItem reads */

int64_t dic_ledger_now(const struct dic_ledger *ledger)
{
    return dic_clock_wall_ms(ledger->options.clock);
}

int64_t dic_ledger_ttl(const struct dic_ledger *ledger, int64_t extra_ms)
{
    return (dic_ledger_now(ledger) + ledger->options.retention_ms + extra_ms) / 1000;
}

int64_t dic_ledger_segment_ttl(const struct dic_ledger *ledger)
{
    static const int64_t extra_ms = 7 * 24 * 3600 * INT64_C(1000);
    return dic_ledger_ttl(ledger, extra_ms);
}

static bool is_past_ttl(const struct dic_ledger *ledger, const struct dic_item *item)
{
    int64_t ttl = dic_item_number(item, "ttl", 0);
    return ttl > 0 && ttl <= dic_ledger_now(ledger) / 1000;
}

enum dic_code dic_ledger_get_job(struct dic_ledger *ledger, const char *job_id,
                                 struct dic_item *item_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    dic_ledger_job_pk(pk, job_id);
    DIC_TRY(table->ops->get(table->impl, dic_str(pk), item_out, err));
    if (!item_out->exists || is_past_ttl(ledger, item_out)) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%s'", job_id);
    }
    return DIC_OK;
}

enum dic_code dic_ledger_get_segment(struct dic_ledger *ledger, const char *job_id,
                                     uint32_t segment, struct dic_item *item_out,
                                     struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    dic_ledger_segment_pk(pk, job_id, segment);
    return table->ops->get(table->impl, dic_str(pk), item_out, err);
}

struct dic_ledger_batch {
    uint32_t first;
    uint32_t count;
    char pks[SEGMENT_BATCH][DIC_LEDGER_PK_SIZE];
    struct dic_str views[SEGMENT_BATCH];
    struct dic_item items[SEGMENT_BATCH];
};

struct dic_ledger_batch *dic_ledger_batch_new(void)
{
    struct dic_ledger_batch *batch = dic_calloc(1, sizeof *batch);
    for (int i = 0; i < SEGMENT_BATCH; i++) {
        dic_item_init(&batch->items[i]);
    }
    return batch;
}

void dic_ledger_batch_destroy(struct dic_ledger_batch **batch)
{
    for (int i = 0; i < SEGMENT_BATCH; i++) {
        dic_item_clean_up(&(*batch)->items[i]);
    }
    dic_free(*batch);
}

enum dic_code dic_ledger_batch_read(struct dic_ledger *ledger, const char *job_id, uint32_t first,
                                    uint32_t count, struct dic_ledger_batch *batch,
                                    struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    batch->first = first;
    batch->count = count < SEGMENT_BATCH ? count : SEGMENT_BATCH;
    for (uint32_t i = 0; i < batch->count; i++) {
        dic_ledger_segment_pk(batch->pks[i], job_id, first + i);
        batch->views[i] = dic_str(batch->pks[i]);
    }
    enum dic_code code =
        table->ops->get_many(table->impl, batch->views, batch->count, batch->items, err);
    batch->count = code == DIC_OK ? batch->count : 0;
    return code;
}

const struct dic_item *dic_ledger_batch_find(const struct dic_ledger_batch *batch, uint32_t segment)
{
    return segment >= batch->first && segment - batch->first < batch->count
               ? &batch->items[segment - batch->first]
               : NULL;
}

enum dic_code dic_ledger_read_segments(struct dic_ledger *ledger, const char *job_id,
                                       uint32_t count, dic_ledger_segment_visit visit,
                                       void *context, struct dic_err *err)
{
    DIC_CLEANUP(dic_ledger_batch_destroy) struct dic_ledger_batch *batch = dic_ledger_batch_new();
    for (uint32_t first = 0; first < count; first += batch->count) {
        DIC_TRY(dic_ledger_batch_read(ledger, job_id, first, count - first, batch, err));
        for (uint32_t i = 0; i < batch->count; i++) {
            DIC_TRY(visit(context, first + i, &batch->items[i], err));
        }
    }
    return DIC_OK;
}

enum dic_code dic_ledger_get_tally(struct dic_ledger *ledger, const char *job_id,
                                   struct dic_item *item_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    dic_ledger_tally_pk(pk, job_id);
    return table->ops->get(table->impl, dic_str(pk), item_out, err);
}

enum dic_code dic_ledger_state(const struct dic_item *job, enum dic_job_state *state_out,
                               struct dic_err *err)
{
    return dic_job_state_parse(dic_item_text(job, "st"), state_out, err);
}

enum dic_code dic_ledger_object_read(enum dic_code code, const char *object, struct dic_err *err)
{
    return code != DIC_E_NOT_FOUND
               ? code
               : dic_fail(err, DIC_E_INTERNAL,
                          "object '%s' of the result bucket is gone, but the ledger names it",
                          object);
}

bool dic_ledger_is_full(const struct dic_item *segment)
{
    return segment->exists && dic_str_is(dic_item_text(segment, "st"), "OPEN") &&
           dic_item_number(segment, "nd", 0) >= dic_item_number(segment, "n", INT64_MAX);
}

enum dic_code dic_ledger_move(struct dic_ledger *ledger, const char *job_id,
                              const struct dic_change *changes, size_t count,
                              const char *const *states, bool *applied_out,
                              struct dic_item *item_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    const struct dic_cond conds[] = {dic_if_exists("pk"), dic_if_state(states)};
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), changes, count, conds, 2};
    return table->ops->update(table->impl, &write, applied_out, item_out, err);
}

struct dic_change dic_set_text(const char *name, struct dic_str text)
{
    return (struct dic_change){.kind = DIC_SET_TEXT, .name = name, .text = text};
}

struct dic_change dic_set_number(const char *name, int64_t number)
{
    return (struct dic_change){.kind = DIC_SET_NUMBER, .name = name, .number = number};
}

struct dic_change dic_remove(const char *name)
{
    return (struct dic_change){.kind = DIC_REMOVE, .name = name};
}

struct dic_change dic_add(const char *name, int64_t number)
{
    return (struct dic_change){.kind = DIC_ADD_NUMBER, .name = name, .number = number};
}

struct dic_change dic_set_map(const char *name)
{
    return (struct dic_change){.kind = DIC_SET_MAP, .name = name};
}

struct dic_change dic_set_entry(const char *name, struct dic_str key, struct dic_str text)
{
    return (struct dic_change){.kind = DIC_SET_MAP_ENTRY, .name = name, .key = key, .text = text};
}

struct dic_cond dic_if_absent(const char *name)
{
    return (struct dic_cond){.kind = DIC_COND_ABSENT, .name = name};
}

struct dic_cond dic_if_exists(const char *name)
{
    return (struct dic_cond){.kind = DIC_COND_EXISTS, .name = name};
}

struct dic_cond dic_if_state(const char *const *states)
{
    struct dic_cond cond = {.kind = DIC_COND_TEXT_IN, .name = "st"};
    for (int i = 0; i < DIC_COND_WORDS_MAX && states[i] != NULL; i++) {
        cond.words[i] = states[i];
    }
    return cond;
}
