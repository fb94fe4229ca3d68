/* SPDX-License-Identifier: Apache-2.0 */
/* backend-service: the HTTP API on AWS's services. */
#include "aws/aws_settings.h"
#include "backend.h"
#include "base/log.h"
#include "base/program.h"
#include "store/aws_store.h"

#include <stddef.h>

#ifndef DIC_VERSION
#define DIC_VERSION "0.0.0"
#endif

struct settings {
    const char *bind_address;
    const char *log_level;
    int64_t chunk_images;
    int64_t sweep_interval_ms;
    int64_t repair_after_ms;
};

#define AT(member) offsetof(struct settings, member)

static const struct dic_setting table[] = {
    {"BIND_ADDRESS", DIC_SETTING_TEXT, AT(bind_address), "0.0.0.0", 1, 45, false,
     "numeric address to listen on"},
    {"LOG_LEVEL", DIC_SETTING_TEXT, AT(log_level), "info", 1, 10, false,
     "debug, info, warn, error or off"},
    {"CHUNK_IMAGES", DIC_SETTING_NUMBER, AT(chunk_images), "100", 1, DIC_MAX_CHUNK_IMAGES, false,
     "images in a chunk, the unit of delivery and accounting; as in ml-service"},
    {"SWEEP_INTERVAL_MS", DIC_SETTING_NUMBER, AT(sweep_interval_ms), "30000", 50, 3600000, false,
     "how often lost messages and deadlines are looked for"},
    {"REPAIR_AFTER_MS", DIC_SETTING_NUMBER, AT(repair_after_ms), "60000", 1000, 3600000, false,
     "messages of a job count as lost when it has stood still so long"},
};

/* Everything that main builds. One of it, since threads are handed its address. */
static struct application {
    struct settings settings;
    struct dic_backend_settings backend_settings;
    struct dic_aws_store_settings store_settings;
    struct dic_aws_environment environment;
    struct dic_aws_store *store;
    struct dic_backend backend;
} app;

static struct dic_settings_group groups[4]; /* their number of rows is known at run time only */

static const struct dic_program program = {
    .name = "backend-service",
    .summary = "the image classifier's HTTP API, on S3, SQS and DynamoDB",
    .version = DIC_VERSION,
    .groups = groups,
    .group_count = sizeof groups / sizeof groups[0],
};

static void gather_settings(void)
{
    groups[0] = (struct dic_settings_group){table, sizeof table / sizeof table[0], &app.settings};
    groups[1] = (struct dic_settings_group){dic_backend_settings_table, dic_backend_settings_count,
                                            &app.backend_settings};
    groups[2] = (struct dic_settings_group){dic_aws_store_settings_table,
                                            dic_aws_store_settings_count, &app.store_settings};
    groups[3] = (struct dic_settings_group){.settings = &app.environment};
    groups[3].table = dic_aws_settings(&groups[3].count);
}

static enum dic_code read_configuration(struct dic_err *err)
{
    enum dic_log_level level = DIC_LOG_INFO;
    DIC_TRY(dic_program_read_settings(&program, err));
    DIC_TRY(dic_log_level_parse(dic_str(app.settings.log_level), &level, err));
    dic_log_set_level(level);
    return dic_aws_store_open(&app.store_settings, &app.environment,
                              dic_backend_retention_ms(&app.backend_settings),
                              app.settings.repair_after_ms, &app.store, err);
}

static enum dic_code start(struct dic_err *err)
{
    struct dic_api *api = &app.backend.api;
    api->jobs = dic_aws_store_jobs(app.store);
    api->queue = dic_aws_store_queue(app.store);
    api->images = dic_aws_store_images(app.store);
    api->results = dic_aws_store_results(app.store);
    api->clock = dic_clock_system();
    api->chunk_images = (uint32_t)app.settings.chunk_images;
    api->version = DIC_VERSION;
    api->extra_metrics = dic_aws_store_metrics;
    api->extra_metrics_context = app.store;
    return dic_backend_start(&app.backend, &app.backend_settings, app.settings.bind_address,
                             (uint32_t)app.settings.sweep_interval_ms, err);
}

static void say_ready(void)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "ready");
    dic_log_int(&log, "port", dic_server_port(app.backend.server));
    dic_log_str(&log, "address", app.settings.bind_address);
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
    } else {
        status = dic_program_failed(&program, &err);
    }
    dic_backend_stop(&app.backend);
    if (status == 0) {
        dic_aws_store_log_calls(app.store);
    }
    dic_backend_clean_up(&app.backend);
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
    int status = 0;
    dic_log_set_service(program.name);
    if (read_configuration(&err) != DIC_OK) {
        return dic_program_failed(&program, &err);
    }
    if (mode == DIC_PROGRAM_CHECK) {
        status = dic_program_checked(&program);
    } else {
        status = run();
    }
    dic_aws_store_close(app.store);
    return status;
}
