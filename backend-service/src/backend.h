/* SPDX-License-Identifier: Apache-2.0 */
/* The API service on any adapters: its settings, the server and the sweeper. Used from main. */
#ifndef DIC_BACKEND_BACKEND_H
#define DIC_BACKEND_BACKEND_H

#include "api.h"
#include "base/settings.h"
#include "server.h"
#include "sweeper.h"

struct dic_backend_settings {
    int64_t port;
    int64_t io_threads;
    int64_t handler_threads;
    int64_t max_connections;
    int64_t header_timeout_ms;
    int64_t idle_timeout_s;
    int64_t body_budget_mib;
    int64_t retention_days;
    double usd_per_million_images;
};
extern const struct dic_setting dic_backend_settings_table[];
extern const size_t dic_backend_settings_count;
int64_t dic_backend_retention_ms(const struct dic_backend_settings *settings);

/* `api` holds what main has filled in before the start: ports, version, chunk_images, metrics. Its
 * address is handed to threads: it must not move. */
struct dic_backend {
    struct dic_api api;
    struct dic_server *server;
    struct dic_sweeper *sweeper;
};
DIC_MUST_USE enum dic_code dic_backend_start(struct dic_backend *backend,
                                             const struct dic_backend_settings *settings,
                                             const char *bind_address, uint32_t sweep_interval_ms,
                                             struct dic_err *err);
/* Readiness fails at once, waiting requests are answered, open ones have some seconds. */
void dic_backend_stop(struct dic_backend *backend);
void dic_backend_clean_up(struct dic_backend *backend);

#endif
