/* SPDX-License-Identifier: Apache-2.0 */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct dic_fault own;
static struct dic_fault *record = &own;

struct dic_fault *dic_fault(void)
{
    return record;
}

/* The next definition of a function: the C library's, or a sanitizer's in between. */
static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        abort();
    }
    return function;
}

__attribute__((constructor)) static void map_record(void)
{
    const char *path = getenv("DIC_FAULT_FILE");
    long fd = path == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        void *shared = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
        record = shared == MAP_FAILED ? record : shared;
        close((int)fd);
    }
}

static bool matches(const char *name)
{
    const size_t wanted = strnlen(record->path, sizeof record->path);
    const size_t len = strlen(name);
    if (wanted > 0 && record->path[wanted - 1] == '$') {
        return len >= wanted - 1 &&
               strncmp(name + len - (wanted - 1), record->path, wanted - 1) == 0;
    }
    return strstr(name, record->path) != NULL;
}

static bool is_meant(int fd, const char *path)
{
    char link[64];
    char name[4096];
    if (record->path[0] == '\0' || path != NULL) {
        return path == NULL || matches(path);
    }
    if (fd < 0) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, name, sizeof name - 1);
    name[len < 0 ? 0 : len] = '\0';
    return matches(name);
}

static bool fails(const char *function, int fd, const char *path)
{
    const int saved = errno;
    if (atomic_load(&record->armed) == 0 || strcmp(record->function, function) != 0) {
        return false;
    }
    const bool meant = is_meant(fd, path);
    errno = saved;
    if (!meant) {
        return false;
    }
    const uint32_t number = atomic_fetch_add(&record->calls, 1) + 1;
    if (number < record->first || (record->count > 0 && number - record->first >= record->count)) {
        return false;
    }
    atomic_fetch_add(&record->failed, 1);
    errno = record->error;
    return true;
}

/* symbol: what the linker sees; name: what the record says; fd and path: what the call is about. */
#define WRAP(type, symbol, name, parameters, arguments, fd, path)               \
    type symbol parameters;                                                     \
    type symbol parameters                                                      \
    {                                                                           \
        static _Atomic(type(*) parameters) real;                                \
        type(*function) parameters = atomic_load(&real);                        \
        if (function == NULL) {                                                 \
            void *found = next(#symbol);                                        \
            memcpy(&function, &found, sizeof function);                         \
            atomic_store(&real, function);                                      \
        }                                                                       \
        return fails(name, fd, path) ? (type)(intptr_t)-1 : function arguments; \
    }

WRAP(ssize_t, write, "write", (int fd, const void *from, size_t len), (fd, from, len), fd, NULL)
WRAP(ssize_t, pwrite, "pwrite", (int fd, const void *from, size_t len, off_t at),
     (fd, from, len, at), fd, NULL)
WRAP(ssize_t, pwrite64, "pwrite", (int fd, const void *from, size_t len, off64_t at),
     (fd, from, len, at), fd, NULL)
WRAP(ssize_t, pread, "pread", (int fd, void *to, size_t len, off_t at), (fd, to, len, at), fd, NULL)
WRAP(ssize_t, pread64, "pread", (int fd, void *to, size_t len, off64_t at), (fd, to, len, at), fd,
     NULL)
WRAP(ssize_t, sendfile, "sendfile", (int out, int in, off_t *at, size_t len), (out, in, at, len),
     out, NULL)
WRAP(int, fsync, "fsync", (int fd), (fd), fd, NULL)
WRAP(int, fdatasync, "fdatasync", (int fd), (fd), fd, NULL)
WRAP(int, ftruncate, "ftruncate", (int fd, off_t len), (fd, len), fd, NULL)
WRAP(int, ftruncate64, "ftruncate", (int fd, off64_t len), (fd, len), fd, NULL)
WRAP(int, rename, "rename", (const char *from, const char *to), (from, to), -1, to)
WRAP(int, renameat, "rename", (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to), -1, to)
WRAP(int, linkat, "link", (int from_fd, const char *from, int to_fd, const char *to, int flags),
     (from_fd, from, to_fd, to, flags), -1, to)
WRAP(int, mkdir, "mkdir", (const char *path, mode_t mode), (path, mode), -1, path)
WRAP(int, mkdirat, "mkdir", (int fd, const char *path, mode_t mode), (fd, path, mode), -1, path)
WRAP(int, accept4, "accept", (int fd, __SOCKADDR_ARG peer, socklen_t *restrict len, int flags),
     (fd, peer, len, flags), fd, NULL)
WRAP(void *, mmap, "mmap", (void *at, size_t len, int protection, int flags, int fd, off_t offset),
     (at, len, protection, flags, fd, offset), fd, NULL)
WRAP(void *, mmap64, "mmap",
     (void *at, size_t len, int protection, int flags, int fd, off64_t offset),
     (at, len, protection, flags, fd, offset), fd, NULL)
WRAP(pid_t, fork, "fork", (void), (), -1, NULL)
WRAP(int, socketpair, "socketpair", (int domain, int type, int protocol, int pair[2]),
     (domain, type, protocol, pair), -1, NULL)
WRAP(int, eventfd, "eventfd", (unsigned count, int flags), (count, flags), -1, NULL)
WRAP(int, epoll_create1, "epoll_create", (int flags), (flags), -1, NULL)
WRAP(int, epoll_ctl, "epoll_ctl", (int fd, int operation, int on, struct epoll_event *event),
     (fd, operation, on, event), on, NULL)

static bool takes_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

#define WRAP_OPEN(symbol, parameters, arguments, last, path)              \
    int symbol parameters;                                                \
    int symbol parameters                                                 \
    {                                                                     \
        va_list args;                                                     \
        va_start(args, last);                                             \
        const mode_t mode = takes_mode(flags) ? va_arg(args, mode_t) : 0; \
        va_end(args);                                                     \
        if (fails("open", -1, path)) {                                    \
            return -1;                                                    \
        }                                                                 \
        int(*function) parameters;                                        \
        void *found = next(#symbol);                                      \
        memcpy(&function, &found, sizeof function);                       \
        return function arguments;                                        \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), flags, path)
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), flags, path)
WRAP_OPEN(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), flags, path)
WRAP_OPEN(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), flags,
          path)

/* openat2 has no function of its own. All six arguments are passed on, used or not. */
long syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++) {
        a[i] = va_arg(args, long);
    }
    va_end(args);
    if (number == SYS_openat2 && fails("open", -1, (const char *)a[1])) {
        return -1;
    }
    long (*function)(long, ...);
    void *found = next("syscall");
    memcpy(&function, &found, sizeof function);
    return function(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
