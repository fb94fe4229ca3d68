/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_store_fs.h"

#include "base/mem.h"
#include "base/rand.h"
#include "blob_list.h"
#include "blob_path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ATTEMPTS = 3 }; /* to read a file that is being written */

struct fs_store {
    int root_fd;
    struct dic_blob_names_cache *names;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static enum dic_code open_failed(int error, struct dic_err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no object with this key");
    case EACCES:
    case EPERM:
        return dic_fail(err, DIC_E_DENIED, "the file may not be read");
    case ELOOP:
    case EXDEV:
        return dic_fail(err, DIC_E_INVALID, "the key leads through a symbolic link");
    case ENAMETOOLONG:
        return dic_fail(err, DIC_E_INVALID, "the key is too long for this file system");
    case ENXIO: /* a socket, or a FIFO that nobody reads */
    case ENODEV:
        return dic_fail(err, DIC_E_INVALID, "the key names something that is not a regular file");
    default:
        return dic_fail(err, DIC_E_UPSTREAM, "the file cannot be opened: %s", strerror(error));
    }
}

static void etag_of(const struct stat *info, struct dic_blob_info *out)
{
    out->size_bytes = info->st_size;
    snprintf(out->etag, sizeof out->etag, "%llx-%llx-%llx.%lx", (unsigned long long)info->st_ino,
             (unsigned long long)info->st_size, (unsigned long long)info->st_mtim.tv_sec,
             (unsigned long)info->st_mtim.tv_nsec);
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer; regular files do not mind. */
static enum dic_code open_object(const struct fs_store *store, struct dic_str key, int *fd_out,
                                 struct dic_blob_info *info_out, struct dic_err *err)
{
    struct stat info;
    DIC_TRY(dic_blob_path_check(key, err));
    DIC_CLEANUP(dic_free_cleanup) char *path = dic_strdup_len(key.ptr, key.len);
    int fd = dic_open_beneath(store->root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return open_failed(errno, err);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return dic_fail(err, DIC_E_INVALID, "the key names something that is not a regular file");
    }
    etag_of(&info, info_out);
    *fd_out = fd;
    return DIC_OK;
}

/* Up to len bytes; fewer when the file ends. */
static enum dic_code read_bytes(int fd, int64_t offset, size_t len, struct dic_buf *out,
                                struct dic_err *err)
{
    if (!dic_buf_reserve(out, len)) {
        return dic_buf_check(out, err);
    }
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, out->ptr + out->len, len - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return dic_fail(err, DIC_E_UPSTREAM, "the file cannot be read: %s", strerror(errno));
        }
        if (got == 0) {
            break;
        }
        out->len += (size_t)got;
        done += (size_t)got;
    }
    return DIC_OK;
}

/* From offset, at most len bytes; *stable_out: nobody wrote to the file meanwhile. */
static enum dic_code read_stable(int fd, const struct dic_blob_info *info, int64_t offset,
                                 int64_t len, struct dic_buf *out, bool *stable_out,
                                 struct dic_err *err)
{
    size_t before = out->len;
    struct stat now;
    struct dic_blob_info after = {0};
    DIC_TRY(len > 0 ? read_bytes(fd, offset, (size_t)len, out, err) : DIC_OK);
    if (fstat(fd, &now) != 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "the file cannot be read: %s", strerror(errno));
    }
    etag_of(&now, &after);
    *stable_out = strcmp(info->etag, after.etag) == 0 && (int64_t)(out->len - before) == len;
    if (!*stable_out) {
        out->len = before;
    }
    return DIC_OK;
}

static enum dic_code being_written(struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "the file is being written");
}

static enum dic_code get(void *impl, struct dic_str key, int64_t max_bytes, struct dic_buf *out,
                         struct dic_blob_info *info_out, struct dic_err *err)
{
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        DIC_CLEANUP(close_fd) int fd = -1;
        struct dic_blob_info info = {0};
        bool stable = false;
        DIC_TRY(open_object(impl, key, &fd, &info, err));
        if (info.size_bytes > max_bytes) {
            return dic_fail(err, DIC_E_TOO_LARGE,
                            "the file has %" PRId64 " bytes, the limit is %" PRId64,
                            info.size_bytes, max_bytes);
        }
        DIC_TRY(read_stable(fd, &info, 0, info.size_bytes, out, &stable, err));
        if (stable) {
            *(info_out != NULL ? info_out : &info) = info;
            return DIC_OK;
        }
    }
    return being_written(err);
}

static enum dic_code get_range(void *impl, struct dic_str key, int64_t offset, int64_t len,
                               const char *etag, struct dic_buf *out, struct dic_err *err)
{
    DIC_CLEANUP(close_fd) int fd = -1;
    struct dic_blob_info info = {0};
    bool stable = false;
    if (offset < 0 || len < 0) {
        return dic_fail(err, DIC_E_INVALID,
                        "offset %" PRId64 " and length %" PRId64 " are not both positive", offset,
                        len);
    }
    DIC_TRY(open_object(impl, key, &fd, &info, err));
    if (etag != NULL && strcmp(etag, info.etag) != 0) {
        return dic_fail(err, DIC_E_CONFLICT, "the object has changed");
    }
    int64_t left = info.size_bytes > offset ? info.size_bytes - offset : 0;
    DIC_TRY(read_stable(fd, &info, offset, left < len ? left : len, out, &stable, err));
    return stable ? DIC_OK : being_written(err);
}

static enum dic_code head(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                          struct dic_err *err)
{
    DIC_CLEANUP(close_fd) int fd = -1;
    return open_object(impl, key, &fd, info_out, err);
}

/* ---- writing ---- */

static enum dic_code write_failed(const char *what, struct dic_err *err)
{
    switch (errno) {
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return dic_fail(err, DIC_E_INVALID, "the key's path is taken by something else: %s",
                        strerror(errno));
    case EACCES:
    case EPERM:
    case EROFS:
        return dic_fail(err, DIC_E_DENIED, "the object may not be written: %s", strerror(errno));
    default:
        return dic_fail(err, DIC_E_UPSTREAM, "the object cannot be written: %s: %s", what,
                        strerror(errno));
    }
}

static enum dic_code write_file(int fd, struct dic_str bytes, struct dic_err *err)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.ptr, bytes.len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return write_failed("write", err);
        }
        bytes = dic_str_skip(bytes, (size_t)done);
    }
    return fsync(fd) == 0 ? DIC_OK : write_failed("fsync", err);
}

static enum dic_code publish(int folder, const char *temporary, const char *name, bool if_absent,
                             struct dic_err *err)
{
    int result = if_absent ? linkat(folder, temporary, folder, name, 0)
                           : renameat(folder, temporary, folder, name);
    if (result != 0 && errno == EEXIST) {
        return dic_fail(err, DIC_E_CONFLICT, "there is an object with this key already");
    }
    if (result != 0) {
        return write_failed("rename", err);
    }
    return fsync(folder) == 0 ? DIC_OK : write_failed("fsync of the folder", err);
}

static enum dic_code put(void *impl, struct dic_str key, struct dic_str bytes, bool if_absent,
                         struct dic_err *err)
{
    const struct fs_store *store = impl;
    char id[DIC_ID_SIZE];
    char temporary[DIC_ID_SIZE + sizeof DIC_BLOB_TEMPORARY];
    const char *name = NULL;
    DIC_TRY(dic_blob_path_check(key, err));
    DIC_CLEANUP(dic_free_cleanup) char *path = dic_strdup_len(key.ptr, key.len);
    DIC_CLEANUP(close_fd) int folder = dic_make_parents(store->root_fd, path, &name);
    if (folder < 0) {
        return write_failed("folder", err);
    }
    dic_rand_id(id);
    snprintf(temporary, sizeof temporary, "%s%s", DIC_BLOB_TEMPORARY, id);
    DIC_CLEANUP(close_fd)
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return write_failed("open", err);
    }
    enum dic_code code = write_file(fd, bytes, err);
    if (code == DIC_OK) {
        code = publish(folder, temporary, name, if_absent, err);
    }
    if (code != DIC_OK || if_absent) {
        unlinkat(folder, temporary, 0);
    }
    return code;
}

static enum dic_code remove_object(void *impl, struct dic_str key, struct dic_err *err)
{
    const struct fs_store *store = impl;
    DIC_TRY(dic_blob_path_check(key, err));
    DIC_CLEANUP(dic_free_cleanup) char *path = dic_strdup_len(key.ptr, key.len);
    char *slash = strrchr(path, '/');
    DIC_CLEANUP(close_fd) int folder = -1;
    if (slash == NULL) {
        folder = fcntl(store->root_fd, F_DUPFD_CLOEXEC, 0);
    } else {
        *slash = '\0';
        folder = dic_open_beneath(store->root_fd, path, O_RDONLY | O_DIRECTORY);
    }
    if (folder < 0) {
        return open_failed(errno, err);
    }
    if (unlinkat(folder, slash == NULL ? path : slash + 1, 0) != 0) {
        return open_failed(errno, err);
    }
    return DIC_OK;
}

static enum dic_code list(void *impl, struct dic_str prefix, struct dic_str after, uint32_t limit,
                          dic_blob_visit visit, void *context, bool *more_out, struct dic_err *err)
{
    const struct fs_store *store = impl;
    const struct dic_blob_listing listing = {prefix, after, limit, visit, context};
    return dic_blob_list(store->names, store->root_fd, &listing, more_out, err);
}

static void destroy(void *impl)
{
    struct fs_store *store = impl;
    if (store != NULL) {
        close_fd(&store->root_fd);
        dic_blob_names_cache_destroy(store->names);
        dic_free(store);
    }
}

enum dic_code dic_blob_store_fs_new(const char *folder, struct dic_blob_store *store_out,
                                    struct dic_err *err)
{
    static const struct dic_blob_store_ops ops = {
        .get = get,
        .get_range = get_range,
        .head = head,
        .put = put,
        .list = list,
        .remove = remove_object,
        .destroy = destroy,
    };
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot make the folder %s: %s", folder,
                        strerror(errno));
    }
    int root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot open the folder %s: %s", folder,
                        strerror(errno));
    }
    struct fs_store *store = dic_calloc(1, sizeof *store);
    store->root_fd = root_fd;
    store->names = dic_blob_names_cache_new();
    *store_out = (struct dic_blob_store){&ops, store};
    return DIC_OK;
}
