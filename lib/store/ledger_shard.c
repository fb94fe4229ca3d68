/* SPDX-License-Identifier: Apache-2.0 */
/* Result shards and label counts: objects of one head line, a shard's rows behind it. */
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <string.h>

enum {
    SHARD_VERSION = 1,
    FIRST_HEAD_BYTES = 16 * 1024,
    MAX_LABELS_BYTES = 256 * 1024 * 1024,
    MAX_AHEAD = 100, /* segments: one batch */
};

static void put_label(struct dic_json_writer *writer, struct dic_str label, int64_t images)
{
    dic_json_begin_array(writer, NULL);
    dic_json_put_str(writer, NULL, label);
    dic_json_put_int(writer, NULL, images);
    dic_json_end_array(writer);
}

void dic_ledger_shard_write(struct dic_buf *out, const struct dic_booking *booking)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_int(&writer, "v", SHARD_VERSION);
    dic_json_put_int(&writer, "chunk", booking->chunk);
    dic_json_put_int(&writer, "succeeded", booking->succeeded);
    dic_json_put_int(&writer, "failed", booking->failed);
    dic_json_put_int(&writer, "unknown", booking->unknown);
    dic_json_put_str(&writer, "model", booking->model_json); /* JSON as text: handed on as it is */
    dic_json_begin_array(&writer, "labels");
    for (size_t i = 0; i < booking->label_count; i++) {
        put_label(&writer, booking->labels[i].label, booking->labels[i].images);
    }
    dic_json_end_array(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(out, '\n');
    dic_buf_append_str(out, booking->rows);
}

/* [["label", images], …] */
static enum dic_code add_label_list(const struct dic_json *list, struct dic_label_tally *tally,
                                    struct dic_err *err)
{
    if (list == NULL || !dic_json_is_array(list)) {
        return dic_fail(err, DIC_E_INTERNAL, "it has no list 'labels'");
    }
    for (size_t i = 0; i < dic_json_size(list); i++) {
        const struct dic_json *entry = dic_json_at(list, i);
        struct dic_str label = {0};
        int64_t images = 0;
        if (!dic_json_is_array(entry) || dic_json_size(entry) != 2) {
            return dic_fail(err, DIC_E_INTERNAL, "an entry of 'labels' is not a label and a count");
        }
        DIC_TRY(dic_json_get_str(dic_json_at(entry, 0), "labels", &label, err));
        DIC_TRY(
            dic_json_get_int(dic_json_at(entry, 1), "labels", 0, DIC_MAX_JOB_IMAGES, &images, err));
        dic_label_tally_add(tally, label, images);
    }
    return dic_buf_check(&tally->names, err);
}

static enum dic_code add_head_labels(struct dic_str head, struct dic_label_tally *tally,
                                     struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    DIC_TRY(dic_json_parse(head, &root, err));
    return add_label_list(dic_json_is_object(root) ? dic_json_member(root, "labels") : NULL, tally,
                          err);
}

static enum dic_code labelled(const char *object, enum dic_code code, const struct dic_err *why,
                              struct dic_err *err)
{
    return code == DIC_OK ? DIC_OK
                          : dic_fail(err, DIC_E_INTERNAL, "object %s: %.200s", object, why->msg);
}

/* The head line of an object: most are short, and a long one is read in full. */
static enum dic_code get_head(struct dic_ledger *ledger, const char *object, struct dic_buf *out,
                              struct dic_str *head_out, struct dic_err *err)
{
    const struct dic_blob_store *results = &ledger->options.results;
    int64_t len = FIRST_HEAD_BYTES;
    dic_buf_clear(out);
    if (dic_ledger_heads_get(ledger->heads, object, out)) {
        *head_out = dic_buf_view(out);
        return DIC_OK;
    }
    for (;;) {
        dic_buf_clear(out);
        DIC_TRY(results->ops->get_range(results->impl, dic_str(object), 0, len, NULL, out, err));
        struct dic_str bytes = dic_buf_view(out);
        size_t end = dic_str_find(bytes, '\n');
        if (end < bytes.len) {
            *head_out = dic_str_len(bytes.ptr, end);
            return DIC_OK;
        }
        if ((int64_t)bytes.len < len || len >= MAX_LABELS_BYTES) {
            return dic_fail(err, DIC_E_INTERNAL, "object %s has no head line", object);
        }
        len *= 8;
    }
}

static enum dic_code add_object_labels(struct dic_ledger *ledger, const char *object,
                                       struct dic_label_tally *tally, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    struct dic_str head = {0};
    struct dic_err why = {0};
    dic_buf_init(&bytes, MAX_LABELS_BYTES + 1);
    DIC_TRY(get_head(ledger, object, &bytes, &head, err));
    return labelled(object, add_head_labels(head, tally, &why), &why, err);
}

enum dic_code dic_ledger_add_shard_labels(struct dic_ledger *ledger, const char *job_id,
                                          uint32_t segment, const struct dic_item *item,
                                          struct dic_label_tally *tally, struct dic_err *err)
{
    for (uint32_t i = 0; i < DIC_SEGMENT_CHUNKS; i++) {
        uint32_t chunk = segment * DIC_SEGMENT_CHUNKS + i;
        struct dic_ledger_entry entry;
        char object[DIC_LEDGER_KEY_SIZE];
        if (!dic_ledger_segment_entry(item, chunk, &entry) || entry.succeeded == 0) {
            continue;
        }
        dic_ledger_shard_object(object, job_id, chunk, entry.attempt);
        enum dic_code code = add_object_labels(ledger, object, tally, err);
        DIC_TRY(dic_ledger_object_read(code, object, err));
    }
    return DIC_OK;
}

enum dic_code dic_ledger_shard_model(struct dic_ledger *ledger, const char *job_id, uint32_t chunk,
                                     struct dic_str attempt, struct dic_buf *model_out,
                                     struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    char object[DIC_LEDGER_KEY_SIZE];
    struct dic_str head = {0};
    struct dic_str model = {0};
    dic_buf_init(&bytes, MAX_LABELS_BYTES + 1);
    dic_ledger_shard_object(object, job_id, chunk, attempt);
    enum dic_code code = get_head(ledger, object, &bytes, &head, err);
    DIC_TRY(dic_ledger_object_read(code, object, err));
    DIC_TRY(dic_json_parse(head, &root, err));
    const struct dic_json *member = dic_json_member(root, "model");
    if (member != NULL && dic_json_get_str(member, "model", &model, err) == DIC_OK) {
        dic_buf_append_str(model_out, model);
    }
    return dic_buf_check(model_out, err);
}

enum dic_code dic_ledger_get_shard_model(struct dic_ledger *ledger, const char *job_id,
                                         uint32_t segment, const struct dic_item *item,
                                         struct dic_buf *model_out, struct dic_err *err)
{
    for (uint32_t i = 0; i < DIC_SEGMENT_CHUNKS; i++) {
        uint32_t chunk = segment * DIC_SEGMENT_CHUNKS + i;
        struct dic_ledger_entry entry;
        if (dic_ledger_segment_entry(item, chunk, &entry)) {
            return dic_ledger_shard_model(ledger, job_id, chunk, entry.attempt, model_out, err);
        }
    }
    return DIC_OK;
}

enum dic_code dic_ledger_put_labels(struct dic_ledger *ledger, const char *object,
                                    const struct dic_label_tally *tally, struct dic_err *err)
{
    const struct dic_blob_store *results = &ledger->options.results;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    struct dic_json_writer writer = dic_json_writer(&bytes);
    dic_buf_init(&bytes, MAX_LABELS_BYTES);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_int(&writer, "v", SHARD_VERSION);
    dic_json_begin_array(&writer, "labels");
    for (size_t i = 0; i < tally->slot_count; i++) {
        if (tally->slots[i].images != 0) {
            put_label(&writer, dic_label_slot_label(tally, &tally->slots[i]),
                      tally->slots[i].images);
        }
    }
    dic_json_end_array(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&bytes, '\n');
    DIC_TRY(dic_buf_check(&bytes, err));
    /* Everybody who writes it writes the same counts: the segments are frozen. */
    return results->ops->put(results->impl, dic_str(object), dic_buf_view(&bytes), false, err);
}

enum dic_code dic_ledger_add_labels(struct dic_ledger *ledger, const char *object,
                                    struct dic_label_tally *tally, struct dic_err *err)
{
    return add_object_labels(ledger, object, tally, err);
}

/* ---- the port's reading of results ---- */

/* A page of a job's rows. */
struct page {
    struct dic_ledger *ledger;
    const char *job_id;
    bool ended;        /* the job has, so nothing changes any more, and gaps stay */
    uint32_t segments; /* from here on there are no rows */
    uint32_t ahead;    /* segments to be read next */
    struct dic_ledger_batch *batch;
    struct dic_buf bytes;
};

static void page_clean_up(struct page *page)
{
    dic_ledger_batch_destroy(&page->batch);
    dic_buf_clean_up(&page->bytes);
}

static enum dic_code visit_chunk(struct page *page, uint32_t chunk, const struct dic_item *segment,
                                 const struct dic_ledger_entry *entry, dic_rows_visit visit,
                                 void *context, struct dic_err *err)
{
    const struct dic_blob_store *results = &page->ledger->options.results;
    struct dic_ledger_cut_chunk cut = {0};
    char object[DIC_LEDGER_KEY_SIZE];
    dic_ledger_shard_object(object, page->job_id, chunk, entry->attempt);
    dic_buf_clear(&page->bytes);
    enum dic_code code = results->ops->get(
        results->impl, dic_str(object), (int64_t)page->bytes.ceiling - 1, &page->bytes, NULL, err);
    DIC_TRY(dic_ledger_object_read(code, object, err));
    struct dic_str all = dic_buf_view(&page->bytes);
    size_t head = dic_str_find(all, '\n');
    if (head == all.len || !dic_ledger_segment_chunk(segment, chunk, &cut)) {
        return dic_fail(err, DIC_E_INTERNAL, "object %s is not a shard of this job", object);
    }
    struct dic_rows rows = {
        .chunk = chunk,
        .first_image = cut.first_image,
        .images = cut.images,
        .failed = entry->failed,
        .rows = dic_str_skip(all, head + 1),
    };
    return visit(context, &rows, err);
}

/* One segment holds many pages, so it is read alone; of a job that was stopped long stretches may
 * have no rows, and those are passed over in ever greater steps. */
static enum dic_code load_segment(struct page *page, uint32_t segment,
                                  const struct dic_item **item_out, struct dic_err *err)
{
    *item_out = dic_ledger_batch_find(page->batch, segment);
    if (*item_out != NULL) {
        return DIC_OK;
    }
    const uint32_t left = page->segments - segment;
    DIC_TRY(dic_ledger_batch_read(page->ledger, page->job_id, segment,
                                  page->ahead < left ? page->ahead : left, page->batch, err));
    page->ahead = page->ended && page->ahead < MAX_AHEAD ? page->ahead * 4 : page->ahead;
    *item_out = dic_ledger_batch_find(page->batch, segment);
    return DIC_OK;
}

static enum dic_code read_page(struct page *page, uint32_t chunk, uint32_t limit,
                               dic_rows_visit visit, void *context, struct dic_err *err)
{
    for (; limit > 0 && chunk / DIC_SEGMENT_CHUNKS < page->segments; chunk++) {
        const struct dic_item *segment = NULL;
        struct dic_ledger_entry entry;
        DIC_TRY(load_segment(page, chunk / DIC_SEGMENT_CHUNKS, &segment, err));
        if (dic_ledger_segment_entry(segment, chunk, &entry)) {
            DIC_TRY(visit_chunk(page, chunk, segment, &entry, visit, context, err));
            page->ahead = 1;
            limit--;
        } else if (!page->ended &&
                   (!segment->exists ||
                    dic_ledger_segment_chunk(segment, chunk, &(struct dic_ledger_cut_chunk){0}))) {
            return DIC_OK; /* of a live job only the part without a gap */
        }
    }
    return DIC_OK;
}

enum dic_code dic_ledger_rows(void *impl, const char *job_id, uint32_t chunk, uint32_t limit,
                              dic_rows_visit visit, void *context, struct dic_err *err)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    dic_item_init(&job);
    DIC_TRY(dic_ledger_get_job(impl, job_id, &job, err));
    DIC_TRY(dic_ledger_state(&job, &state, err));
    DIC_CLEANUP(page_clean_up)
    struct page page = {
        .ledger = impl,
        .job_id = job_id,
        .ended = dic_job_is_terminal(state),
        .segments = (uint32_t)dic_item_number(&job, "rs", dic_item_number(&job, "cur", 0)),
        .ahead = 1,
        .batch = dic_ledger_batch_new(),
    };
    dic_buf_init(&page.bytes, 256 * 1024 * 1024);
    return read_page(&page, chunk, limit, visit, context, err);
}

enum dic_code dic_ledger_labels(void *impl, const char *job_id, struct dic_label_count *out,
                                size_t *count_io, struct dic_buf *memory, struct dic_err *err)
{
    struct dic_ledger *ledger = impl;
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally tally;
    char object[DIC_LEDGER_KEY_SIZE];
    size_t start = memory->len;
    size_t max = *count_io;
    dic_label_tally_init(&tally);
    dic_ledger_all_labels_object(object, job_id);
    *count_io = 0;
    enum dic_code code = dic_ledger_add_labels(ledger, object, &tally, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK; /* it is written when the job ends */
    }
    DIC_TRY(code);
    size_t count = dic_label_tally_top(&tally, out, max);
    for (size_t i = 0; i < count; i++) {
        dic_buf_append_str(memory, out[i].label);
    }
    DIC_TRY(dic_buf_check(memory, err));
    for (size_t i = 0; i < count; i++) {
        out[i].label.ptr = memory->ptr + start;
        start += out[i].label.len;
    }
    *count_io = count;
    return DIC_OK;
}
