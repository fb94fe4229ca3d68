/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum dic_code parse_address(const char *text, uint16_t port, union address *out,
                                   struct dic_err *err)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return DIC_OK;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return DIC_OK;
    }
    return dic_fail_field(err, DIC_E_INVALID, "BIND_ADDRESS",
                          "BIND_ADDRESS='%.60s' is not a numeric IP address", text);
}

/* SO_REUSEADDR is for a restart while old connections are in TIME_WAIT. SO_REUSEPORT is not set: a
 * second process would share the port, and each would get some of the requests. */
static bool open_and_listen(const union address *address, int *fd_out)
{
    const int on = 1;
    const bool is_v6 = address->any.sa_family == AF_INET6;
    const socklen_t len = is_v6 ? sizeof address->v6 : sizeof address->v4;
    *fd_out = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *fd_out >= 0 && setsockopt(*fd_out, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (!is_v6 || setsockopt(*fd_out, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
           bind(*fd_out, &address->any, len) == 0 && listen(*fd_out, SOMAXCONN) == 0;
}

enum dic_code dic_listen_socket(const char *bind_address, uint16_t port, int *fd_out,
                                uint16_t *port_out, struct dic_err *err)
{
    union address address;
    socklen_t len = sizeof address;
    int fd = -1;
    DIC_TRY(parse_address(bind_address, port, &address, err));
    if (!open_and_listen(&address, &fd) || getsockname(fd, &address.any, &len) != 0) {
        const enum dic_code code =
            dic_fail_field(err, DIC_E_UPSTREAM, "PORT",
                           "cannot listen on %s port %u: %s; PORT and BIND_ADDRESS choose another",
                           bind_address, port, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    *fd_out = fd;
    *port_out =
        ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    return DIC_OK;
}
