/* SPDX-License-Identifier: Apache-2.0 */
/* Planning: any number of planners may be at it. */
#include "store/ledger_impl.h"

#include <inttypes.h>

static const char *const plannable[] = {"ACCEPTED", "PLANNING", NULL};
static const char *const planning[] = {"PLANNING", NULL};

/* ENSURE: the reserved segment is there, and its messages were sent at least once. */
static enum dic_code ensure(struct dic_ledger *ledger, const char *job_id,
                            const struct dic_ledger_cut *cut, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    dic_item_init(&item);
    DIC_TRY(dic_ledger_put_segment(ledger, job_id, cut, &item, err));
    if (dic_ledger_is_full(&item)) { /* one without chunks is so from the start */
        return dic_ledger_fill(ledger, job_id, cut->segment, &item, err);
    }
    return dic_ledger_send_once(ledger, job_id, cut->segment, &item, err);
}

/* END: from here on the number of segments is known. */
static enum dic_code end_planning(struct dic_ledger *ledger, const char *job_id, int64_t segments,
                                  int64_t images, struct dic_err *err)
{
    const struct dic_change changes[] = {
        dic_set_text("st", DIC_STR_LIT("RUNNING")),
        dic_set_number("nseg", segments),
        dic_set_number("n", images),
    };
    bool applied = false;
    DIC_TRY(dic_ledger_move(ledger, job_id, changes, 3, planning, &applied, NULL, err));
    return dic_ledger_complete(ledger, job_id, err);
}

static enum dic_code not_planned(struct dic_ledger *ledger, const char *job_id,
                                 const struct dic_item *job, struct dic_err *err)
{
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    if (!job->exists) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%s'", job_id);
    }
    DIC_TRY(dic_ledger_state(job, &state, err));
    DIC_TRY(dic_ledger_complete(ledger, job_id, err)); /* perhaps nobody else will */
    return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being planned", job_id,
                    dic_job_state_word(state));
}

static enum dic_code begin(struct dic_ledger *ledger, const char *job_id,
                           const struct dic_item *job, struct dic_ledger_cut *cut,
                           struct dic_err *err)
{
    const int64_t cur = dic_item_number(job, "cur", 0);
    if (cur == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_get_manifest(ledger, job_id, (uint32_t)cur - 1, cut, err));
    DIC_TRY(ensure(ledger, job_id, cut, err));
    if (!cut->is_last) {
        return DIC_OK;
    }
    DIC_TRY(end_planning(ledger, job_id, cur, dic_item_number(job, "pi", 0), err));
    return dic_fail(err, DIC_E_CONFLICT, "job '%s' is planned to its end", job_id);
}

enum dic_code dic_ledger_begin_plan(void *impl, const char *job_id, uint32_t *segment_out,
                                    struct dic_buf *resume_out, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    DIC_CLEANUP(dic_ledger_cut_clean_up) struct dic_ledger_cut cut;
    const struct dic_change change = dic_set_text("st", DIC_STR_LIT("PLANNING"));
    bool applied = false;
    dic_item_init(&job);
    dic_ledger_cut_init(&cut);
    DIC_TRY(dic_ledger_move(ledger, job_id, &change, 1, plannable, &applied, &job, err));
    if (!applied) {
        return not_planned(ledger, job_id, &job, err);
    }
    DIC_TRY(begin(ledger, job_id, &job, &cut, err));
    *segment_out = (uint32_t)dic_item_number(&job, "cur", 0);
    dic_buf_append_str(resume_out, cut.resume);
    return dic_buf_check(resume_out, err);
}

static enum dic_code check_plan(const char *job_id, const struct dic_segment_plan *plan,
                                struct dic_err *err)
{
    if (plan->segment >= DIC_MAX_SEGMENTS || plan->chunk_count > DIC_SEGMENT_CHUNKS) {
        return dic_fail(
            err, DIC_E_INTERNAL,
            "segment %" PRIu32 " of job '%s' with %" PRIu32 " chunks is over the limits (%d, %d)",
            plan->segment, job_id, plan->chunk_count, DIC_MAX_SEGMENTS, DIC_SEGMENT_CHUNKS);
    }
    return DIC_OK;
}

/* Reserves the segment; job_out is the job after it. False when another state or cursor forbids. */
static enum dic_code reserve(struct dic_ledger *ledger, const char *job_id,
                             const struct dic_ledger_cut *cut, bool *reserved_out,
                             struct dic_item *job_out, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change changes[] = {
        dic_set_number("cur", (int64_t)cut->segment + 1),
        dic_add("pc", cut->chunk_count),
        dic_add("pi", dic_ledger_cut_images(cut)),
    };
    const struct dic_cond conds[] = {
        dic_if_state(planning),
        {.kind = DIC_COND_NUMBER_EQ, .name = "cur", .number = cut->segment},
    };
    char pk[DIC_LEDGER_PK_SIZE];
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), changes, 3, conds, 2};
    DIC_TRY(table->ops->update(table->impl, &write, reserved_out, job_out, err));
    if (!*reserved_out &&
        job_out->exists) { /* this one, before an answer that was lost, or another */
        *reserved_out = dic_item_number(job_out, "cur", 0) == (int64_t)cut->segment + 1 &&
                        dic_str_is(dic_item_text(job_out, "st"), "PLANNING");
    }
    return DIC_OK;
}

/* Repeated after its segment has long been there: nothing is left to do. */
static bool is_behind(const struct dic_item *job, const struct dic_ledger_cut *cut)
{
    return job->exists && dic_item_number(job, "cur", 0) > (int64_t)cut->segment &&
           (dic_str_is(dic_item_text(job, "st"), "PLANNING") ||
            dic_str_is(dic_item_text(job, "st"), "RUNNING") ||
            dic_str_is(dic_item_text(job, "st"), "FINALIZING") ||
            dic_str_is(dic_item_text(job, "st"), "SUCCEEDED"));
}

enum dic_code dic_ledger_add_segment(void *impl, const char *job_id,
                                     const struct dic_segment_plan *plan, bool *sent_out,
                                     struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    DIC_CLEANUP(dic_ledger_cut_clean_up) struct dic_ledger_cut cut;
    bool reserved = false;
    *sent_out = true;
    dic_item_init(&job);
    dic_ledger_cut_init(&cut);
    DIC_TRY(check_plan(job_id, plan, err));
    DIC_TRY(dic_ledger_put_manifest(ledger, job_id, plan, false, &cut, err));
    DIC_TRY(reserve(ledger, job_id, &cut, &reserved, &job, err));
    if (!reserved) {
        return is_behind(&job, &cut) ? dic_ledger_complete(ledger, job_id, err)
                                     : not_planned(ledger, job_id, &job, err);
    }
    DIC_TRY(ensure(ledger, job_id, &cut, err));
    return cut.is_last ? end_planning(ledger, job_id, (int64_t)cut.segment + 1,
                                      dic_item_number(&job, "pi", 0), err)
                       : DIC_OK;
}

enum dic_code dic_ledger_get_keys(void *impl, const char *job_id, int64_t offset, int64_t len,
                                  struct dic_buf *out, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    const struct dic_blob_store *results = &ledger->options.results;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_ledger_keys_object(object, job_id);
    return results->ops->get_range(results->impl, dic_str(object), offset, len, NULL, out, err);
}
