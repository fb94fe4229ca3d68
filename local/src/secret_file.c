/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_file.h"

#include "base/buf.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME_BYTES = 80 };

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static enum dic_code failed(const char *folder, const char *name, struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "cannot open or make %s/%s: %s", folder, name,
                    strerror(errno));
}

static enum dic_code read_secret(int fd, const char *folder, const char *name,
                                 unsigned char *secret_out, size_t len, struct dic_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return failed(folder, name, err);
    }
    if (!S_ISREG(info.st_mode) || (info.st_mode & 077) != 0 || (size_t)info.st_size != len) {
        return dic_fail(err, DIC_E_INVALID,
                        "%s/%s must be a file of %zu bytes that its owner alone may read; remove "
                        "it to get a new one",
                        folder, name, len);
    }
    const ssize_t got = read(fd, secret_out, len);
    return got == (ssize_t)len ? DIC_OK : failed(folder, name, err);
}

/* Under another name first, so that a crash leaves no half of it. */
static enum dic_code make_secret(int folder_fd, const char *folder, const char *name,
                                 unsigned char *secret_out, size_t len, struct dic_err *err)
{
    char temporary[MAX_NAME_BYTES + 8];
    snprintf(temporary, sizeof temporary, "%.*s.new", MAX_NAME_BYTES, name);
    dic_rand_bytes(secret_out, len);
    unlinkat(folder_fd, temporary, 0); /* of a start that was ended here */
    DIC_CLEANUP(close_fd)
    int fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, secret_out, len) != (ssize_t)len || fsync(fd) != 0 ||
        renameat(folder_fd, temporary, folder_fd, name) != 0 || fsync(folder_fd) != 0) {
        return failed(folder, name, err);
    }
    return DIC_OK;
}

enum dic_code dic_secret_file_open(const char *folder, const char *name, unsigned char *secret_out,
                                   size_t len, struct dic_err *err)
{
    DIC_CLEANUP(close_fd) int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return failed(folder, name, err);
    }
    DIC_CLEANUP(close_fd)
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        return read_secret(fd, folder, name, secret_out, len, err);
    }
    if (errno == ELOOP) {
        return dic_fail(err, DIC_E_INVALID, "%s/%s is a symbolic link", folder, name);
    }
    if (errno != ENOENT) {
        return failed(folder, name, err);
    }
    return make_secret(folder_fd, folder, name, secret_out, len, err);
}
