/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline_impl.h"
#include "top_k.h"

#include "base/clock.h"

#include <stdio.h>

/* Buffers larger than this are freed when their picture is decoded. */
enum { KEPT_BUFFER_BYTES = 1024 * 1024 };

static int64_t now_ns(void)
{
    return dic_clock_mono_ns(dic_clock_system());
}

static bool is_abandoned(const struct dic_task *task)
{
    return task->abandon != NULL && atomic_load(task->abandon);
}

/* Called without the lock; the task belongs to its owner afterwards. */
static void finish(struct dic_pipeline *pipeline, struct dic_task *task)
{
    atomic_fetch_add(&pipeline->fetch_ns, (uint64_t)task->fetch_ns);
    atomic_fetch_add(&pipeline->decode_ns, (uint64_t)task->decode_ns);
    atomic_fetch_add(&pipeline->infer_ns, (uint64_t)task->infer_ns);
    if (!task->abandoned) {
        atomic_fetch_add(&pipeline->done, 1);
        atomic_fetch_add(&pipeline->failed, task->error == DIC_ROW_OK ? 0 : 1);
    }
    atomic_fetch_sub(&pipeline->in_work, 1);
    task->done(task);
}

static void finish_abandoned(struct dic_pipeline *pipeline, struct dic_task *task)
{
    task->abandoned = true;
    finish(pipeline, task);
}

static void set_error(struct dic_task *task, enum dic_row_error error, const char *message)
{
    task->error = error;
    snprintf(task->message, sizeof task->message, "%s", message);
}

/* Wakes the first active worker that waits; the others are busy and will look for themselves. */
static void wake_one(struct worker *workers, uint32_t active)
{
    for (uint32_t i = 0; i < active; i++) {
        if (workers[i].waits) {
            workers[i].waits = false;
            pthread_cond_signal(&workers[i].wake);
            return;
        }
    }
}

/* Like wake_one, but a decoder without a free tensor has no use for a picture. */
static void wake_decoder(struct dic_pipeline *pipeline)
{
    const uint32_t active = atomic_load(&pipeline->active_decoders);
    for (uint32_t i = 0; i < active; i++) {
        struct worker *decoder = &pipeline->decoders[i];
        if (decoder->waits && decoder->free_tensors != NULL) {
            decoder->waits = false;
            pthread_cond_signal(&decoder->wake);
            return;
        }
    }
}

void dic_pipeline_wake_all(struct worker *workers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        workers[i].waits = false;
        pthread_cond_signal(&workers[i].wake);
    }
}

static void wait_for_work(struct worker *worker)
{
    worker->waits = true;
    dic_cond_wait_ms(&worker->wake, &worker->pipeline->lock, -1);
    worker->waits = false;
}

/* ---- fetch ---- */

static enum dic_row_error row_error_of(enum dic_code code)
{
    switch (code) {
    case DIC_E_NOT_FOUND:
        return DIC_ROW_NOT_FOUND;
    case DIC_E_INVALID:
        return DIC_ROW_INVALID_KEY;
    case DIC_E_DENIED:
        return DIC_ROW_ACCESS_DENIED;
    case DIC_E_TOO_LARGE:
        return DIC_ROW_TOO_LARGE;
    default:
        return DIC_ROW_FETCH_FAILED;
    }
}

static void put_spare(struct dic_pipeline *pipeline, struct encoded *encoded)
{
    if (encoded->bytes.capacity > KEPT_BUFFER_BYTES) {
        dic_buf_clean_up(&encoded->bytes);
    }
    dic_buf_clear(&encoded->bytes);
    DIC_GUARD(&pipeline->lock);
    encoded->task = NULL;
    encoded->next = pipeline->spares;
    pipeline->spares = encoded;
}

static bool next_task(struct dic_pipeline *pipeline, struct dic_task **task_out,
                      struct encoded **encoded_out)
{
    DIC_GUARD(&pipeline->lock);
    while (pipeline->first_task == NULL) {
        if (pipeline->no_more_tasks) {
            return false;
        }
        dic_cond_wait_ms(&pipeline->task_came, &pipeline->lock, -1);
    }
    *task_out = pipeline->first_task;
    pipeline->first_task = (*task_out)->next;
    if (pipeline->first_task == NULL) {
        pipeline->last_task = NULL;
    }
    *encoded_out = pipeline->spares;
    pipeline->spares = (*encoded_out)->next;
    return true;
}

static enum dic_code get(struct dic_pipeline *pipeline, const struct dic_task *task,
                         struct dic_buf *bytes, struct dic_err *err)
{
    const struct dic_blob_store *images = &pipeline->options.images;
    if (task->bytes.ptr != NULL) {
        dic_buf_append_str(bytes, task->bytes);
        return DIC_OK;
    }
    DIC_TRY(images->ops->get(images->impl, task->key, DIC_MAX_IMAGE_BYTES, bytes, NULL, err));
    atomic_fetch_add(&pipeline->fetched_bytes, bytes->len);
    return DIC_OK;
}

static void fetch(struct dic_pipeline *pipeline, struct dic_task *task, struct dic_buf *bytes)
{
    struct dic_err err = {0};
    const int64_t start_ns = now_ns();
    enum dic_code code = get(pipeline, task, bytes, &err);
    task->fetch_ns = now_ns() - start_ns;
    task->size_bytes = (int64_t)bytes->len;
    if (code != DIC_OK) {
        set_error(task, row_error_of(code), err.msg);
        task->may_pass = task->error == DIC_ROW_FETCH_FAILED && err.retryable;
    } else if (bytes->len == 0) {
        set_error(task, DIC_ROW_EMPTY, "the object has 0 bytes");
    }
}

/* A picture larger than the whole budget passes alone. */
static bool has_room(const struct dic_pipeline *pipeline, size_t bytes)
{
    if (pipeline->queued_images == 0) {
        return true;
    }
    return pipeline->queued_images < pipeline->options.queue_images &&
           pipeline->queued_bytes + bytes <= pipeline->options.queue_bytes;
}

static void push_encoded(struct dic_pipeline *pipeline, struct encoded *encoded)
{
    DIC_GUARD(&pipeline->lock);
    while (!has_room(pipeline, encoded->bytes.len)) {
        dic_cond_wait_ms(&pipeline->room_came, &pipeline->lock, -1);
    }
    encoded->next = NULL;
    if (pipeline->last_encoded == NULL) {
        pipeline->first_encoded = encoded;
    } else {
        pipeline->last_encoded->next = encoded;
    }
    pipeline->last_encoded = encoded;
    pipeline->queued_images++;
    pipeline->queued_bytes += encoded->bytes.len;
    wake_decoder(pipeline);
}

void *dic_pipeline_fetch_run(void *arg)
{
    const struct worker *worker = arg;
    struct dic_pipeline *pipeline = worker->pipeline;
    struct dic_task *task = NULL;
    struct encoded *encoded = NULL;
    while (next_task(pipeline, &task, &encoded)) {
        if (is_abandoned(task)) {
            put_spare(pipeline, encoded);
            finish_abandoned(pipeline, task);
            continue;
        }
        fetch(pipeline, task, &encoded->bytes);
        if (task->error != DIC_ROW_OK) {
            put_spare(pipeline, encoded);
            finish(pipeline, task);
            continue;
        }
        encoded->task = task;
        push_encoded(pipeline, encoded);
    }
    return NULL;
}

/* ---- decode ---- */

static bool may_decode(const struct worker *worker)
{
    const struct dic_pipeline *pipeline = worker->pipeline;
    return worker->index < atomic_load(&pipeline->active_decoders) &&
           pipeline->first_encoded != NULL && worker->free_tensors != NULL;
}

static bool next_encoded(struct worker *worker, struct encoded **encoded_out,
                         struct tensor **tensor_out)
{
    struct dic_pipeline *pipeline = worker->pipeline;
    DIC_GUARD(&pipeline->lock);
    while (!may_decode(worker)) {
        if (pipeline->no_more_encoded && pipeline->first_encoded == NULL) {
            return false;
        }
        wait_for_work(worker);
    }
    *encoded_out = pipeline->first_encoded;
    pipeline->first_encoded = (*encoded_out)->next;
    if (pipeline->first_encoded == NULL) {
        pipeline->last_encoded = NULL;
        if (pipeline->no_more_encoded) { /* those that sleep shall see it, and end */
            dic_pipeline_wake_all(pipeline->decoders, pipeline->options.decoder_count);
        }
    }
    pipeline->queued_images--;
    pipeline->queued_bytes -= (*encoded_out)->bytes.len;
    pthread_cond_broadcast(&pipeline->room_came); /* a small picture may fit where a large cannot */
    *tensor_out = worker->free_tensors;
    worker->free_tensors = (*tensor_out)->next;
    return true;
}

static void free_tensor(struct dic_pipeline *pipeline, struct tensor *tensor)
{
    DIC_GUARD(&pipeline->lock);
    struct worker *owner = &pipeline->decoders[tensor->decoder];
    tensor->next = owner->free_tensors;
    owner->free_tensors = tensor;
    if (owner->waits && may_decode(owner)) {
        owner->waits = false;
        pthread_cond_signal(&owner->wake);
    }
}

static void push_tensor(struct dic_pipeline *pipeline, struct tensor *tensor)
{
    DIC_GUARD(&pipeline->lock);
    tensor->next = NULL;
    if (pipeline->last_tensor == NULL) {
        pipeline->first_tensor = tensor;
    } else {
        pipeline->last_tensor->next = tensor;
    }
    pipeline->last_tensor = tensor;
    wake_one(pipeline->lanes, atomic_load(&pipeline->active_lanes));
}

static void decode(struct dic_pipeline *pipeline, const struct tensor *tensor,
                   struct dic_task *task, struct dic_str bytes)
{
    struct dic_image_report report = {0};
    const int64_t start_ns = now_ns();
    dic_decoder_pool_decode(pipeline->options.decoders, tensor->decoder, tensor->slot, bytes,
                            &report);
    task->decode_ns = now_ns() - start_ns;
    task->partial = report.partial;
    if (report.error != DIC_ROW_OK) {
        set_error(task, report.error, report.message);
    }
}

void *dic_pipeline_decode_run(void *arg)
{
    struct worker *worker = arg;
    struct dic_pipeline *pipeline = worker->pipeline;
    struct encoded *encoded = NULL;
    struct tensor *tensor = NULL;
    while (next_encoded(worker, &encoded, &tensor)) {
        struct dic_task *task = encoded->task;
        task->abandoned = is_abandoned(task);
        if (!task->abandoned) {
            decode(pipeline, tensor, task, dic_buf_view(&encoded->bytes));
        }
        put_spare(pipeline, encoded);
        if (task->abandoned || task->error != DIC_ROW_OK) {
            free_tensor(pipeline, tensor);
            finish(pipeline, task);
            continue;
        }
        tensor->task = task;
        push_tensor(pipeline, tensor);
    }
    return NULL;
}

/* ---- infer ---- */

static bool next_tensor(struct worker *worker, struct tensor **tensor_out)
{
    struct dic_pipeline *pipeline = worker->pipeline;
    DIC_GUARD(&pipeline->lock);
    while (pipeline->first_tensor == NULL ||
           worker->index >= atomic_load(&pipeline->active_lanes)) {
        if (pipeline->no_more_tensors && pipeline->first_tensor == NULL) {
            return false;
        }
        wait_for_work(worker);
    }
    *tensor_out = pipeline->first_tensor;
    pipeline->first_tensor = (*tensor_out)->next;
    if (pipeline->first_tensor == NULL) {
        pipeline->last_tensor = NULL;
        if (pipeline->no_more_tensors) {
            dic_pipeline_wake_all(pipeline->lanes, pipeline->options.classifier.lanes);
        }
    }
    return true;
}

static void infer(struct dic_pipeline *pipeline, uint32_t lane, const float *tensor,
                  struct dic_task *task)
{
    const struct dic_classifier *classifier = &pipeline->options.classifier;
    float *scores = pipeline->scores + (size_t)lane * classifier->classes;
    struct dic_err err = {0};
    const int64_t start_ns = now_ns();
    enum dic_code code = classifier->ops->infer(classifier->impl, lane, tensor, scores, &err);
    task->infer_ns = now_ns() - start_ns;
    if (code != DIC_OK) {
        set_error(task, DIC_ROW_INFERENCE_FAILED, err.msg);
        return;
    }
    if (!dic_scores_finite(scores, classifier->classes)) {
        set_error(task, DIC_ROW_INFERENCE_FAILED, "the model's scores are not all numbers");
        return;
    }
    task->prediction_count = dic_top_k(scores, classifier->classes, task->top_k, task->predictions);
}

void *dic_pipeline_lane_run(void *arg)
{
    struct worker *worker = arg;
    struct dic_pipeline *pipeline = worker->pipeline;
    struct tensor *tensor = NULL;
    while (next_tensor(worker, &tensor)) {
        struct dic_task *task = tensor->task;
        task->abandoned = is_abandoned(task);
        if (!task->abandoned) {
            infer(pipeline, worker->index, tensor->values, task);
        }
        free_tensor(pipeline, tensor);
        finish(pipeline, task);
    }
    return NULL;
}
