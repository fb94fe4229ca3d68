/* SPDX-License-Identifier: Apache-2.0 */
/* Work on a chunk: reading it, and booking its outcome. */
#include "base/mem.h"
#include "base/rand.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const open_states[] = {"ACCEPTED", "PLANNING", "RUNNING", NULL};

/* ---- what follows from a booking ---- */

/* A chunk that is booked, in its segment as it is then. */
struct booked {
    struct dic_ledger *ledger;
    const char *job_id;
    uint32_t chunk;
    const struct dic_item *segment;
};

/* The job's first booking is noted in the job: by the first one of each segment, and only if it is
 * not noted yet. model NULL: that of the chunk's shard. */
static enum dic_code note_start(const struct booked *booked, const struct dic_item *job,
                                const struct dic_str *model, struct dic_err *err)
{
    struct dic_ledger *ledger = booked->ledger;
    const struct dic_table *table = &ledger->options.table;
    const struct dic_cond conds[] = {dic_if_exists("pk"), dic_if_state(open_states),
                                     dic_if_absent("sa")};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf read;
    struct dic_ledger_entry entry;
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_buf_init(&read, DIC_LEDGER_HEAD_BYTES);
    if (dic_item_number(job, "sa", 0) != 0) {
        return DIC_OK;
    }
    if (model == NULL && dic_ledger_segment_entry(booked->segment, booked->chunk, &entry)) {
        DIC_TRY(dic_ledger_shard_model(ledger, booked->job_id, booked->chunk, entry.attempt, &read,
                                       err));
    }
    const struct dic_change changes[] = {
        dic_set_number("sa", dic_ledger_now(ledger)),
        dic_set_text("model", model != NULL ? *model : dic_buf_view(&read)),
    };
    dic_ledger_job_pk(pk, booked->job_id);
    const struct dic_table_write write = {dic_str(pk), changes, 2, conds, 3};
    return table->ops->update(table->impl, &write, &applied, NULL, err);
}

/* Steps 5 to 7. job is as it was read last, and changed. */
static enum dic_code follow_up(const struct booked *booked, struct dic_item *job,
                               const struct dic_str *model, struct dic_err *err)
{
    const int64_t failed = dic_item_number(booked->segment, "er", 0);
    bool stopped = false;
    DIC_TRY(note_start(booked, job, model, err));
    DIC_TRY(dic_ledger_check_failures(booked->ledger, booked->job_id, job, failed, &stopped, err));
    if (stopped || !dic_ledger_is_full(booked->segment)) {
        return DIC_OK;
    }
    return dic_ledger_fill(booked->ledger, booked->job_id, booked->chunk / DIC_SEGMENT_CHUNKS,
                           booked->segment, err);
}

/* Whoever booked the chunk may have died before the job was moved on. */
static enum dic_code follow_up_read(const struct booked *booked, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_item_init(&job);
    enum dic_code code = dic_ledger_get_job(booked->ledger, booked->job_id, &job, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK;
    }
    DIC_TRY(code);
    DIC_TRY(dic_ledger_state(&job, &state, err));
    return dic_job_is_open(state) ? follow_up(booked, &job, NULL, err)
                                  : dic_ledger_go_on(booked->ledger, booked->job_id, &job, err);
}

/* ---- reading ---- */

static enum dic_code get_lines(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                               const struct dic_item *item, const struct dic_ledger_cut_chunk *cut,
                               struct dic_buf *memory, struct dic_str *lines_out,
                               struct dic_err *err)
{
    const struct dic_blob_store *results = &ledger->options.results;
    struct dic_str lines = dic_item_text(item, "lines");
    char object[DIC_LEDGER_KEY_SIZE];
    size_t start = memory->len;
    if (lines.ptr != NULL) {
        lines = dic_str_skip(lines, (size_t)cut->offset);
        lines.len = lines.len < (size_t)cut->len ? lines.len : (size_t)cut->len;
        dic_buf_append_str(memory, lines);
    } else {
        dic_ledger_manifest_object(object, job_id, segment);
        enum dic_code code = results->ops->get_range(results->impl, dic_str(object), cut->offset,
                                                     cut->len, NULL, memory, err);
        DIC_TRY(dic_ledger_object_read(code, object, err));
    }
    DIC_TRY(dic_buf_check(memory, err));
    if (memory->len - start != (size_t)cut->len) {
        return dic_fail(err, DIC_E_INTERNAL,
                        "segment %" PRIu32 " of job '%s' has %zu bytes of lines, not %" PRId64,
                        segment, job_id, memory->len - start, cut->len);
    }
    *lines_out = dic_str_len(memory->ptr == NULL ? "" : memory->ptr + start, (size_t)cut->len);
    return DIC_OK;
}

enum dic_code dic_ledger_get_chunk(void *impl, const char *job_id, uint32_t chunk,
                                   struct dic_chunk *out, struct dic_buf *memory,
                                   struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    struct dic_ledger_cut_chunk cut = {0};
    struct dic_ledger_entry entry;
    const uint32_t segment = chunk / DIC_SEGMENT_CHUNKS;
    dic_item_init(&item);
    DIC_TRY(dic_ledger_get_segment(ledger, job_id, segment, &item, err));
    if (!item.exists) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no chunk %" PRIu32 " of job '%s'", chunk,
                        job_id);
    }
    if (!dic_str_is(dic_item_text(&item, "st"), "OPEN")) {
        DIC_TRY(dic_ledger_complete(ledger, job_id, err)); /* who stopped it may have died */
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' was stopped", job_id);
    }
    if (!dic_ledger_segment_chunk(&item, chunk, &cut)) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no chunk %" PRIu32 " of job '%s'", chunk,
                        job_id);
    }
    *out = (struct dic_chunk){.first_image = cut.first_image, .images = cut.images};
    out->booked = dic_ledger_segment_entry(&item, chunk, &entry);
    if (out->booked) {
        const struct booked booked = {ledger, job_id, chunk, &item};
        return follow_up_read(&booked, err);
    }
    return get_lines(ledger, job_id, segment, &item, &cut, memory, &out->lines, err);
}

/* ---- booking ---- */

struct booker {
    struct dic_ledger *ledger;
    const char *job_id;
    const struct dic_booking *booking;
    uint32_t segment;
    char attempt[DIC_ID_SIZE];
    struct dic_item job;
    struct dic_item item; /* the segment after the booking */
    enum dic_book_result result;
};

static void booker_clean_up(struct booker *booker)
{
    dic_item_clean_up(&booker->job);
    dic_item_clean_up(&booker->item);
}

static enum dic_code put_shard(const struct booker *booker, struct dic_err *err)
{
    const struct dic_blob_store *results = &booker->ledger->options.results;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_buf_init(&bytes, 256 * 1024 * 1024);
    dic_ledger_shard_write(&bytes, booker->booking);
    DIC_TRY(dic_buf_check(&bytes, err));
    dic_ledger_shard_object(object, booker->job_id, booker->booking->chunk,
                            dic_str(booker->attempt));
    DIC_TRY(results->ops->put(results->impl, dic_str(object), dic_buf_view(&bytes), false, err));
    struct dic_str head = dic_buf_view(&bytes);
    head.len = dic_str_find(head, '\n');
    dic_ledger_heads_put(booker->ledger->heads, object, head);
    return DIC_OK;
}

/* First writer wins. A failed condition is no failure: the item that is there tells what happened.
 */
static enum dic_code enter(struct booker *booker, struct dic_err *err)
{
    const struct dic_table *table = &booker->ledger->options.table;
    const struct dic_booking *booking = booker->booking;
    char pk[DIC_LEDGER_PK_SIZE];
    char key[16];
    char text[96];
    static const char *const open_segment[] = {"OPEN", NULL};
    bool applied = false;
    snprintf(key, sizeof key, "%" PRIu32, booking->chunk);
    snprintf(text, sizeof text, "%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32, booker->attempt,
             booking->succeeded, booking->failed, booking->unknown);
    const struct dic_change changes[] = {
        dic_set_entry("c", dic_str(key), dic_str(text)),
        dic_add("nd", 1),
        dic_add("ok", booking->succeeded),
        dic_add("er", booking->failed),
        dic_add("un", booking->unknown),
    };
    struct dic_cond conds[] = {dic_if_state(open_segment), dic_if_exists("x"), dic_if_absent("c")};
    conds[1].key = conds[2].key = dic_str(key); /* the segment has such a chunk; nobody booked it */
    dic_ledger_segment_pk(pk, booker->job_id, booker->segment);
    const struct dic_table_write write = {dic_str(pk), changes, 5, conds, 3};
    DIC_TRY(table->ops->update(table->impl, &write, &applied, &booker->item, err));
    struct dic_ledger_entry entry;
    if (applied) {
        booker->result = DIC_BOOKED;
    } else if (!booker->item.exists || !dic_str_is(dic_item_text(&booker->item, "st"), "OPEN") ||
               !dic_ledger_segment_entry(&booker->item, booking->chunk, &entry)) {
        booker->result = DIC_BOOK_CLOSED;
    } else {
        booker->result = dic_str_is(entry.attempt, booker->attempt) ? DIC_BOOKED : DIC_BOOK_LATE;
    }
    return DIC_OK;
}

/* What follows from the item that is there now, whoever wrote it. */
static enum dic_code move_on(struct booker *booker, struct dic_err *err)
{
    const struct booked booked = {booker->ledger, booker->job_id, booker->booking->chunk,
                                  &booker->item};
    return follow_up(&booked, &booker->job,
                     booker->result == DIC_BOOKED ? &booker->booking->model_json : NULL, err);
}

static enum dic_code book(struct booker *booker, struct dic_err *err)
{
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    enum dic_code code = dic_ledger_get_job(booker->ledger, booker->job_id, &booker->job, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK; /* closed */
    }
    DIC_TRY(code);
    DIC_TRY(dic_ledger_state(&booker->job, &state, err));
    if (!dic_job_is_open(state)) { /* closed; who set that state may have died */
        return dic_ledger_complete(booker->ledger, booker->job_id, err);
    }
    DIC_TRY(put_shard(booker, err));
    DIC_TRY(enter(booker, err));
    return booker->result == DIC_BOOK_CLOSED
               ? dic_ledger_complete(booker->ledger, booker->job_id, err)
               : move_on(booker, err);
}

enum dic_code dic_ledger_book(void *impl, const char *job_id, const struct dic_booking *booking,
                              enum dic_book_result *result_out, struct dic_err *err)
{
    DIC_CLEANUP(booker_clean_up)
    struct booker booker = {
        .ledger = impl,
        .job_id = job_id,
        .booking = booking,
        .segment = booking->chunk / DIC_SEGMENT_CHUNKS,
        .result = DIC_BOOK_CLOSED,
    };
    dic_rand_id(booker.attempt);
    dic_item_init(&booker.job);
    dic_item_init(&booker.item);
    DIC_TRY(book(&booker, err));
    *result_out = booker.result;
    return DIC_OK;
}
