/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OTHER_DESCRIPTORS = 512 }; /* connections to the store, decoders, images in hand */

struct dic_listener {
    int fd;
    uint16_t port;
    atomic_bool stopped;
    atomic_bool starved; /* the last accept failed for want of something; for the log */
    atomic_int_fast64_t paused_until_ms;
};

static enum dic_code parse_address(const char *address, uint16_t port, struct sockaddr_storage *out,
                                   socklen_t *len_out, struct dic_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *len_out = sizeof *v6;
        return DIC_OK;
    }
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *len_out = sizeof *v4;
        return DIC_OK;
    }
    return dic_fail_field(err, DIC_E_INVALID, "BIND_ADDRESS",
                          "BIND_ADDRESS='%.60s' is not a numeric IP address", address);
}

/* IPv6 sockets take IPv6 only, so that :: and 0.0.0.0 can be listened on side by side. */
static int set_options(int fd, int family)
{
    const int yes = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
        return -1;
    }
    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) : 0;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

enum dic_code dic_listener_open(const char *address, uint16_t port,
                                struct dic_listener **listener_out, struct dic_err *err)
{
    struct sockaddr_storage bind_to;
    socklen_t len = 0;
    DIC_TRY(parse_address(address, port, &bind_to, &len, err));
    int fd = socket(bind_to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || set_options(fd, bind_to.ss_family) != 0 ||
        bind(fd, (struct sockaddr *)&bind_to, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return dic_fail_field(err, DIC_E_UPSTREAM, "PORT", "cannot listen on %s port %u: %s",
                              address, port, strerror(error));
    }
    struct dic_listener *listener = dic_calloc(1, sizeof *listener);
    listener->fd = fd;
    listener->port = bound_port(fd);
    *listener_out = listener;
    return DIC_OK;
}

/* The usual soft limit of 1,024 is for programs that use select: see setrlimit(2). */
void dic_listener_make_room(uint32_t connections)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)connections + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        dic_log_message(DIC_LOG_WARN, "few_descriptors",
                        "the process may open %llu files, %llu are wanted for %u connections",
                        (unsigned long long)limit.rlim_cur, (unsigned long long)wanted,
                        connections);
    }
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
