/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files strictly beneath a folder. */
#ifndef DIC_LOCAL_BLOB_PATH_H
#define DIC_LOCAL_BLOB_PATH_H

#include "base/err.h"
#include "base/str.h"

/* DIC_E_INVALID with the reason for a key that cannot be a path beneath a folder. */
DIC_MUST_USE enum dic_code dic_blob_path_check(struct dic_str key, struct dic_err *err);
/* Opens as open(2) does, never through a symbolic link and never outside root_fd; −1 and errno on
 * failure (ELOOP, EXDEV: somebody tried). */
int dic_open_beneath(int root_fd, const char *path, int flags);
/* Folder entries of '/'-separated parents are made as needed; returns the last one's descriptor. */
int dic_make_parents(int root_fd, const char *path, const char **name_out);

#endif
