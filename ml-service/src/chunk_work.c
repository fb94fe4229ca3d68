/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk_work.h"

#include "base/mem.h"
#include "job/limits.h"
#include "result_row.h"

#include <stdio.h>
#include <string.h>

/* 500 rows of 100 predictions of long labels each; far below it in practice. */
enum { MAX_ROWS_BYTES = 64 * 1024 * 1024 };

/* 10 s, doubled each time: ten minutes of an outage, or half a minute of a bad image. Some of the
 * DIC_MAX_RECEIVES deliveries are left for workers that die. */
enum { PUT_OFF_S = 10, OUTAGE_DELIVERIES = 7, LAST_DELIVERIES = 3 };

static enum dic_code parse_line(struct dic_str line, struct dic_json **json_out,
                                struct dic_image *image_out, struct dic_err *err)
{
    DIC_TRY(dic_json_parse(line, json_out, err));
    if (dic_json_is_string(*json_out)) {
        return dic_json_get_str(*json_out, "key", &image_out->key, err);
    }
    const struct dic_json *key =
        dic_json_is_object(*json_out) ? dic_json_member(*json_out, "k") : NULL;
    const struct dic_json *id = key == NULL ? NULL : dic_json_member(*json_out, "id");
    if (key == NULL || id == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored image line is neither a key nor an object");
    }
    DIC_TRY(dic_json_get_str(key, "k", &image_out->key, err));
    return dic_json_get_str(id, "id", &image_out->id, err);
}

/* As far as it goes: a line that is none leaves its image without a key. Lines and images that do
 * not fit together do not tell which is which, and no image has a key. */
static enum dic_code parse_lines(struct dic_chunk_work *work, struct dic_str lines,
                                 struct dic_err *err)
{
    struct dic_str rest = lines;
    struct dic_str line = {0};
    enum dic_code first = DIC_OK;
    uint32_t count = 0;
    while (dic_str_split(&rest, '\n', &line)) {
        if (line.len == 0) {
            continue;
        }
        if (count < work->image_count) {
            enum dic_code code = parse_line(line, &work->lines[count], &work->images[count],
                                            first == DIC_OK ? err : NULL);
            first = first == DIC_OK ? code : first;
        }
        count++;
    }
    if (count == work->image_count) {
        return first;
    }
    memset(work->images, 0, work->image_count * sizeof *work->images);
    return dic_fail(err, DIC_E_INTERNAL, "a stored chunk has %u lines instead of %u", count,
                    work->image_count);
}

static void task_done(struct dic_task *task)
{
    struct dic_chunk_work *work = task->context;
    if (atomic_fetch_sub(work->backlog, 1) - 1 == work->low_water) {
        work->hungry(work->owner);
    }
    if (atomic_fetch_sub(&work->unfinished, 1) == 1) {
        work->finished(work);
    }
}

enum dic_code dic_chunk_work_new_damaged(const struct dic_delivery *delivery,
                                         const struct dic_job_params *params,
                                         const struct dic_chunk *chunk,
                                         struct dic_chunk_work **work_out, struct dic_err *err)
{
    if (chunk->images < 1 || chunk->images > DIC_MAX_CHUNK_IMAGES) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored chunk has %u images, allowed are 1 to %d",
                        chunk->images, DIC_MAX_CHUNK_IMAGES);
    }
    struct dic_chunk_work *work = dic_calloc(1, sizeof *work);
    work->delivery = *delivery;
    work->params = *params;
    work->params.spec_json = dic_str(NULL); /* the worker has no use for it */
    work->first_image = chunk->first_image;
    work->image_count = chunk->images;
    work->images = dic_calloc(chunk->images, sizeof *work->images);
    work->tasks = dic_calloc(chunk->images, sizeof *work->tasks);
    work->lines = dic_calloc(chunk->images, sizeof(struct dic_json *));
    atomic_init(&work->unfinished, chunk->images);
    if (parse_lines(work, chunk->lines, &work->damage) != DIC_OK) {
        work->damage.code =
            DIC_E_INTERNAL; /* whatever is wrong with a line, the store is damaged */
    }
    *work_out = work;
    return DIC_OK;
}

enum dic_code dic_chunk_work_new(const struct dic_delivery *delivery,
                                 const struct dic_job_params *params, const struct dic_chunk *chunk,
                                 struct dic_chunk_work **work_out, struct dic_err *err)
{
    struct dic_chunk_work *work = NULL;
    DIC_TRY(dic_chunk_work_new_damaged(delivery, params, chunk, &work, err));
    if (work->damage.code != DIC_OK) {
        const enum dic_code code = dic_fail(err, DIC_E_INTERNAL, "%s", work->damage.msg);
        dic_chunk_work_destroy(work);
        return code;
    }
    *work_out = work;
    return DIC_OK;
}

void dic_chunk_work_destroy(struct dic_chunk_work *work)
{
    if (work == NULL) {
        return;
    }
    for (uint32_t i = 0; i < work->image_count; i++) {
        dic_json_destroy(work->lines[i]);
    }
    dic_free(work->lines);
    dic_free(work->images);
    dic_free(work->tasks);
    dic_free(work);
}

void dic_chunk_work_submit(struct dic_chunk_work *work, struct dic_pipeline *pipeline)
{
    /* The last task's done may free the work before the loop ends: count on the stack. */
    uint32_t count = work->image_count;
    struct dic_task *tasks = work->tasks;
    for (uint32_t i = 0; i < count; i++) {
        tasks[i].key = work->images[i].key;
        tasks[i].top_k = work->params.top_k;
        tasks[i].done = task_done;
        tasks[i].context = work;
        tasks[i].abandon = &work->abandon;
    }
    for (uint32_t i = 0; i < count; i++) {
        dic_pipeline_submit(pipeline, &tasks[i]);
    }
}

void dic_chunk_work_set_errors(struct dic_chunk_work *work, enum dic_row_error error,
                               const char *message)
{
    for (uint32_t i = 0; i < work->image_count; i++) {
        work->tasks[i].error = error;
        snprintf(work->tasks[i].message, sizeof work->tasks[i].message, "%s", message);
    }
}

void dic_chunk_work_fail_all(struct dic_chunk_work *work, enum dic_row_error error,
                             const char *message)
{
    dic_chunk_work_set_errors(work, error, message);
    atomic_fetch_sub(work->backlog, (int)work->image_count);
    atomic_store(&work->unfinished, 0);
    work->finished(work);
}

uint32_t dic_chunk_work_put_off_s(const struct dic_chunk_work *work)
{
    uint32_t unfetched = 0;
    for (uint32_t i = 0; i < work->image_count; i++) {
        unfetched += work->tasks[i].error == DIC_ROW_FETCH_FAILED && work->tasks[i].may_pass;
    }
    /* Half of them: it is the store. Fewer: it is these images, or a bad moment. */
    const uint32_t most = unfetched * 2 >= work->image_count ? OUTAGE_DELIVERIES : LAST_DELIVERIES;
    const uint32_t count = work->delivery.receive_count < 1 ? 1 : work->delivery.receive_count;
    return unfetched == 0 || count >= most ? 0 : (uint32_t)PUT_OFF_S << (count - 1);
}

bool dic_chunk_work_any_abandoned(const struct dic_chunk_work *work)
{
    for (uint32_t i = 0; i < work->image_count; i++) {
        if (work->tasks[i].abandoned) {
            return true;
        }
    }
    return false;
}

static void count_label(struct dic_chunk_outcome *outcome, struct dic_str label)
{
    for (size_t i = 0; i < outcome->label_count; i++) {
        if (outcome->labels[i].label.ptr == label.ptr) {
            outcome->labels[i].images++;
            return;
        }
    }
    outcome->labels[outcome->label_count++] = (struct dic_label_count){label, 1};
}

static void add_row(struct dic_chunk_outcome *outcome, const struct dic_chunk_work *work,
                    const struct dic_model_spec *model, uint32_t i)
{
    const struct dic_task *task = &work->tasks[i];
    struct dic_row_context context = {
        .index = work->first_image + i,
        .image = work->images[i],
        .confidence_threshold = work->params.confidence_threshold,
        .model = model,
    };
    int64_t class_index = dic_row_write(&outcome->rows, &context, task);
    outcome->fetch_ns += task->fetch_ns;
    outcome->decode_ns += task->decode_ns;
    outcome->infer_ns += task->infer_ns;
    outcome->bytes += task->size_bytes;
    if (task->error != DIC_ROW_OK) {
        outcome->failed++;
        return;
    }
    outcome->succeeded++;
    if (class_index < 0) {
        outcome->unknown++;
    } else {
        count_label(outcome, model->labels[class_index]);
    }
}

void dic_chunk_outcome_init(struct dic_chunk_outcome *outcome, const struct dic_chunk_work *work,
                            const struct dic_model_spec *model)
{
    *outcome = (struct dic_chunk_outcome){0};
    dic_buf_init(&outcome->rows, MAX_ROWS_BYTES);
    outcome->labels = dic_calloc(work->image_count, sizeof *outcome->labels);
    for (uint32_t i = 0; i < work->image_count; i++) {
        add_row(outcome, work, model, i);
    }
}

void dic_chunk_outcome_clean_up(struct dic_chunk_outcome *outcome)
{
    dic_buf_clean_up(&outcome->rows);
    dic_free(outcome->labels);
}
