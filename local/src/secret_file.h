/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes that outlive the process, in a file that its user alone may read. */
#ifndef DIC_LOCAL_SECRET_FILE_H
#define DIC_LOCAL_SECRET_FILE_H

#include "base/err.h"

#include <stddef.h>

/* Reads folder/name, or makes it, durably; for one process at a time. A file of another length, a
 * link, or one that others may read is DIC_E_INVALID and is left as it is. */
DIC_MUST_USE enum dic_code dic_secret_file_open(const char *folder, const char *name,
                                                unsigned char *secret_out, size_t len,
                                                struct dic_err *err);

#endif
