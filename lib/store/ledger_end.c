/* SPDX-License-Identifier: Apache-2.0 */
/* FILL and COMPLETE of docs/protocol.md. */
#include "base/thread.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const running[] = {"RUNNING", NULL};

void dic_ledger_add_segment_sums(struct dic_ledger_sums *sums, const struct dic_item *segment)
{
    sums->succeeded += dic_item_number(segment, "ok", 0);
    sums->failed += dic_item_number(segment, "er", 0);
    sums->unknown += dic_item_number(segment, "un", 0);
    sums->booked += dic_item_number(segment, "nd", 0);
    sums->full += dic_ledger_is_full(segment);
}

static enum dic_code add_sums(void *context, uint32_t segment, const struct dic_item *item,
                              struct dic_err *err)
{
    (void)segment;
    (void)err;
    dic_ledger_add_segment_sums(context, item);
    return DIC_OK;
}

enum dic_code dic_ledger_sum(struct dic_ledger *ledger, const char *job_id, uint32_t count,
                             struct dic_ledger_sums *out, struct dic_err *err)
{
    *out = (struct dic_ledger_sums){0};
    return dic_ledger_read_segments(ledger, job_id, count, add_sums, out, err);
}

/* ---- SUCCEEDED ---- */

enum dic_code dic_ledger_set_tally_ttl(struct dic_ledger *ledger, const char *job_id,
                                       const struct dic_item *job, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change change = dic_set_number("ttl", dic_ledger_segment_ttl(ledger));
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

/* Of all segments, by several threads. */
struct finish {
    struct dic_ledger *ledger;
    const char *job_id;
    bool has_labels; /* each segment has its labels object */
    int64_t ttl;
    pthread_mutex_t lock; /* guards what follows */
    struct dic_label_tally tally;
};

static void finish_clean_up(struct finish *finish)
{
    dic_label_tally_clean_up(&finish->tally);
    pthread_mutex_destroy(&finish->lock);
}

/* It goes some days after the job: late readers and writers find it until then. */
static enum dic_code set_segment_ttl(const struct finish *finish, uint32_t segment,
                                     struct dic_err *err)
{
    const struct dic_table *table = &finish->ledger->options.table;
    const struct dic_change change = dic_set_number("ttl", finish->ttl);
    const struct dic_cond cond = dic_if_exists("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_ledger_segment_pk(pk, finish->job_id, segment);
    const struct dic_table_write write = {dic_str(pk), &change, 1, &cond, 1};
    return table->ops->update(table->impl, &write, &applied, NULL, err);
}

static enum dic_code finish_segment(void *context, uint32_t segment, struct dic_err *err)
{
    struct finish *finish = context;
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally labels;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_label_tally_init(&labels);
    DIC_TRY(set_segment_ttl(finish, segment, err));
    if (!finish->has_labels) {
        return DIC_OK;
    }
    dic_ledger_labels_object(object, finish->job_id, segment);
    enum dic_code code = dic_ledger_add_labels(finish->ledger, object, &labels, err);
    DIC_TRY(dic_ledger_object_read(code, object, err));
    DIC_GUARD(&finish->lock);
    dic_label_tally_add_all(&finish->tally, &labels);
    return dic_buf_check(&finish->tally.names, err);
}

/* The ttl of all segments and of the tally, and the labels of the job: of each segment's labels
 * object, or of the only segment's shards. */
static enum dic_code finish_segments(struct dic_ledger *ledger, const char *job_id,
                                     const struct dic_item *job, uint32_t segments,
                                     struct dic_err *err)
{
    DIC_CLEANUP(finish_clean_up)
    struct finish finish = {.ledger = ledger,
                            .job_id = job_id,
                            .has_labels = segments > 1,
                            .ttl = dic_ledger_segment_ttl(ledger)};
    char object[DIC_LEDGER_KEY_SIZE];
    dic_mutex_init(&finish.lock);
    dic_label_tally_init(&finish.tally);
    DIC_TRY(dic_ledger_lanes_run(ledger->lanes, segments, finish_segment, &finish, err));
    DIC_TRY(dic_ledger_set_tally_ttl(ledger, job_id, job, err));
    if (segments == 1) {
        DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
        dic_item_init(&item);
        DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &item, err));
        DIC_TRY(dic_ledger_add_shard_labels(ledger, job_id, 0, &item, &finish.tally, err));
    }
    dic_ledger_all_labels_object(object, job_id);
    return dic_ledger_put_labels(ledger, object, &finish.tally, err);
}

enum dic_code dic_ledger_end_job(struct dic_ledger *ledger, const char *job_id,
                                 const struct dic_item *job, enum dic_job_state ended,
                                 const struct dic_ledger_sums *sums, struct dic_str model,
                                 struct dic_err *err)
{
    const int64_t images = dic_item_number(job, "n", dic_item_number(job, "pi", 0));
    const int64_t now = dic_ledger_now(ledger);
    char from[16];
    const char *const states[] = {from, NULL};
    struct dic_change changes[13] = {
        dic_set_text("st", dic_str(dic_job_state_word(ended))),
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
    snprintf(from, sizeof from, "%.*s", DIC_STR_ARGS(dic_item_text(job, "st")));
    if (ended != DIC_JOB_SUCCEEDED) { /* where its rows end: the rest need not be read for them */
        changes[count++] = dic_set_number("rs", sums->rows_end);
    }
    if (!dic_item_has(job, "sa") && sums->booked > 0) { /* who booked first died before noting it */
        changes[count++] = dic_set_number("sa", now);
        changes[count++] = dic_set_text("model", model);
    }
    return dic_ledger_move(ledger, job_id, changes, count, states, &applied, NULL, err);
}

/* Of the first segment's first shard: it is full, and the last one alone may be without chunks. */
static enum dic_code find_model(struct dic_ledger *ledger, const char *job_id,
                                struct dic_buf *model_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &item, err));
    return dic_ledger_get_shard_model(ledger, job_id, 0, &item, model_out, err);
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
    DIC_TRY(finish_segments(ledger, job_id, job, segments, err));
    if (!dic_item_has(job, "sa")) {
        DIC_TRY(find_model(ledger, job_id, &model, err));
    }
    return dic_ledger_end_job(ledger, job_id, job, DIC_JOB_SUCCEEDED, &sums, dic_buf_view(&model),
                              err);
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
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    if (segments == 1) {
        DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &item, err));
        *full_out = dic_ledger_is_full(&item);
        *failed_out = dic_item_number(&item, "er", 0);
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_get_tally(ledger, job_id, &item, err));
    *full_out = dic_item_map_size(&item, "full") == segments;
    *failed_out = tally_failures(&item);
    return DIC_OK;
}

/* FINALIZING when all is there. A job with more failures than allowed is stopped, and does not
 * succeed, whoever overlooked it before; while it is planned only the full segments can tell. job
 * is what it is then. */
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
    DIC_TRY(dic_ledger_stop_if_failing(ledger, job_id, job, failed, &stopped, err));
    return stopped || !is_running || !is_full
               ? DIC_OK
               : dic_ledger_move(ledger, job_id, &change, 1, running, &applied, job, err);
}

enum dic_code dic_ledger_go_on(struct dic_ledger *ledger, const char *job_id, struct dic_item *job,
                               struct dic_err *err)
{
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    if (!job->exists) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_state(job, &state, err));
    if (dic_job_is_open(state)) {
        DIC_TRY(complete_open(ledger, job_id, job, err)); /* others may have moved it, too */
        DIC_TRY(job->exists ? dic_ledger_state(job, &state, err) : DIC_OK);
    }
    if (state == DIC_JOB_FINALIZING) {
        return finalize(ledger, job_id, job, err);
    }
    return dic_job_sealed_state(state) != state ? dic_ledger_seal_job(ledger, job_id, job, err)
                                                : DIC_OK;
}

enum dic_code dic_ledger_complete(struct dic_ledger *ledger, const char *job_id,
                                  struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    dic_item_init(&job);
    enum dic_code code = dic_ledger_get_job(ledger, job_id, &job, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK;
    }
    DIC_TRY(code);
    return dic_ledger_go_on(ledger, job_id, &job, err);
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
