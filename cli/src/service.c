/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include "base/clock.h"
#include "json/json_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 10000,
    ANSWER_TIMEOUT_MS = 60000, /* beside what is waited for by Prefer */
    FIRST_PATIENCE_MS = 3000,
    PATIENCE_MS = 60000,
    FIRST_PAUSE_MS = 250,
    LONGEST_PAUSE_MS = 8000,
    LONGEST_RETRY_AFTER_S = 60,
    MAX_ANSWER_BYTES = 64 * 1024 * 1024, /* 1,000 rows of the longest keys and 100 labels each */
    MAX_PATH_BYTES = 4096,
};

enum dic_code dic_service_init(struct dic_service *service, const char *url, struct dic_err *err)
{
    struct dic_str text = dic_str(url);
    while (text.len > 0 && text.ptr[text.len - 1] == '/') {
        text.len--;
    }
    const bool is_http = dic_str_starts_with(text, DIC_STR_LIT("http://")) ||
                         dic_str_starts_with(text, DIC_STR_LIT("https://"));
    if (!is_http || text.len >= DIC_SERVICE_URL_BYTES || dic_str_find(text, '?') < text.len) {
        return dic_fail(err, DIC_E_INVALID,
                        "'%.80s' is no URL of a service: http(s)://host, at most %d bytes", url,
                        DIC_SERVICE_URL_BYTES - 1);
    }
    snprintf(service->url, sizeof service->url, "%.*s", DIC_STR_ARGS(text));
    const struct dic_http_client_options options = {.max_idle_handles = 1};
    return dic_http_client_curl_new(&options, &service->http, err);
}

void dic_service_clean_up(struct dic_service *service)
{
    if (service->http.ops != NULL) {
        service->http.ops->destroy(service->http.impl);
    }
    *service = (struct dic_service){0};
}

int64_t dic_service_retry_after_ms(const struct dic_http_response *response, int64_t fallback_ms)
{
    uint64_t seconds = 0;
    struct dic_str text = dic_http_response_header(response, "retry-after");
    if (text.ptr == NULL || dic_parse_u64(text, 0, UINT32_MAX, &seconds, NULL) != DIC_OK) {
        return fallback_ms;
    }
    return 1000 * (int64_t)(seconds < LONGEST_RETRY_AFTER_S ? seconds : LONGEST_RETRY_AFTER_S);
}

/* ---- what an answer says ---- */

static struct dic_str text_of(const struct dic_json *object, const char *name)
{
    struct dic_str text = {0};
    const struct dic_json *value =
        object != NULL && dic_json_is_object(object) ? dic_json_member(object, name) : NULL;
    if (value == NULL || dic_json_get_str(value, name, &text, NULL) != DIC_OK) {
        return dic_str_len("", 0);
    }
    return text;
}

/* Of a gateway between here and the service, or of the service: try again. */
static bool is_passing(int status)
{
    return status == 502 || status == 503 || status == 504;
}

static enum dic_code not_the_service(const struct dic_service *service,
                                     const struct dic_http_response *response, struct dic_err *err)
{
    struct dic_str location = dic_http_response_header(response, "location");
    if (response->status >= 300 && response->status < 400 && location.ptr != NULL) {
        return dic_fail(err, DIC_E_DENIED, "%s leads elsewhere (%d), to %.*s: use that as the URL",
                        service->url, response->status,
                        (int)(location.len < 120 ? location.len : 120), location.ptr);
    }
    return dic_fail(err, is_passing(response->status) ? DIC_E_BUSY : DIC_E_DENIED,
                    "%s answers %d and not as this service does: is it the right URL?",
                    service->url, response->status);
}

static enum dic_code refused(struct dic_service *service, const struct dic_http_response *response,
                             struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    const struct dic_json *error = NULL;
    if (dic_json_parse(dic_buf_view(&response->body), &root, NULL) == DIC_OK &&
        dic_json_is_object(root)) {
        error = dic_json_member(root, "error");
    }
    struct dic_str message = text_of(error, "message");
    if (message.len == 0) {
        return not_the_service(service, response, err);
    }
    service->answered = true;
    struct dic_str field = text_of(error, "field");
    char name[64];
    snprintf(name, sizeof name, "%.*s", DIC_STR_ARGS(field));
    return dic_fail_field(err, is_passing(response->status) ? DIC_E_BUSY : DIC_E_DENIED, name,
                          "%.*s", DIC_STR_ARGS(message));
}

static enum dic_code judge(struct dic_service *service, const struct dic_http_response *response,
                           struct dic_err *err)
{
    if (response->status < 200 || response->status > 299) {
        return refused(service, response, err);
    }
    struct dic_str body = dic_buf_view(&response->body);
    if (body.len == 0 || body.ptr[0] != '{') {
        return not_the_service(service, response, err);
    }
    service->answered = true;
    return DIC_OK;
}

/* ---- one try, and the next ---- */

static enum dic_code try_once(struct dic_service *service, const struct dic_service_call *call,
                              int64_t timeout_ms, struct dic_http_response *response,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf url;
    char prefer[32];
    struct dic_http_header headers[4];
    size_t count = 0;
    dic_buf_init(&url, DIC_SERVICE_URL_BYTES + MAX_PATH_BYTES);
    dic_buf_printf(&url, "%s%s", service->url, call->path);
    DIC_TRY(dic_buf_check(&url, err));
    headers[count++] = (struct dic_http_header){DIC_STR_LIT("Accept"), DIC_STR_LIT("*/*")};
    if (call->body.len > 0) {
        headers[count++] =
            (struct dic_http_header){DIC_STR_LIT("Content-Type"), DIC_STR_LIT("application/json")};
    }
    if (call->idempotency_key != NULL) {
        headers[count++] = (struct dic_http_header){DIC_STR_LIT("Idempotency-Key"),
                                                    dic_str(call->idempotency_key)};
    }
    if (call->wait_s > 0) {
        snprintf(prefer, sizeof prefer, "wait=%" PRId64, call->wait_s);
        headers[count++] = (struct dic_http_header){DIC_STR_LIT("Prefer"), dic_str(prefer)};
    }
    const struct dic_http_request request = {
        .method = call->method,
        .url = dic_buf_view(&url),
        .headers = headers,
        .header_count = count,
        .body = call->body,
        .connect_timeout_ms = timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : CONNECT_TIMEOUT_MS,
        .timeout_ms = timeout_ms,
        .max_response_bytes = MAX_ANSWER_BYTES,
    };
    DIC_TRY(service->http.ops->send(service->http.impl, &request, response, err));
    return judge(service, response, err);
}

static bool may_pass(enum dic_code code)
{
    return code == DIC_E_UPSTREAM || code == DIC_E_TIMEOUT || code == DIC_E_BUSY;
}

enum dic_code dic_service_call(struct dic_service *service, const struct dic_service_call *call,
                               struct dic_http_response *response, struct dic_err *err)
{
    const struct dic_clock *clock = dic_clock_system();
    const int64_t started = dic_clock_mono_ms(clock);
    int64_t pause = FIRST_PAUSE_MS;
    for (;;) {
        const int64_t now = dic_clock_mono_ms(clock);
        int64_t timeout = ANSWER_TIMEOUT_MS + 1000 * call->wait_s;
        if (call->until_mono_ms > 0 && call->until_mono_ms - now < timeout) {
            timeout = call->until_mono_ms - now;
        }
        enum dic_code code = try_once(service, call, timeout, response, err);
        if (!may_pass(code)) {
            return code;
        }
        int64_t until = started + (service->answered ? PATIENCE_MS : FIRST_PATIENCE_MS);
        if (call->until_mono_ms > 0 && call->until_mono_ms < until) {
            until = call->until_mono_ms;
        }
        const int64_t rest =
            code == DIC_E_BUSY ? dic_service_retry_after_ms(response, pause) : pause;
        if (dic_clock_mono_ms(clock) + rest >= until) {
            return code;
        }
        dic_sleep_ms(rest);
        pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
    }
}
