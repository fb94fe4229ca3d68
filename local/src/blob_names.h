/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sorted names of one folder; those of folders end in '/', so that sorting the names sorts the
 * keys below. The names of the last large folder are kept: a job over a prefix lists a folder of a
 * million files page by page, and to read and sort all of it for each page would take for ever.
 */
#ifndef DIC_LOCAL_BLOB_NAMES_H
#define DIC_LOCAL_BLOB_NAMES_H

#include "base/err.h"
#include "base/str.h"

/* Files being written have names that start with this; listings leave them out. */
#define DIC_BLOB_TEMPORARY ".dic-tmp-"

/* Any thread may use it; the names themselves belong to one at a time. */
struct dic_blob_names_cache;
struct dic_blob_names_cache *dic_blob_names_cache_new(void);
void dic_blob_names_cache_destroy(struct dic_blob_names_cache *cache); /* NULL is fine */

/* Regular files and folders only; names that are no part of a key (not UTF-8) are left out. */
struct dic_blob_names;
DIC_MUST_USE enum dic_code dic_blob_names_take(struct dic_blob_names_cache *cache, int folder,
                                               struct dic_blob_names **names_out,
                                               struct dic_err *err);
/* Gives them back, for the next page or to be freed. */
void dic_blob_names_give(struct dic_blob_names_cache *cache, struct dic_blob_names *names);

size_t dic_blob_names_count(const struct dic_blob_names *names);
struct dic_str dic_blob_names_at(const struct dic_blob_names *names, size_t index);

#endif
