/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "listen_socket.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct dic_listener {
    int fd;
    uint16_t port;
    atomic_bool stopped;
    atomic_bool starved; /* the last accept failed for want of something; for the log */
    atomic_int_fast64_t paused_until_ms;
};

enum dic_code dic_listener_open(const char *address, uint16_t port,
                                struct dic_listener **listener_out, struct dic_err *err)
{
    struct dic_listener *listener = dic_calloc(1, sizeof *listener);
    enum dic_code code = dic_listen_socket(address, port, &listener->fd, &listener->port, err);
    if (code != DIC_OK) {
        dic_free(listener);
        return code;
    }
    *listener_out = listener;
    return DIC_OK;
}

uint16_t dic_listener_port(const struct dic_listener *listener)
{
    return listener->port;
}

void dic_listener_stop(struct dic_listener *listener)
{
    atomic_store(&listener->stopped, true);
}

void dic_listener_close(struct dic_listener *listener)
{
    if (listener != NULL) {
        close(listener->fd);
        dic_free(listener);
    }
}

int dic_listener_poll_fd(const struct dic_listener *listener, int64_t *again_ms_out)
{
    *again_ms_out = -1;
    if (atomic_load(&listener->stopped)) {
        return -1;
    }
    const int64_t until_ms = atomic_load(&listener->paused_until_ms);
    if (until_ms == 0) {
        return listener->fd;
    }
    const int64_t left_ms = until_ms - dic_clock_mono_ms(dic_clock_system());
    *again_ms_out = left_ms > 0 ? left_ms : -1;
    return left_ms > 0 ? -1 : listener->fd;
}

static void pause_accepting(struct dic_listener *listener, int error)
{
    const int64_t now_ms = dic_clock_mono_ms(dic_clock_system());
    atomic_store(&listener->paused_until_ms, now_ms + DIC_ACCEPT_PAUSE_MS);
    if (!atomic_exchange(&listener->starved, true)) {
        dic_log_message(DIC_LOG_WARN, "accept_paused", "new connections wait: %s", strerror(error));
    }
}

static void note_accepted(struct dic_listener *listener)
{
    if (atomic_load(&listener->starved) && atomic_exchange(&listener->starved, false)) {
        atomic_store(&listener->paused_until_ms, 0);
        dic_log_message(DIC_LOG_INFO, "accept_resumed", "new connections are accepted again");
    }
}

/* Errors of the client's connection, which accept reports in the place of its descriptor; see
 * "Error handling" in accept(2). */
static bool is_of_one_client(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPERM: /* by a firewall's rule */
        return true;
    default:
        return false;
    }
}

int dic_listener_accept(struct dic_listener *listener, struct sockaddr_storage *peer_out,
                        socklen_t *peer_len_out)
{
    *peer_len_out = sizeof *peer_out;
    int fd = accept4(listener->fd, (struct sockaddr *)peer_out, peer_len_out,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        note_accepted(listener);
        return fd;
    }
    /* One client's error ends this round only: the next is waiting, so poll returns at once. */
    if (errno != EAGAIN && errno != EWOULDBLOCK && !is_of_one_client(errno)) {
        pause_accepting(listener, errno);
    }
    return -1;
}
