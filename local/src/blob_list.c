/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_list.h"

#include "job/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    const struct dic_blob_listing *listing;
    struct dic_blob_names_cache *cache;
    struct dic_buf path; /* of the folder, with its '/'; empty for the root */
    uint32_t left;
    bool more; /* there is a further key: the walk is over */
};

static bool is_folder(struct dic_str path)
{
    return path.ptr[path.len - 1] == '/';
}

/* The keys that a name stands for (its own, or all below a folder) come before the listing's. */
static bool is_before(const struct dic_blob_listing *listing, struct dic_str path)
{
    bool leads_to_prefix = is_folder(path) && dic_str_starts_with(listing->prefix, path);
    bool leads_to_after = is_folder(path) && dic_str_starts_with(listing->after, path);
    return (!leads_to_prefix && dic_str_compare(path, listing->prefix) < 0) ||
           (!leads_to_after && dic_str_compare(path, listing->after) <= 0);
}

static bool is_behind(const struct dic_blob_listing *listing, struct dic_str path)
{
    return dic_str_compare(path, listing->prefix) > 0 &&
           !dic_str_starts_with(path, listing->prefix);
}

/* path is the folder's again when the caller restores its length. */
static struct dic_str path_of(struct walk *walk, const struct dic_blob_names *names, size_t index)
{
    dic_buf_append_str(&walk->path, dic_blob_names_at(names, index));
    return dic_buf_view(&walk->path);
}

static size_t first_not_before(struct walk *walk, const struct dic_blob_names *names)
{
    size_t base = walk->path.len;
    size_t low = 0;
    size_t high = dic_blob_names_count(names);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool before = is_before(walk->listing, path_of(walk, names, middle));
        walk->path.len = base;
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum dic_code visit_file(int folder, struct walk *walk, size_t base, struct dic_err *err)
{
    struct dic_str key = dic_buf_view(&walk->path);
    struct stat info;
    if (key.len > DIC_MAX_KEY_BYTES ||
        fstatat(folder, walk->path.ptr + base, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode)) {
        return DIC_OK; /* no key, or removed meanwhile */
    }
    if (walk->left == 0) {
        walk->more = true;
        return DIC_OK;
    }
    walk->left--;
    return walk->listing->visit(walk->listing->context, key, info.st_size, err);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static enum dic_code walk_folder(int folder, struct walk *walk, struct dic_err *err);

static enum dic_code walk_below(int folder, struct walk *walk, size_t base, struct dic_err *err)
{
    char name[NAME_MAX + 1];
    size_t len = walk->path.len - base - 1; /* without its '/' */
    if (walk->path.len >= DIC_MAX_KEY_BYTES) {
        return DIC_OK; /* what lies below has no key */
    }
    memcpy(name, walk->path.ptr + base, len);
    name[len] = '\0';
    DIC_CLEANUP(close_fd)
    int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) {
        return walk_folder(below, walk, err);
    }
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES) {
        return DIC_OK; /* removed or replaced meanwhile, or not ours to read */
    }
    return dic_fail(err, DIC_E_UPSTREAM, "a folder cannot be listed: %s", strerror(errno));
}

static enum dic_code walk_names(int folder, struct walk *walk, const struct dic_blob_names *names,
                                struct dic_err *err)
{
    size_t base = walk->path.len;
    size_t count = dic_blob_names_count(names);
    for (size_t i = first_not_before(walk, names); i < count && !walk->more; i++) {
        struct dic_str path = path_of(walk, names, i);
        if (is_behind(walk->listing, path)) {
            walk->path.len = base;
            break;
        }
        DIC_TRY(is_folder(path) ? walk_below(folder, walk, base, err)
                                : visit_file(folder, walk, base, err));
        walk->path.len = base;
    }
    return DIC_OK;
}

/* Depth is bounded by DIC_MAX_KEY_BYTES: each level adds two bytes to the path at least. */
static enum dic_code walk_folder(int folder, struct walk *walk, struct dic_err *err)
{
    struct dic_blob_names *names = NULL;
    DIC_TRY(dic_blob_names_take(walk->cache, folder, &names, err));
    enum dic_code code = walk_names(folder, walk, names, err);
    dic_blob_names_give(walk->cache, names);
    return code;
}

enum dic_code dic_blob_list(struct dic_blob_names_cache *cache, int root_fd,
                            const struct dic_blob_listing *listing, bool *more_out,
                            struct dic_err *err)
{
    struct walk walk = {.listing = listing, .cache = cache, .left = listing->limit};
    dic_buf_init(&walk.path, DIC_MAX_KEY_BYTES + NAME_MAX + 16);
    enum dic_code code = walk_folder(root_fd, &walk, err);
    dic_buf_clean_up(&walk.path);
    *more_out = walk.more;
    return code;
}
