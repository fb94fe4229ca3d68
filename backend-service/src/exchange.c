/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "job/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_RESPONSE_BYTES = 512 * 1024 * 1024 };

static const struct {
    enum dic_method method;
    const char *word;
} method_words[] = {
    {DIC_GET, "GET"}, {DIC_HEAD, "HEAD"},     {DIC_POST, "POST"},
    {DIC_PUT, "PUT"}, {DIC_DELETE, "DELETE"},
};

struct dic_exchange *dic_exchange_new(const char *target)
{
    struct dic_exchange *exchange = dic_calloc(1, sizeof *exchange);
    size_t len = strlen(target);
    if (len <= DIC_MAX_URI_BYTES) {
        exchange->target = dic_strdup_len(target, len);
    }
    dic_buf_init(&exchange->path, DIC_MAX_URI_BYTES);
    dic_buf_init(&exchange->body, DIC_MAX_BODY_BYTES);
    dic_buf_init(&exchange->response.body, MAX_RESPONSE_BYTES);
    dic_rand_id(exchange->request.request_id);
    exchange->request.started_ns = dic_clock_mono_ns(dic_clock_system());
    exchange->response.status = 200;
    return exchange;
}

void dic_exchange_destroy(struct dic_exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    if (exchange->response.stream.next != NULL && exchange->response.stream.destroy != NULL) {
        exchange->response.stream.destroy(exchange->response.stream.context);
    }
    dic_buf_clean_up(&exchange->path);
    dic_buf_clean_up(&exchange->body);
    dic_buf_clean_up(&exchange->response.body);
    dic_query_clean_up(&exchange->query);
    dic_free(exchange->target);
    dic_free(exchange);
}

/* ---- what the headers say ---- */

static void note_single(struct dic_head_facts *facts, const char *name)
{
    static const char *const single_headers[] = {"Content-Type", "Content-Encoding",
                                                 "Idempotency-Key", "Prefer", "Expect"};
    for (unsigned i = 0; i < sizeof single_headers / sizeof single_headers[0]; i++) {
        if (strcasecmp(name, single_headers[i]) == 0) {
            if ((facts->seen & (1U << i)) != 0) {
                facts->repeated = single_headers[i];
            }
            facts->seen |= 1U << i;
        }
    }
}

void dic_head_facts_add(struct dic_head_facts *facts, struct dic_str name, struct dic_str value)
{
    facts->header_count++;
    facts->header_bytes += name.len + value.len + 4; /* ": " and the line's end */
    facts->bad_header |= !dic_exchange_header_is_sound(name, value);
    note_single(facts, name.ptr);
    if (strcasecmp(name.ptr, "Host") == 0) {
        facts->hosts++;
    } else if (strcasecmp(name.ptr, "Content-Length") == 0) {
        facts->content_lengths++;
        facts->content_length = value;
    } else if (strcasecmp(name.ptr, "Transfer-Encoding") == 0) {
        facts->transfer_encodings++;
        facts->transfer_encoding = value;
    } else if (strcasecmp(name.ptr, "Content-Type") == 0) {
        facts->content_type = value;
    } else if (strcasecmp(name.ptr, "Content-Encoding") == 0) {
        facts->content_encoding = value;
    }
}

/* ---- checks ---- */

static enum dic_code check_sizes(const struct dic_exchange *exchange,
                                 const struct dic_head_facts *facts, int *status_out,
                                 struct dic_err *err)
{
    if (exchange->target == NULL) {
        *status_out = 414;
        return dic_fail(err, DIC_E_TOO_LARGE, "the request target is over %d bytes",
                        DIC_MAX_URI_BYTES);
    }
    if (facts->header_count > DIC_MAX_HEADERS || facts->header_bytes > DIC_MAX_HEADER_BYTES) {
        *status_out = 431;
        return dic_fail(
            err, DIC_E_TOO_LARGE, "%zu headers of %zu bytes in all, allowed are %d and %d",
            facts->header_count, facts->header_bytes, DIC_MAX_HEADERS, DIC_MAX_HEADER_BYTES);
    }
    return DIC_OK;
}

static bool is_token_byte(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

bool dic_exchange_header_is_sound(struct dic_str name, struct dic_str value)
{
    bool sound = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        sound = sound && is_token_byte((unsigned char)name.ptr[i]);
    }
    for (size_t i = 0; i < value.len; i++) {
        const unsigned char byte = (unsigned char)value.ptr[i];
        sound = sound && (byte >= 0x20 || byte == '\t') && byte != 0x7F;
    }
    return sound;
}

/* What a proxy in front could read in another way is refused, and the connection closed: see RFC
 * 9112 sections 3.2 and 6.3. */
static enum dic_code check_framing(const struct dic_head_facts *facts, struct dic_err *err)
{
    if (facts->bad_header) {
        return dic_fail(err, DIC_E_MALFORMED,
                        "a header's name is no token, or its value has a control character");
    }
    if (facts->hosts > 1 || (facts->hosts == 0 && !facts->is_http_1_0)) {
        return dic_fail_field(err, DIC_E_MALFORMED, "Host", "there are %zu Host headers, not one",
                              facts->hosts);
    }
    if (facts->content_lengths > 1 || facts->transfer_encodings > 1 ||
        (facts->content_lengths == 1 && facts->transfer_encodings == 1)) {
        return dic_fail_field(err, DIC_E_MALFORMED, "Content-Length",
                              "the body's length is given more than once");
    }
    if (facts->transfer_encodings == 1 &&
        (facts->transfer_encoding.len != 7 ||
         strncasecmp(facts->transfer_encoding.ptr, "chunked", 7) != 0 || facts->is_http_1_0)) {
        return dic_fail_field(err, DIC_E_MALFORMED, "Transfer-Encoding",
                              "the only Transfer-Encoding here is chunked, in HTTP/1.1");
    }
    if (facts->repeated != NULL) {
        return dic_fail_field(err, DIC_E_MALFORMED, facts->repeated, "%s is given more than once",
                              facts->repeated);
    }
    return DIC_OK;
}

/* *length_out is −1 when the headers do not say it. */
static enum dic_code parse_length(const struct dic_head_facts *facts, int64_t *length_out,
                                  struct dic_err *err)
{
    uint64_t length = 0;
    *length_out = facts->transfer_encodings == 0 ? 0 : -1;
    if (facts->content_lengths == 0) {
        return DIC_OK;
    }
    if (dic_parse_u64(facts->content_length, 0, UINT64_MAX, &length, NULL) != DIC_OK) {
        return dic_fail_field(err, DIC_E_MALFORMED, "Content-Length",
                              "Content-Length is not a whole number");
    }
    *length_out = length > INT64_MAX ? INT64_MAX : (int64_t)length;
    return DIC_OK;
}

static enum dic_code check_length(struct dic_exchange *exchange, int64_t length,
                                  struct dic_err *err)
{
    const struct dic_body_rule *rule = exchange->route->body;
    exchange->body.ceiling = rule != NULL ? rule->max_bytes : DIC_MAX_BODY_BYTES;
    if (length > 0 && (uint64_t)length > exchange->body.ceiling) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the body has %" PRId64 " bytes, the limit is %zu",
                        length, exchange->body.ceiling);
    }
    return DIC_OK;
}

static bool is_media_type(struct dic_str value, const char *type)
{
    size_t len = strlen(type);
    struct dic_str rest = dic_str_skip(value, len);
    if (value.len < len || strncasecmp(value.ptr, type, len) != 0) {
        return false;
    }
    while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t' || rest.ptr[0] == ';')) {
        rest = dic_str_skip(rest, 1);
    }
    return rest.len == 0 || (rest.len == 13 && strncasecmp(rest.ptr, "charset=utf-8", 13) == 0) ||
           (rest.len == 15 && strncasecmp(rest.ptr, "charset=\"utf-8\"", 15) == 0);
}

static bool has_body(const struct dic_head_facts *facts)
{
    return facts->transfer_encodings > 0 ||
           (facts->content_lengths > 0 && !dic_str_is(facts->content_length, "0"));
}

static enum dic_code check_json(const struct dic_head_facts *facts, int *status_out,
                                struct dic_err *err)
{
    if (has_body(facts) && !is_media_type(facts->content_type, "application/json")) {
        *status_out = 415;
        return dic_fail_field(err, DIC_E_UNSUPPORTED, "Content-Type",
                              "Content-Type is '%.60s', expected is application/json",
                              facts->content_type.len > 0 ? facts->content_type.ptr : "");
    }
    return DIC_OK;
}

static enum dic_code check_type(const struct dic_exchange *exchange,
                                const struct dic_head_facts *facts, int64_t length, int *status_out,
                                struct dic_err *err)
{
    const struct dic_body_rule *rule = exchange->route->body;
    const struct dic_body_head head = {facts->content_type, length};
    if (has_body(facts) && facts->content_encoding.len > 0 &&
        !dic_str_is(facts->content_encoding, "identity")) {
        *status_out = 415;
        return dic_fail_field(err, DIC_E_UNSUPPORTED, "Content-Encoding",
                              "Content-Encoding '%.40s' is not supported; send the body as it is",
                              facts->content_encoding.ptr);
    }
    return rule != NULL ? rule->check(exchange->api, &exchange->request, &head, status_out, err)
                        : check_json(facts, status_out, err);
}

static void allow_header(struct dic_response *response, unsigned methods)
{
    char text[64] = "OPTIONS";
    for (size_t i = 0; i < sizeof method_words / sizeof method_words[0]; i++) {
        bool listed = (methods & (unsigned)method_words[i].method) != 0 ||
                      (method_words[i].method == DIC_HEAD && (methods & DIC_GET) != 0);
        size_t len = strlen(text);
        if (listed) {
            snprintf(text + len, sizeof text - len, ", %s", method_words[i].word);
        }
    }
    dic_response_header(response, "Allow", text);
}

static enum dic_code find_route(struct dic_exchange *exchange, int *status_out, struct dic_err *err)
{
    unsigned methods = 0;
    struct dic_request *request = &exchange->request;
    enum dic_code code = dic_route_find(request->method, request->path, &exchange->route,
                                        &request->path_arg, &methods, err);
    if (code == DIC_E_UNSUPPORTED) {
        *status_out = 405;
        allow_header(&exchange->response, methods);
    }
    return code;
}

enum dic_code dic_exchange_check_head(struct dic_exchange *exchange,
                                      const struct dic_head_facts *facts, int *status_out,
                                      struct dic_err *err)
{
    *status_out = 0;
    exchange->close_after = true; /* until the framing is known to be sound */
    DIC_TRY(check_sizes(exchange, facts, status_out, err));
    DIC_TRY(check_framing(facts, err));
    int64_t length = 0;
    DIC_TRY(parse_length(facts, &length, err));
    exchange->close_after = has_body(facts); /* an early answer leaves the body unread */
    struct dic_str target = dic_str(exchange->target);
    size_t mark = dic_str_find(target, '?');
    DIC_TRY(dic_uri_decode(dic_str_len(target.ptr, mark), false, &exchange->path, err));
    DIC_TRY(dic_query_parse(dic_str_skip(target, mark + 1), &exchange->query, err));
    exchange->request.path = dic_buf_view(&exchange->path);
    DIC_TRY(find_route(exchange, status_out, err));
    DIC_TRY(check_length(exchange, length, err));
    DIC_TRY(check_type(exchange, facts, length, status_out, err));
    exchange->close_after = false;
    return DIC_OK;
}

void dic_exchange_fail(struct dic_exchange *exchange, const struct dic_err *err, int status)
{
    dic_response_error(&exchange->response, &exchange->request, err, status);
    exchange->state = DIC_EXCHANGE_READY;
}

static const char *method_word(enum dic_method method)
{
    for (size_t i = 0; i < sizeof method_words / sizeof method_words[0]; i++) {
        if (method_words[i].method == method) {
            return method_words[i].word;
        }
    }
    return "other";
}

void dic_exchange_log(const struct dic_exchange *exchange, int64_t now_ns)
{
    const struct dic_response *response = &exchange->response;
    struct dic_log log;
    dic_log_begin(&log, response->status >= 500 ? DIC_LOG_WARN : DIC_LOG_INFO, "request");
    dic_log_str(&log, "request_id", exchange->request.request_id);
    dic_log_str(&log, "method", method_word(exchange->request.method));
    dic_log_view(&log, "path", exchange->request.path);
    dic_log_int(&log, "status", response->status);
    dic_log_ms(&log, "duration_ms", now_ns - exchange->request.started_ns);
    dic_log_int(&log, "bytes_in", (int64_t)exchange->body.len);
    dic_log_int(&log, "bytes_out", (int64_t)response->body.len);
    if (response->job_id[0] != '\0') {
        dic_log_str(&log, "job_id", response->job_id);
    }
    if (response->err.code != DIC_OK) {
        dic_log_err(&log, &response->err);
    }
    dic_log_end(&log);
}
