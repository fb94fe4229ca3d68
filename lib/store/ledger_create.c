/* SPDX-License-Identifier: Apache-2.0 */
/* Submitting: whose the job is, its parts, and the job item as the commit point. */
#include "base/log.h"
#include "base/rand.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CLAIM_TRIES = 8, MAX_CREATE_CHANGES = 24 };
static const int64_t HOUR_MS = 3600 * 1000;

/* ---- whose job ---- */

struct claim {
    char id[DIC_ID_SIZE];
    bool is_named; /* by somebody before: the job may exist already */
    int64_t cut;   /* the chunk size that its first creator cuts a list with; 0: not known */
};

static void take_name(struct claim *claim, struct dic_str id)
{
    if (dic_job_id_valid(id)) {
        memcpy(claim->id, id.ptr, DIC_ID_LEN);
        claim->is_named = true;
    }
}

static enum dic_code claim_key(struct dic_ledger *ledger, const struct dic_new_job *job,
                               struct claim *claim, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    const int64_t now = dic_ledger_now(ledger);
    const int64_t expires = now + DIC_IDEMPOTENCY_HOURS * HOUR_MS;
    const struct dic_change changes[] = {
        dic_set_text("job", dic_str(claim->id)),   dic_set_text("req", job->request_hash),
        dic_set_number("cut", job->chunk_images),  dic_set_number("exp", expires),
        dic_set_number("ttl", expires / 1000 + 1),
    };
    const struct dic_cond conds[] = {
        dic_if_absent("pk"),
        {.kind = DIC_COND_NUMBER_LESS, .name = "exp", .number = now, .or_else = true},
    };
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_item_init(&item);
    dic_ledger_idempotency_pk(pk, job->idempotency_key);
    const struct dic_table_write write = {dic_str(pk), changes, 5, conds, 2};
    DIC_TRY(table->ops->put(table->impl, &write, &applied, &item, err));
    if (applied) {
        return DIC_OK;
    }
    if (!dic_str_eq(dic_item_text(&item, "req"), job->request_hash)) {
        return dic_fail_field(err, DIC_E_INVALID, "Idempotency-Key",
                              "this Idempotency-Key was used for another request (job %.*s)",
                              DIC_STR_ARGS(dic_item_text(&item, "job")));
    }
    if (!dic_str_is(dic_item_text(&item, "job"), claim->id)) { /* ours after a lost answer */
        take_name(claim, dic_item_text(&item, "job"));
        claim->cut = dic_item_number(&item, "cut", 0);
    }
    return DIC_OK;
}

/* Whether the child that the item names has not ended. */
static enum dic_code child_lives(struct dic_ledger *ledger, const struct dic_item *item,
                                 bool *lives_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    struct claim named = {0};
    dic_item_init(&job);
    take_name(&named, dic_item_text(item, "job"));
    enum dic_code code = dic_ledger_get_job(ledger, named.id, &job, err);
    if (code == DIC_E_NOT_FOUND) {
        /* One that is still being created, perhaps to be helped: had it been removed after its
         * end, this item would be gone too. */
        *lives_out = !job.exists;
        return DIC_OK;
    }
    DIC_TRY(code);
    DIC_TRY(dic_ledger_state(&job, &state, err));
    *lives_out = !dic_job_is_terminal(state);
    return DIC_OK;
}

/* A parent has at most one live child: the item names it, and is replaced only once it has ended.
 */
static enum dic_code claim_child(struct dic_ledger *ledger, const struct dic_new_job *job,
                                 struct claim *claim, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    char parent[DIC_ID_SIZE];
    char pk[DIC_LEDGER_PK_SIZE];
    char old[DIC_ID_SIZE] = "";
    bool applied = false;
    dic_item_init(&item);
    snprintf(parent, sizeof parent, "%.*s", DIC_STR_ARGS(job->retry_of));
    DIC_TRY(dic_ledger_get_job(ledger, parent, &item, err));
    const struct dic_change changes[] = {
        dic_set_text("job", dic_str(claim->id)),
        dic_set_number("ttl", dic_item_number(&item, "ttl", dic_ledger_ttl(ledger, 0))),
    };
    dic_ledger_child_pk(pk, job->retry_of);
    for (int i = 0; i < CLAIM_TRIES; i++) {
        bool lives = false;
        const char *const words[] = {old, NULL};
        struct dic_cond cond = old[0] == '\0' ? dic_if_absent("pk") : dic_if_state(words);
        cond.name = old[0] == '\0' ? "pk" : "job";
        const struct dic_table_write write = {dic_str(pk), changes, 2, &cond, 1};
        DIC_TRY(table->ops->put(table->impl, &write, &applied, &item, err));
        if (applied) {
            return DIC_OK;
        }
        struct dic_str child = dic_item_text(&item, "job");
        if (dic_str_is(child, claim->id)) {
            return DIC_OK; /* an earlier try of ours, whose answer was lost */
        }
        DIC_TRY(child_lives(ledger, &item, &lives, err));
        if (lives) {
            take_name(claim, child);
            return DIC_OK;
        }
        snprintf(old, sizeof old, "%.*s", DIC_STR_ARGS(child));
    }
    return dic_fail(err, DIC_E_BUSY, "job '%.*s' is being retried by many at once",
                    DIC_STR_ARGS(job->retry_of));
}

/* ---- the parts, then the job ---- */

struct parts {
    uint32_t chunks;
    int64_t images;
    struct dic_item segment; /* of a job that is planned at once */
};

static enum dic_code put_only_segment(struct dic_ledger *ledger, const char *job_id,
                                      const struct dic_segment_plan *plan, struct parts *parts,
                                      struct dic_err *err)
{
    DIC_CLEANUP(dic_ledger_cut_clean_up) struct dic_ledger_cut cut;
    dic_ledger_cut_init(&cut);
    DIC_TRY(dic_ledger_put_manifest(ledger, job_id, plan, true, &cut, err));
    DIC_TRY(dic_ledger_put_segment(ledger, job_id, &cut, &parts->segment, err));
    parts->chunks = (uint32_t)dic_item_number(&parts->segment, "n", 0);
    parts->images = dic_item_number(&parts->segment, "im", 0);
    return DIC_OK;
}

static enum dic_code put_keys_and_tally(struct dic_ledger *ledger, const char *job_id,
                                        struct dic_str keys, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_blob_store *results = &ledger->options.results;
    const struct dic_change change = dic_set_map("full");
    const struct dic_cond cond = dic_if_absent("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    char object[DIC_LEDGER_KEY_SIZE];
    bool applied = false;
    if (keys.len > 0) {
        dic_ledger_keys_object(object, job_id);
        enum dic_code code = results->ops->put(results->impl, dic_str(object), keys, true, err);
        if (code != DIC_E_CONFLICT) { /* the same list is there */
            DIC_TRY(code);
        }
    }
    dic_ledger_tally_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), &change, 1, &cond, 1};
    return table->ops->put(table->impl, &write, &applied, NULL, err);
}

static size_t describe(const struct dic_new_job *job, const char *job_id, const char *threshold,
                       const char *sort, struct dic_change *out)
{
    const struct dic_job_params *params = &job->params;
    size_t count = 0;
    out[count++] = dic_set_number("src", params->source);
    out[count++] = dic_set_number("tk", params->top_k);
    out[count++] = dic_set_text("th", dic_str(threshold));
    out[count++] = dic_set_number("mf", params->max_failures);
    out[count++] = dic_set_text("spec", params->spec_json);
    out[count++] = dic_set_text("req", job->request_hash);
    out[count++] = dic_set_number("cr", job->created_ms);
    out[count++] = dic_set_text("lst", DIC_STR_LIT("L#" DIC_TENANT));
    out[count++] = dic_set_text("crt", dic_str(sort));
    out[count++] = dic_set_number("obs", dic_ledger_outbox_shard(job_id));
    if (params->deadline_ms > 0) {
        out[count++] = dic_set_number("dl", params->deadline_ms);
    }
    if (job->retry_of.len > 0) {
        out[count++] = dic_set_text("par", job->retry_of);
    }
    return count;
}

static int64_t first_look(const struct dic_ledger *ledger, int64_t deadline_ms)
{
    int64_t look = dic_ledger_now(ledger) + ledger->options.look_ms;
    return deadline_ms > 0 && deadline_ms < look ? deadline_ms : look;
}

static enum dic_code put_job(struct dic_ledger *ledger, const struct dic_new_job *job,
                             const char *job_id, const struct parts *parts, bool *applied_out,
                             struct dic_item *there_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_cond cond = dic_if_absent("pk");
    struct dic_change changes[MAX_CREATE_CHANGES];
    char pk[DIC_LEDGER_PK_SIZE];
    char threshold[40];
    char sort[64];
    const bool is_planned = job->segment != NULL;
    snprintf(threshold, sizeof threshold, "%.17g", job->params.confidence_threshold);
    snprintf(sort, sizeof sort, "%016" PRId64 "#%s", job->created_ms, job_id);
    size_t count = describe(job, job_id, threshold, sort, changes);
    changes[count++] = dic_set_number("obd", first_look(ledger, job->params.deadline_ms));
    changes[count++] = dic_set_text("st", dic_str(is_planned ? "RUNNING" : "ACCEPTED"));
    changes[count++] = dic_set_number("cur", is_planned ? 1 : 0);
    changes[count++] = dic_set_number("pc", parts->chunks);
    changes[count++] = dic_set_number("pi", parts->images);
    if (is_planned) {
        changes[count++] = dic_set_number("one", 1);
        changes[count++] = dic_set_number("nseg", 1);
        changes[count++] = dic_set_number("n", parts->images);
    } else if (job->images > 0) {
        changes[count++] = dic_set_number("n", job->images);
    }
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), changes, count, &cond, 1};
    return table->ops->put(table->impl, &write, applied_out, there_out, err);
}

static enum dic_code send_plan(struct dic_ledger *ledger, const char *job_id, struct dic_err *err)
{
    const struct dic_job_queue *queue = &ledger->options.queue;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    memcpy(message.job_id, job_id, DIC_ID_SIZE);
    return queue->ops->send(queue->impl, &message, 1, err);
}

/* The sweeper finds work whose message was lost. */
static void note_unsent(const char *job_id, enum dic_code code, const struct dic_err *err)
{
    if (code != DIC_OK) {
        dic_log_message(DIC_LOG_WARN, "send_failed", "job %s: %s", job_id, err->msg);
    }
}

static void send_first(struct dic_ledger *ledger, const char *job_id, const struct parts *parts)
{
    struct dic_err err = {0};
    uint32_t sent = 0;
    note_unsent(job_id,
                parts->segment.exists ? dic_ledger_send_chunks(ledger, job_id, 0, &parts->segment,
                                                               DIC_SEGMENT_CHUNKS, &sent, &err)
                                      : send_plan(ledger, job_id, &err),
                &err);
}

static void parts_clean_up(struct parts *parts)
{
    dic_item_clean_up(&parts->segment);
}

/* PLAN, unless a replay has sent it; then notes it. */
static enum dic_code send_plan_once(struct dic_ledger *ledger, const char *job_id,
                                    const struct dic_item *job, struct dic_err *err)
{
    static const char *const accepted[] = {"ACCEPTED", NULL};
    const struct dic_change sent = dic_set_number("snt", 1);
    bool applied = false;
    if (dic_item_number(job, "snt", 0) != 0) {
        return DIC_OK;
    }
    DIC_TRY(send_plan(ledger, job_id, err));
    return dic_ledger_move(ledger, job_id, &sent, 1, accepted, &applied, NULL, err);
}

/* Whoever created the job may have died before it had sent all, and does not note that it has, as
 * that would cost each job a write. So the first replay sends what is not booked, and notes it:
 * however often a request is repeated, a message is sent twice at most. */
static enum dic_code send_replayed(struct dic_ledger *ledger, const char *job_id,
                                   const struct dic_item *job, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item segment;
    dic_item_init(&segment);
    if (dic_str_is(dic_item_text(job, "st"), "ACCEPTED")) {
        return send_plan_once(ledger, job_id, job, err);
    }
    if (!dic_str_is(dic_item_text(job, "st"), "RUNNING") || !dic_item_has(job, "one")) {
        return DIC_OK; /* its planner sends, and notes it */
    }
    DIC_TRY(dic_ledger_get_segment(ledger, job_id, 0, &segment, err));
    return dic_ledger_send_once(ledger, job_id, 0, &segment, err);
}

static void send_again(struct dic_ledger *ledger, const char *job_id, const struct dic_item *job)
{
    struct dic_err err = {0};
    note_unsent(job_id, send_replayed(ledger, job_id, job, &err), &err);
}

static enum dic_code create_as(struct dic_ledger *ledger, const struct dic_new_job *job,
                               const struct claim *claim, enum dic_create_result *result_out,
                               struct dic_err *err)
{
    const char *job_id = claim->id;
    DIC_CLEANUP(parts_clean_up) struct parts parts = {0};
    DIC_CLEANUP(dic_item_clean_up) struct dic_item there;
    bool applied = false;
    dic_item_init(&parts.segment);
    dic_item_init(&there);
    if (job->segment != NULL) {
        DIC_TRY(put_only_segment(ledger, job_id, job->segment, &parts, err));
    } else {
        DIC_TRY(put_keys_and_tally(ledger, job_id, job->keys, err));
    }
    DIC_TRY(put_job(ledger, job, job_id, &parts, &applied, &there, err));
    /* Under an id that nobody else can know, a job that is there already is ours: the answer to our
     * put was lost. With a key somebody may have helped, and messages are sent twice at worst. */
    const bool is_secret = job->idempotency_key.len == 0 && job->retry_of.len == 0;
    *result_out = applied || is_secret ? DIC_CREATED : DIC_CREATE_REPLAYED;
    if (applied || is_secret) {
        send_first(ledger, job_id, &parts);
    } else {
        send_again(ledger, job_id, &there);
    }
    return DIC_OK;
}

/* A list that somebody else has begun to cut is cut as they did, although this service may have
 * another CHUNK_IMAGES while a new version is rolled out: parts of two cuts would not fit together.
 * Jobs without a list are cut by their planners alone. */
static enum dic_code create_claimed(struct dic_ledger *ledger, const struct dic_new_job *job,
                                    const struct claim *claim, enum dic_create_result *result_out,
                                    struct dic_err *err)
{
    DIC_CLEANUP(dic_ledger_recut_clean_up) struct dic_ledger_recut recut;
    const bool has_list = job->segment != NULL || job->keys.len > 0;
    dic_ledger_recut_init(&recut);
    if (has_list && claim->cut != 0 && claim->cut != job->chunk_images) {
        DIC_TRY(dic_ledger_recut(job, claim->cut, &recut, err));
        job = &recut.job;
    }
    return create_as(ledger, job, claim, result_out, err);
}

enum dic_code dic_ledger_create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                                enum dic_create_result *result_out, bool *sent_out,
                                struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    struct claim claim = {.is_named = false};
    *sent_out = true;
    dic_item_init(&item);
    dic_rand_id(claim.id);
    if (job->retry_of.len > 0) { /* first: then a key names what the parent names */
        DIC_TRY(claim_child(ledger, job, &claim, err));
    }
    if (job->idempotency_key.len > 0) {
        DIC_TRY(claim_key(ledger, job, &claim, err));
    }
    memcpy(id_out, claim.id, DIC_ID_SIZE);
    if (claim.is_named) {
        enum dic_code code = dic_ledger_get_job(ledger, claim.id, &item, err);
        if (code != DIC_E_NOT_FOUND || item.exists) {
            *result_out = DIC_CREATE_REPLAYED;
            DIC_TRY(code);
            send_again(ledger, claim.id, &item);
            return DIC_OK;
        }
    }
    return create_claimed(ledger, job, &claim, result_out, err);
}
