/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl behind the port. A slot is an easy handle and a multi handle of its own that keeps its
 * connections; a send takes one out of the pool, and so no handle is ever seen by two threads, but
 * for curl_multi_wakeup, which is made for that.
 */
#include "net/http_client.h"

#include "base/mem.h"
#include "base/thread.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static_assert(LIBCURL_VERSION_NUM >= 0x075800, "libcurl 7.88 or newer");

enum {
    CONNECTIONS_PER_SLOT = 6,   /* one for each host a thread talks to in turn */
    MAX_IDLE_CONNECTION_S = 30, /* servers close theirs sooner or later; a new one is cheap */
    RECEIVE_BUFFER_BYTES = 64 * 1024,
    POLL_MS = 1000,
    MAX_AUTHORITY = 300,
    MAX_HEADER_LINE = 16 * 1024,
};

struct slot {
    CURL *easy;
    CURLM *multi;
    char authority[MAX_AUTHORITY]; /* "https://host" of the last request */
    struct slot *next;             /* in the list of the idle or of the busy ones */
};

struct client {
    char *ca_bundle;
    uint32_t max_idle;
    pthread_mutex_t lock; /* guards the two lists and idle_count */
    struct slot *idle;    /* the last one used comes first: its connections are the youngest */
    struct slot *busy;
    uint32_t idle_count;
};

/* ---- the pool ---- */

static void destroy_slot(struct slot *slot)
{
    if (slot == NULL) {
        return;
    }
    curl_easy_cleanup(slot->easy);
    curl_multi_cleanup(slot->multi);
    dic_free(slot);
}

static struct slot *new_slot(void)
{
    struct slot *slot = dic_calloc(1, sizeof *slot);
    slot->easy = curl_easy_init();
    slot->multi = curl_multi_init();
    if (slot->easy == NULL || slot->multi == NULL) {
        destroy_slot(slot);
        return NULL;
    }
    curl_multi_setopt(slot->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_PER_SLOT);
    return slot;
}

static void unlink_slot(struct slot **list, const struct slot *slot)
{
    while (*list != slot) {
        list = &(*list)->next;
    }
    *list = slot->next;
}

/* The idle slot that talked to this host last, or any, or a new one; NULL when there are no file
 * descriptors left. */
static struct slot *take_slot(struct client *client, const char *authority)
{
    DIC_GUARD(&client->lock);
    struct slot *slot = client->idle;
    for (struct slot *other = client->idle; other != NULL; other = other->next) {
        if (strcmp(other->authority, authority) == 0) {
            slot = other;
            break;
        }
    }
    if (slot != NULL) {
        unlink_slot(&client->idle, slot);
        client->idle_count--;
    } else {
        slot = new_slot();
    }
    if (slot != NULL) {
        snprintf(slot->authority, sizeof slot->authority, "%s", authority);
        slot->next = client->busy;
        client->busy = slot;
    }
    return slot;
}

static void give_back_slot(struct client *client, struct slot *slot)
{
    {
        DIC_GUARD(&client->lock);
        unlink_slot(&client->busy, slot);
        if (client->idle_count < client->max_idle) {
            slot->next = client->idle;
            client->idle = slot;
            client->idle_count++;
            slot = NULL;
        }
    }
    destroy_slot(slot);
}

static void wake(void *impl)
{
    struct client *client = impl;
    DIC_GUARD(&client->lock);
    for (struct slot *slot = client->busy; slot != NULL; slot = slot->next) {
        curl_multi_wakeup(slot->multi);
    }
}

/* ---- one exchange ---- */

struct exchange {
    const struct dic_http_request *request;
    struct dic_http_response *response;
    struct slot *slot;
    struct curl_slist *headers; /* owned */
    char url[MAX_AUTHORITY + 1];
    char error[CURL_ERROR_SIZE];
    bool sent_before;
    bool headers_complete; /* libcurl takes an answer that ends within its headers as a good one */
    bool headers_too_large;
    bool body_too_large;
};

/* libcurl sends a request anew, by itself, when a kept connection turns out to be dead. The server
 * may have got the first one, so that is for the caller to decide: the second start is refused. */
static int before_request(void *context, char *server_ip, char *client_ip, int server_port,
                          int client_port)
{
    (void)server_ip; /* libcurl's signature */
    (void)client_ip;
    (void)server_port;
    (void)client_port;
    struct exchange *exchange = context;
    exchange->sent_before = exchange->response->sent;
    exchange->response->sent = true;
    return exchange->sent_before ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    dic_buf_append(&exchange->response->body, bytes, size * count);
    exchange->body_too_large = exchange->response->body.poisoned;
    return exchange->body_too_large ? CURL_WRITEFUNC_ERROR : size * count;
}

static char lower(char byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

/* A line at a time, of every answer: of an interim one ("100 Continue") nothing is kept. */
static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct dic_buf *headers = &exchange->response->headers;
    struct dic_str line = dic_str_len(bytes, size * count);
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r')) {
        line.len--;
    }
    size_t colon = dic_str_find(line, ':');
    if (line.len == 0) {
        exchange->headers_complete = true;
    } else if (dic_str_starts_with(line, DIC_STR_LIT("HTTP/"))) {
        exchange->headers_complete = false;
        dic_buf_clear(headers);
    } else if (colon > 0 && colon < line.len && dic_str_find(line, '\0') == line.len) {
        for (size_t i = 0; i < colon; i++) {
            dic_buf_append_byte(headers, lower(line.ptr[i]));
        }
        dic_buf_append_text(headers, ": ");
        dic_buf_append_str(headers, dic_str_trim(dic_str_skip(line, colon + 1)));
        dic_buf_append_byte(headers, '\n');
    }
    exchange->headers_too_large = headers->poisoned;
    return exchange->headers_too_large ? CURL_WRITEFUNC_ERROR : size * count;
}

/* ---- the request ---- */

static bool is_visible(struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte <= ' ' || byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_header_value(struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The length of "https://host:port", after which path and query begin. */
DIC_MUST_USE
static enum dic_code split_url(struct dic_str url, size_t *authority_len_out, struct dic_err *err)
{
    struct dic_str scheme = DIC_STR_LIT("https://");
    if (!dic_str_starts_with(url, scheme)) {
        scheme = DIC_STR_LIT("http://");
    }
    if (!dic_str_starts_with(url, scheme)) {
        return dic_fail(err, DIC_E_INVALID, "URL starts with neither http:// nor https://");
    }
    size_t end = scheme.len;
    while (end < url.len && strchr("/?#", url.ptr[end]) == NULL) {
        end++;
    }
    struct dic_str authority = dic_str_len(url.ptr + scheme.len, end - scheme.len);
    if (authority.len == 0 || end >= MAX_AUTHORITY ||
        dic_str_find(authority, '@') < authority.len ||
        dic_str_find(authority, '\\') < authority.len) {
        return dic_fail(err, DIC_E_INVALID,
                        "URL has no host, a user, or %zu bytes of both, limit %d", authority.len,
                        MAX_AUTHORITY - 1);
    }
    if (!is_visible(url) || dic_str_find(url, '#') < url.len) {
        return dic_fail(err, DIC_E_INVALID,
                        "URL has a space, a control character, a byte over 0x7e or a fragment");
    }
    *authority_len_out = end;
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code append_line(struct exchange *exchange, const char *line, struct dic_err *err)
{
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    if (longer == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "libcurl has no memory for a header");
    }
    exchange->headers = longer;
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code append_header(struct exchange *exchange, const struct dic_http_header *header,
                                   struct dic_err *err)
{
    struct dic_str value = dic_str_trim(header->value);
    if (header->name.len == 0 || !is_visible(header->name) ||
        dic_str_find(header->name, ':') < header->name.len || !is_header_value(value)) {
        return dic_fail(err, DIC_E_INVALID, "header '%.*s' has a byte that cannot be sent",
                        DIC_STR_ARGS(header->name));
    }
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf line;
    dic_buf_init(&line, MAX_HEADER_LINE);
    dic_buf_append_str(&line, header->name);
    dic_buf_append_text(&line, value.len == 0 ? ";" : ": "); /* libcurl's word for an empty one */
    dic_buf_append_str(&line, value);
    if (line.poisoned) {
        return dic_fail(err, DIC_E_INVALID, "header '%.*s' is over %d bytes",
                        (int)(header->name.len < 64 ? header->name.len : 64), header->name.ptr,
                        MAX_HEADER_LINE);
    }
    return append_line(exchange, line.ptr, err);
}

static bool equals_ignoring_case(struct dic_str text, const char *lower_case)
{
    if (text.len != strlen(lower_case)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.ptr[i]) != lower_case[i]) {
            return false;
        }
    }
    return true;
}

DIC_MUST_USE
static enum dic_code set_headers(struct exchange *exchange, struct dic_err *err)
{
    const struct dic_http_request *request = exchange->request;
    if (request->header_count > DIC_HTTP_MAX_HEADERS) {
        return dic_fail(err, DIC_E_INVALID, "%zu headers, the limit is %d", request->header_count,
                        DIC_HTTP_MAX_HEADERS);
    }
    bool has_type = false;
    for (size_t i = 0; i < request->header_count; i++) {
        DIC_TRY(append_header(exchange, &request->headers[i], err));
        has_type = has_type || equals_ignoring_case(request->headers[i].name, "content-type");
    }
    DIC_TRY(append_line(exchange, "Expect:", err)); /* a wait of up to a second before the body */
    DIC_TRY(append_line(exchange, "Accept:", err));
    DIC_TRY(append_line(exchange, "Accept-Encoding: identity", err));
    if (!has_type) {
        DIC_TRY(append_line(exchange, "Content-Type:", err)); /* libcurl's default is a form's */
    }
    curl_easy_setopt(exchange->slot->easy, CURLOPT_HTTPHEADER, exchange->headers);
    return DIC_OK;
}

static void set_transport(const struct client *client, struct exchange *exchange)
{
    CURL *easy = exchange->slot->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)MAX_IDLE_CONNECTION_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (client->ca_bundle != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_bundle);
    }
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

static void set_method(struct exchange *exchange)
{
    CURL *easy = exchange->slot->easy;
    const struct dic_http_request *request = exchange->request;
    bool is_head = strcmp(request->method, "HEAD") == 0;
    bool has_body = request->body.len > 0 || strcmp(request->method, "PUT") == 0 ||
                    strcmp(request->method, "POST") == 0;
    if (is_head) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    /* So that a body known to be too long is not even begun. 0 would mean no limit. */
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->max_response_bytes);
}

/* URL and request target are set apart: libcurl would tidy the target up. target holds the text
 * while the exchange lasts. */
DIC_MUST_USE
static enum dic_code prepare(const struct client *client, struct exchange *exchange,
                             size_t authority_len, struct dic_buf *target, struct dic_err *err)
{
    const struct dic_http_request *request = exchange->request;
    CURL *easy = exchange->slot->easy;
    struct dic_str rest = dic_str_skip(request->url, authority_len);
    if (rest.len == 0 || rest.ptr[0] != '/') {
        dic_buf_append_byte(target, '/');
    }
    dic_buf_append_str(target, rest);
    DIC_TRY(dic_buf_check(target, err));
    curl_easy_reset(easy); /* options only: connections, sessions and names stay */
    set_transport(client, exchange);
    set_method(exchange);
    snprintf(exchange->url, sizeof exchange->url, "%s/", exchange->slot->authority);
    curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target->ptr);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    return set_headers(exchange, err);
}

/* ---- running it ---- */

static bool is_cancelled(const struct dic_http_request *request)
{
    return request->cancel != NULL && atomic_load(request->cancel);
}

/* Until it has ended: true with libcurl's code, or false when it was cancelled. */
static bool run(const struct exchange *exchange, CURLcode *code_out)
{
    CURLM *multi = exchange->slot->multi;
    int running = 1;
    while (running > 0) {
        if (is_cancelled(exchange->request)) {
            return false;
        }
        CURLMcode failed = curl_multi_perform(multi, &running);
        if (failed == CURLM_OK && running > 0) {
            failed = curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
        }
        if (failed != CURLM_OK) {
            *code_out = CURLE_FAILED_INIT;
            return true;
        }
    }
    *code_out = CURLE_GOT_NOTHING;
    int left = 0;
    const struct CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        *code_out = message->msg == CURLMSG_DONE ? message->data.result : *code_out;
    }
    return true;
}

DIC_MUST_USE
static enum dic_code explain(const struct exchange *exchange, CURLcode code, struct dic_err *err)
{
    const struct dic_http_request *request = exchange->request;
    const char *where = exchange->slot->authority;
    if (exchange->body_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return dic_fail(err, DIC_E_TOO_LARGE, "%s answers with more than %zu bytes", where,
                        request->max_response_bytes);
    }
    if (exchange->headers_too_large) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s answers with more than %d bytes of headers", where,
                        DIC_HTTP_MAX_HEADER_BYTES);
    }
    if (exchange->sent_before) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s closed the connection without an answer", where);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return dic_fail(err, DIC_E_TIMEOUT, "%s did not answer within %lld ms", where,
                        (long long)request->timeout_ms);
    }
    const char *why = exchange->error[0] != '\0' ? exchange->error : curl_easy_strerror(code);
    enum dic_code reaction =
        code == CURLE_URL_MALFORMAT && !exchange->response->sent ? DIC_E_INVALID : DIC_E_UPSTREAM;
    return dic_fail(err, reaction, "%s: %.200s", where, why);
}

DIC_MUST_USE
static enum dic_code exchange_with(struct client *client, struct exchange *exchange,
                                   size_t authority_len, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf target;
    dic_buf_init(&target, exchange->request->url.len + 1);
    DIC_TRY(prepare(client, exchange, authority_len, &target, err));
    struct slot *slot = exchange->slot;
    if (curl_multi_add_handle(slot->multi, slot->easy) != CURLM_OK) {
        return dic_fail(err, DIC_E_INTERNAL, "libcurl takes no more requests");
    }
    CURLcode code = CURLE_OK;
    bool ended = run(exchange, &code);
    long status = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(slot->multi, slot->easy); /* closes what is half done */
    if (!ended) {
        return dic_fail(err, DIC_E_CONFLICT, "the request to %s was cancelled", slot->authority);
    }
    if (code != CURLE_OK || !exchange->headers_complete) {
        return explain(exchange, code != CURLE_OK ? code : CURLE_PARTIAL_FILE, err);
    }
    exchange->response->status = (int)status;
    return DIC_OK;
}

static enum dic_code send_request(void *impl, const struct dic_http_request *request,
                                  struct dic_http_response *response, struct dic_err *err)
{
    struct client *client = impl;
    response->status = 0;
    response->sent = false;
    dic_buf_clear(&response->headers);
    dic_buf_clear(&response->body);
    response->body.ceiling = request->max_response_bytes;
    size_t authority_len = 0;
    DIC_TRY(split_url(request->url, &authority_len, err));
    if (request->timeout_ms <= 0) {
        return dic_fail(err, DIC_E_TIMEOUT, "no time left for a request to %.*s",
                        (int)authority_len, request->url.ptr);
    }
    struct exchange exchange = {.request = request, .response = response};
    snprintf(exchange.url, sizeof exchange.url, "%.*s", (int)authority_len, request->url.ptr);
    exchange.slot = take_slot(client, exchange.url);
    if (exchange.slot == NULL) {
        return dic_fail(err, DIC_E_BUSY, "libcurl has no handle for a request to %s", exchange.url);
    }
    enum dic_code code = exchange_with(client, &exchange, authority_len, err);
    curl_slist_free_all(exchange.headers);
    give_back_slot(client, exchange.slot);
    return code;
}

static void destroy(void *impl)
{
    struct client *client = impl;
    if (client == NULL) {
        return;
    }
    while (client->idle != NULL) {
        struct slot *slot = client->idle;
        client->idle = slot->next;
        destroy_slot(slot);
    }
    pthread_mutex_destroy(&client->lock);
    dic_free(client->ca_bundle);
    dic_free(client);
    curl_global_cleanup(); /* counts, as curl_global_init does */
}

enum dic_code dic_http_client_curl_new(const struct dic_http_client_options *options,
                                       struct dic_http_client *out, struct dic_err *err)
{
    static const struct dic_http_client_ops ops = {send_request, wake, destroy};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return dic_fail(err, DIC_E_INTERNAL, "libcurl cannot be initialised");
    }
    struct client *client = dic_calloc(1, sizeof *client);
    client->max_idle = options->max_idle_handles;
    if (options->ca_bundle != NULL && options->ca_bundle[0] != '\0') {
        client->ca_bundle = dic_strdup_len(options->ca_bundle, strlen(options->ca_bundle));
    }
    dic_mutex_init(&client->lock);
    *out = (struct dic_http_client){.ops = &ops, .impl = client};
    return DIC_OK;
}
