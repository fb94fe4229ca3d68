/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker on any adapters: model, decoder processes, inference, pipeline and worker, built in
 * the order that safety asks for. Used from main, by one thread.
 */
#ifndef DIC_ML_ENGINE_H
#define DIC_ML_ENGINE_H

#include "base/settings.h"
#include "classifier.h"
#include "decoder_pool.h"
#include "model_spec.h"
#include "model_uri.h"
#include "pipeline.h"
#include "split_search.h"
#include "store/blob_store.h"
#include "worker.h"

struct dic_engine_settings {
    const char *model_uri;
    int64_t decoders;
    int64_t lanes;
};
extern const struct dic_setting dic_engine_settings_table[];
extern const size_t dic_engine_settings_count;

/* Makes a classifier of `lanes` lanes for a model; as in classifier_openvino.h. */
typedef enum dic_code (*dic_classifier_new)(const struct dic_model_spec *model, uint32_t lanes,
                                            struct dic_classifier *out, struct dic_err *err);

/* Opens the bucket of a model; called in a process of its own, which ends soon after. */
typedef enum dic_code (*dic_model_store_open)(const char *bucket, struct dic_blob_store *out,
                                              struct dic_err *err);

struct dic_engine {
    struct dic_engine_settings settings;
    dic_model_store_open open_model_store; /* set before all else; NULL: models are folders only */
    struct dic_model_uri model_uri;
    struct dic_model_files *model_files; /* NULL: the model is a folder, or loaded */
    struct dic_model_spec *model;
    struct dic_decoder_pool *decoders;
    struct dic_classifier classifier;
    struct dic_pipeline *pipeline;
    struct dic_split_search *split_search;
    struct dic_worker *worker;
    uint32_t cpus;
    uint32_t decoder_count;
    uint32_t lane_count;
};

/* fallback_folder: of the model that comes with the program, used when MODEL_URI is empty. Of a
 * model in S3 only the URI is looked at: engine->model is NULL until it is fetched. */
DIC_MUST_USE enum dic_code dic_engine_read_model(struct dic_engine *engine,
                                                 const char *fallback_folder, struct dic_err *err);
/* Reads a model in S3, if that is where it is. CONFLICT with a signal pending: it was asked to end.
 */
DIC_MUST_USE enum dic_code dic_engine_fetch_model(struct dic_engine *engine, struct dic_err *err);
/* Must come before any thread and any credential, and after the model is known: the decoders'
 * nursery is forked here. */
DIC_MUST_USE enum dic_code dic_engine_fork(struct dic_engine *engine, struct dic_err *err);
/* `options` as for the worker; its pipeline, model and clock are filled in here. */
DIC_MUST_USE enum dic_code dic_engine_start(struct dic_engine *engine, uint32_t fetchers,
                                            dic_classifier_new classifier_new,
                                            const struct dic_worker_options *options,
                                            struct dic_err *err);
void dic_engine_drain(struct dic_engine *engine); /* also of one that was not started */
void dic_engine_clean_up(struct dic_engine *engine);

#endif
