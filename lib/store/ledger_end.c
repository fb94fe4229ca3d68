/* SPDX-License-Identifier: Apache-2.0 */
/* FILL, COMPLETE, STOP and SEAL of docs/protocol.md. */
#include "base/mem.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SUM_BATCH = 100, /* items read at a time */
    SEALED_LABEL_SHARDS = 256,
};
static const int64_t SEGMENT_TTL_EXTRA_MS = 7 * 24 * 3600 * 1000LL;

static const char *const running[] = {"RUNNING", NULL};
static const char *const finalizing[] = {"FINALIZING", NULL};
static const char *const open_states[] = {"ACCEPTED", "PLANNING", "RUNNING", NULL};

void dic_ledger_add_segment_sums(struct dic_ledger_sums *sums, const struct dic_item *segment)
{
    sums->succeeded += dic_item_number(segment, "ok", 0);
    sums->failed += dic_item_number(segment, "er", 0);
    sums->unknown += dic_item_number(segment, "un", 0);
    sums->booked += dic_item_number(segment, "nd", 0);
    sums->full += dic_ledger_is_full(segment);
}

static void destroy_items(struct dic_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dic_item_clean_up(&items[i]);
    }
    dic_free(items);
}

enum dic_code dic_ledger_sum(struct dic_ledger *ledger, const char *job_id, uint32_t count,
                             struct dic_ledger_sums *out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char(*pks)[DIC_LEDGER_PK_SIZE] = dic_calloc(SUM_BATCH, sizeof *pks);
    struct dic_item *items = dic_calloc(SUM_BATCH, sizeof *items);
    struct dic_str views[SUM_BATCH];
    enum dic_code code = DIC_OK;
    *out = (struct dic_ledger_sums){0};
    for (uint32_t i = 0; i < SUM_BATCH; i++) {
        dic_item_init(&items[i]);
    }
    for (uint32_t first = 0; first < count && code == DIC_OK; first += SUM_BATCH) {
        uint32_t batch = count - first < SUM_BATCH ? count - first : SUM_BATCH;
        for (uint32_t i = 0; i < batch; i++) {
            dic_ledger_segment_pk(pks[i], job_id, first + i);
            views[i] = dic_str(pks[i]);
        }
        code = table->ops->get_many(table->impl, views, batch, items, err);
        for (uint32_t i = 0; i < batch && code == DIC_OK; i++) {
            dic_ledger_add_segment_sums(out, &items[i]);
        }
    }
    destroy_items(items, SUM_BATCH);
    dic_free(pks);
    return code;
}

/* ---- SUCCEEDED ---- */

static enum dic_code set_tally_ttl(struct dic_ledger *ledger, const char *job_id,
                                   const struct dic_item *job, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change change =
        dic_set_number("ttl", dic_ledger_ttl(ledger, SEGMENT_TTL_EXTRA_MS));
    const struct dic_cond exists = dic_if_exists("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    if (dic_item_has(job, "one")) {
        return DIC_OK; /* without a tally */
    }
    dic_ledger_tally_pk(pk, job_id);
    const struct dic_table_write tally = {dic_str(pk), &change, 1, &exists, 1};
    return table->ops->update(table->impl, &tally, &applied, NULL, err);
}

/* Each segment goes some days after the job: late readers and writers find it until then. */
static enum dic_code set_segment_ttl(struct dic_ledger *ledger, const char *job_id,
                                     const struct dic_item *job, uint32_t segments,
                                     struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change change =
        dic_set_number("ttl", dic_ledger_ttl(ledger, SEGMENT_TTL_EXTRA_MS));
    const struct dic_cond cond = dic_if_exists("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    for (uint32_t i = 0; i < segments; i++) {
        dic_ledger_segment_pk(pk, job_id, i);
        const struct dic_table_write write = {dic_str(pk), &change, 1, &cond, 1};
        DIC_TRY(table->ops->update(table->impl, &write, &applied, NULL, err));
    }
    return set_tally_ttl(ledger, job_id, job, err);
}

/* Of all segments: each one's labels object, or of the only one its shards. */
static enum dic_code put_all_labels(struct dic_ledger *ledger, const char *job_id,
                                    uint32_t segments, struct dic_err *err)
{
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally tally;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_label_tally_init(&tally);
    if (segments == 1) {
        DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
        dic_item_init(&item);
        DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &item, err));
        DIC_TRY(dic_ledger_add_shard_labels(ledger, job_id, 0, &item, &tally, err));
    }
    for (uint32_t i = 0; segments > 1 && i < segments; i++) {
        dic_ledger_labels_object(object, job_id, i);
        DIC_TRY(dic_ledger_add_labels(ledger, object, &tally, err));
    }
    dic_ledger_all_labels_object(object, job_id);
    return dic_ledger_put_labels(ledger, object, &tally, err);
}

static enum dic_code end_job(struct dic_ledger *ledger, const char *job_id,
                             const struct dic_item *job, const char *state, const char *const *from,
                             const struct dic_ledger_sums *sums, struct dic_str model,
                             struct dic_err *err)
{
    const int64_t images = dic_item_number(job, "n", dic_item_number(job, "pi", 0));
    const int64_t now = dic_ledger_now(ledger);
    struct dic_change changes[12] = {
        dic_set_text("st", dic_str(state)),
        dic_set_number("n", images),
        dic_set_number("ok", sums->succeeded),
        dic_set_number("er", sums->failed),
        dic_set_number("un", sums->unknown),
        dic_set_number("sk", images - sums->succeeded - sums->failed),
        dic_set_number("en", now),
        dic_set_number("ttl", dic_ledger_ttl(ledger, 0)),
        dic_remove("obs"),
        dic_remove("obd"),
    };
    size_t count = 10;
    bool applied = false;
    if (!dic_item_has(job, "sa") && sums->booked > 0) { /* who booked first died before noting it */
        changes[count++] = dic_set_number("sa", now);
        changes[count++] = dic_set_text("model", model);
    }
    return dic_ledger_move(ledger, job_id, changes, count, from, &applied, NULL, err);
}

/* The model of the first shard there is; empty without any. */
static enum dic_code find_model(struct dic_ledger *ledger, const char *job_id, uint32_t segments,
                                struct dic_buf *model_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    for (uint32_t i = 0; i < segments && model_out->len == 0; i++) {
        DIC_TRY(dic_ledger_get_segment(ledger, job_id, i, &item, err));
        DIC_TRY(dic_ledger_get_shard_model(ledger, job_id, i, &item, model_out, err));
    }
    return DIC_OK;
}

/* All segments are full and frozen: whoever does this computes the same. */
static enum dic_code finalize(struct dic_ledger *ledger, const char *job_id,
                              const struct dic_item *job, struct dic_err *err)
{
    const uint32_t segments = (uint32_t)dic_item_number(job, "nseg", 0);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf model;
    struct dic_ledger_sums sums;
    dic_buf_init(&model, DIC_LEDGER_HEAD_BYTES);
    DIC_TRY(dic_ledger_sum(ledger, job_id, segments, &sums, err));
    DIC_TRY(set_segment_ttl(ledger, job_id, job, segments, err));
    DIC_TRY(put_all_labels(ledger, job_id, segments, err));
    if (!dic_item_has(job, "sa")) {
        DIC_TRY(find_model(ledger, job_id, segments, &model, err));
    }
    return end_job(ledger, job_id, job, "SUCCEEDED", finalizing, &sums, dic_buf_view(&model), err);
}

static int64_t tally_failures(const struct dic_item *tally)
{
    int64_t failed = 0;
    struct dic_str key = {0};
    struct dic_str value = {0};
    for (size_t i = 0; dic_item_map_at(tally, "full", i, &key, &value); i++) {
        uint64_t number = 0;
        if (dic_parse_u64(value, 0, DIC_MAX_JOB_IMAGES, &number, NULL) == DIC_OK) {
            failed += (int64_t)number;
        }
    }
    return failed;
}

/* failed_out is of the full segments. */
static enum dic_code all_full(struct dic_ledger *ledger, const char *job_id, uint32_t segments,
                              bool *full_out, int64_t *failed_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    char pk[DIC_LEDGER_PK_SIZE];
    dic_item_init(&item);
    if (segments == 1) {
        DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &item, err));
        *full_out = dic_ledger_is_full(&item);
        *failed_out = dic_item_number(&item, "er", 0);
        return DIC_OK;
    }
    dic_ledger_tally_pk(pk, job_id);
    DIC_TRY(table->ops->get(table->impl, dic_str(pk), &item, err));
    *full_out = dic_item_map_size(&item, "full") == segments;
    *failed_out = tally_failures(&item);
    return DIC_OK;
}

/* A job with more failures than allowed is stopped, and does not succeed, whoever overlooked it
 * before. While it is planned only the full segments can tell. */
static enum dic_code complete_open(struct dic_ledger *ledger, const char *job_id,
                                   struct dic_item *job, struct dic_err *err)
{
    const struct dic_change change = dic_set_text("st", DIC_STR_LIT("FINALIZING"));
    const bool is_running = dic_str_is(dic_item_text(job, "st"), "RUNNING");
    int64_t failed = 0;
    bool is_full = false;
    bool stopped = false;
    bool applied = false;
    if (!is_running && dic_item_number(job, "mf", -1) < 0) {
        return DIC_OK;
    }
    DIC_TRY(all_full(ledger, job_id, (uint32_t)dic_item_number(job, "nseg", 0), &is_full, &failed,
                     err));
    DIC_TRY(dic_ledger_check_failures(ledger, job_id, job, failed, &stopped, err));
    if (stopped || !is_running || !is_full) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_move(ledger, job_id, &change, 1, running, &applied, job, err));
    return dic_str_is(dic_item_text(job, "st"), "FINALIZING") ? finalize(ledger, job_id, job, err)
                                                              : DIC_OK;
}

enum dic_code dic_ledger_complete(struct dic_ledger *ledger, const char *job_id,
                                  struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_item_init(&job);
    enum dic_code code = dic_ledger_get_job(ledger, job_id, &job, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK;
    }
    DIC_TRY(code);
    DIC_TRY(dic_ledger_state(&job, &state, err));
    switch (state) {
    case DIC_JOB_ACCEPTED:
    case DIC_JOB_PLANNING:
    case DIC_JOB_RUNNING:
        return complete_open(ledger, job_id, &job, err);
    case DIC_JOB_FINALIZING:
        return finalize(ledger, job_id, &job, err);
    case DIC_JOB_CANCELLING:
    case DIC_JOB_EXPIRING:
    case DIC_JOB_FAILING:
        return dic_ledger_seal(ledger, job_id, err);
    default:
        return DIC_OK;
    }
}

/* ---- FILL ---- */

static enum dic_code put_segment_labels(struct dic_ledger *ledger, const char *job_id,
                                        uint32_t segment, const struct dic_item *item,
                                        struct dic_err *err)
{
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally tally;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_label_tally_init(&tally);
    DIC_TRY(dic_ledger_add_shard_labels(ledger, job_id, segment, item, &tally, err));
    dic_ledger_labels_object(object, job_id, segment);
    return dic_ledger_put_labels(ledger, object, &tally, err);
}

static enum dic_code note_full(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                               int64_t failed, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    char key[16];
    char text[24];
    bool applied = false;
    snprintf(key, sizeof key, "%" PRIu32, segment);
    snprintf(text, sizeof text, "%" PRId64, failed);
    const struct dic_change change = dic_set_entry("full", dic_str(key), dic_str(text));
    const struct dic_cond cond = dic_if_exists("pk");
    dic_ledger_tally_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), &change, 1, &cond, 1};
    return table->ops->update(table->impl, &write, &applied, NULL, err);
}

enum dic_code dic_ledger_fill(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                              const struct dic_item *item, struct dic_err *err)
{
    if (dic_item_number(item, "one", 0) == 0) {
        DIC_TRY(put_segment_labels(ledger, job_id, segment, item, err));
        DIC_TRY(note_full(ledger, job_id, segment, dic_item_number(item, "er", 0), err));
    }
    return dic_ledger_complete(ledger, job_id, err);
}

/* ---- stopping ---- */

enum dic_code dic_ledger_stop(void *impl, const char *job_id, enum dic_job_state stop,
                              struct dic_str reason, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    const struct dic_change changes[] = {
        dic_set_text("st", dic_str(dic_job_state_word(stop))),
        dic_set_text("why", reason),
    };
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    bool applied = false;
    dic_item_init(&job);
    DIC_TRY(dic_ledger_move(ledger, job_id, changes, 2, open_states, &applied, &job, err));
    if (applied) {
        return DIC_OK;
    }
    if (!job.exists) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%s'", job_id);
    }
    DIC_TRY(dic_ledger_state(&job, &state, err));
    if (state == stop || state == dic_job_sealed_state(stop)) {
        return DIC_OK;
    }
    return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s already", job_id,
                    dic_job_state_api_word(state));
}

enum dic_code dic_ledger_fail_plan(void *impl, const char *job_id, uint32_t segment,
                                   struct dic_str reason, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change changes[] = {
        dic_set_text("st", dic_str(dic_job_state_word(DIC_JOB_FAILING))),
        dic_set_text("why", reason),
    };
    static const char *const planning[] = {"PLANNING", NULL};
    const struct dic_cond conds[] = {
        dic_if_state(planning),
        {.kind = DIC_COND_NUMBER_EQ, .name = "cur", .number = segment},
    };
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), changes, 2, conds, 2};
    DIC_TRY(table->ops->update(table->impl, &write, &applied, NULL, err));
    return applied ? DIC_OK
                   : dic_fail(err, DIC_E_CONFLICT, "job '%s' is planned past segment %" PRIu32,
                              job_id, segment);
}

static enum dic_code close_segment(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                                   struct dic_item *item_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change changes[] = {
        dic_set_text("st", DIC_STR_LIT("CLOSED")),
        dic_set_number("ttl", dic_ledger_ttl(ledger, SEGMENT_TTL_EXTRA_MS)),
    };
    const struct dic_cond exists = dic_if_exists("pk");
    const struct dic_cond absent = dic_if_absent("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_ledger_segment_pk(pk, job_id, segment);
    const struct dic_table_write update = {dic_str(pk), changes, 2, &exists, 1};
    const struct dic_table_write tombstone = {dic_str(pk), changes, 2, &absent, 1};
    DIC_TRY(table->ops->update(table->impl, &update, &applied, item_out, err));
    if (!applied) { /* reserved by a planner and not there: it shall not come either */
        DIC_TRY(table->ops->put(table->impl, &tombstone, &applied, item_out, err));
    }
    return applied ? DIC_OK : table->ops->update(table->impl, &update, &applied, item_out, err);
}

/* Closes all segments, then sums them: after that no booking can change them. Labels of a stopped
 * job are counted when few shards are to be read for it. */
static enum dic_code close_all(struct dic_ledger *ledger, const char *job_id, uint32_t segments,
                               struct dic_ledger_sums *sums, struct dic_err *err)
{
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally tally;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_item_init(&item);
    dic_label_tally_init(&tally);
    for (uint32_t i = 0; i < segments; i++) {
        DIC_TRY(close_segment(ledger, job_id, i, &item, err));
        dic_ledger_add_segment_sums(sums, &item);
        if (sums->booked <= SEALED_LABEL_SHARDS) {
            DIC_TRY(dic_ledger_add_shard_labels(ledger, job_id, i, &item, &tally, err));
        }
    }
    if (sums->booked > SEALED_LABEL_SHARDS) {
        return DIC_OK;
    }
    dic_ledger_all_labels_object(object, job_id);
    return dic_ledger_put_labels(ledger, object, &tally, err);
}

enum dic_code dic_ledger_seal(void *impl, const char *job_id, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf model;
    struct dic_ledger_sums sums = {0};
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_item_init(&job);
    dic_buf_init(&model, DIC_LEDGER_HEAD_BYTES);
    DIC_TRY(dic_ledger_get_job(ledger, job_id, &job, err));
    DIC_TRY(dic_ledger_state(&job, &state, err));
    if (dic_job_is_terminal(state)) {
        return DIC_OK;
    }
    const enum dic_job_state sealed = dic_job_sealed_state(state);
    if (sealed == state) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being stopped", job_id,
                        dic_job_state_word(state));
    }
    DIC_TRY(close_all(ledger, job_id, (uint32_t)dic_item_number(&job, "cur", 0), &sums, err));
    DIC_TRY(set_tally_ttl(ledger, job_id, &job, err));
    if (!dic_item_has(&job, "sa")) {
        DIC_TRY(find_model(ledger, job_id, (uint32_t)dic_item_number(&job, "cur", 0), &model, err));
    }
    const char *const from[] = {dic_job_state_word(state), NULL};
    return end_job(ledger, job_id, &job, dic_job_state_word(sealed), from, &sums,
                   dic_buf_view(&model), err);
}

enum dic_code dic_ledger_check_failures(struct dic_ledger *ledger, const char *job_id,
                                        const struct dic_item *job, int64_t failed,
                                        bool *stopped_out, struct dic_err *err)
{
    const int64_t most = dic_item_number(job, "mf", -1);
    char reason[128];
    *stopped_out = most >= 0 && failed > most;
    if (!*stopped_out) {
        return DIC_OK;
    }
    snprintf(reason, sizeof reason, "%" PRId64 " images failed, max_failures is %" PRId64, failed,
             most);
    enum dic_code code = dic_ledger_stop(ledger, job_id, DIC_JOB_FAILING, dic_str(reason), err);
    if (code == DIC_OK) {
        code = dic_ledger_seal(ledger, job_id, err);
    }
    return code == DIC_E_CONFLICT || code == DIC_E_NOT_FOUND ? DIC_OK : code;
}
