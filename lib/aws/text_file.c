/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 4096 };

static void close_file(FILE **file)
{
    if (*file != NULL) {
        fclose(*file);
    }
}

enum dic_code dic_text_file_read(const char *path, struct dic_buf *out, struct dic_err *err)
{
    DIC_CLEANUP(close_file) FILE *file = fopen(path, "re");
    if (file == NULL) {
        enum dic_code code = errno == ENOENT || errno == ENOTDIR ? DIC_E_NOT_FOUND
                             : errno == EACCES                   ? DIC_E_DENIED
                                                                 : DIC_E_UPSTREAM;
        return dic_fail(err, code, "%s: %s", path, strerror(errno));
    }
    char piece[PIECE_BYTES];
    size_t len = 0;
    while ((len = fread(piece, 1, sizeof piece, file)) > 0) {
        dic_buf_append(out, piece, len);
        if (out->poisoned) {
            return dic_fail(err, DIC_E_TOO_LARGE, "%s has more than %zu bytes", path, out->ceiling);
        }
    }
    if (ferror(file) != 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: %s", path, strerror(errno));
    }
    return DIC_OK;
}
