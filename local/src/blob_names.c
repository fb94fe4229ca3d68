/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_names.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kept are the names of folders with so many of them, once the folder has not changed for longer
 * than a time stamp is coarse. */
enum { MIN_KEPT = 2000, MAX_KEPT = 4000000, SETTLED_MS = 2000 };

struct dic_blob_names {
    struct stat folder; /* as it was when its names were read */
    bool settled;
    char *bytes; /* all names, each with a NUL */
    size_t len;
    size_t capacity;
    const char **sorted; /* views into bytes, once all are read */
    size_t count;
};

struct dic_blob_names_cache {
    pthread_mutex_t lock; /* guards kept */
    struct dic_blob_names *kept;
};

static void destroy(struct dic_blob_names *names)
{
    if (names != NULL) {
        dic_free(names->bytes);
        dic_free(names->sorted);
        dic_free(names);
    }
}

struct dic_blob_names_cache *dic_blob_names_cache_new(void)
{
    struct dic_blob_names_cache *cache = dic_calloc(1, sizeof *cache);
    dic_mutex_init(&cache->lock);
    return cache;
}

void dic_blob_names_cache_destroy(struct dic_blob_names_cache *cache)
{
    if (cache != NULL) {
        destroy(cache->kept);
        pthread_mutex_destroy(&cache->lock);
        dic_free(cache);
    }
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           is_same_time(&a->st_mtim, &b->st_mtim) && is_same_time(&a->st_ctim, &b->st_ctim);
}

static bool is_settled(const struct stat *folder)
{
    int64_t changed_ms = (int64_t)folder->st_mtim.tv_sec * 1000 + folder->st_mtim.tv_nsec / 1000000;
    int64_t age_ms = dic_clock_wall_ms(dic_clock_system()) - changed_ms;
    return age_ms > SETTLED_MS;
}

/* ---- reading ---- */

static void close_dir(DIR **dir)
{
    if (*dir != NULL) {
        closedir(*dir);
    }
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
           strncmp(name, DIC_BLOB_TEMPORARY, sizeof DIC_BLOB_TEMPORARY - 1) == 0 ||
           !dic_utf8_valid(dic_str(name));
}

static void add_name(struct dic_blob_names *names, const char *name, bool is_folder)
{
    size_t len = strlen(name);
    if (names->len + len + 2 > names->capacity) {
        names->capacity = names->capacity * 2 + len + 4096;
        names->bytes = dic_realloc(names->bytes, names->capacity);
    }
    memcpy(names->bytes + names->len, name, len);
    names->len += len;
    if (is_folder) {
        names->bytes[names->len++] = '/';
    }
    names->bytes[names->len++] = '\0';
    names->count++;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right); /* compares bytes as unsigned, as keys are ordered */
}

static void sort_names(struct dic_blob_names *names)
{
    names->sorted = dic_calloc(names->count + 1, sizeof *names->sorted);
    const char *name = names->bytes;
    for (size_t i = 0; i < names->count; i++) {
        names->sorted[i] = name;
        name += strlen(name) + 1;
    }
    qsort(names->sorted, names->count, sizeof *names->sorted, compare_names);
}

static enum dic_code read_all(DIR *dir, struct dic_blob_names *names, struct dic_err *err)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0) {
            return dic_fail(err, DIC_E_UPSTREAM, "a folder cannot be read: %s", strerror(errno));
        }
        if (entry == NULL) {
            return DIC_OK;
        }
        unsigned char type = entry_type(dirfd(dir), entry);
        if (!is_skipped(entry->d_name) && (type == DT_DIR || type == DT_REG)) {
            add_name(names, entry->d_name, type == DT_DIR);
        }
    }
}

static enum dic_code read_names(int folder, struct dic_blob_names *names, struct dic_err *err)
{
    struct stat after;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* its own position */
    DIC_CLEANUP(close_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        return dic_fail(err, DIC_E_UPSTREAM, "a folder cannot be listed: %s", strerror(errno));
    }
    DIC_TRY(read_all(dir, names, err));
    sort_names(names);
    names->settled = is_settled(&names->folder) && fstat(folder, &after) == 0 &&
                     is_unchanged(&names->folder, &after);
    return DIC_OK;
}

/* ---- taking and giving ---- */

static struct dic_blob_names *take_kept(struct dic_blob_names_cache *cache,
                                        const struct stat *folder)
{
    DIC_GUARD(&cache->lock);
    struct dic_blob_names *kept = cache->kept;
    if (kept == NULL || !is_unchanged(&kept->folder, folder)) {
        return NULL;
    }
    cache->kept = NULL;
    return kept;
}

enum dic_code dic_blob_names_take(struct dic_blob_names_cache *cache, int folder,
                                  struct dic_blob_names **names_out, struct dic_err *err)
{
    struct stat info;
    if (fstat(folder, &info) != 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "a folder cannot be listed: %s", strerror(errno));
    }
    *names_out = take_kept(cache, &info);
    if (*names_out != NULL) {
        return DIC_OK;
    }
    struct dic_blob_names *names = dic_calloc(1, sizeof *names);
    names->folder = info;
    enum dic_code code = read_names(folder, names, err);
    if (code != DIC_OK) {
        destroy(names);
        return code;
    }
    *names_out = names;
    return DIC_OK;
}

void dic_blob_names_give(struct dic_blob_names_cache *cache, struct dic_blob_names *names)
{
    if (names != NULL && names->settled && names->count >= MIN_KEPT && names->count <= MAX_KEPT) {
        DIC_GUARD(&cache->lock);
        struct dic_blob_names *older = cache->kept;
        cache->kept = names;
        names = older;
    }
    destroy(names);
}

size_t dic_blob_names_count(const struct dic_blob_names *names)
{
    return names->count;
}

struct dic_str dic_blob_names_at(const struct dic_blob_names *names, size_t index)
{
    return dic_str(names->sorted[index]);
}
