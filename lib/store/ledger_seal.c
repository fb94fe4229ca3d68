/* SPDX-License-Identifier: Apache-2.0 */
/* STOP and SEAL of docs/protocol.md. */
#include "base/thread.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SEALED_LABEL_SHARDS = 256 };

static const char *const open_states[] = {"ACCEPTED", "PLANNING", "RUNNING", NULL};

/* ---- STOP ---- */

/* STOP; job_out is the job after it. */
static enum dic_code stop_job(struct dic_ledger *ledger, const char *job_id,
                              enum dic_job_state stop, struct dic_str reason, bool *applied_out,
                              struct dic_item *job_out, struct dic_err *err)
{
    const struct dic_change changes[] = {
        dic_set_text("st", dic_str(dic_job_state_word(stop))),
        dic_set_text("why", reason),
    };
    return dic_ledger_move(ledger, job_id, changes, 2, open_states, applied_out, job_out, err);
}

enum dic_code dic_ledger_stop(void *impl, const char *job_id, enum dic_job_state stop,
                              struct dic_str reason, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    bool applied = false;
    dic_item_init(&job);
    DIC_TRY(stop_job(impl, job_id, stop, reason, &applied, &job, err));
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

enum dic_code dic_ledger_stop_if_failing(struct dic_ledger *ledger, const char *job_id,
                                         struct dic_item *job, int64_t failed, bool *stopped_out,
                                         struct dic_err *err)
{
    const int64_t most = dic_item_number(job, "mf", -1);
    char reason[128];
    bool applied = false;
    *stopped_out = most >= 0 && failed > most;
    if (!*stopped_out) {
        return DIC_OK;
    }
    snprintf(reason, sizeof reason, "%" PRId64 " images failed, max_failures is %" PRId64, failed,
             most);
    return stop_job(ledger, job_id, DIC_JOB_FAILING, dic_str(reason), &applied, job, err);
}

enum dic_code dic_ledger_check_failures(struct dic_ledger *ledger, const char *job_id,
                                        struct dic_item *job, int64_t failed, bool *stopped_out,
                                        struct dic_err *err)
{
    DIC_TRY(dic_ledger_stop_if_failing(ledger, job_id, job, failed, stopped_out, err));
    return *stopped_out ? dic_ledger_go_on(ledger, job_id, job, err) : DIC_OK;
}

/* ---- SEAL ---- */

static enum dic_code close_segment(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                                   struct dic_item *item_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change changes[] = {
        dic_set_text("st", DIC_STR_LIT("CLOSED")),
        dic_set_number("ttl", dic_ledger_segment_ttl(ledger)),
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

/* What several threads find as they close the segments. */
struct seal {
    struct dic_ledger *ledger;
    const char *job_id;
    pthread_mutex_t lock; /* guards what follows */
    struct dic_ledger_sums sums;
    /* Shards, for their labels and the model: all of them, or when there are too many only the one
     * of the first chunk. */
    struct shard {
        uint32_t chunk;
        uint32_t succeeded;
        char attempt[DIC_ID_SIZE];
    } shards[SEALED_LABEL_SHARDS];
    uint32_t shard_count;
    struct dic_label_tally tally;
};

static void seal_clean_up(struct seal *seal)
{
    dic_label_tally_clean_up(&seal->tally);
    pthread_mutex_destroy(&seal->lock);
}

static void note_shard(struct seal *seal, uint32_t chunk, const struct dic_ledger_entry *entry)
{
    struct shard shard = {.chunk = chunk, .succeeded = entry->succeeded};
    snprintf(shard.attempt, sizeof shard.attempt, "%.*s", DIC_STR_ARGS(entry->attempt));
    if (seal->shard_count > 0 && chunk < seal->shards[0].chunk) {
        const struct shard first = seal->shards[0];
        seal->shards[0] = shard;
        shard = first;
    }
    if (seal->shard_count < SEALED_LABEL_SHARDS) {
        seal->shards[seal->shard_count++] = shard;
    }
}

static enum dic_code close_and_note(void *context, uint32_t segment, struct dic_err *err)
{
    struct seal *seal = context;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    DIC_TRY(close_segment(seal->ledger, seal->job_id, segment, &item, err));
    DIC_GUARD(&seal->lock);
    dic_ledger_add_segment_sums(&seal->sums, &item);
    if (dic_item_number(&item, "nd", 0) > 0 && segment >= seal->sums.rows_end) {
        seal->sums.rows_end = segment + 1;
    }
    for (uint32_t i = 0; i < DIC_SEGMENT_CHUNKS; i++) {
        struct dic_ledger_entry entry;
        if (dic_ledger_segment_entry(&item, segment * DIC_SEGMENT_CHUNKS + i, &entry)) {
            note_shard(seal, segment * DIC_SEGMENT_CHUNKS + i, &entry);
        }
    }
    return DIC_OK;
}

static enum dic_code add_shard(void *context, uint32_t index, struct dic_err *err)
{
    struct seal *seal = context;
    const struct shard *shard = &seal->shards[index];
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally labels;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_label_tally_init(&labels);
    if (shard->succeeded == 0) {
        return DIC_OK;
    }
    dic_ledger_shard_object(object, seal->job_id, shard->chunk, dic_str(shard->attempt));
    enum dic_code code = dic_ledger_add_labels(seal->ledger, object, &labels, err);
    DIC_TRY(dic_ledger_object_read(code, object, err));
    DIC_GUARD(&seal->lock);
    dic_label_tally_add_all(&seal->tally, &labels);
    return dic_buf_check(&seal->tally.names, err);
}

/* Labels of a stopped job are counted when few shards are to be read for it. */
static enum dic_code put_labels(struct seal *seal, struct dic_err *err)
{
    char object[DIC_LEDGER_KEY_SIZE];
    if (seal->sums.booked > SEALED_LABEL_SHARDS) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_lanes_run(seal->ledger->lanes, seal->shard_count, add_shard, seal, err));
    dic_ledger_all_labels_object(object, seal->job_id);
    return dic_ledger_put_labels(seal->ledger, object, &seal->tally, err);
}

/* Closes all segments, in any order, and sums them: after that no booking can change them. */
static enum dic_code seal_all(struct seal *seal, const struct dic_item *job,
                              enum dic_job_state sealed, struct dic_err *err)
{
    struct dic_ledger *ledger = seal->ledger;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf model;
    const uint32_t segments = (uint32_t)dic_item_number(job, "cur", 0);
    dic_buf_init(&model, DIC_LEDGER_HEAD_BYTES);
    DIC_TRY(dic_ledger_lanes_run(ledger->lanes, segments, close_and_note, seal, err));
    DIC_TRY(put_labels(seal, err));
    DIC_TRY(dic_ledger_set_tally_ttl(ledger, seal->job_id, job, err));
    if (!dic_item_has(job, "sa") && seal->shard_count > 0) {
        DIC_TRY(dic_ledger_shard_model(ledger, seal->job_id, seal->shards[0].chunk,
                                       dic_str(seal->shards[0].attempt), &model, err));
    }
    return dic_ledger_end_job(ledger, seal->job_id, job, sealed, &seal->sums, dic_buf_view(&model),
                              err);
}

enum dic_code dic_ledger_seal_job(struct dic_ledger *ledger, const char *job_id,
                                  const struct dic_item *job, struct dic_err *err)
{
    DIC_CLEANUP(seal_clean_up) struct seal seal = {.ledger = ledger, .job_id = job_id};
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_mutex_init(&seal.lock);
    dic_label_tally_init(&seal.tally);
    DIC_TRY(dic_ledger_state(job, &state, err));
    return seal_all(&seal, job, dic_job_sealed_state(state), err);
}

enum dic_code dic_ledger_seal(void *impl, const char *job_id, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_item_init(&job);
    DIC_TRY(dic_ledger_get_job(impl, job_id, &job, err));
    DIC_TRY(dic_ledger_state(&job, &state, err));
    if (dic_job_is_terminal(state)) {
        return DIC_OK;
    }
    if (dic_job_sealed_state(state) == state) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being stopped", job_id,
                        dic_job_state_word(state));
    }
    return dic_ledger_seal_job(impl, job_id, &job, err);
}
