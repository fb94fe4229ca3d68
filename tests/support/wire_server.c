/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_server.h"

#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_REQUEST_BYTES = 4 * 1024 * 1024, MAX_ANSWER_BYTES = 64 * 1024 * 1024 };

struct connection {
    struct wire_server *server;
    int socket;
};

/* The length of head and body, or 0 while more is to come. */
static size_t request_length(struct dic_buf *received)
{
    const char *end = received->len == 0 ? NULL : strstr(received->ptr, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - received->ptr) + 4;
    const char *length = strstr(received->ptr, "\r\nContent-Length: ");
    size_t body = length == NULL || length > end ? 0 : strtoul(length + 18, NULL, 10);
    return received->len >= head + body ? head + body : 0;
}

static bool receive_request(int socket, struct dic_buf *received)
{
    char piece[16384];
    while (request_length(received) == 0) {
        ssize_t len = recv(socket, piece, sizeof piece, 0);
        if (len <= 0) {
            return false;
        }
        dic_buf_append(received, piece, (size_t)len);
    }
    return true;
}

/* Copies the answer: the test may be over, and its bytes gone, while the last of them is sent. */
static struct wire_step keep_request(struct wire_server *server, struct dic_str request,
                                     struct dic_buf *answer)
{
    DIC_GUARD(&server->lock);
    if (server->request_count == WIRE_MAX_REQUESTS || server->step_count == 0) {
        abort();
    }
    struct dic_buf *kept = &server->requests[server->request_count++];
    dic_buf_init(kept, MAX_REQUEST_BYTES);
    dic_buf_append_str(kept, request);
    struct wire_step step = server->steps[server->next_step];
    dic_buf_append(answer, step.bytes, step.len > 0 ? step.len : strlen(step.bytes));
    server->next_step += server->next_step + 1 < server->step_count;
    pthread_cond_broadcast(&server->changed);
    return step;
}

static void send_all(int socket, struct dic_str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(socket, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client has had enough */
        }
        bytes = dic_str_skip(bytes, (size_t)sent);
    }
}

/* One request; false when the connection shall end. */
static bool serve(const struct connection *connection, struct dic_buf *received)
{
    if (!receive_request(connection->socket, received)) {
        return false;
    }
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf answer;
    dic_buf_init(&answer, MAX_ANSWER_BYTES);
    struct wire_step step = keep_request(connection->server, dic_buf_view(received), &answer);
    dic_buf_clear(received);
    wire_server_wait_requests(connection->server, step.after_requests);
    send_all(connection->socket, dic_buf_view(&answer));
    if (step.end == WIRE_RESET) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (step.end == WIRE_HOLD) {
        char byte = 0;
        ssize_t len = recv(connection->socket, &byte, 1, 0);
        (void)len; /* whatever ends the wait */
        return false;
    }
    return step.end == WIRE_KEEP;
}

static void forget_socket(struct wire_server *server, int socket)
{
    DIC_GUARD(&server->lock);
    for (size_t i = 0; i < server->connections; i++) {
        if (server->sockets[i] == socket) {
            server->sockets[i] = -1;
        }
    }
    close(socket);
    server->closed++;
    pthread_cond_broadcast(&server->changed);
}

static void *run_connection(void *context)
{
    struct connection *connection = context;
    struct dic_buf received;
    dic_buf_init(&received, MAX_REQUEST_BYTES);
    while (serve(connection, &received)) {
    }
    dic_buf_clean_up(&received);
    forget_socket(connection->server, connection->socket);
    free(connection);
    return NULL;
}

static void *run_acceptor(void *context)
{
    struct wire_server *server = context;
    for (;;) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket < 0) {
            return NULL;
        }
        struct connection *connection = calloc(1, sizeof *connection);
        *connection = (struct connection){server, socket};
        DIC_GUARD(&server->lock);
        if (server->connections == WIRE_MAX_CONNECTIONS) {
            abort();
        }
        server->sockets[server->connections] = socket;
        dic_thread_start(&server->threads[server->connections++], "connection", run_connection,
                         connection);
    }
}

void wire_server_start(struct wire_server *server)
{
    *server = (struct wire_server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    dic_mutex_init(&server->lock);
    dic_cond_init(&server->changed);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(server->listener, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)(void *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    dic_thread_start(&server->acceptor, "acceptor", run_acceptor, server);
}

void wire_server_stop(struct wire_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    dic_thread_join(server->acceptor);
    close(server->listener);
    {
        DIC_GUARD(&server->lock);
        for (size_t i = 0; i < server->connections; i++) {
            if (server->sockets[i] >= 0) {
                shutdown(server->sockets[i], SHUT_RDWR);
            }
        }
    }
    for (size_t i = 0; i < server->connections; i++) {
        dic_thread_join(server->threads[i]);
    }
    for (size_t i = 0; i < server->request_count; i++) {
        dic_buf_clean_up(&server->requests[i]);
    }
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
}

void wire_server_script(struct wire_server *server, size_t count, const struct wire_step *steps)
{
    DIC_GUARD(&server->lock);
    assert_true(count <= WIRE_MAX_STEPS);
    memcpy(server->steps, steps, count * sizeof steps[0]);
    server->step_count = count;
    server->next_step = 0;
}

size_t wire_server_requests(struct wire_server *server)
{
    DIC_GUARD(&server->lock);
    return server->request_count;
}

size_t wire_server_connections(struct wire_server *server)
{
    DIC_GUARD(&server->lock);
    return server->connections;
}

void wire_server_wait_requests(struct wire_server *server, size_t count)
{
    DIC_GUARD(&server->lock);
    while (server->request_count < count) {
        dic_cond_wait_ms(&server->changed, &server->lock, -1);
    }
}

void wire_server_wait_closed(struct wire_server *server, size_t count)
{
    DIC_GUARD(&server->lock);
    while (server->closed < count) {
        dic_cond_wait_ms(&server->changed, &server->lock, -1);
    }
}
