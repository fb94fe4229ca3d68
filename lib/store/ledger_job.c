/* SPDX-License-Identifier: Apache-2.0 */
/* A job as an item, and as the port hands it out. */
#include "base/mem.h"
#include "store/ledger_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BATCH = 100 };

/* ---- one job ---- */

static enum dic_code fill_numbers(const struct dic_item *item, const char *job_id,
                                  struct dic_job *out, struct dic_err *err)
{
    char threshold[40];
    snprintf(threshold, sizeof threshold, "%.*s", DIC_STR_ARGS(dic_item_text(item, "th")));
    memcpy(out->id, job_id, DIC_ID_SIZE);
    DIC_TRY(dic_ledger_state(item, &out->state, err));
    out->params.source = (enum dic_source_kind)dic_item_number(item, "src", 0);
    out->params.top_k = (uint32_t)dic_item_number(item, "tk", DIC_DEFAULT_TOP_K);
    out->params.confidence_threshold = strtod(threshold, NULL); /* written by us with %.17g */
    out->params.deadline_ms = dic_item_number(item, "dl", 0);
    out->params.max_failures = dic_item_number(item, "mf", -1);
    out->planned_segments = (uint32_t)dic_item_number(item, "cur", 0);
    out->planned_chunks = (uint32_t)dic_item_number(item, "pc", 0);
    out->planned_images = dic_item_number(item, "pi", 0);
    out->created_ms = dic_item_number(item, "cr", 0);
    out->started_ms = dic_item_number(item, "sa", 0);
    out->ended_ms = dic_item_number(item, "en", 0);
    out->totals = (struct dic_job_totals){
        .images = dic_item_number(item, "n", -1),
        .succeeded = dic_item_number(item, "ok", 0),
        .failed = dic_item_number(item, "er", 0),
        .unknown = dic_item_number(item, "un", 0),
        .skipped = dic_item_number(item, "sk", 0),
    };
    return DIC_OK;
}

/* Copies the texts into memory first and points at them after: the buffer may move as it grows. */
static enum dic_code fill_job(const struct dic_item *item, const char *job_id, struct dic_job *out,
                              struct dic_buf *memory, struct dic_err *err)
{
    static const char *const names[] = {"spec", "model", "why"};
    struct dic_str *texts[] = {&out->params.spec_json, &out->model_json, &out->reason};
    size_t start = memory->len;
    DIC_TRY(fill_numbers(item, job_id, out, err));
    for (int i = 0; i < 3; i++) {
        dic_buf_append_str(memory, dic_item_text(item, names[i]));
    }
    DIC_TRY(dic_buf_check(memory, err));
    for (int i = 0; i < 3; i++) {
        size_t len = dic_item_text(item, names[i]).len;
        *texts[i] = dic_str_len(memory->ptr == NULL ? "" : memory->ptr + start, len);
        start += len;
    }
    return DIC_OK;
}

/* A live job's totals are the sums of its segments. */
static enum dic_code add_progress(struct dic_ledger *ledger, struct dic_job *job,
                                  struct dic_err *err)
{
    struct dic_ledger_sums sums = {0};
    if (dic_job_is_terminal(job->state) || job->planned_segments == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_progress_get(ledger, job->id, job->planned_segments, &sums, err));
    job->totals.succeeded = sums.succeeded;
    job->totals.failed = sums.failed;
    job->totals.unknown = sums.unknown;
    if (job->started_ms == 0 && sums.booked > 0) {
        job->started_ms = job->created_ms; /* its first booking is not noted yet */
    }
    return DIC_OK;
}

enum dic_code dic_ledger_peek(void *impl, const char *job_id, struct dic_job *out,
                              struct dic_buf *memory, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    DIC_TRY(dic_ledger_get_job(impl, job_id, &item, err));
    return fill_job(&item, job_id, out, memory, err);
}

enum dic_code dic_ledger_get(void *impl, const char *job_id, struct dic_job *out,
                             struct dic_buf *memory, struct dic_err *err)
{
    DIC_TRY(dic_ledger_peek(impl, job_id, out, memory, err));
    return add_progress(impl, out, err);
}

/* ---- listing ---- */

struct listing {
    struct dic_ledger *ledger;
    const struct dic_job_filter *filter;
    dic_job_visit visit;
    void *context;
    uint32_t left;
    char pks[LIST_BATCH][DIC_LEDGER_PK_SIZE];
    struct dic_str views[LIST_BATCH];
    struct dic_item items[LIST_BATCH];
    uint32_t count; /* of this batch */
    char last[64];  /* sort key of the last one seen */
    char before[64];
};

static enum dic_code collect(void *context, struct dic_str pk, struct dic_str sort_text,
                             int64_t sort_number, struct dic_err *err)
{
    struct listing *listing = context;
    (void)sort_number; /* the index has text */
    (void)err;
    if (sort_text.len >= sizeof listing->last || pk.len >= DIC_LEDGER_PK_SIZE ||
        dic_str_is(sort_text, listing->before)) {
        return DIC_OK;
    }
    snprintf(listing->last, sizeof listing->last, "%.*s", DIC_STR_ARGS(sort_text));
    snprintf(listing->pks[listing->count], DIC_LEDGER_PK_SIZE, "%.*s", DIC_STR_ARGS(pk));
    listing->views[listing->count] = dic_str(listing->pks[listing->count]);
    listing->count++;
    return DIC_OK;
}

static enum dic_code visit_one(struct listing *listing, uint32_t index, struct dic_buf *memory,
                               struct dic_err *err)
{
    struct dic_job job = {0};
    char id[DIC_ID_SIZE];
    if (!listing->items[index].exists) {
        return DIC_OK; /* the index is behind */
    }
    DIC_TRY(dic_ledger_pk_job(listing->views[index], id, err));
    int64_t ttl = dic_item_number(&listing->items[index], "ttl", 0);
    if (ttl > 0 && ttl <= dic_ledger_now(listing->ledger) / 1000) {
        return DIC_OK;
    }
    dic_buf_clear(memory);
    DIC_TRY(fill_job(&listing->items[index], id, &job, memory, err));
    DIC_TRY(add_progress(listing->ledger, &job, err));
    if (listing->filter->status != NULL &&
        strcmp(dic_job_api_status(&job), listing->filter->status) != 0) {
        return DIC_OK;
    }
    listing->left--;
    return listing->visit(listing->context, &job, err);
}

/* The states that a status of the API can stand for; the status itself is checked on each job. */
static enum dic_code states_of(const char *status, struct dic_table_query *query,
                               struct dic_err *err)
{
    static const struct {
        const char *status;
        const char *states[DIC_COND_WORDS_MAX];
    } table[] = {
        {"queued", {"ACCEPTED", "PLANNING", "RUNNING"}},
        {"running", {"ACCEPTED", "PLANNING", "RUNNING", "FINALIZING", "EXPIRING", "FAILING"}},
        {"succeeded", {"SUCCEEDED"}},
        {"completed_with_failures", {"SUCCEEDED"}},
        {"cancelling", {"CANCELLING"}},
        {"cancelled", {"CANCELLED"}},
        {"expired", {"EXPIRED"}},
        {"failed", {"FAILED"}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].status, status) == 0) {
            memcpy(query->status_in, table[i].states, sizeof query->status_in);
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_INVALID, "status", "there is no job status '%.40s'", status);
}

static enum dic_code list_batch(struct listing *listing, struct dic_table_query *query,
                                struct dic_buf *memory, struct dic_err *err)
{
    const struct dic_table *table = &listing->ledger->options.table;
    listing->count = 0;
    query->limit = LIST_BATCH;
    DIC_TRY(table->ops->query(table->impl, query, collect, listing, err));
    if (listing->count > 0) {
        DIC_TRY(
            table->ops->get_many(table->impl, listing->views, listing->count, listing->items, err));
    }
    for (uint32_t i = 0; i < listing->count && listing->left > 0; i++) {
        DIC_TRY(visit_one(listing, i, memory, err));
    }
    snprintf(listing->before, sizeof listing->before, "%s", listing->last);
    query->to_text = dic_str(listing->before);
    return DIC_OK;
}

static enum dic_code list_all(struct listing *listing, struct dic_table_query *query,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    const struct dic_job_filter *filter = listing->filter;
    dic_buf_init(&memory, 16 * 1024 * 1024);
    if (filter->status != NULL) {
        DIC_TRY(states_of(filter->status, query, err));
    }
    if (filter->before_id.len > 0) {
        snprintf(listing->before, sizeof listing->before, "%016lld#%.*s",
                 (long long)filter->before_ms, DIC_STR_ARGS(filter->before_id));
        query->to_text = dic_str(listing->before);
    }
    do {
        DIC_TRY(list_batch(listing, query, &memory, err));
    } while (listing->count > 0 && listing->left > 0);
    return DIC_OK;
}

static void listing_destroy(struct listing **listing)
{
    for (int i = 0; i < LIST_BATCH; i++) {
        dic_item_clean_up(&(*listing)->items[i]);
    }
    dic_free(*listing);
}

enum dic_code dic_ledger_list(void *impl, const struct dic_job_filter *filter, dic_job_visit visit,
                              void *context, struct dic_err *err)
{
    DIC_CLEANUP(listing_destroy) struct listing *listing = dic_calloc(1, sizeof *listing);
    listing->ledger = impl;
    listing->filter = filter;
    listing->visit = visit;
    listing->context = context;
    listing->left = filter->limit;
    for (int i = 0; i < LIST_BATCH; i++) {
        dic_item_init(&listing->items[i]);
    }
    struct dic_table_query query = {
        .index = "listing",
        .partition_text = DIC_STR_LIT("L#" DIC_TENANT),
        .newest_first = true,
    };
    return list_all(listing, &query, err);
}
