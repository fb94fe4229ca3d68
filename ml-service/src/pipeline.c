/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline.h"

#include "top_k.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

enum {
    WORKERS_MAX = 64,
    KEPT_BUFFER_BYTES = 1024 * 1024, /* larger ones are freed when their picture is decoded */
};

/* A fetched picture on its way to a decoder; lives in a fixed array, see spares. */
struct encoded {
    struct dic_buf bytes;
    struct dic_task *task;
    struct encoded *next;
};

/* A decoded picture on its way to a lane: a tensor slot of one decoder. */
struct tensor {
    const float *values;
    uint32_t decoder;
    uint32_t slot;
    struct dic_task *task;
    struct tensor *next;
};

/* A thread that takes work when it is among the first `active` of its kind. Each has its own
 * condition, so that a wake-up cannot be lost on one that sleeps. */
struct worker {
    struct dic_pipeline *pipeline;
    uint32_t index;
    pthread_t thread;
    pthread_cond_t wake;
    bool waits;
    struct tensor *free_tensors; /* of a decoder: not in use */
};

struct dic_pipeline {
    struct dic_pipeline_options options;
    /* Guards everything down to the threads. Held for list operations only; at some hundred
     * pictures a second it is never contended, so one lock is simpler than four. */
    pthread_mutex_t lock;
    struct dic_task *first_task; /* submitted, oldest first */
    struct dic_task *last_task;
    pthread_cond_t task_came;
    struct encoded *first_encoded;
    struct encoded *last_encoded;
    uint64_t queued_images;
    uint64_t queued_bytes;
    pthread_cond_t room_came;
    struct tensor *first_tensor;
    struct tensor *last_tensor;
    bool no_more_tasks;
    bool no_more_encoded;
    bool no_more_tensors;

    struct worker fetchers[WORKERS_MAX];
    struct worker decoders[WORKERS_MAX];
    struct worker lanes[WORKERS_MAX];
    struct encoded *encoded; /* one for each fetcher, queue place and decoder: never runs out */
    struct encoded *spares;
    struct tensor *tensors;
    float *scores; /* classes of them for each lane */

    atomic_uint active_decoders; /* written under the lock */
    atomic_uint active_lanes;
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t fetch_ns;
    atomic_uint_fast64_t decode_ns;
    atomic_uint_fast64_t infer_ns;
    atomic_uint_fast64_t fetched_bytes;
};

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
    atomic_fetch_add(&pipeline->fetched_bytes, (uint64_t)task->size_bytes);
    if (!task->abandoned) {
        atomic_fetch_add(&pipeline->done, 1);
        atomic_fetch_add(&pipeline->failed, task->error == DIC_ROW_OK ? 0 : 1);
    }
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

static void wake_all(struct worker *workers, uint32_t count)
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

static void fetch(struct dic_pipeline *pipeline, struct dic_task *task, struct dic_buf *bytes)
{
    struct dic_err err = {0};
    const struct dic_blob_store *images = &pipeline->options.images;
    const int64_t start_ns = now_ns();
    enum dic_code code =
        images->ops->get(images->impl, task->key, DIC_MAX_IMAGE_BYTES, bytes, NULL, &err);
    task->fetch_ns = now_ns() - start_ns;
    task->size_bytes = (int64_t)bytes->len;
    if (code != DIC_OK) {
        set_error(task, row_error_of(code), err.msg);
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

static void *run_fetcher(void *arg)
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

static void *run_decoder(void *arg)
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

static void *run_lane(void *arg)
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

/* ---- life ---- */

static void make_buffers(struct dic_pipeline *pipeline)
{
    const struct dic_pipeline_options *options = &pipeline->options;
    const size_t places =
        (size_t)options->fetchers + options->queue_images + options->decoder_count + 1;
    pipeline->encoded = dic_calloc(places, sizeof *pipeline->encoded);
    for (size_t i = 0; i < places; i++) {
        dic_buf_init(&pipeline->encoded[i].bytes, DIC_MAX_IMAGE_BYTES);
        pipeline->encoded[i].next = pipeline->spares;
        pipeline->spares = &pipeline->encoded[i];
    }
    const uint32_t slots = options->tensors_per_decoder;
    pipeline->tensors =
        dic_calloc((size_t)options->decoder_count * slots, sizeof *pipeline->tensors);
    for (uint32_t i = 0; i < options->decoder_count * slots; i++) {
        struct tensor *tensor = &pipeline->tensors[i];
        tensor->decoder = i / slots;
        tensor->slot = i % slots;
        tensor->values = dic_decoder_pool_tensor(options->decoders, tensor->decoder, tensor->slot);
        tensor->next = pipeline->decoders[tensor->decoder].free_tensors;
        pipeline->decoders[tensor->decoder].free_tensors = tensor;
    }
    pipeline->scores = dic_calloc((size_t)options->classifier.lanes * options->classifier.classes,
                                  sizeof *pipeline->scores);
}

static void start_workers(struct dic_pipeline *pipeline, struct worker *workers, uint32_t count,
                          const char *name, void *(*run)(void *))
{
    for (uint32_t i = 0; i < count; i++) {
        workers[i].pipeline = pipeline;
        workers[i].index = i;
        dic_cond_init(&workers[i].wake);
    }
    for (uint32_t i = 0; i < count; i++) {
        char thread_name[16];
        snprintf(thread_name, sizeof thread_name, "%.8s-%u", name, i);
        dic_thread_start(&workers[i].thread, thread_name, run, &workers[i]);
    }
}

static void join_workers(struct worker *workers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        dic_thread_join(workers[i].thread);
        pthread_cond_destroy(&workers[i].wake);
    }
}

static uint32_t between(uint32_t value, uint32_t min, uint32_t max)
{
    if (value < min) {
        return min;
    }
    return value > max ? max : value;
}

void dic_pipeline_start(const struct dic_pipeline_options *options,
                        struct dic_pipeline **pipeline_out)
{
    struct dic_pipeline *pipeline = dic_calloc(1, sizeof *pipeline);
    pipeline->options = *options;
    struct dic_pipeline_options *own = &pipeline->options;
    own->fetchers = between(own->fetchers, 1, WORKERS_MAX);
    own->decoder_count = between(own->decoder_count, 1, WORKERS_MAX);
    own->classifier.lanes = between(own->classifier.lanes, 1, WORKERS_MAX);
    own->queue_images = own->queue_images == 0 ? 1 : own->queue_images;
    atomic_store(&pipeline->active_decoders,
                 between(own->active_decoders == 0 ? own->decoder_count : own->active_decoders, 1,
                         own->decoder_count));
    atomic_store(&pipeline->active_lanes,
                 between(own->active_lanes == 0 ? own->classifier.lanes : own->active_lanes, 1,
                         own->classifier.lanes));
    dic_mutex_init(&pipeline->lock);
    dic_cond_init(&pipeline->task_came);
    dic_cond_init(&pipeline->room_came);
    make_buffers(pipeline);
    start_workers(pipeline, pipeline->lanes, own->classifier.lanes, "lane", run_lane);
    start_workers(pipeline, pipeline->decoders, own->decoder_count, "decode", run_decoder);
    start_workers(pipeline, pipeline->fetchers, own->fetchers, "fetch", run_fetcher);
    *pipeline_out = pipeline;
}

static void reset_outcome(struct dic_task *task)
{
    task->abandoned = false;
    task->error = DIC_ROW_OK;
    task->message[0] = '\0';
    task->partial = false;
    task->prediction_count = 0;
    task->size_bytes = 0;
    task->fetch_ns = 0;
    task->decode_ns = 0;
    task->infer_ns = 0;
    task->next = NULL;
}

void dic_pipeline_submit(struct dic_pipeline *pipeline, struct dic_task *task)
{
    reset_outcome(task);
    DIC_GUARD(&pipeline->lock);
    if (pipeline->last_task == NULL) {
        pipeline->first_task = task;
    } else {
        pipeline->last_task->next = task;
    }
    pipeline->last_task = task;
    pthread_cond_signal(&pipeline->task_came);
}

void dic_pipeline_set_split(struct dic_pipeline *pipeline, uint32_t decoders, uint32_t lanes)
{
    DIC_GUARD(&pipeline->lock);
    atomic_store(&pipeline->active_decoders, between(decoders, 1, pipeline->options.decoder_count));
    atomic_store(&pipeline->active_lanes, between(lanes, 1, pipeline->options.classifier.lanes));
    wake_all(pipeline->decoders, pipeline->options.decoder_count);
    wake_all(pipeline->lanes, pipeline->options.classifier.lanes);
}

void dic_pipeline_counts(const struct dic_pipeline *pipeline, struct dic_pipeline_counts *out)
{
    *out = (struct dic_pipeline_counts){
        .done = atomic_load(&pipeline->done),
        .failed = atomic_load(&pipeline->failed),
        .fetch_ns = atomic_load(&pipeline->fetch_ns),
        .decode_ns = atomic_load(&pipeline->decode_ns),
        .infer_ns = atomic_load(&pipeline->infer_ns),
        .fetched_bytes = atomic_load(&pipeline->fetched_bytes),
        .active_decoders = atomic_load(&pipeline->active_decoders),
        .active_lanes = atomic_load(&pipeline->active_lanes),
    };
}

/* Stage by stage from the front: nothing can come to a stage whose source has ended. */
static void end_threads(struct dic_pipeline *pipeline)
{
    const struct dic_pipeline_options *options = &pipeline->options;
    dic_lock(&pipeline->lock);
    pipeline->no_more_tasks = true;
    pthread_cond_broadcast(&pipeline->task_came);
    dic_unlock(&pipeline->lock);
    join_workers(pipeline->fetchers, options->fetchers);
    dic_lock(&pipeline->lock);
    pipeline->no_more_encoded = true;
    wake_all(pipeline->decoders, options->decoder_count);
    dic_unlock(&pipeline->lock);
    join_workers(pipeline->decoders, options->decoder_count);
    dic_lock(&pipeline->lock);
    pipeline->no_more_tensors = true;
    wake_all(pipeline->lanes, options->classifier.lanes);
    dic_unlock(&pipeline->lock);
    join_workers(pipeline->lanes, options->classifier.lanes);
}

void dic_pipeline_destroy(struct dic_pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    end_threads(pipeline);
    const size_t places = (size_t)pipeline->options.fetchers + pipeline->options.queue_images +
                          pipeline->options.decoder_count + 1;
    for (size_t i = 0; i < places; i++) {
        dic_buf_clean_up(&pipeline->encoded[i].bytes);
    }
    pthread_mutex_destroy(&pipeline->lock);
    pthread_cond_destroy(&pipeline->task_came);
    pthread_cond_destroy(&pipeline->room_came);
    dic_free(pipeline->encoded);
    dic_free(pipeline->tensors);
    dic_free(pipeline->scores);
    dic_free(pipeline);
}
