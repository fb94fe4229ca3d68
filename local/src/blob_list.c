/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_list.h"

#include "base/mem.h"
#include "blob_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct dic_str prefix;
    struct dic_str after;
    uint32_t left;
    dic_blob_visit visit;
    void *context;
    bool more;
};

/* Names of one folder; those of folders end in '/', so that sorting them sorts the keys below. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static void names_clean_up(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        dic_free(names->items[i]);
    }
    dic_free(names->items);
}

static void close_dir(DIR **dir)
{
    if (*dir != NULL) {
        closedir(*dir);
    }
}

static int compare(struct dic_str a, struct dic_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return compare(dic_str(*left), dic_str(*right));
}

/* Whether a key, or any key below a folder (path ends in '/'), can be part of the listing. */
static bool is_in_range(const struct walk *walk, struct dic_str path, bool is_folder)
{
    if (!is_folder) {
        return dic_str_starts_with(path, walk->prefix) && compare(path, walk->after) > 0;
    }
    bool in_prefix =
        dic_str_starts_with(path, walk->prefix) || dic_str_starts_with(walk->prefix, path);
    bool not_passed = compare(path, walk->after) >= 0 || dic_str_starts_with(walk->after, path);
    return in_prefix && not_passed;
}

static void add_name(struct names *names, const char *name, bool is_folder)
{
    size_t len = strlen(name);
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        names->items = dic_realloc(names->items, names->capacity * sizeof *names->items);
    }
    char *copy = dic_calloc(len + 2, 1);
    memcpy(copy, name, len);
    copy[len] = is_folder ? '/' : '\0';
    names->items[names->count++] = copy;
}

static unsigned char entry_type(int folder, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type;
    }
    if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return DT_UNKNOWN;
    }
    return S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_UNKNOWN;
}

static bool is_skipped(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strncmp(name, DIC_BLOB_TEMPORARY, sizeof DIC_BLOB_TEMPORARY - 1) == 0;
}

/* Takes the descriptor. path is the folder's key with its '/', or empty; it is restored. */
static enum dic_code read_names(int fd, const struct walk *walk, struct dic_buf *path,
                                struct names *names, struct dic_err *err)
{
    DIC_CLEANUP(close_dir) DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return dic_fail(err, DIC_E_UPSTREAM, "the folder cannot be listed: %s", strerror(errno));
    }
    size_t base = path->len;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        unsigned char type = entry_type(fd, entry);
        if (is_skipped(entry->d_name) || (type != DT_DIR && type != DT_REG)) {
            continue;
        }
        dic_buf_append_text(path, entry->d_name);
        dic_buf_append_text(path, type == DT_DIR ? "/" : "");
        bool wanted = !path->poisoned && is_in_range(walk, dic_buf_view(path), type == DT_DIR);
        path->len = base;
        path->poisoned = false;
        if (wanted) {
            add_name(names, entry->d_name, type == DT_DIR);
        }
    }
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof *names->items, compare_names);
    }
    return DIC_OK;
}

static enum dic_code visit_file(int folder, struct walk *walk, const char *name, struct dic_str key,
                                struct dic_err *err)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
        return DIC_OK; /* removed meanwhile */
    }
    if (walk->left == 0) {
        walk->more = true;
        return DIC_OK;
    }
    walk->left--;
    return walk->visit(walk->context, key, info.st_size, err);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* Depth is bounded by DIC_MAX_KEY_BYTES: each level adds two bytes to the path at least. */
static enum dic_code walk_folder(int folder, struct walk *walk, struct dic_buf *path,
                                 struct dic_err *err)
{
    DIC_CLEANUP(names_clean_up) struct names names = {0};
    int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    DIC_TRY(read_names(copy, walk, path, &names, err));
    size_t base = path->len;
    for (size_t i = 0; i < names.count && !walk->more; i++) {
        char *name = names.items[i];
        size_t len = strlen(name);
        dic_buf_append(path, name, len);
        if (name[len - 1] == '/') {
            name[len - 1] = '\0';
            DIC_CLEANUP(close_fd)
            int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0) { /* otherwise removed meanwhile, or not ours to read */
                DIC_TRY(walk_folder(below, walk, path, err));
            }
        } else {
            DIC_TRY(visit_file(folder, walk, name, dic_buf_view(path), err));
        }
        path->len = base;
    }
    return DIC_OK;
}

enum dic_code dic_blob_list(int root_fd, struct dic_str prefix, struct dic_str after,
                            uint32_t limit, dic_blob_visit visit, void *context, bool *more_out,
                            struct dic_err *err)
{
    struct walk walk = {prefix, after, limit, visit, context, false};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf path;
    dic_buf_init(&path, 1024 + 256); /* longer paths are no keys */
    DIC_CLEANUP(close_fd)
    int folder =
        openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* its own read position */
    if (folder < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "the folder cannot be listed: %s", strerror(errno));
    }
    DIC_TRY(walk_folder(folder, &walk, &path, err));
    *more_out = walk.more;
    return DIC_OK;
}
