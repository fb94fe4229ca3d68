/* SPDX-License-Identifier: Apache-2.0 */
/* Source: every object under a prefix that passes the include and exclude globs. */
#include "plan_source.h"

enum { PAGE_KEYS = 1000 };

struct listing {
    struct dic_segment_builder *builder;
    const struct dic_json *include; /* NULL: everything */
    const struct dic_json *exclude; /* NULL: nothing */
    struct dic_buf *after;          /* the last key looked at */
    bool full;
};

static enum dic_code any_matches(const struct dic_json *globs, struct dic_str key, bool *out,
                                 struct dic_err *err)
{
    *out = false;
    for (size_t i = 0; i < dic_json_size(globs) && !*out; i++) {
        struct dic_str glob = {0};
        DIC_TRY(dic_json_get_str(dic_json_at(globs, i), "glob", &glob, err));
        *out = dic_glob_match(glob, key);
    }
    return DIC_OK;
}

static enum dic_code is_wanted(const struct listing *listing, struct dic_str key, bool *out,
                               struct dic_err *err)
{
    bool excluded = false;
    *out = true;
    if (listing->include != NULL && dic_json_size(listing->include) > 0) {
        DIC_TRY(any_matches(listing->include, key, out, err));
    }
    if (*out && listing->exclude != NULL) {
        DIC_TRY(any_matches(listing->exclude, key, &excluded, err));
    }
    /* Consoles make empty objects whose key ends in '/', to show a folder: they are no images. */
    *out = *out && !excluded && key.ptr[key.len - 1] != '/';
    return DIC_OK;
}

static enum dic_code visit(void *context, struct dic_str key, int64_t size_bytes,
                           struct dic_err *err)
{
    struct listing *listing = context;
    struct dic_image image = {.key = key};
    bool wanted = false;
    if (listing->full) {
        return DIC_OK;
    }
    DIC_TRY(is_wanted(listing, key, &wanted, err));
    if (wanted && !dic_segment_builder_add(listing->builder, &image, size_bytes)) {
        listing->full = true;
        return DIC_OK;
    }
    dic_buf_clear(listing->after);
    dic_buf_append_str(listing->after, key);
    return dic_buf_check(listing->after, err);
}

enum dic_code dic_fill_from_prefix(const struct dic_plan_source *source, struct dic_resume *resume,
                                   struct dic_segment_builder *builder,
                                   struct dic_buf *after_memory, bool *ended_out,
                                   struct dic_err *err)
{
    struct listing listing = {
        .builder = builder,
        .include = dic_json_member(source->spec, "include"),
        .exclude = dic_json_member(source->spec, "exclude"),
        .after = after_memory,
    };
    struct dic_str prefix = {0};
    const struct dic_json *value = dic_json_member(source->spec, "s3_prefix");
    if (value == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "a stored prefix job names no prefix");
    }
    DIC_TRY(dic_json_get_str(value, "s3_prefix", &prefix, err));
    bool more = true;
    while (more && !listing.full) {
        DIC_CLEANUP(dic_buf_clean_up) struct dic_buf from;
        dic_buf_init(&from, DIC_MAX_KEY_BYTES * 4);
        dic_buf_append_str(&from, dic_buf_view(after_memory));
        DIC_TRY(source->images.ops->list(source->images.impl, prefix, dic_buf_view(&from),
                                         PAGE_KEYS, visit, &listing, &more, err));
        dic_plan_step(source->steps);
    }
    resume->after = dic_buf_view(after_memory);
    *ended_out = !listing.full;
    return DIC_OK;
}
