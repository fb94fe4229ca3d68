/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_bench MODEL_FOLDER SECONDS PHOTO…
 * The best synthetic split: the worker's own decoders and lanes looping over photos in memory, no
 * queue, no HTTP, no disk. One JSON object; the rate of each split is the median of its rounds,
 * which go turn by turn.
 */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "base/thread.h"
#include "classifier_openvino.h"
#include "job/limits.h"
#include "model_spec.h"
#include "split.h"

#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, WINDOW = 64, MAX_PHOTOS = 4096, TENSORS_PER_DECODER = 4 };

struct photos {
    struct dic_str items[MAX_PHOTOS];
    size_t count;
};

struct loop {
    struct dic_pipeline *pipeline;
    const struct photos *photos;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t ended;
    size_t next;
    uint32_t out;
    bool stop;
    uint32_t failed;
};

static void fail(const char *what, const struct dic_err *err)
{
    fprintf(stderr, "pipeline_bench: %s: %s\n", what, err->msg);
    exit(1);
}

static struct dic_str read_photo(const char *path)
{
    FILE *stream = fopen(path, "rb");
    char *bytes = dic_calloc(1, DIC_MAX_IMAGE_BYTES);
    const size_t len = stream == NULL ? 0 : fread(bytes, 1, DIC_MAX_IMAGE_BYTES, stream);
    if (len == 0) {
        fprintf(stderr, "pipeline_bench: cannot read %s\n", path);
        exit(1);
    }
    fclose(stream);
    bytes = dic_realloc(bytes, len);
    return dic_str_len(bytes, len);
}

static void done(struct dic_task *task)
{
    struct loop *loop = task->context;
    dic_lock(&loop->lock);
    loop->failed += task->error != DIC_ROW_OK;
    task->bytes = loop->photos->items[loop->next++ % loop->photos->count];
    const bool again = !loop->stop;
    loop->out -= !again;
    pthread_cond_signal(&loop->ended);
    dic_unlock(&loop->lock);
    if (again) {
        dic_pipeline_submit(loop->pipeline, task);
    }
}

static void wait_for_all(struct loop *loop)
{
    DIC_GUARD(&loop->lock);
    loop->stop = true;
    while (loop->out > 0) {
        dic_cond_wait_ms(&loop->ended, &loop->lock, -1);
    }
}

static double measure(struct dic_pipeline *pipeline, struct dic_split split, double seconds)
{
    struct dic_pipeline_counts before;
    struct dic_pipeline_counts after;
    dic_pipeline_set_split(pipeline, split.decoders, split.lanes);
    dic_sleep_ms(100);
    dic_pipeline_counts(pipeline, &before);
    const int64_t start_ns = dic_clock_mono_ns(dic_clock_system());
    dic_sleep_ms((int64_t)(seconds * 1000));
    dic_pipeline_counts(pipeline, &after);
    const int64_t spent_ns = dic_clock_mono_ns(dic_clock_system()) - start_ns;
    return (double)(after.done - before.done) * 1e9 / (double)spent_ns;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void run(struct dic_pipeline *pipeline, const struct photos *photos, double seconds)
{
    static struct dic_task tasks[WINDOW];
    struct dic_split splits[DIC_SPLITS_MAX];
    double rates[DIC_SPLITS_MAX][ROUNDS];
    struct loop loop = {.pipeline = pipeline, .photos = photos, .out = WINDOW};
    const uint32_t count = dic_split_candidates(dic_cpu_count(), 0, 0, splits);
    dic_mutex_init(&loop.lock);
    dic_cond_init(&loop.ended);
    for (uint32_t i = 0; i < WINDOW; i++) {
        tasks[i].bytes = photos->items[i % photos->count];
        tasks[i].top_k = 5;
        tasks[i].done = done;
        tasks[i].context = &loop;
        dic_pipeline_submit(pipeline, &tasks[i]);
    }
    dic_sleep_ms(300);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < count; i++) {
            rates[i][round] = measure(pipeline, splits[i], seconds / ROUNDS);
        }
    }
    wait_for_all(&loop);
    printf("{");
    double best = 0;
    for (uint32_t i = 0; i < count; i++) {
        qsort(rates[i], ROUNDS, sizeof rates[i][0], compare);
        const double rate = rates[i][ROUNDS / 2];
        best = rate > best ? rate : best;
        printf("\"%ux%u\": %.1f, ", splits[i].decoders, splits[i].lanes, rate);
    }
    printf("\"best\": %.1f, \"failed\": %u}\n", best, loop.failed);
}

int main(int argc, char **argv)
{
    static struct photos photos;
    struct dic_err err = {0};
    struct dic_model_spec *model = NULL;
    struct dic_decoder_pool *decoders = NULL;
    struct dic_classifier classifier = {0};
    struct dic_pipeline *pipeline = NULL;
    if (argc < 4 || argc - 3 > MAX_PHOTOS) {
        fprintf(stderr, "usage: pipeline_bench MODEL_FOLDER SECONDS PHOTO...\n");
        return 2;
    }
    if (dic_model_spec_read(argv[1], &model, &err) != DIC_OK) {
        fail(argv[1], &err);
    }
    const struct dic_decoder_pool_options decoder_options = {
        .decoders = dic_cpu_count(),
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .max_image_bytes = DIC_MAX_IMAGE_BYTES,
        .memory_limit_bytes = DIC_MAX_DECODE_MEMORY,
        .timeout_ms = DIC_DECODE_TIMEOUT_MS,
        .spec = model->tensor,
        .decode = dic_image_decode,
    };
    if (dic_decoder_pool_start(&decoder_options, &decoders, &err) != DIC_OK ||
        dic_classifier_openvino_new(model, dic_cpu_count(), &classifier, &err) != DIC_OK) {
        fail("start", &err);
    }
    for (int i = 3; i < argc; i++) {
        photos.items[photos.count++] = read_photo(argv[i]);
    }
    const struct dic_pipeline_options options = {
        .decoders = decoders,
        .decoder_count = dic_cpu_count(),
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .classifier = classifier,
        .fetchers = 2,
        .queue_images = WINDOW,
        .queue_bytes = 64 * 1024 * 1024,
    };
    dic_pipeline_start(&options, &pipeline);
    run(pipeline, &photos, strtod(argv[2], NULL));
    dic_pipeline_destroy(pipeline);
    classifier.ops->destroy(classifier.impl);
    dic_decoder_pool_destroy(decoders);
    dic_model_spec_destroy(model);
    return 0;
}
