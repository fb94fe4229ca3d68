/* SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include "base/log.h"
#include "base/program.h"

#include <inttypes.h>
#include <stddef.h>

enum {
    DRAIN_GRACE_MS = 4000,
    BODY_MIN_BYTES_PER_S = 1000,
    FILES_BESIDE_CONNECTIONS = 512, /* of a database, of the storage, of decoders in local mode */
};
static const int64_t DAY_MS = 24 * 3600 * 1000;

#define AT(member) offsetof(struct dic_backend_settings, member)

const struct dic_setting dic_backend_settings_table[] = {
    {"PORT", DIC_SETTING_NUMBER, AT(port), "8080", 0, 65535, false,
     "TCP port of the API; 0 takes a free one"},
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
    {"RETENTION_DAYS", DIC_SETTING_NUMBER, AT(retention_days), "30", 1, 3650, false,
     "ended jobs and their results are removed after so many days"},
    {"USD_PER_MILLION_IMAGES", DIC_SETTING_REAL, AT(usd_per_million_images), "0", 0, 1000000, false,
     "price behind estimated_cost_usd"},
};
const size_t dic_backend_settings_count =
    sizeof dic_backend_settings_table / sizeof dic_backend_settings_table[0];

int64_t dic_backend_retention_ms(const struct dic_backend_settings *settings)
{
    return settings->retention_days * DAY_MS;
}

/* Connections must leave files over for the work: without, one client with idle ones stops it. */
static uint32_t fit_connections(int64_t max_connections)
{
    const uint64_t wanted = (uint64_t)max_connections + FILES_BESIDE_CONNECTIONS;
    const uint64_t allowed = dic_program_raise_open_files(wanted);
    if (allowed >= wanted) {
        return (uint32_t)max_connections;
    }
    const uint32_t fitting =
        allowed > FILES_BESIDE_CONNECTIONS ? (uint32_t)(allowed - FILES_BESIDE_CONNECTIONS) : 1;
    dic_log_message(DIC_LOG_WARN, "connections_limited",
                    "this process may open %" PRIu64 " files: MAX_CONNECTIONS is %" PRIu32
                    " instead of %" PRId64,
                    allowed, fitting, max_connections);
    return fitting;
}

static void start_sweeper(struct dic_backend *backend, const struct dic_backend_settings *settings,
                          uint32_t sweep_interval_ms)
{
    const struct dic_sweeper_options options = {
        .jobs = backend->api.jobs,
        .clock = backend->api.clock,
        .interval_ms = sweep_interval_ms,
        .retention_ms = dic_backend_retention_ms(settings),
    };
    backend->sweeper = dic_sweeper_start(&options);
}

enum dic_code dic_backend_start(struct dic_backend *backend,
                                const struct dic_backend_settings *settings,
                                const char *bind_address, uint32_t sweep_interval_ms,
                                struct dic_err *err)
{
    const struct dic_server_options options = {
        .bind_address = bind_address,
        .port = (uint16_t)settings->port,
        .io_threads = (uint32_t)settings->io_threads,
        .handler_threads = (uint32_t)settings->handler_threads,
        .max_connections = fit_connections(settings->max_connections),
        .body_budget_bytes = (uint64_t)settings->body_budget_mib * 1024 * 1024,
        .header_timeout_ms = (uint32_t)settings->header_timeout_ms,
        .body_min_bytes_per_s = BODY_MIN_BYTES_PER_S,
        .idle_timeout_s = (uint32_t)settings->idle_timeout_s,
        .allow_inline = backend->api.jobs.ops->is_local,
        .api = &backend->api,
    };
    backend->api.usd_per_million_images = settings->usd_per_million_images;
    DIC_TRY(dic_server_start(&options, &backend->server, err));
    atomic_store(&backend->api.server, backend->server);
    start_sweeper(backend, settings, sweep_interval_ms);
    return DIC_OK;
}

void dic_backend_stop(struct dic_backend *backend)
{
    atomic_store(&backend->api.draining, true);
    if (backend->server != NULL) {
        dic_server_stop(backend->server, DRAIN_GRACE_MS);
    }
    dic_sweeper_stop(backend->sweeper);
    backend->sweeper = NULL;
}

void dic_backend_clean_up(struct dic_backend *backend)
{
    dic_server_destroy(backend->server);
    backend->server = NULL;
}
