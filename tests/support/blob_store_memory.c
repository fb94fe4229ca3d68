/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_store_memory.h"

#include "base/mem.h"
#include "base/thread.h"
#include "job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct object {
    struct dic_str key;   /* owned */
    struct dic_str bytes; /* owned */
    struct dic_blob_info info;
};

struct memory_store {
    dic_blob_hook hook;
    void *hook_context;
    pthread_mutex_t lock;   /* guards all below */
    struct object *objects; /* in the order of their keys */
    size_t count;
    size_t capacity;
    uint64_t puts;
    uint32_t calls[DIC_BLOB_REMOVE + 1];
};

static void free_view(struct dic_str view)
{
    char *memory = NULL;
    memcpy(&memory, &view.ptr, sizeof memory); /* ours, though a view is const */
    dic_free(memory);
}

static struct dic_str copy_view(struct dic_str view)
{
    return dic_str_len(dic_strdup_len(view.ptr, view.len), view.len);
}

/* The index of the first key that is not before this one. */
static size_t position(const struct memory_store *store, struct dic_str key)
{
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dic_str_compare(store->objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct object *find(struct memory_store *store, struct dic_str key)
{
    size_t at = position(store, key);
    return at < store->count && dic_str_eq(store->objects[at].key, key) ? &store->objects[at]
                                                                        : NULL;
}

static enum dic_code absent(struct dic_err *err)
{
    return dic_fail(err, DIC_E_NOT_FOUND, "there is no object with this key");
}

static enum dic_code begin(struct memory_store *store, enum dic_blob_op op, struct dic_str key,
                           struct dic_err *err)
{
    dic_lock(&store->lock);
    store->calls[op]++;
    dic_unlock(&store->lock);
    if (store->hook != NULL) {
        DIC_TRY(store->hook(store->hook_context, op, key, err));
    }
    return op == DIC_BLOB_LIST ? DIC_OK : dic_key_check(key, "key", err);
}

static enum dic_code append(struct dic_buf *out, struct dic_str bytes, struct dic_err *err)
{
    dic_buf_append_str(out, bytes);
    return dic_buf_check(out, err);
}

static enum dic_code get(void *impl, struct dic_str key, int64_t max_bytes, struct dic_buf *out,
                         struct dic_blob_info *info_out, struct dic_err *err)
{
    struct memory_store *store = impl;
    DIC_TRY(begin(store, DIC_BLOB_GET, key, err));
    DIC_GUARD(&store->lock);
    const struct object *object = find(store, key);
    if (object == NULL) {
        return absent(err);
    }
    if (object->info.size_bytes > max_bytes) {
        return dic_fail(err, DIC_E_TOO_LARGE,
                        "the object has %" PRId64 " bytes, the limit is %" PRId64,
                        object->info.size_bytes, max_bytes);
    }
    DIC_TRY(append(out, object->bytes, err));
    if (info_out != NULL) {
        *info_out = object->info;
    }
    return DIC_OK;
}

static enum dic_code get_range(void *impl, struct dic_str key, int64_t offset, int64_t len,
                               const char *etag, struct dic_buf *out, struct dic_err *err)
{
    struct memory_store *store = impl;
    DIC_TRY(begin(store, DIC_BLOB_GET_RANGE, key, err));
    if (offset < 0 || len < 0) {
        return dic_fail(err, DIC_E_INVALID,
                        "offset %" PRId64 " and length %" PRId64 " are not both positive", offset,
                        len);
    }
    DIC_GUARD(&store->lock);
    const struct object *object = find(store, key);
    if (object == NULL) {
        return absent(err);
    }
    if (etag != NULL && strcmp(etag, object->info.etag) != 0) {
        return dic_fail(err, DIC_E_CONFLICT, "the object has changed");
    }
    struct dic_str part = dic_str_skip(object->bytes, (size_t)offset);
    part.len = (uint64_t)part.len < (uint64_t)len ? part.len : (size_t)len;
    return append(out, part, err);
}

static enum dic_code head(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                          struct dic_err *err)
{
    struct memory_store *store = impl;
    DIC_TRY(begin(store, DIC_BLOB_HEAD, key, err));
    DIC_GUARD(&store->lock);
    const struct object *object = find(store, key);
    if (object == NULL) {
        return absent(err);
    }
    *info_out = object->info;
    return DIC_OK;
}

static struct object *insert(struct memory_store *store, struct dic_str key)
{
    size_t at = position(store, key);
    if (store->count == store->capacity) {
        store->capacity = store->capacity * 2 + 16;
        store->objects = dic_realloc(store->objects, store->capacity * sizeof *store->objects);
    }
    struct object *object = &store->objects[at];
    memmove(object + 1, object, (store->count - at) * sizeof *object);
    store->count++;
    *object = (struct object){.key = copy_view(key)};
    return object;
}

static enum dic_code put(void *impl, struct dic_str key, struct dic_str bytes, bool if_absent,
                         struct dic_err *err)
{
    struct memory_store *store = impl;
    DIC_TRY(begin(store, DIC_BLOB_PUT, key, err));
    DIC_GUARD(&store->lock);
    struct object *object = find(store, key);
    if (object != NULL && if_absent) {
        return dic_fail(err, DIC_E_CONFLICT, "there is an object with this key already");
    }
    object = object != NULL ? object : insert(store, key);
    free_view(object->bytes);
    object->bytes = copy_view(bytes);
    object->info.size_bytes = (int64_t)bytes.len;
    snprintf(object->info.etag, sizeof object->info.etag, "\"%" PRIx64 "\"", ++store->puts);
    return DIC_OK;
}

static enum dic_code remove_object(void *impl, struct dic_str key, struct dic_err *err)
{
    struct memory_store *store = impl;
    DIC_TRY(begin(store, DIC_BLOB_REMOVE, key, err));
    DIC_GUARD(&store->lock);
    struct object *object = find(store, key);
    if (object == NULL) {
        return absent(err);
    }
    free_view(object->key);
    free_view(object->bytes);
    store->count--;
    size_t at = (size_t)(object - store->objects);
    memmove(object, object + 1, (store->count - at) * sizeof *object);
    return DIC_OK;
}

/* ---- listing ---- */

/* Of one page; it is copied, so that the visitor may use the store. */
struct page {
    struct dic_buf keys; /* one after another */
    struct page_entry {
        size_t end; /* in keys */
        int64_t size_bytes;
    } * entries;
    uint32_t count;
};

static void free_page(struct page *page)
{
    dic_buf_clean_up(&page->keys);
    dic_free(page->entries);
}

static void read_page(struct memory_store *store, struct dic_str prefix, struct dic_str after,
                      uint32_t limit, struct page *page, bool *more_out)
{
    DIC_GUARD(&store->lock);
    bool from_prefix = dic_str_compare(prefix, after) > 0;
    size_t at = position(store, from_prefix ? prefix : after);
    page->entries = dic_calloc(store->count + 1, sizeof *page->entries);
    *more_out = false;
    for (; at < store->count; at++) {
        const struct object *object = &store->objects[at];
        if (after.len > 0 && dic_str_compare(object->key, after) <= 0) {
            continue;
        }
        if (!dic_str_starts_with(object->key, prefix)) {
            return;
        }
        if (page->count == limit) {
            *more_out = true;
            return;
        }
        dic_buf_append_str(&page->keys, object->key);
        page->entries[page->count++] = (struct page_entry){page->keys.len, object->info.size_bytes};
    }
}

static enum dic_code list(void *impl, struct dic_str prefix, struct dic_str after, uint32_t limit,
                          dic_blob_visit visit, void *context, bool *more_out, struct dic_err *err)
{
    DIC_CLEANUP(free_page) struct page page = {0};
    size_t from = 0;
    DIC_TRY(begin(impl, DIC_BLOB_LIST, prefix, err));
    dic_buf_init(&page.keys, SIZE_MAX / 2);
    read_page(impl, prefix, after, limit, &page, more_out);
    for (uint32_t i = 0; i < page.count; i++) {
        const struct page_entry *entry = &page.entries[i];
        struct dic_str key = dic_str_len(page.keys.ptr + from, entry->end - from);
        DIC_TRY(visit(context, key, entry->size_bytes, err));
        from = entry->end;
    }
    return DIC_OK;
}

/* ---- the store ---- */

static void destroy(void *impl)
{
    struct memory_store *store = impl;
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < store->count; i++) {
        free_view(store->objects[i].key);
        free_view(store->objects[i].bytes);
    }
    dic_free(store->objects);
    pthread_mutex_destroy(&store->lock);
    dic_free(store);
}

struct dic_blob_store dic_blob_store_memory_new(void)
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
    struct memory_store *store = dic_calloc(1, sizeof *store);
    dic_mutex_init(&store->lock);
    return (struct dic_blob_store){&ops, store};
}

void dic_blob_store_memory_set_hook(struct dic_blob_store store, dic_blob_hook hook, void *context)
{
    struct memory_store *memory = store.impl;
    memory->hook = hook;
    memory->hook_context = context;
}

uint32_t dic_blob_store_memory_calls(struct dic_blob_store store, enum dic_blob_op op)
{
    struct memory_store *memory = store.impl;
    DIC_GUARD(&memory->lock);
    return memory->calls[op];
}
