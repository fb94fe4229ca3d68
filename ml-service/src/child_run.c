/* SPDX-License-Identifier: Apache-2.0 */
#include "child_run.h"

#include "base/clock.h"
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says when it is done. */
struct report {
    enum dic_code code;
    struct dic_err err;
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "it must arrive in one piece");

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static _Noreturn void child(const struct dic_child_options *options, pid_t parent, int fd)
{
    struct report report;
    memset(&report, 0, sizeof report); /* padding is sent, too */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) {
        _exit(1);
    }
    report.code = options->run(options->context, &report.err);
    const ssize_t written = write(fd, &report, sizeof report);
    _exit(written == (ssize_t)sizeof report ? 0 : 1);
}

/* Kills it if it still runs; the pid is certain, as nobody else waits for it. */
static int end_child(pid_t pid)
{
    int status = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

enum waited { CHILD_SPOKE, SIGNAL_CAME, TIME_IS_UP };

static enum waited wait_for(int report_fd, int signals_fd, int64_t timeout_ms)
{
    const struct dic_clock *clock = dic_clock_system();
    const int64_t end_ms = dic_clock_mono_ms(clock) + timeout_ms;
    struct pollfd fds[] = {{.fd = report_fd, .events = POLLIN},
                           {.fd = signals_fd, .events = POLLIN}};
    for (;;) {
        const int64_t left_ms = end_ms - dic_clock_mono_ms(clock);
        if (left_ms <= 0) {
            return TIME_IS_UP;
        }
        const int ready = poll(fds, 2, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (ready > 0 && fds[1].revents != 0) {
            return SIGNAL_CAME;
        }
        if (ready > 0) {
            return CHILD_SPOKE;
        }
    }
}

/* A memory limit of the task shows as SIGKILL. */
static enum dic_code died(const struct dic_child_options *options, int status, struct dic_err *err)
{
    if (WIFSIGNALED(status)) {
        return dic_fail(err, DIC_E_INTERNAL, "%s ended with signal %d%s", options->what,
                        WTERMSIG(status),
                        WTERMSIG(status) == SIGKILL ? ", as when memory runs out" : "");
    }
    return dic_fail(err, DIC_E_INTERNAL, "%s ended with status %d and no word", options->what,
                    WEXITSTATUS(status));
}

static enum dic_code take_report(const struct dic_child_options *options, int fd, pid_t pid,
                                 struct dic_err *err)
{
    struct report report;
    ssize_t got = -1;
    do {
        got = read(fd, &report, sizeof report);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof report) {
        int status = 0; /* its end of the pipe is closed, so it is about to end by itself */
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        return died(options, status, err);
    }
    end_child(pid);
    if (report.code != DIC_OK && err != NULL) {
        *err = report.err;
    }
    return report.code;
}

enum dic_code dic_child_run(const struct dic_child_options *options, struct dic_err *err)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return dic_fail(err, DIC_E_INTERNAL, "%s: cannot make a pipe: %s", options->what,
                        strerror(errno));
    }
    DIC_CLEANUP(close_fd) int reading = pair[0];
    DIC_CLEANUP(close_fd) int writing = pair[1];
    DIC_CLEANUP(close_fd) int signals = -1;
    DIC_TRY(dic_program_signals_fd(&signals, err));
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        close(reading);
        child(options, self, writing);
    }
    if (pid < 0) {
        return dic_fail(err, DIC_E_INTERNAL, "%s: cannot fork: %s", options->what, strerror(errno));
    }
    close_fd(&writing);
    switch (wait_for(reading, signals, options->timeout_ms)) {
    case CHILD_SPOKE:
        return take_report(options, reading, pid, err);
    case SIGNAL_CAME:
        end_child(pid);
        return dic_fail(err, DIC_E_CONFLICT, "%s was stopped by a signal", options->what);
    case TIME_IS_UP:
    default:
        end_child(pid);
        return dic_fail(err, DIC_E_TIMEOUT, "%s did not end in %" PRId64 " s", options->what,
                        options->timeout_ms / 1000);
    }
}
