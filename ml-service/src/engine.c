/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "image_decode.h"
#include "job/limits.h"

#include <stddef.h>
#include <string.h>

enum { TENSORS_PER_DECODER = 4, SPLIT_PROBE_MS = 400, QUEUE_IMAGES = 64 };
enum { QUEUE_BYTES = 64 * 1024 * 1024 };

#define AT(member) offsetof(struct dic_engine_settings, member)

const struct dic_setting dic_engine_settings_table[] = {
    {"MODEL_URI", DIC_SETTING_TEXT, AT(model_uri), "", 0, 1000, false,
     "folder with a model.json; empty: the model that comes with the program"},
    {"DECODERS", DIC_SETTING_NUMBER, AT(decoders), "0", 0, 64, false,
     "decoder processes; 0: up to one for each CPU, as measured"},
    {"LANES", DIC_SETTING_NUMBER, AT(lanes), "0", 0, 64, false,
     "inference lanes; 0: up to one for each CPU, as measured"},
};
const size_t dic_engine_settings_count =
    sizeof dic_engine_settings_table / sizeof dic_engine_settings_table[0];

enum dic_code dic_engine_read_model(struct dic_engine *engine, const char *fallback_folder,
                                    struct dic_err *err)
{
    const char *folder =
        engine->settings.model_uri[0] != '\0' ? engine->settings.model_uri : fallback_folder;
    engine->model_folder = dic_strdup_len(folder, strlen(folder));
    return dic_model_spec_read(engine->model_folder, &engine->model, err);
}

enum dic_code dic_engine_fork(struct dic_engine *engine, struct dic_err *err)
{
    const struct dic_engine_settings *settings = &engine->settings;
    engine->cpus = dic_cpu_count();
    engine->decoder_count = settings->decoders > 0 ? (uint32_t)settings->decoders : engine->cpus;
    engine->lane_count = settings->lanes > 0 ? (uint32_t)settings->lanes : engine->cpus;
    const struct dic_decoder_pool_options options = {
        .decoders = engine->decoder_count,
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .max_image_bytes = DIC_MAX_IMAGE_BYTES,
        .memory_limit_bytes = DIC_MAX_DECODE_MEMORY + DIC_DECODER_OVERHEAD,
        .timeout_ms = DIC_DECODE_TIMEOUT_MS,
        .spec = engine->model->tensor,
        .decode = dic_image_decode,
    };
    return dic_decoder_pool_start(&options, &engine->decoders, err);
}

static void start_pipeline(struct dic_engine *engine, struct dic_blob_store images,
                           uint32_t fetchers)
{
    const struct dic_pipeline_options options = {
        .images = images,
        .decoders = engine->decoders,
        .decoder_count = engine->decoder_count,
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .classifier = engine->classifier,
        .fetchers = fetchers,
        .queue_images = QUEUE_IMAGES,
        .queue_bytes = QUEUE_BYTES,
    };
    dic_pipeline_start(&options, &engine->pipeline);
}

static void choose_split(struct dic_engine *engine)
{
    struct dic_split splits[DIC_SPLITS_MAX];
    const uint32_t count = dic_split_candidates(engine->cpus, (uint32_t)engine->settings.decoders,
                                                (uint32_t)engine->settings.lanes, splits);
    engine->split_search = dic_split_search_start(engine->pipeline, splits, count, SPLIT_PROBE_MS);
}

enum dic_code dic_engine_start(struct dic_engine *engine, uint32_t fetchers,
                               dic_classifier_new classifier_new,
                               const struct dic_worker_options *options, struct dic_err *err)
{
    struct dic_worker_options worker = *options;
    DIC_TRY(classifier_new(engine->model, engine->lane_count, &engine->classifier, err));
    start_pipeline(engine, options->images, fetchers);
    choose_split(engine);
    worker.pipeline = engine->pipeline;
    worker.model = engine->model;
    worker.clock = dic_clock_system();
    dic_worker_start(&worker, &engine->worker);
    return DIC_OK;
}

void dic_engine_drain(struct dic_engine *engine)
{
    if (engine->worker != NULL) {
        dic_worker_drain(engine->worker);
    }
}

void dic_engine_clean_up(struct dic_engine *engine)
{
    dic_worker_destroy(engine->worker);
    dic_split_search_stop(engine->split_search);
    dic_pipeline_destroy(engine->pipeline);
    if (engine->classifier.ops != NULL) {
        engine->classifier.ops->destroy(engine->classifier.impl);
    }
    dic_decoder_pool_destroy(engine->decoders);
    dic_model_spec_destroy(engine->model);
    dic_free(engine->model_folder);
}
