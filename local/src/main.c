/* SPDX-License-Identifier: Apache-2.0 */
/* classifier-local: the HTTP API and the worker in one process, on SQLite and folders. */
#include "backend.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "classifier_openvino.h"
#include "engine.h"
#include "local_store.h"
#include "samples.h"
#include "secret_file.h"
#include "upload_ticket.h"

#include <stddef.h>
#include <string.h>

#ifndef DIC_VERSION
#define DIC_VERSION "0.0.0"
#endif

struct settings {
    const char *bind_address;
    const char *data_dir;
    const char *samples_dir;
    const char *log_level;
    int64_t worker_enabled;
    int64_t fetchers;
    int64_t chunk_images;
    int64_t sweep_interval_ms;
};

#define AT(member) offsetof(struct settings, member)

static const struct dic_setting table[] = {
    {"BIND_ADDRESS", DIC_SETTING_TEXT, AT(bind_address), "127.0.0.1", 1, 45, false,
     "numeric address to listen on; there is no authentication yet"},
    {"DATA_DIR", DIC_SETTING_TEXT, AT(data_dir), "./data", 1, 1000, false,
     "folder of the bucket (DATA_DIR/bucket), the jobs and the results"},
    {"SAMPLES_DIR", DIC_SETTING_TEXT, AT(samples_dir), "", 0, 1000, false,
     "photos for a new bucket; empty: those that come with the project"},
    {"LOG_LEVEL", DIC_SETTING_TEXT, AT(log_level), "info", 1, 10, false,
     "debug, info, warn, error or off"},
    {"WORKER_ENABLED", DIC_SETTING_NUMBER, AT(worker_enabled), "1", 0, 1, false,
     "0: accept jobs, but leave them queued"},
    {"FETCHERS", DIC_SETTING_NUMBER, AT(fetchers), "2", 1, 64, false, "threads that read images"},
    {"CHUNK_IMAGES", DIC_SETTING_NUMBER, AT(chunk_images), "100", 1, DIC_MAX_CHUNK_IMAGES, false,
     "images in a chunk, the unit of delivery and accounting"},
    {"SWEEP_INTERVAL_MS", DIC_SETTING_NUMBER, AT(sweep_interval_ms), "5000", 50, 3600000, false,
     "how often lost messages, deadlines and old jobs are looked for"},
};

/* Everything that main builds. One of it, since it is large and threads are handed its address. */
static struct application {
    struct settings settings;
    struct dic_backend_settings backend_settings;
    struct dic_local *store;
    struct dic_upload_signer upload_signer;
    struct dic_engine engine;
    struct dic_backend backend;
} app;

static struct dic_settings_group groups[3]; /* their number of rows is known at run time only */

static const struct dic_program program = {
    .name = "classifier-local",
    .summary = "the image classifier on one machine: HTTP API, queue and worker in one process",
    .version = DIC_VERSION,
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
};

static void gather_settings(void)
{
    groups[0] = (struct dic_settings_group){table, sizeof table / sizeof table[0], &app.settings};
    groups[1] = (struct dic_settings_group){dic_backend_settings_table, dic_backend_settings_count,
                                            &app.backend_settings};
    groups[2] = (struct dic_settings_group){dic_engine_settings_table, dic_engine_settings_count,
                                            &app.engine.settings};
}

/* A folder of the project: build/bin is two below its root. */
static char *project_folder(const char *relative)
{
    DIC_CLEANUP(dic_free_cleanup) char *programs = dic_program_folder();
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/../../%s", programs, relative);
    return dic_buf_detach(&path, &len);
}

static enum dic_code read_configuration(struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup)
    char *model = project_folder("ml-service/model/efficientnet-lite0");
    enum dic_log_level level = DIC_LOG_INFO;
    DIC_TRY(dic_program_read_settings(&program, err));
    DIC_TRY(dic_log_level_parse(dic_str(app.settings.log_level), &level, err));
    dic_log_set_level(level);
    return dic_engine_read_model(&app.engine, model, err);
}

static enum dic_code open_store(struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) char *samples = project_folder("local/samples");
    const char *chosen = app.settings.samples_dir[0] != '\0' ? app.settings.samples_dir : samples;
    DIC_TRY(dic_samples_seed(app.settings.data_dir, chosen, err));
    DIC_TRY(dic_local_open(app.settings.data_dir, dic_clock_system(), &app.store, err));
    /* After the folder's lock was taken. */
    return dic_secret_file_open(app.settings.data_dir, "upload.key", app.upload_signer.secret,
                                sizeof app.upload_signer.secret, err);
}

static enum dic_code start_worker(struct dic_err *err)
{
    const struct dic_worker_options options = {
        .jobs = dic_local_jobs(app.store),
        .queue = dic_local_queue(app.store),
        .images = dic_local_images(app.store),
        .window_images = 64,
        .max_chunks = 32,
        .pollers = 1,
        .recorders = 4,
        .chunk_images = (uint32_t)app.settings.chunk_images,
        .watch_ms = 500,
        .visibility_s = DIC_VISIBILITY_S,
    };
    return dic_engine_start(&app.engine, (uint32_t)app.settings.fetchers,
                            dic_classifier_openvino_new, &options, err);
}

static enum dic_code start_backend(struct dic_err *err)
{
    struct dic_api *api = &app.backend.api;
    api->jobs = dic_local_jobs(app.store);
    api->queue = dic_local_queue(app.store);
    api->images = dic_local_images(app.store);
    api->results = dic_local_results(app.store);
    api->clock = dic_clock_system();
    api->chunk_images = (uint32_t)app.settings.chunk_images;
    api->version = DIC_VERSION;
    api->upload_signer = &app.upload_signer;
    if (app.engine.worker != NULL) {
        api->extra_metrics = dic_worker_metrics;
        api->extra_metrics_context = app.engine.worker;
    }
    return dic_backend_start(&app.backend, &app.backend_settings, app.settings.bind_address,
                             (uint32_t)app.settings.sweep_interval_ms, err);
}

static enum dic_code start(struct dic_err *err)
{
    DIC_TRY(dic_engine_fork(&app.engine, err)); /* first of all */
    DIC_TRY(open_store(err));
    if (app.settings.worker_enabled != 0) {
        DIC_TRY(start_worker(err));
    }
    return start_backend(err);
}

static void say_ready(void)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "ready");
    dic_log_int(&log, "port", dic_server_port(app.backend.server));
    dic_log_str(&log, "address", app.settings.bind_address);
    dic_log_str(&log, "data_dir", app.settings.data_dir);
    dic_log_str(&log, "model", app.engine.model->name);
    dic_log_int(&log, "decoders", app.engine.decoder_count);
    dic_log_int(&log, "lanes", app.engine.lane_count);
    dic_log_end(&log);
}

static int run(void)
{
    struct dic_err err = {0};
    int status = 0;
    dic_program_block_signals();
    dic_program_log_settings(&program);
    if (start(&err) == DIC_OK) {
        say_ready();
        int received = dic_program_wait_for_signal();
        dic_log_message(DIC_LOG_INFO, "stopping", "signal %d", received);
    } else {
        status = dic_program_failed(&program, &err);
    }
    dic_backend_stop(&app.backend); /* waiting requests are answered first */
    dic_engine_drain(&app.engine);
    dic_backend_clean_up(&app.backend);
    dic_engine_clean_up(&app.engine);
    dic_local_close(app.store);
    return status;
}

int main(int argc, char **argv)
{
    gather_settings();
    enum dic_program_mode mode = dic_program_start(&program, argc, argv);
    if (mode == DIC_PROGRAM_DONE || mode == DIC_PROGRAM_USAGE_ERROR) {
        return mode == DIC_PROGRAM_DONE ? 0 : 2;
    }
    struct dic_err err = {0};
    dic_log_set_service(program.name);
    if (read_configuration(&err) != DIC_OK) {
        dic_engine_clean_up(&app.engine);
        return dic_program_failed(&program, &err);
    }
    if (mode == DIC_PROGRAM_CHECK) {
        dic_engine_clean_up(&app.engine);
        return dic_program_checked(&program);
    }
    return run();
}
