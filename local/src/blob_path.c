/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_COMPONENT_BYTES = 255, NAME_SIZE = MAX_COMPONENT_BYTES + 1 };

static enum dic_code check_component(struct dic_str part, struct dic_err *err)
{
    const char *why = NULL;
    if (part.len == 0) {
        why = "has an empty component ('//', or '/' at an end)";
    } else if (dic_str_is(part, ".") || dic_str_is(part, "..")) {
        why = "has a '.' or '..' component";
    } else if (part.len > MAX_COMPONENT_BYTES) {
        why = "has a component of more than 255 bytes";
    } else if (dic_str_find(part, '\0') != part.len) {
        why = "holds U+0000";
    }
    if (why != NULL) {
        return dic_fail_field(err, DIC_E_INVALID, "s3_key",
                              "the key %s, which a folder cannot hold", why);
    }
    return DIC_OK;
}

enum dic_code dic_blob_path_check(struct dic_str key, struct dic_err *err)
{
    struct dic_str rest = key.len == 0 ? DIC_STR_LIT("") : key;
    struct dic_str part = {0};
    while (dic_str_split(&rest, '/', &part)) {
        DIC_TRY(check_component(part, err));
    }
    return DIC_OK;
}

/* Where openat2 is missing or forbidden (old kernels, some containers): one component at a time. */
static int open_by_steps(int root_fd, const char *path, int flags)
{
    int folder = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    const char *slash = strchr(path, '/');
    while (folder >= 0 && slash != NULL) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
        int next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int saved = errno;
        close(folder);
        errno = saved;
        folder = next;
        path = slash + 1;
        slash = strchr(path, '/');
    }
    if (folder < 0) {
        return -1;
    }
    int file = openat(folder, path, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
    int saved = errno;
    close(folder);
    errno = saved;
    return file;
}

int dic_open_beneath(int root_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC,
        .mode = (flags & O_CREAT) != 0 ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long file = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    if (file < 0 && (errno == ENOSYS || errno == EPERM)) {
        return open_by_steps(root_fd, path, flags);
    }
    return (int)file;
}

/* Its name is durable when it returns, or it was there before. */
static int make_folder(int parent, const char *name)
{
    int made = mkdirat(parent, name, 0755);
    if ((made != 0 && errno != EEXIST) || (made == 0 && fsync(parent) != 0)) {
        return -1;
    }
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int dic_make_parents(int root_fd, const char *path, const char **name_out)
{
    int folder = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    const char *slash = strchr(path, '/');
    while (folder >= 0 && slash != NULL) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
        int next = make_folder(folder, name);
        int saved = errno;
        close(folder);
        errno = saved;
        folder = next;
        path = slash + 1;
        slash = strchr(path, '/');
    }
    *name_out = path;
    return folder;
}
