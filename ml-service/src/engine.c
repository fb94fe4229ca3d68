/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "child_run.h"
#include "image_decode.h"
#include "job/limits.h"
#include "model_fetch.h"

#include <stddef.h>

enum { TENSORS_PER_DECODER = 4, SPLIT_PROBE_MS = 400, QUEUE_IMAGES = 64 };
enum { QUEUE_BYTES = 64 * 1024 * 1024 };
enum { FETCH_MARGIN_S = 60 }; /* a call that was under way ends within it */

#define AT(member) offsetof(struct dic_engine_settings, member)

const struct dic_setting dic_engine_settings_table[] = {
    {"MODEL_URI", DIC_SETTING_TEXT, AT(model_uri), "", 0, 1000, false,
     "folder with a model.json, or s3://bucket/folder/ (ml-service only); empty: the model that "
     "comes with the program"},
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
    const char *uri = engine->settings.model_uri;
    if (!dic_model_uri_is_remote(uri)) {
        return dic_model_spec_read(uri[0] != '\0' ? uri : fallback_folder, &engine->model, err);
    }
    if (engine->open_model_store == NULL) {
        return dic_fail_field(err, DIC_E_INVALID, "MODEL_URI",
                              "MODEL_URI is '%.160s': only ml-service reads models from S3; here "
                              "it is a folder",
                              uri);
    }
    return dic_model_uri_parse(uri, &engine->model_uri, err);
}

/* In the child. */
static enum dic_code fetch(void *context, struct dic_err *err)
{
    const struct dic_engine *engine = context;
    struct dic_model_fetch_options options = {
        .uri = &engine->model_uri,
        .files = engine->model_files,
        .clock = dic_clock_system(),
    };
    DIC_TRY(engine->open_model_store(engine->model_uri.bucket, &options.store, err));
    return dic_model_fetch(&options, err);
}

static enum dic_code fetch_files(struct dic_engine *engine, struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) char *origin = dic_model_fetch_origin(&engine->model_uri);
    const struct dic_child_options child = {
        .what = "reading the model",
        .run = fetch,
        .context = engine,
        .timeout_ms = (int64_t)(DIC_MODEL_FETCH_S + FETCH_MARGIN_S) * 1000,
    };
    DIC_TRY(dic_model_files_new(origin, &engine->model_files, err));
    DIC_TRY(dic_child_run(&child, err));
    return dic_model_spec_read_files(engine->model_files, &engine->model, err);
}

enum dic_code dic_engine_fetch_model(struct dic_engine *engine, struct dic_err *err)
{
    struct dic_err why = {0};
    if (engine->model != NULL) {
        return DIC_OK;
    }
    const enum dic_code code = fetch_files(engine, &why);
    return code == DIC_OK ? DIC_OK
                          : dic_fail_field(err, code, "MODEL_URI", "MODEL_URI: %.300s", why.msg);
}

static void forget_files(struct dic_engine *engine)
{
    dic_model_files_destroy(engine->model_files);
    engine->model_files = NULL;
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
    forget_files(engine); /* the inference library has its own mapping, or copy */
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
    forget_files(engine);
}
