/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIC_AWS_TEXT_FILE_H
#define DIC_AWS_TEXT_FILE_H

#include "base/buf.h"

/* Appends a whole file to out, whose ceiling is the file's. Errors: NOT_FOUND, DENIED, TOO_LARGE,
 * UPSTREAM (it cannot be read). */
DIC_MUST_USE enum dic_code dic_text_file_read(const char *path, struct dic_buf *out,
                                              struct dic_err *err);

#endif
