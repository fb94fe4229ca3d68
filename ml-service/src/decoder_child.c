/* SPDX-License-Identifier: Apache-2.0 */
#include "decoder_child.h"

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Buffers below this are kept from picture to picture, larger ones go back to the system. */
enum { KEPT_BUFFER_BYTES = 4 * 1024 * 1024 };

extern char **environ;

/* Dies with the parent. The parent may have died before prctl, hence the second look. */
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) {
        _exit(1);
    }
}

/* Handlers and masks of the parent (or of a test) mean nothing here. Signals that end a whole group
 * or terminal session are left to the parent, which may want to finish its work first. */
static void reset_signals(void)
{
    static const int left_to_parent[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    for (int signal_number = 1; signal_number < NSIG; signal_number++) {
        (void)signal(signal_number, SIG_DFL); /* fails for SIGKILL and the like */
    }
    for (size_t i = 0; i < sizeof left_to_parent / sizeof left_to_parent[0]; i++) {
        (void)signal(left_to_parent[i], SIG_IGN);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Settings may hold credentials; unsetting them would leave their bytes in memory. */
static void wipe_environment(void)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        explicit_bzero(*variable, strlen(*variable));
    }
    (void)clearenv();
}

/* Under memory pressure the kernel shall take a decoder first: that costs one picture. */
static void volunteer_for_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        static const char score[] = "500";
        ssize_t written = write(fd, score, sizeof score - 1);
        (void)written; /* a wish, not a need */
        close(fd);
    }
}

static void unmap_others(const struct dic_nursery *nursery, uint32_t decoder)
{
    for (uint32_t i = 0; i < nursery->options->decoders; i++) {
        if (i != decoder) {
            munmap(nursery->regions[i].base, nursery->regions[i].size);
        }
    }
}

static bool send_all(int fd, const struct dic_decoder_reply *reply)
{
    ssize_t sent = -1;
    do {
        sent = send(fd, reply, sizeof *reply, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *reply;
}

static bool receive_job(int fd, struct dic_decoder_job *job)
{
    ssize_t got = -1;
    do {
        got = recv(fd, job, sizeof *job, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof *job;
}

static void decode(const struct dic_decoder_pool_options *options,
                   const struct dic_decoder_region *region, const struct dic_decoder_job *job,
                   struct dic_decoder_reply *reply)
{
    struct dic_image_report report = {0};
    options->decode(region->base + region->input_offset, (size_t)job->len, &options->spec,
                    (float *)(void *)(region->base + region->tensor_stride * job->slot), &report);
    *reply = (struct dic_decoder_reply){
        .sequence = job->sequence,
        .error = (uint32_t)report.error,
        .partial = report.partial ? 1 : 0,
        .width = report.width,
        .height = report.height,
    };
    memcpy(reply->format, report.format, sizeof reply->format);
    memcpy(reply->message, report.message, sizeof reply->message);
}

static _Noreturn void decoder_run(const struct dic_nursery *nursery, uint32_t decoder, int fd)
{
    const struct dic_decoder_pool_options *options = nursery->options;
    prctl(PR_SET_NAME, "dic-decoder", 0, 0, 0);
    volunteer_for_oom_killer();
    unmap_others(nursery, decoder);
    mallopt(M_MMAP_THRESHOLD, KEPT_BUFFER_BYTES);
    mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BUFFER_BYTES);

    struct dic_err err = {0};
    struct dic_decoder_reply reply = {0};
    if (dic_sandbox_enter(fd, options->memory_limit_bytes, &err) != DIC_OK) {
        reply.error = DIC_ROW_DECODER_CRASHED;
        memcpy(reply.message, err.msg, sizeof reply.message - 1);
        send_all(fd, &reply);
        _exit(1);
    }
    struct dic_decoder_job job;
    while (send_all(fd, &reply) && receive_job(fd, &job)) {
        decode(options, &nursery->regions[decoder], &job, &reply);
    }
    _exit(0);
}

/* The pid is certain: nobody else waits for these children, so it cannot have been reused. */
static int32_t end_child(pid_t *child)
{
    int status = 0;
    if (*child != 0) {
        kill(*child, SIGKILL);
        while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
        }
        *child = 0;
    }
    return status;
}

static int fork_decoder(struct dic_nursery *nursery, uint32_t decoder, int *fd_out)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return errno;
    }
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        die_with(self);
        close(pair[0]);
        decoder_run(nursery, decoder, pair[1]);
    }
    const int error = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return error;
    }
    nursery->children[decoder] = pid;
    *fd_out = pair[0];
    return 0;
}

static bool send_reply(int control_fd, struct dic_nursery_reply reply, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &reply, .iov_len = sizeof reply};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t sent = -1;
    do {
        sent = sendmsg(control_fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof reply;
}

static bool serve(struct dic_nursery *nursery)
{
    struct dic_nursery_request request = {0};
    ssize_t got = -1;
    do {
        got = recv(nursery->control_fd, &request, sizeof request, 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof request || request.decoder >= nursery->options->decoders) {
        return false;
    }
    int fd = -1;
    struct dic_nursery_reply reply = {0};
    reply.old_status = end_child(&nursery->children[request.decoder]);
    reply.error = fork_decoder(nursery, request.decoder, &fd);
    const bool sent = send_reply(nursery->control_fd, reply, fd);
    if (fd >= 0) {
        close(fd);
    }
    return sent;
}

_Noreturn void dic_nursery_run(struct dic_nursery *nursery)
{
    die_with(nursery->parent);
    prctl(PR_SET_NAME, "dic-nursery", 0, 0, 0);
    reset_signals();
    wipe_environment();
    if (dic_sandbox_close_others(nursery->control_fd, NULL) != DIC_OK) {
        _exit(1);
    }
    while (serve(nursery)) {
    }
    for (uint32_t i = 0; i < nursery->options->decoders; i++) {
        end_child(&nursery->children[i]);
    }
    _exit(0);
}
