/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as files beneath one folder. A key is the file's path in it; nothing outside is ever
 * opened: no "..", no symbolic link, regular files only. Keys that a file system cannot hold (empty
 * or "." components, components over 255 bytes, a trailing '/') are DIC_E_INVALID.
 */
#ifndef DIC_LOCAL_BLOB_STORE_FS_H
#define DIC_LOCAL_BLOB_STORE_FS_H

#include "store/blob_store.h"

/* Makes the folder when it is missing. The caller ends it with ops->destroy. */
DIC_MUST_USE enum dic_code dic_blob_store_fs_new(const char *folder,
                                                 struct dic_blob_store *store_out,
                                                 struct dic_err *err);

#endif
