/* SPDX-License-Identifier: Apache-2.0 */
#include "model_files.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* linux/memfd.h, from 6.3 on */
#endif

/* Systems with vm.memfd_noexec=2 want the seal; kernels before 6.3 do not know it. */
static int memory_file(void)
{
    const int fd = memfd_create("model", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create("model", MFD_CLOEXEC) : fd;
}

enum dic_code dic_model_files_new(const char *origin, struct dic_model_files **out,
                                  struct dic_err *err)
{
    struct dic_model_files *files = dic_calloc(1, sizeof *files);
    int error = 0;
    files->origin = dic_strdup_len(origin, strlen(origin));
    for (int i = 0; i < DIC_MODEL_FILE_COUNT; i++) {
        files->fds[i] = memory_file();
        error = files->fds[i] < 0 ? errno : error;
    }
    if (error != 0) {
        dic_model_files_destroy(files);
        return dic_fail(err, DIC_E_INTERNAL, "cannot make a file in memory: %s", strerror(error));
    }
    *out = files;
    return DIC_OK;
}

void dic_model_files_destroy(struct dic_model_files *files)
{
    if (files == NULL) {
        return;
    }
    for (int i = 0; i < DIC_MODEL_FILE_COUNT; i++) {
        if (files->fds[i] >= 0) {
            close(files->fds[i]);
        }
    }
    dic_free(files->origin);
    dic_free(files);
}

enum dic_code dic_model_files_write(const struct dic_model_files *files, enum dic_model_file file,
                                    int64_t offset, struct dic_str bytes, struct dic_err *err)
{
    while (bytes.len > 0) {
        const ssize_t written = pwrite(files->fds[file], bytes.ptr, bytes.len, offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return dic_fail(err, DIC_E_INTERNAL, "cannot hold it in memory: %s", strerror(errno));
        }
        bytes = dic_str_skip(bytes, (size_t)written);
        offset += written;
    }
    return DIC_OK;
}

char *dic_model_files_path(const struct dic_model_files *files, enum dic_model_file file)
{
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64);
    dic_buf_printf(&path, "/proc/self/fd/%d", files->fds[file]);
    return dic_buf_detach(&path, &len);
}
