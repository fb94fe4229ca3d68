/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline_impl.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

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
        snprintf(thread_name, sizeof thread_name, "%.8s-%hhu", name, (unsigned char)i);
        dic_thread_start(&workers[i].thread, thread_name, run, &workers[i]);
    }
}

static void join_workers(struct worker *workers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        dic_thread_join(workers[i].thread);
    }
    for (uint32_t i = 0; i < count; i++) { /* the last one alive may wake all of them */
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
    own->fetchers = between(own->fetchers, 1, DIC_PIPELINE_WORKERS_MAX);
    own->decoder_count = between(own->decoder_count, 1, DIC_PIPELINE_WORKERS_MAX);
    own->classifier.lanes = between(own->classifier.lanes, 1, DIC_PIPELINE_WORKERS_MAX);
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
    start_workers(pipeline, pipeline->lanes, own->classifier.lanes, "lane", dic_pipeline_lane_run);
    start_workers(pipeline, pipeline->decoders, own->decoder_count, "decode",
                  dic_pipeline_decode_run);
    start_workers(pipeline, pipeline->fetchers, own->fetchers, "fetch", dic_pipeline_fetch_run);
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
    atomic_fetch_add(&pipeline->in_work, 1);
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
    dic_pipeline_wake_all(pipeline->decoders, pipeline->options.decoder_count);
    dic_pipeline_wake_all(pipeline->lanes, pipeline->options.classifier.lanes);
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
        .in_work = atomic_load(&pipeline->in_work),
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
    dic_pipeline_wake_all(pipeline->decoders, options->decoder_count);
    dic_unlock(&pipeline->lock);
    join_workers(pipeline->decoders, options->decoder_count);
    dic_lock(&pipeline->lock);
    pipeline->no_more_tensors = true;
    dic_pipeline_wake_all(pipeline->lanes, options->classifier.lanes);
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
