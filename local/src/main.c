/* SPDX-License-Identifier: Apache-2.0 */
/* classifier-local: the HTTP API and the worker in one process, on SQLite and folders. */
#include "api.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "classifier_openvino.h"
#include "decoder_pool.h"
#include "local_store.h"
#include "model_spec.h"
#include "pipeline.h"
#include "samples.h"
#include "server.h"
#include "split_search.h"
#include "sweeper.h"
#include "worker.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifndef DIC_VERSION
#define DIC_VERSION "0.0.0"
#endif

enum {
    TENSORS_PER_DECODER = 4,
    SPLIT_PROBE_MS = 400,
    DRAIN_GRACE_MS = 4000,
    DAY_MS = 24 * 3600 * 1000
};

struct settings {
    int64_t port;
    const char *bind_address;
    const char *data_dir;
    const char *model_uri;
    const char *samples_dir;
    const char *log_level;
    int64_t worker_enabled;
    int64_t decoders;
    int64_t lanes;
    int64_t fetchers;
    int64_t chunk_images;
    int64_t io_threads;
    int64_t handler_threads;
    int64_t max_connections;
    int64_t header_timeout_ms;
    int64_t idle_timeout_s;
    int64_t body_budget_mib;
    int64_t sweep_interval_ms;
    int64_t retention_days;
    double usd_per_million_images;
};

#define AT(member) offsetof(struct settings, member)

static const struct dic_setting table[] = {
    {"PORT", DIC_SETTING_NUMBER, AT(port), "8080", 0, 65535, false,
     "TCP port of the API; 0 takes a free one"},
    {"BIND_ADDRESS", DIC_SETTING_TEXT, AT(bind_address), "127.0.0.1", 1, 45, false,
     "numeric address to listen on; there is no authentication yet"},
    {"DATA_DIR", DIC_SETTING_TEXT, AT(data_dir), "./data", 1, 1000, false,
     "folder of the bucket (DATA_DIR/bucket), the jobs and the results"},
    {"MODEL_URI", DIC_SETTING_TEXT, AT(model_uri), "", 0, 1000, false,
     "folder with a model.json; empty: the model that comes with the project"},
    {"SAMPLES_DIR", DIC_SETTING_TEXT, AT(samples_dir), "", 0, 1000, false,
     "photos for a new bucket; empty: those that come with the project"},
    {"LOG_LEVEL", DIC_SETTING_TEXT, AT(log_level), "info", 1, 10, false,
     "debug, info, warn, error or off"},
    {"WORKER_ENABLED", DIC_SETTING_NUMBER, AT(worker_enabled), "1", 0, 1, false,
     "0: accept jobs, but leave them queued"},
    {"DECODERS", DIC_SETTING_NUMBER, AT(decoders), "0", 0, 64, false,
     "decoder processes; 0: up to one for each CPU, as measured"},
    {"LANES", DIC_SETTING_NUMBER, AT(lanes), "0", 0, 64, false,
     "inference lanes; 0: up to one for each CPU, as measured"},
    {"FETCHERS", DIC_SETTING_NUMBER, AT(fetchers), "2", 1, 64, false, "threads that read images"},
    {"CHUNK_IMAGES", DIC_SETTING_NUMBER, AT(chunk_images), "100", 1, DIC_MAX_CHUNK_IMAGES, false,
     "images in a chunk, the unit of delivery and accounting"},
    {"IO_THREADS", DIC_SETTING_NUMBER, AT(io_threads), "2", 1, 64, false,
     "threads that read requests and write answers"},
    {"HANDLER_THREADS", DIC_SETTING_NUMBER, AT(handler_threads), "64", 1, 512, false,
     "threads for requests that wait for storage"},
    {"MAX_CONNECTIONS", DIC_SETTING_NUMBER, AT(max_connections), "2048", 1, 60000, false,
     "open connections; further ones wait"},
    {"HEADER_TIMEOUT_MS", DIC_SETTING_NUMBER, AT(header_timeout_ms), "10000", 100, 120000, false,
     "time for a request's headers to arrive"},
    {"IDLE_TIMEOUT_S", DIC_SETTING_NUMBER, AT(idle_timeout_s), "65", 1, 3600, false,
     "time that an idle connection is kept"},
    {"BODY_BUDGET_MIB", DIC_SETTING_NUMBER, AT(body_budget_mib), "256", 12, 65536, false,
     "request bodies held in memory at one time, in all"},
    {"SWEEP_INTERVAL_MS", DIC_SETTING_NUMBER, AT(sweep_interval_ms), "5000", 50, 3600000, false,
     "how often lost messages, deadlines and old jobs are looked for"},
    {"RETENTION_DAYS", DIC_SETTING_NUMBER, AT(retention_days), "30", 1, 3650, false,
     "ended jobs and their results are removed after so many days"},
    {"USD_PER_MILLION_IMAGES", DIC_SETTING_REAL, AT(usd_per_million_images), "0", 0, 1000000, false,
     "price behind estimated_cost_usd; your own machine costs nothing here"},
};

enum { TABLE_LEN = sizeof table / sizeof table[0] };

static const struct dic_program program = {
    .name = "classifier-local",
    .summary = "the image classifier on one machine: HTTP API, queue and worker in one process",
    .version = DIC_VERSION,
    .settings = table,
    .setting_count = TABLE_LEN,
};

/* Everything that main builds, in the order in which it is built. */
struct application {
    struct settings settings;
    char *model_folder;
    char *samples_folder;
    struct dic_model_spec *model;
    struct dic_decoder_pool *decoders;
    struct dic_local *store;
    struct dic_classifier classifier;
    struct dic_pipeline *pipeline;
    struct dic_split_search *split_search;
    struct dic_worker *worker;
    struct dic_api api;
    struct dic_server *server;
    struct dic_sweeper *sweeper;
    uint32_t cpus;
    uint32_t decoder_count;
    uint32_t lane_count;
};

static char *project_folder(const char *setting, const char *relative)
{
    if (setting[0] != '\0') {
        return dic_strdup_len(setting, strlen(setting));
    }
    DIC_CLEANUP(dic_free_cleanup) char *programs = dic_program_folder();
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/../../%s", programs, relative); /* build/bin is two below the root */
    return dic_buf_detach(&path, &len);
}

static enum dic_code read_configuration(struct application *app, struct dic_err *err)
{
    enum dic_log_level level = DIC_LOG_INFO;
    DIC_TRY(dic_settings_read(table, TABLE_LEN, &app->settings, err));
    DIC_TRY(dic_log_level_parse(dic_str(app->settings.log_level), &level, err));
    dic_log_set_level(level);
    app->model_folder =
        project_folder(app->settings.model_uri, "ml-service/model/efficientnet-lite0");
    app->samples_folder = project_folder(app->settings.samples_dir, "local/samples");
    return dic_model_spec_read(app->model_folder, &app->model, err);
}

/* Must come first: the decoders' nursery is forked while there is one thread and nothing to steal.
 */
static enum dic_code start_decoders(struct application *app, struct dic_err *err)
{
    app->cpus = dic_cpu_count();
    app->decoder_count = app->settings.decoders > 0 ? (uint32_t)app->settings.decoders : app->cpus;
    app->lane_count = app->settings.lanes > 0 ? (uint32_t)app->settings.lanes : app->cpus;
    struct dic_decoder_pool_options options = {
        .decoders = app->decoder_count,
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .max_image_bytes = DIC_MAX_IMAGE_BYTES,
        .memory_limit_bytes = DIC_MAX_DECODE_MEMORY + DIC_DECODER_OVERHEAD,
        .timeout_ms = DIC_DECODE_TIMEOUT_MS,
        .spec = app->model->tensor,
        .decode = dic_image_decode,
    };
    return dic_decoder_pool_start(&options, &app->decoders, err);
}

static enum dic_code open_store(struct application *app, struct dic_err *err)
{
    DIC_TRY(dic_samples_seed(app->settings.data_dir, app->samples_folder, err));
    return dic_local_open(app->settings.data_dir, dic_clock_system(), &app->store, err);
}

static void start_pipeline(struct application *app)
{
    struct dic_pipeline_options options = {
        .images = dic_local_images(app->store),
        .decoders = app->decoders,
        .decoder_count = app->decoder_count,
        .tensors_per_decoder = TENSORS_PER_DECODER,
        .classifier = app->classifier,
        .fetchers = (uint32_t)app->settings.fetchers,
        .queue_images = 64,
        .queue_bytes = 64 * 1024 * 1024,
    };
    dic_pipeline_start(&options, &app->pipeline);
}

static void choose_split(struct application *app)
{
    struct dic_split splits[DIC_SPLITS_MAX];
    const uint32_t count = dic_split_candidates(app->cpus, (uint32_t)app->settings.decoders,
                                                (uint32_t)app->settings.lanes, splits);
    app->split_search = dic_split_search_start(app->pipeline, splits, count, SPLIT_PROBE_MS);
}

static void start_worker(struct application *app)
{
    struct dic_worker_options options = {
        .jobs = dic_local_jobs(app->store),
        .queue = dic_local_queue(app->store),
        .images = dic_local_images(app->store),
        .pipeline = app->pipeline,
        .model = app->model,
        .clock = dic_clock_system(),
        .window_images = 64,
        .max_chunks = 32,
        .pollers = 1,
        .recorders = 4,
        .chunk_images = (uint32_t)app->settings.chunk_images,
        .watch_ms = 500,
    };
    dic_worker_start(&options, &app->worker);
}

static enum dic_code start_inference(struct application *app, struct dic_err *err)
{
    DIC_TRY(dic_classifier_openvino_new(app->model, app->lane_count, &app->classifier, err));
    start_pipeline(app);
    choose_split(app);
    start_worker(app);
    return DIC_OK;
}

static enum dic_code start_server(struct application *app, struct dic_err *err)
{
    app->api.jobs = dic_local_jobs(app->store);
    app->api.queue = dic_local_queue(app->store);
    app->api.images = dic_local_images(app->store);
    app->api.results = dic_local_results(app->store);
    app->api.clock = dic_clock_system();
    app->api.usd_per_million_images = app->settings.usd_per_million_images;
    app->api.chunk_images = (uint32_t)app->settings.chunk_images;
    app->api.version = DIC_VERSION;
    if (app->worker != NULL) {
        app->api.extra_metrics = dic_worker_metrics;
        app->api.extra_metrics_context = app->worker;
    }
    struct dic_server_options options = {
        .bind_address = app->settings.bind_address,
        .port = (uint16_t)app->settings.port,
        .io_threads = (uint32_t)app->settings.io_threads,
        .handler_threads = (uint32_t)app->settings.handler_threads,
        .max_connections = (uint32_t)app->settings.max_connections,
        .body_budget_bytes = (uint64_t)app->settings.body_budget_mib * 1024 * 1024,
        .header_timeout_ms = (uint32_t)app->settings.header_timeout_ms,
        .body_min_bytes_per_s = 1000,
        .idle_timeout_s = (uint32_t)app->settings.idle_timeout_s,
        .allow_inline = app->api.jobs.ops->is_local,
        .api = &app->api,
    };
    DIC_TRY(dic_server_start(&options, &app->server, err));
    atomic_store(&app->api.server, app->server);
    return DIC_OK;
}

static void start_sweeper(struct application *app)
{
    struct dic_sweeper_options options = {
        .jobs = dic_local_jobs(app->store),
        .clock = dic_clock_system(),
        .interval_ms = (uint32_t)app->settings.sweep_interval_ms,
        .retention_ms = app->settings.retention_days * DAY_MS,
    };
    app->sweeper = dic_sweeper_start(&options);
}

static enum dic_code start(struct application *app, struct dic_err *err)
{
    DIC_TRY(start_decoders(app, err));
    DIC_TRY(open_store(app, err));
    if (app->settings.worker_enabled != 0) {
        DIC_TRY(start_inference(app, err));
    }
    DIC_TRY(start_server(app, err));
    start_sweeper(app);
    return DIC_OK;
}

static void say_ready(const struct application *app)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "ready");
    dic_log_int(&log, "port", dic_server_port(app->server));
    dic_log_str(&log, "address", app->settings.bind_address);
    dic_log_str(&log, "data_dir", app->settings.data_dir);
    dic_log_str(&log, "model", app->model->name);
    dic_log_int(&log, "decoders", app->decoder_count);
    dic_log_int(&log, "lanes", app->lane_count);
    dic_log_end(&log);
}

/* Requests that wait are answered first, then the worker finishes the images in hand. */
static void stop(struct application *app)
{
    atomic_store(&app->api.draining, true);
    if (app->server != NULL) {
        dic_server_stop(app->server, DRAIN_GRACE_MS);
    }
    dic_sweeper_stop(app->sweeper);
    if (app->worker != NULL) {
        dic_worker_drain(app->worker);
    }
}

static void clean_up(struct application *app)
{
    dic_server_destroy(app->server);
    dic_worker_destroy(app->worker);
    dic_split_search_stop(app->split_search);
    dic_pipeline_destroy(app->pipeline);
    if (app->classifier.ops != NULL) {
        app->classifier.ops->destroy(app->classifier.impl);
    }
    dic_local_close(app->store);
    dic_decoder_pool_destroy(app->decoders);
    dic_model_spec_destroy(app->model);
    dic_free(app->model_folder);
    dic_free(app->samples_folder);
}

static int run(struct application *app)
{
    struct dic_err err = {0};
    int status = 0;
    dic_program_block_signals();
    dic_settings_log(table, TABLE_LEN, &app->settings);
    if (start(app, &err) == DIC_OK) {
        say_ready(app);
        int received = dic_program_wait_for_signal();
        dic_log_message(DIC_LOG_INFO, "stopping", "signal %d", received);
    } else {
        status = dic_program_failed(&program, &err);
    }
    stop(app);
    clean_up(app);
    return status;
}

int main(int argc, char **argv)
{
    enum dic_program_mode mode = dic_program_start(&program, argc, argv);
    if (mode == DIC_PROGRAM_DONE || mode == DIC_PROGRAM_USAGE_ERROR) {
        return mode == DIC_PROGRAM_DONE ? 0 : 2;
    }
    static struct application app; /* large, and its address is handed to threads */
    struct dic_err err = {0};
    dic_log_set_service(program.name);
    if (read_configuration(&app, &err) != DIC_OK) {
        return dic_program_failed(&program, &err);
    }
    if (mode == DIC_PROGRAM_CHECK) {
        dic_model_spec_destroy(app.model);
        return dic_program_checked(&program);
    }
    return run(&app);
}
