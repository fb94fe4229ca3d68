/* SPDX-License-Identifier: Apache-2.0 */
#include "decoder_pool.h"

#include "decoder_child.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TENSOR_ALIGNMENT = 64,
    TENSORS_MAX = 16,
    HELLO_TIMEOUT_MS = 5000,
    TIMEOUT_SLICES = 20, /* a wait is made of, each of which may count double at most */
    FORK_ATTEMPTS = 20,
    FORK_PAUSE_MS = 50,
    KEPT_INPUT_BYTES = 1024 * 1024, /* shared memory beyond it is given back after a picture */
};

struct decoder {
    int fd; /* −1: there is no process */
    uint64_t sequence;
};

struct dic_decoder_pool {
    struct dic_decoder_pool_options options;
    struct dic_decoder_region regions[DIC_DECODERS_MAX];
    struct decoder decoders[DIC_DECODERS_MAX]; /* each used by its driver alone */
    pthread_mutex_t control_lock;              /* one request on the control socket at a time */
    int control_fd;
    pid_t nursery;
    atomic_uint_fast64_t respawns;
};

enum wait_result { REPLIED, DIED, LATE };

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static enum dic_code map_region(const struct dic_decoder_pool_options *options,
                                struct dic_decoder_region *region, struct dic_err *err)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    region->tensor_stride = round_up(dic_tensor_bytes(&options->spec), TENSOR_ALIGNMENT);
    region->input_offset = round_up(region->tensor_stride * options->tensors_per_decoder, page);
    region->size = region->input_offset + round_up(options->max_image_bytes, page);
    /* Shared memory without a descriptor: a decoder has nothing it could truncate or pass on. */
    void *base = mmap(NULL, region->size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return dic_fail(err, DIC_E_INTERNAL, "cannot map %zu bytes for a decoder: %s", region->size,
                        strerror(errno));
    }
    region->base = base;
    return DIC_OK;
}

static enum dic_code start_nursery(struct dic_decoder_pool *pool, struct dic_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return dic_fail(err, DIC_E_INTERNAL, "cannot make a socket pair: %s", strerror(errno));
    }
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        struct dic_nursery nursery = {
            .options = &pool->options,
            .regions = pool->regions,
            .control_fd = pair[1],
            .parent = self,
        };
        dic_nursery_run(&nursery);
    }
    const int error = errno;
    close(pair[1]);
    pool->control_fd = pair[0];
    if (pid < 0) {
        return dic_fail(err, DIC_E_INTERNAL, "cannot fork the decoders' nursery: %s",
                        strerror(error));
    }
    pool->nursery = pid;
    return DIC_OK;
}

/* Without the nursery no decoder can be replaced, and a process with threads and credentials must
 * not fork one. The supervisor starts the worker anew; its unfinished work comes back. */
static _Noreturn void die_without_nursery(void)
{
    dic_log_message(DIC_LOG_ERROR, "nursery_died", "the process that starts decoders is gone");
    abort();
}

static int receive_fd(int control_fd, struct dic_nursery_reply *reply)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = reply, .iov_len = sizeof *reply};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = -1;
    do {
        got = recvmsg(control_fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof *reply) {
        die_without_nursery();
    }
    int fd = -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
    return fd;
}

/* Ends the decoder's process if there is one, and starts another; tells how the old one ended. */
static struct dic_nursery_reply ask_nursery(struct dic_decoder_pool *pool, uint32_t decoder)
{
    DIC_GUARD(&pool->control_lock);
    const struct dic_nursery_request request = {.decoder = decoder};
    if (send(pool->control_fd, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request) {
        die_without_nursery();
    }
    struct dic_nursery_reply reply = {0};
    pool->decoders[decoder].fd = receive_fd(pool->control_fd, &reply);
    if (pool->decoders[decoder].fd < 0 && reply.error == 0) {
        reply.error = EMFILE; /* the descriptor did not fit into our table */
    }
    return reply;
}

static void forget(struct decoder *decoder)
{
    if (decoder->fd >= 0) {
        close(decoder->fd);
        decoder->fd = -1;
    }
}

static enum wait_result await_reply(const struct decoder *decoder, int64_t timeout_ms,
                                    struct dic_decoder_reply *reply)
{
    struct pollfd ready = {.fd = decoder->fd, .events = POLLIN};
    const int64_t slice_ms = timeout_ms / TIMEOUT_SLICES;
    int64_t left_ms = timeout_ms;
    int count = 0;
    while ((count == 0 || (count < 0 && errno == EINTR)) && left_ms > 0) {
        const int64_t before_ms = dic_clock_mono_ms(dic_clock_system());
        count = poll(&ready, 1, (int)(left_ms < slice_ms ? left_ms : slice_ms));
        const int64_t took_ms = dic_clock_mono_ms(dic_clock_system()) - before_ms;
        /* A machine or container that was frozen is no fault of the picture. */
        left_ms -= took_ms < 2 * slice_ms ? took_ms : 2 * slice_ms;
    }
    if (count <= 0) {
        return LATE;
    }
    ssize_t got = recv(decoder->fd, reply, sizeof *reply, MSG_DONTWAIT);
    return got == (ssize_t)sizeof *reply && reply->sequence == decoder->sequence ? REPLIED : DIED;
}

/* The new process says hello once it is in its sandbox. */
static enum dic_code await_hello(struct decoder *decoder, struct dic_err *err)
{
    struct dic_decoder_reply hello = {0};
    decoder->sequence = 0;
    if (await_reply(decoder, HELLO_TIMEOUT_MS, &hello) == REPLIED && hello.error == DIC_ROW_OK) {
        return DIC_OK;
    }
    forget(decoder);
    hello.message[sizeof hello.message - 1] = '\0';
    return dic_fail(err, DIC_E_INTERNAL, "a decoder process did not start: %s",
                    hello.message[0] != '\0' ? hello.message : "no word from it");
}

static enum dic_code replace(struct dic_decoder_pool *pool, uint32_t decoder, int32_t *status_out,
                             struct dic_err *err)
{
    forget(&pool->decoders[decoder]);
    struct dic_nursery_reply reply = ask_nursery(pool, decoder);
    *status_out = reply.old_status;
    for (int attempt = 1; reply.error != 0 && attempt < FORK_ATTEMPTS; attempt++) {
        dic_sleep_ms(FORK_PAUSE_MS); /* out of processes or memory: that may pass */
        reply = ask_nursery(pool, decoder);
    }
    if (reply.error != 0) {
        return dic_fail(err, DIC_E_INTERNAL, "cannot fork a decoder: %s", strerror(reply.error));
    }
    return await_hello(&pool->decoders[decoder], err);
}

static enum dic_code check_options(const struct dic_decoder_pool_options *options,
                                   struct dic_err *err)
{
    if (options->decoders < 1 || options->decoders > DIC_DECODERS_MAX) {
        return dic_fail(err, DIC_E_INVALID, "%u decoders, 1 to %d are possible", options->decoders,
                        DIC_DECODERS_MAX);
    }
    if (options->tensors_per_decoder < 1 || options->tensors_per_decoder > TENSORS_MAX) {
        return dic_fail(err, DIC_E_INVALID, "%u tensors a decoder, 1 to %d are possible",
                        options->tensors_per_decoder, TENSORS_MAX);
    }
    return DIC_OK;
}

static enum dic_code start_decoders(struct dic_decoder_pool *pool, struct dic_err *err)
{
    for (uint32_t i = 0; i < pool->options.decoders; i++) {
        struct dic_nursery_reply reply = ask_nursery(pool, i);
        if (reply.error != 0) {
            return dic_fail(err, DIC_E_INTERNAL, "cannot fork a decoder: %s",
                            strerror(reply.error));
        }
    }
    for (uint32_t i = 0; i < pool->options.decoders; i++) {
        DIC_TRY(await_hello(&pool->decoders[i], err));
    }
    return DIC_OK;
}

static enum dic_code set_up(struct dic_decoder_pool *pool, struct dic_err *err)
{
    for (uint32_t i = 0; i < pool->options.decoders; i++) {
        DIC_TRY(map_region(&pool->options, &pool->regions[i], err));
    }
    DIC_TRY(start_nursery(pool, err));
    return start_decoders(pool, err);
}

enum dic_code dic_decoder_pool_start(const struct dic_decoder_pool_options *options,
                                     struct dic_decoder_pool **pool_out, struct dic_err *err)
{
    DIC_TRY(check_options(options, err));
    struct dic_decoder_pool *pool = dic_calloc(1, sizeof *pool);
    pool->options = *options;
    pool->control_fd = -1;
    dic_mutex_init(&pool->control_lock);
    for (uint32_t i = 0; i < options->decoders; i++) {
        pool->decoders[i].fd = -1;
    }
    enum dic_code code = set_up(pool, err);
    if (code != DIC_OK) {
        dic_decoder_pool_destroy(pool);
        return code;
    }
    *pool_out = pool;
    return DIC_OK;
}

void dic_decoder_pool_destroy(struct dic_decoder_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    if (pool->control_fd >= 0) {
        close(pool->control_fd); /* the nursery's sign to kill its children and end */
    }
    if (pool->nursery > 0) {
        while (waitpid(pool->nursery, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    for (uint32_t i = 0; i < pool->options.decoders; i++) {
        forget(&pool->decoders[i]);
        if (pool->regions[i].base != NULL) {
            munmap(pool->regions[i].base, pool->regions[i].size);
        }
    }
    pthread_mutex_destroy(&pool->control_lock);
    dic_free(pool);
}

float *dic_decoder_pool_tensor(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot)
{
    const struct dic_decoder_region *region = &pool->regions[decoder];
    return (float *)(void *)(region->base + region->tensor_stride * slot);
}

DIC_PRINTF(3, 4)
static void report_failure(struct dic_image_report *report, enum dic_row_error error,
                           const char *fmt, ...)
{
    *report = (struct dic_image_report){.error = error};
    va_list args;
    va_start(args, fmt);
    vsnprintf(report->message, sizeof report->message, fmt, args);
    va_end(args);
}

/* What a decoder says is input from outside: it may have been taken over by a picture. */
static bool believable(const struct dic_decoder_reply *reply)
{
    switch ((int)reply->error) {
    case DIC_ROW_OK:
    case DIC_ROW_EMPTY:
    case DIC_ROW_TOO_LARGE:
    case DIC_ROW_UNSUPPORTED_FORMAT:
    case DIC_ROW_CORRUPT_IMAGE:
        return memchr(reply->message, '\0', sizeof reply->message) != NULL &&
               memchr(reply->format, '\0', sizeof reply->format) != NULL;
    default:
        return false;
    }
}

static void copy_report(const struct dic_decoder_reply *reply, struct dic_image_report *report)
{
    *report = (struct dic_image_report){
        .error = (enum dic_row_error)reply->error,
        .width = reply->width,
        .height = reply->height,
        .partial = reply->partial != 0,
    };
    memcpy(report->format, reply->format, sizeof report->format);
    memcpy(report->message, reply->message, sizeof report->message);
}

static bool send_job(struct dic_decoder_pool *pool, uint32_t index, uint32_t slot, size_t len)
{
    struct decoder *decoder = &pool->decoders[index];
    const struct dic_decoder_job job = {
        .sequence = decoder->sequence + 1, .len = len, .slot = slot};
    if (decoder->fd < 0 ||
        send(decoder->fd, &job, sizeof job, MSG_NOSIGNAL) != (ssize_t)sizeof job) {
        return false;
    }
    decoder->sequence++;
    return true;
}

/* A decoder that died while it had nothing to do (memory pressure, an operator) is no picture's
 * fault: it is replaced and the picture goes to the new one. */
static enum dic_code hand_over(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot,
                               struct dic_str bytes, struct dic_err *err)
{
    const struct dic_decoder_region *region = &pool->regions[decoder];
    if (bytes.len > 0) {
        memcpy(region->base + region->input_offset, bytes.ptr, bytes.len);
    }
    if (send_job(pool, decoder, slot, bytes.len)) {
        return DIC_OK;
    }
    int32_t status = 0;
    atomic_fetch_add(&pool->respawns, 1);
    DIC_TRY(replace(pool, decoder, &status, err));
    if (!send_job(pool, decoder, slot, bytes.len)) {
        return dic_fail(err, DIC_E_INTERNAL, "a new decoder process died at once");
    }
    return DIC_OK;
}

static void describe_death(int32_t status, struct dic_image_report *report_out)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        report_failure(report_out, DIC_ROW_DECODER_CRASHED,
                       "this image made its decoder process crash (signal %d, SIG%s)",
                       WTERMSIG(status), name != NULL ? name : "?");
        return;
    }
    report_failure(report_out, DIC_ROW_DECODER_CRASHED,
                   "this image made its decoder process end (exit status %d)", WEXITSTATUS(status));
}

static void bury(struct dic_decoder_pool *pool, uint32_t decoder, enum wait_result result,
                 struct dic_image_report *report_out)
{
    int32_t status = 0;
    struct dic_err err = {0};
    atomic_fetch_add(&pool->respawns, 1);
    /* Without a new process now the next picture tries again, see hand_over. */
    if (replace(pool, decoder, &status, &err) != DIC_OK) {
        dic_log_message(DIC_LOG_ERROR, "decoder_not_replaced", "%s", err.msg);
    }
    if (result == LATE) {
        report_failure(report_out, DIC_ROW_DECODE_TIMEOUT, "decoding took over %u ms",
                       pool->options.timeout_ms);
        return;
    }
    describe_death(status, report_out);
}

static void give_back_memory(const struct dic_decoder_region *region, size_t used)
{
    if (used > KEPT_INPUT_BYTES) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        (void)madvise(region->base + region->input_offset, round_up(used, page), MADV_REMOVE);
    }
}

void dic_decoder_pool_decode(struct dic_decoder_pool *pool, uint32_t decoder, uint32_t slot,
                             struct dic_str bytes, struct dic_image_report *report_out)
{
    if (bytes.len > pool->options.max_image_bytes) {
        report_failure(report_out, DIC_ROW_TOO_LARGE, "image is %zu bytes, limit %zu", bytes.len,
                       pool->options.max_image_bytes);
        return;
    }
    struct dic_err err = {0};
    if (hand_over(pool, decoder, slot, bytes, &err) != DIC_OK) {
        report_failure(report_out, DIC_ROW_DECODER_CRASHED, "%.150s", err.msg);
        return;
    }
    struct dic_decoder_reply reply = {0};
    enum wait_result result =
        await_reply(&pool->decoders[decoder], pool->options.timeout_ms, &reply);
    if (result == REPLIED && believable(&reply)) {
        copy_report(&reply, report_out);
    } else {
        bury(pool, decoder, result, report_out);
    }
    give_back_memory(&pool->regions[decoder], bytes.len);
}

uint64_t dic_decoder_pool_respawns(const struct dic_decoder_pool *pool)
{
    return atomic_load(&pool->respawns);
}
