/* SPDX-License-Identifier: Apache-2.0 */
/* ml-service: the queue worker on AWS's services. */
#include "aws/aws_settings.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "classifier_openvino.h"
#include "dead_letters.h"
#include "engine.h"
#include "store/aws_bucket.h"
#include "store/aws_store.h"
#include "task_protection.h"

#include <stddef.h>

#ifndef DIC_VERSION
#define DIC_VERSION "0.0.0"
#endif

struct settings {
    const char *log_level;
    const char *agent_uri;
    int64_t fetchers;
    int64_t recorders;
    int64_t chunk_images;
    int64_t watch_ms;
    int64_t visibility_s;
    int64_t retention_days;
};

#define AT(member) offsetof(struct settings, member)

static const struct dic_setting table[] = {
    {"LOG_LEVEL", DIC_SETTING_TEXT, AT(log_level), "info", 1, 10, false,
     "debug, info, warn, error or off"},
    {"ECS_AGENT_URI", DIC_SETTING_TEXT, AT(agent_uri), "", 0, 1000, false,
     "set by ECS: where a busy worker asks not to be scaled in"},
    {"FETCHERS", DIC_SETTING_NUMBER, AT(fetchers), "16", 1, 64, false,
     "images read at the same time"},
    {"RECORDERS", DIC_SETTING_NUMBER, AT(recorders), "4", 1, 16, false,
     "chunks booked at the same time"},
    {"CHUNK_IMAGES", DIC_SETTING_NUMBER, AT(chunk_images), "100", 1, DIC_MAX_CHUNK_IMAGES, false,
     "images in a chunk, the unit of delivery and accounting; as in backend-service"},
    {"WATCH_MS", DIC_SETTING_NUMBER, AT(watch_ms), "5000", 50, 60000, false,
     "how often stopped jobs are looked for"},
    {"VISIBILITY_S", DIC_SETTING_NUMBER, AT(visibility_s), "120", 3, 43200, false,
     "a chunk in work is hidden from others so long, renewed at each third of it"},
    {"RETENTION_DAYS", DIC_SETTING_NUMBER, AT(retention_days), "30", 1, 3650, false,
     "ended jobs are kept so many days; as in backend-service"},
};

/* Everything that main builds. One of it, since threads are handed its address. */
static struct application {
    struct settings settings;
    struct dic_aws_store_settings store_settings;
    struct dic_aws_environment environment;
    struct dic_engine engine;
    struct dic_aws_store *store;
    struct dic_dead_letters *dead_letters;
    struct dic_task_protection *protection;
} app;

static struct dic_settings_group groups[4]; /* their number of rows is known at run time only */
static const int64_t DAY_MS = 24 * 3600 * 1000;

static const struct dic_program program = {
    .name = "ml-service",
    .summary = "the image classifier's worker, on S3, SQS and DynamoDB",
    .version = DIC_VERSION,
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
};

/* Where dic_engine_fetch_model works: the connection ends with its process. */
static enum dic_code open_model_store(const char *bucket, struct dic_blob_store *out,
                                      struct dic_err *err)
{
    struct dic_aws_bucket *opened = NULL;
    DIC_TRY(dic_aws_bucket_open(&app.environment, bucket, &opened, err));
    *out = dic_aws_bucket_blobs(opened);
    return DIC_OK;
}

static void gather_settings(void)
{
    app.engine.open_model_store = open_model_store;
    groups[0] = (struct dic_settings_group){table, sizeof table / sizeof table[0], &app.settings};
    groups[1] = (struct dic_settings_group){dic_engine_settings_table, dic_engine_settings_count,
                                            &app.engine.settings};
    groups[2] = (struct dic_settings_group){dic_aws_store_settings_table,
                                            dic_aws_store_settings_count, &app.store_settings};
    groups[3] = (struct dic_settings_group){.settings = &app.environment};
    groups[3].table = dic_aws_settings(&groups[3].count);
}

/* The model beside the program, as in the image; or that of a developer's tree (build/bin). */
static char *default_model(void)
{
    DIC_CLEANUP(dic_free_cleanup) char *folder = dic_program_folder();
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/%s", folder, DIC_MODEL_FOLDER);
    return dic_buf_detach(&path, &len);
}

static enum dic_code read_configuration(struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) char *model = default_model();
    enum dic_log_level level = DIC_LOG_INFO;
    DIC_TRY(dic_program_read_settings(&program, err));
    DIC_TRY(dic_log_level_parse(dic_str(app.settings.log_level), &level, err));
    dic_log_set_level(level);
    return dic_engine_read_model(&app.engine, model, err);
}

static enum dic_code open_store(struct dic_err *err)
{
    return dic_aws_store_open(&app.store_settings, &app.environment,
                              app.settings.retention_days * DAY_MS, 0, &app.store, err);
}

static enum dic_code start_worker(struct dic_err *err)
{
    const struct dic_worker_options options = {
        .jobs = dic_aws_store_jobs(app.store),
        .queue = dic_aws_store_queue(app.store),
        .images = dic_aws_store_images(app.store),
        .window_images = 64,
        .max_chunks = 32,
        .pollers = 1,
        .recorders = (uint32_t)app.settings.recorders,
        .chunk_images = (uint32_t)app.settings.chunk_images,
        .watch_ms = (uint32_t)app.settings.watch_ms,
        .visibility_s = (uint32_t)app.settings.visibility_s,
    };
    return dic_engine_start(&app.engine, (uint32_t)app.settings.fetchers,
                            dic_classifier_openvino_new, &options, err);
}

static void start_helpers(void)
{
    const struct dic_dead_letters_options letters = {
        .jobs = dic_aws_store_jobs(app.store),
        .queue = dic_aws_store_queue(app.store),
        .dead = dic_aws_store_dead(app.store),
        .results = dic_aws_store_results(app.store),
        .model = app.engine.model,
        .clock = dic_clock_system(),
        .visibility_s = (uint32_t)app.settings.visibility_s,
    };
    const struct dic_task_protection_options protection = {
        .agent_uri = app.settings.agent_uri,
        .http = dic_aws_store_http(app.store),
        .worker = app.engine.worker,
        .expires_minutes = 60,
        .look_ms = 1000,
    };
    app.dead_letters = dic_dead_letters_start(&letters);
    app.protection = dic_task_protection_start(&protection);
}

static enum dic_code start(struct dic_err *err)
{
    DIC_TRY(dic_engine_fetch_model(&app.engine, err));
    DIC_TRY(dic_engine_fork(&app.engine, err)); /* before anything of this process's own */
    DIC_TRY(open_store(err));
    DIC_TRY(start_worker(err));
    start_helpers();
    return DIC_OK;
}

static void say_ready(void)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "ready");
    dic_log_str(&log, "model", app.engine.model->name);
    dic_log_str(&log, "model_version", app.engine.model->version);
    dic_log_str(&log, "model_sha256", app.engine.model->sha256);
    dic_log_int(&log, "decoders", app.engine.decoder_count);
    dic_log_int(&log, "lanes", app.engine.lane_count);
    dic_log_str(&log, "version", DIC_VERSION);
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
        dic_program_end_within(DIC_PROGRAM_END_S);
    } else if (dic_program_signal_is_pending()) {
        dic_log_message(DIC_LOG_INFO, "stopping", "%s", err.msg);
    } else {
        status = dic_program_failed(&program, &err);
    }
    if (app.engine.worker != NULL) {
        dic_worker_let_go(app.engine.worker); /* so that nothing new is begun meanwhile */
    }
    dic_dead_letters_stop(app.dead_letters);
    dic_engine_drain(&app.engine);
    dic_task_protection_stop(app.protection);
    if (status == 0 && app.store != NULL) {
        dic_aws_store_log_calls(app.store);
    }
    dic_engine_clean_up(&app.engine);
    dic_aws_store_close(app.store);
    return status;
}

/* Reads and checks all, and opens nothing. */
static int check(void)
{
    struct dic_err err = {0};
    enum dic_code code = open_store(&err);
    dic_aws_store_close(app.store);
    dic_engine_clean_up(&app.engine);
    return code == DIC_OK ? dic_program_checked(&program) : dic_program_failed(&program, &err);
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
    return mode == DIC_PROGRAM_CHECK ? check() : run();
}
