/* SPDX-License-Identifier: Apache-2.0 */
#include "io_loop.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Connections taken in one round: those that are open already get their turn. */
enum { ACCEPTS_A_ROUND = 16, RETRY_MS = 10 };

struct dic_io_loop {
    struct dic_io_work work;
    struct dic_listener *listener;
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping;
};

static int sooner_ms(int64_t a, int64_t b)
{
    if (a < 0 || (b >= 0 && b < a)) {
        a = b;
    }
    return a > INT_MAX ? INT_MAX : (int)a;
}

/* True when a connection waits to be accepted. */
static bool wait_for_something(const struct dic_io_loop *loop)
{
    const struct dic_io_work *work = &loop->work;
    int64_t again_ms = -1;
    const bool room = work->has_room(work->context);
    struct pollfd ready[] = {
        {.fd = work->fd, .events = POLLIN},
        {.fd = loop->wake_fd, .events = POLLIN},
        {.fd = room ? dic_listener_poll_fd(loop->listener, &again_ms) : -1, .events = POLLIN},
    };
    const int timeout_ms = sooner_ms(work->timeout_ms(work->context), again_ms);
    const int count = poll(ready, sizeof ready / sizeof ready[0], timeout_ms);
    if (count < 0 && errno != EINTR) {
        dic_sleep_ms(RETRY_MS); /* for want of memory: no reason to spin */
    }
    if (count <= 0) {
        return false;
    }
    if (ready[1].revents != 0) {
        uint64_t wakes = 0;
        ssize_t got = read(loop->wake_fd, &wakes, sizeof wakes);
        (void)got; /* non-blocking: the count does not matter */
    }
    return ready[2].revents != 0;
}

static void accept_some(const struct dic_io_loop *loop)
{
    const struct dic_io_work *work = &loop->work;
    for (int i = 0; i < ACCEPTS_A_ROUND && work->has_room(work->context); i++) {
        struct sockaddr_storage peer;
        socklen_t peer_len = 0;
        int fd = dic_listener_accept(loop->listener, &peer, &peer_len);
        if (fd < 0) {
            return;
        }
        work->add(work->context, fd, (const struct sockaddr *)&peer, peer_len);
    }
}

static void *serve(void *arg)
{
    const struct dic_io_loop *loop = arg;
    while (!atomic_load(&loop->stopping)) {
        if (wait_for_something(loop)) {
            accept_some(loop);
        }
        loop->work.run(loop->work.context);
    }
    return NULL;
}

enum dic_code dic_io_loop_start(const struct dic_io_work *work, struct dic_listener *listener,
                                struct dic_io_loop **loop_out, struct dic_err *err)
{
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot start an I/O thread: %s", strerror(errno));
    }
    struct dic_io_loop *loop = dic_calloc(1, sizeof *loop);
    loop->work = *work;
    loop->listener = listener;
    loop->wake_fd = wake_fd;
    *loop_out = loop; /* before its thread starts, which may have it woken at once */
    dic_thread_start(&loop->thread, "http-io", serve, loop);
    return DIC_OK;
}

void dic_io_loop_wake(struct dic_io_loop *loop)
{
    const uint64_t one = 1;
    if (loop != NULL) {
        ssize_t written = write(loop->wake_fd, &one, sizeof one);
        (void)written; /* a full counter wakes as well */
    }
}

void dic_io_loop_stop(struct dic_io_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    atomic_store(&loop->stopping, true);
    dic_io_loop_wake(loop);
    dic_thread_join(loop->thread);
    close(loop->wake_fd);
    dic_free(loop);
}
