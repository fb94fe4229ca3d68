/* SPDX-License-Identifier: Apache-2.0 */
#include "task_protection.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/ticker.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    TIMEOUT_MS = 2000,
    MAX_ANSWER_BYTES = 64 * 1024,
    IDLE_LOOKS = 5, /* so long idle before protection is let go: gaps between chunks are short */
};

struct dic_task_protection {
    struct dic_task_protection_options options;
    struct dic_ticker ticker;
    /* of the thread */
    bool is_protected;
    bool has_warned;
    uint32_t idle_looks;
    int64_t asked_ms;
};

static enum dic_code put_state(const struct dic_task_protection *protection, bool enabled,
                               struct dic_err *err)
{
    char url[1100];
    char body[96];
    struct dic_http_response response;
    const struct dic_http_header header = {DIC_STR_LIT("content-type"),
                                           DIC_STR_LIT("application/json")};
    snprintf(url, sizeof url, "%s/task-protection/v1/state", protection->options.agent_uri);
    if (enabled) {
        snprintf(body, sizeof body, "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":%" PRIu32 "}",
                 protection->options.expires_minutes);
    } else {
        snprintf(body, sizeof body, "{\"ProtectionEnabled\":false}");
    }
    const struct dic_http_request request = {
        .method = "PUT",
        .url = dic_str(url),
        .headers = &header,
        .header_count = 1,
        .body = dic_str(body),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .max_response_bytes = MAX_ANSWER_BYTES,
    };
    dic_http_response_init(&response);
    enum dic_code code =
        protection->options.http.ops->send(protection->options.http.impl, &request, &response, err);
    if (code == DIC_OK && (response.status < 200 || response.status > 299)) {
        code = dic_fail(err, DIC_E_UPSTREAM, "the ECS agent answered %d", response.status);
    }
    dic_http_response_clean_up(&response);
    return code;
}

/* Failures are tried again at the next look, and told once. */
static void ask(struct dic_task_protection *protection, bool enabled, int64_t now_ms)
{
    struct dic_err err = {0};
    if (put_state(protection, enabled, &err) == DIC_OK) {
        protection->is_protected = enabled;
        protection->asked_ms = now_ms;
        protection->has_warned = false;
        dic_log_message(DIC_LOG_DEBUG, "task_protection", "%s", enabled ? "on" : "off");
    } else if (!protection->has_warned) {
        protection->has_warned = true;
        dic_log_message(DIC_LOG_WARN, "task_protection_failed", "%s", err.msg);
    }
}

static void look(struct dic_task_protection *protection)
{
    struct dic_worker_counts counts;
    const int64_t now_ms = dic_clock_mono_ms(dic_clock_system());
    const int64_t half_ms = (int64_t)protection->options.expires_minutes * 30 * 1000;
    dic_worker_counts(protection->options.worker, &counts);
    bool is_busy = counts.chunks_in_work > 0;
    protection->idle_looks = is_busy ? 0 : protection->idle_looks + 1;
    if (is_busy && (!protection->is_protected || now_ms - protection->asked_ms >= half_ms)) {
        ask(protection, true, now_ms);
    } else if (protection->is_protected && protection->idle_looks >= IDLE_LOOKS) {
        ask(protection, false, now_ms);
    }
}

static void *protection_loop(void *arg)
{
    struct dic_task_protection *protection = arg;
    while (dic_ticker_sleep(&protection->ticker, protection->options.look_ms)) {
        look(protection);
    }
    if (protection->is_protected) {
        ask(protection, false, 0);
    }
    return NULL;
}

struct dic_task_protection *dic_task_protection_start(
    const struct dic_task_protection_options *options)
{
    if (options->agent_uri[0] == '\0') {
        return NULL;
    }
    struct dic_task_protection *protection = dic_calloc(1, sizeof *protection);
    protection->options = *options;
    dic_ticker_start(&protection->ticker, "protection", protection_loop, protection);
    return protection;
}

void dic_task_protection_stop(struct dic_task_protection *protection)
{
    if (protection == NULL) {
        return;
    }
    dic_ticker_stop(&protection->ticker);
    dic_free(protection);
}
