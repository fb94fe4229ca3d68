/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that knows libmicrohttpd. */
#include "server.h"

#include "api.h"
#include "base/log.h"
#include "base/mem.h"
#include "connection_watch.h"
#include "exchange.h"
#include "io_loop.h"
#include "job/limits.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_QUEUED = 4096,
    STREAM_BLOCK_BYTES = 64 * 1024,
    STREAM_PIECE_BYTES = 64 * 1024 * 1024, /* ceiling of what a stream may hand over at once */
    CONNECTION_MEMORY_BYTES = 64 * 1024,   /* headers up to the limit, and room to say no beyond */
    STOP_STEP_MS = 5,
    MAX_IO_THREADS = 64,
};

/* A thread and the instance of the library that it runs; a connection stays with it. */
struct io_thread {
    struct dic_server *server;
    struct MHD_Daemon *daemon;
    struct dic_io_loop *loop;
};

struct dic_server {
    struct dic_server_options options;
    struct dic_listener *listener;
    struct io_thread threads[MAX_IO_THREADS];
    struct dic_handler_pool *pool;
    struct dic_watch *watch;
    bool stopped;
    atomic_uint_fast64_t open_connections;
    atomic_uint_fast64_t open_exchanges;
    atomic_uint_fast64_t body_bytes;
    atomic_uint_fast64_t refused;
    atomic_uint_fast64_t requests;
    atomic_uint_fast64_t by_class[6];
};

/* ---- what handlers may ask ---- */

static struct dic_str query(const struct dic_request *request, const char *name)
{
    const struct dic_exchange *exchange = request->server_data;
    return dic_query_find(&exchange->query, dic_str(name));
}

static struct dic_str header(const struct dic_request *request, const char *name)
{
    const struct dic_exchange *exchange = request->server_data;
    return dic_str(MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name));
}

static enum dic_code each_query(const struct dic_request *request,
                                enum dic_code (*visit)(void *context, struct dic_str name,
                                                       struct dic_str value, struct dic_err *err),
                                void *context, struct dic_err *err)
{
    const struct dic_exchange *exchange = request->server_data;
    for (size_t i = 0; i < exchange->query.count; i++) {
        DIC_TRY(visit(context, exchange->query.parameters[i].name,
                      exchange->query.parameters[i].value, err));
    }
    return DIC_OK;
}

/* ---- answers ---- */

struct stream_state {
    struct dic_stream stream;
    struct dic_buf piece;
    size_t used;
    bool ended;
};

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max)
{
    struct stream_state *state = context;
    (void)position; /* always the next byte */
    while (state->used == state->piece.len && !state->ended) {
        struct dic_err err = {0};
        dic_buf_clear(&state->piece);
        state->used = 0;
        if (state->stream.next(state->stream.context, &state->piece, &state->ended, &err) !=
                DIC_OK ||
            dic_buf_check(&state->piece, &err) != DIC_OK) {
            dic_log_message(DIC_LOG_WARN, "stream_broken", "%s", err.msg);
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    size_t left = state->piece.len - state->used;
    if (left == 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t count = left < max ? left : max;
    memcpy(out, state->piece.ptr + state->used, count);
    state->used += count;
    return (ssize_t)count;
}

static void free_stream(void *context)
{
    struct stream_state *state = context;
    if (state->stream.destroy != NULL) {
        state->stream.destroy(state->stream.context);
    }
    dic_buf_clean_up(&state->piece);
    dic_free(state);
}

static struct MHD_Response *stream_response(struct dic_response *response)
{
    struct stream_state *state = dic_calloc(1, sizeof *state);
    state->stream = response->stream;
    response->stream = (struct dic_stream){0}; /* from here on it is the library's to end */
    dic_buf_init(&state->piece, STREAM_PIECE_BYTES);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream,
                                             state, free_stream);
}

/* The exchange outlives the response: the library has let go of it before `completed` runs. */
static struct MHD_Response *make_response(struct dic_exchange *exchange)
{
    struct dic_response *response = &exchange->response;
    if (response->stream.next != NULL) {
        return stream_response(response);
    }
    char *body = response->body.len > 0 ? response->body.ptr : NULL;
    return MHD_create_response_from_buffer(response->body.len, body, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_response(struct dic_server *server, struct dic_exchange *exchange)
{
    struct dic_response *response = &exchange->response;
    struct MHD_Response *answer = make_response(exchange);
    if (answer == NULL) {
        return MHD_NO;
    }
    if (response->content_type != NULL) {
        MHD_add_response_header(answer, "Content-Type", response->content_type);
    }
    MHD_add_response_header(answer, "X-Request-Id", exchange->request.request_id);
    if (exchange->close_after) {
        MHD_add_response_header(answer, "Connection", "close");
    }
    for (size_t i = 0; i < response->header_count; i++) {
        MHD_add_response_header(answer, response->headers[i].name, response->headers[i].value);
    }
    dic_watch_answering(exchange->watched);
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)response->status, answer);
    MHD_destroy_response(answer);
    exchange->state = DIC_EXCHANGE_SENT;
    atomic_fetch_add(&server->requests, 1);
    atomic_fetch_add(&server->by_class[response->status / 100 % 6], 1);
    return result;
}

/* ---- running handlers ---- */

/* From any thread. A library that runs in our loop has no means to wake it. */
static void resume(struct dic_exchange *exchange)
{
    struct io_thread *thread = exchange->io_thread;
    MHD_resume_connection(exchange->connection); /* the exchange may end with this */
    dic_io_loop_wake(thread->loop);
}

static enum dic_handling call_handler(struct dic_server *server, struct dic_exchange *exchange)
{
    enum dic_handling handling =
        exchange->route->handler(server->options.api, &exchange->request, &exchange->response);
    exchange->request.calls++;
    struct dic_err err = {0};
    if (handling == DIC_HANDLED && dic_buf_check(&exchange->response.body, &err) != DIC_OK) {
        dic_exchange_fail(exchange, &err, 500);
    }
    return handling;
}

static void run_exchange(struct dic_pool_item *item)
{
    struct dic_exchange *exchange = (struct dic_exchange *)item;
    struct dic_server *server = exchange->server;
    if (call_handler(server, exchange) == DIC_HANDLE_LATER) {
        dic_handler_pool_park(server->pool, item, exchange->response.later_ms);
        return;
    }
    exchange->state = DIC_EXCHANGE_READY;
    resume(exchange);
}

static enum MHD_Result dispatch(struct dic_server *server, struct dic_exchange *exchange)
{
    exchange->request.body = dic_buf_view(&exchange->body);
    dic_watch_answering(exchange->watched);
    exchange->item.run = run_exchange;
    if (server->options.allow_inline && exchange->route->inline_ok) {
        if (call_handler(server, exchange) == DIC_HANDLED) {
            exchange->state = DIC_EXCHANGE_READY;
            return send_response(server, exchange);
        }
        exchange->state = DIC_EXCHANGE_WORKING;
        MHD_suspend_connection(exchange->connection);
        dic_handler_pool_park(server->pool, &exchange->item, exchange->response.later_ms);
        return MHD_YES;
    }
    exchange->state = DIC_EXCHANGE_WORKING;
    MHD_suspend_connection(exchange->connection);
    if (!dic_handler_pool_submit(server->pool, &exchange->item)) {
        struct dic_err err = {0};
        (void)dic_fail(&err, DIC_E_BUSY, "more than %d requests are waiting", MAX_QUEUED);
        dic_exchange_fail(exchange, &err, 0);
        resume(exchange);
    }
    return MHD_YES;
}

/* ---- reading requests ---- */

static enum MHD_Result note_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len)
{
    (void)kind; /* always a header */
    dic_head_facts_add(context, dic_str_len(name, name_len),
                       dic_str_len(value == NULL ? "" : value, value_len));
    return MHD_YES;
}

static enum dic_method parse_method(const char *word)
{
    static const struct {
        const char *word;
        enum dic_method method;
    } methods[] = {{"GET", DIC_GET},
                   {"POST", DIC_POST},
                   {"HEAD", DIC_HEAD},
                   {"PUT", DIC_PUT},
                   {"DELETE", DIC_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(word, methods[i].word) == 0) {
            return methods[i].method;
        }
    }
    return DIC_METHOD_OTHER;
}

static enum MHD_Result begin(struct dic_server *server, struct dic_exchange *exchange,
                             const char *method, const char *version)
{
    struct dic_head_facts facts = {.is_http_1_0 = strcmp(version, "HTTP/1.0") == 0};
    struct dic_err err = {0};
    int status = 0;
    exchange->request.method = parse_method(method);
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, note_header, &facts);
    dic_watch_body(exchange->watched);
    exchange->state = DIC_EXCHANGE_BODY;
    if (dic_exchange_check_head(exchange, &facts, &status, &err) == DIC_OK) {
        return MHD_YES;
    }
    if (status == 405 && strcmp(method, "OPTIONS") == 0) {
        exchange->response.status = 204;
        exchange->state = DIC_EXCHANGE_READY;
    } else {
        dic_exchange_fail(exchange, &err, status);
    }
    return send_response(server, exchange);
}

/* The rest of a body that is too much is read and dropped, so that the client gets to read the
 * answer; one that goes on for as long again is cut. */
static enum MHD_Result take_body(struct dic_server *server, struct dic_exchange *exchange,
                                 const char *bytes, size_t len)
{
    struct dic_err err = {0};
    uint64_t held = atomic_fetch_add(&server->body_bytes, len) + len;
    dic_watch_body_bytes(exchange->watched, len);
    dic_buf_append(&exchange->body, bytes, len);
    if (!exchange->body.poisoned && held <= server->options.body_budget_bytes) {
        return MHD_YES;
    }
    atomic_fetch_sub(&server->body_bytes, len);
    if (exchange->body_refused) {
        exchange->dropped_bytes += len;
        return exchange->dropped_bytes <= DIC_MAX_BODY_BYTES ? MHD_YES : MHD_NO;
    }
    if (exchange->body.poisoned) {
        (void)dic_fail(&err, DIC_E_TOO_LARGE, "the body is over %zu bytes", exchange->body.ceiling);
    } else {
        exchange->body.len -= len;
        (void)dic_fail(&err, DIC_E_BUSY, "all request bodies together are over the budget now");
    }
    exchange->body_refused = true;
    exchange->close_after = true;
    dic_exchange_fail(exchange, &err, 0);
    atomic_fetch_add(&server->refused, 1);
    exchange->state = DIC_EXCHANGE_READY;
    return MHD_YES;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_context)
{
    struct dic_server *server = context;
    struct dic_exchange *exchange = *request_context;
    (void)url; /* the raw target is used instead */
    if (exchange->state == DIC_EXCHANGE_NEW) {
        exchange->connection = connection;
        return begin(server, exchange, method, version);
    }
    if (*upload_size > 0) {
        size_t len = *upload_size;
        *upload_size = 0;
        return take_body(server, exchange, upload, len);
    }
    if (exchange->state == DIC_EXCHANGE_READY) {
        return send_response(server, exchange);
    }
    return exchange->state == DIC_EXCHANGE_BODY ? dispatch(server, exchange) : MHD_YES;
}

/* ---- the library's notices ---- */

static struct dic_watched *watched_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void *request_line(void *context, const char *target, struct MHD_Connection *connection)
{
    struct io_thread *thread = context;
    struct dic_server *server = thread->server;
    struct dic_exchange *exchange = dic_exchange_new(target);
    exchange->server = server;
    exchange->io_thread = thread;
    exchange->watched = watched_of(connection);
    exchange->request.query = query;
    exchange->request.header = header;
    exchange->request.each_query = each_query;
    exchange->request.server_data = exchange;
    dic_watch_headers(exchange->watched);
    atomic_fetch_add(&server->open_exchanges, 1);
    return exchange;
}

static void completed(void *context, struct MHD_Connection *connection, void **request_context,
                      enum MHD_RequestTerminationCode code)
{
    struct dic_server *server = context;
    struct dic_exchange *exchange = *request_context;
    (void)connection; /* its watch record is in the exchange */
    (void)code;       /* how it ended is in the status that was logged */
    if (exchange == NULL) {
        return;
    }
    if (exchange->state == DIC_EXCHANGE_SENT) {
        dic_exchange_log(exchange, dic_clock_mono_ns(dic_clock_system()));
    }
    atomic_fetch_sub(&server->body_bytes, exchange->body.len);
    dic_watch_idle(exchange->watched);
    dic_exchange_destroy(exchange);
    atomic_fetch_sub(&server->open_exchanges, 1);
    *request_context = NULL;
}

static void connection_notice(void *context, struct MHD_Connection *connection,
                              void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct dic_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = info == NULL ? NULL : dic_watch_add(server->watch, info->connect_fd);
        atomic_fetch_add(&server->open_connections, 1);
    } else {
        dic_watch_remove(server->watch, *socket_context);
        *socket_context = NULL;
        atomic_fetch_sub(&server->open_connections, 1);
    }
}

/* Targets are decoded by uri.c, strictly; the library's own decoding is turned off. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

DIC_PRINTF(2, 0)
static void log_library(void *context, const char *format, va_list args)
{
    char text[512];
    (void)context;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    dic_log_message(DIC_LOG_DEBUG, "http_library", "%s", text);
}

/* ---- the threads ---- */

static void run_library(void *context)
{
    struct io_thread *thread = context;
    MHD_run(thread->daemon); /* never waits: only its own threads would */
}

static int64_t library_timeout_ms(void *context)
{
    const struct io_thread *thread = context;
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (MHD_get_timeout(thread->daemon, &ms) != MHD_YES) {
        return -1;
    }
    return ms > INT32_MAX ? INT32_MAX : (int64_t)ms;
}

/* Two threads may see the last place free at once: then there is one connection too many. */
static bool has_room(void *context)
{
    const struct io_thread *thread = context;
    const struct dic_server *server = thread->server;
    return atomic_load(&server->open_connections) < server->options.max_connections;
}

static void add_connection(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct io_thread *thread = context;
    if (MHD_add_connection(thread->daemon, fd, peer, peer_len) != MHD_YES) {
        atomic_fetch_add(&thread->server->refused, 1); /* the library has closed the socket */
    }
}

static enum dic_code start_thread(struct dic_server *server, struct io_thread *thread,
                                  struct dic_err *err)
{
    const struct dic_server_options *options = &server->options;
    thread->server = server;
    thread->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)options->max_connections + MAX_IO_THREADS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->idle_timeout_s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, request_line, thread, MHD_OPTION_NOTIFY_COMPLETED, completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, connection_notice, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *epoll =
        thread->daemon == NULL ? NULL
                               : MHD_get_daemon_info(thread->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (epoll == NULL) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot start the HTTP library: %s", strerror(errno));
    }
    const struct dic_io_work work = {
        .fd = epoll->epoll_fd,
        .run = run_library,
        .timeout_ms = library_timeout_ms,
        .has_room = has_room,
        .add = add_connection,
        .context = thread,
    };
    return dic_io_loop_start(&work, server->listener, &thread->loop, err);
}

static void wake_threads(struct dic_server *server)
{
    for (uint32_t i = 0; i < server->options.io_threads; i++) {
        if (server->threads[i].loop != NULL) {
            dic_io_loop_wake(server->threads[i].loop);
        }
    }
}

static void stop_threads(struct dic_server *server)
{
    for (uint32_t i = 0; i < server->options.io_threads; i++) {
        struct io_thread *thread = &server->threads[i];
        dic_io_loop_stop(thread->loop);
        if (thread->daemon != NULL) {
            MHD_stop_daemon(thread->daemon);
        }
    }
}

/* ---- life ---- */

static enum dic_code start(struct dic_server *server, struct dic_err *err)
{
    const struct dic_server_options *options = &server->options;
    if (options->io_threads < 1 || options->io_threads > MAX_IO_THREADS) {
        return dic_fail(err, DIC_E_INVALID, "%u I/O threads, 1 to %d are possible",
                        options->io_threads, MAX_IO_THREADS);
    }
    dic_listener_make_room(options->max_connections);
    DIC_TRY(dic_listener_open(options->bind_address, options->port, &server->listener, err));
    for (uint32_t i = 0; i < options->io_threads; i++) {
        DIC_TRY(start_thread(server, &server->threads[i], err));
    }
    return DIC_OK;
}

enum dic_code dic_server_start(const struct dic_server_options *options,
                               struct dic_server **server_out, struct dic_err *err)
{
    struct dic_server *server = dic_calloc(1, sizeof *server);
    server->options = *options;
    struct dic_watch_options watch = {
        .header_timeout_ms = options->header_timeout_ms,
        .body_min_bytes_per_s = options->body_min_bytes_per_s,
        .idle_timeout_s = options->idle_timeout_s,
    };
    server->watch = dic_watch_new(&watch);
    server->pool = dic_handler_pool_new(options->handler_threads, MAX_QUEUED);
    enum dic_code code = start(server, err);
    if (code != DIC_OK) {
        dic_server_destroy(server);
        return code;
    }
    *server_out = server;
    return DIC_OK;
}

uint16_t dic_server_port(const struct dic_server *server)
{
    return dic_listener_port(server->listener);
}

void dic_server_stop(struct dic_server *server, uint32_t grace_ms)
{
    if (server->stopped) {
        return;
    }
    server->stopped = true;
    if (server->listener != NULL) {
        dic_listener_stop(server->listener);
        wake_threads(server);
        dic_handler_pool_hurry(server->pool);
        for (uint32_t waited = 0; atomic_load(&server->open_exchanges) > 0 && waited < grace_ms;
             waited += STOP_STEP_MS) {
            dic_sleep_ms(STOP_STEP_MS);
        }
    }
    dic_handler_pool_destroy(server->pool); /* resumes every connection that is still suspended */
    server->pool = NULL;
    stop_threads(server);
    dic_listener_close(server->listener);
    server->listener = NULL;
}

void dic_server_destroy(struct dic_server *server)
{
    if (server == NULL) {
        return;
    }
    dic_server_stop(server, 0);
    dic_watch_destroy(server->watch);
    dic_free(server);
}

void dic_server_counts(const struct dic_server *server, struct dic_server_counts *out)
{
    memset(out, 0, sizeof *out);
    out->connections = dic_watch_open(server->watch);
    out->requests = atomic_load(&server->requests);
    out->body_bytes = atomic_load(&server->body_bytes);
    out->refused = atomic_load(&server->refused) + dic_watch_cut(server->watch);
    for (int i = 0; i < 6; i++) {
        out->by_class[i] = atomic_load(&server->by_class[i]);
    }
}
