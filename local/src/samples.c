/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH_BYTES = 16384 };

static enum dic_code make_folder(const char *path, struct dic_err *err)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot make the folder %s: %s", path,
                        strerror(errno));
    }
    return DIC_OK;
}

/* Said here in terms of the setting: later it would be some file below it that cannot be made. */
static enum dic_code prepare_data_folder(const char *data_dir, struct dic_err *err)
{
    struct stat info;
    if (mkdir(data_dir, 0755) != 0 && errno != EEXIST) {
        return dic_fail_field(err, DIC_E_INVALID, "DATA_DIR",
                              "cannot make the data folder DATA_DIR='%.100s': %s%s", data_dir,
                              strerror(errno), errno == ENOENT ? "; make its parent first" : "");
    }
    if (stat(data_dir, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return dic_fail_field(err, DIC_E_INVALID, "DATA_DIR", "DATA_DIR='%.100s' is not a folder",
                              data_dir);
    }
    if (access(data_dir, R_OK | W_OK | X_OK) != 0) {
        return dic_fail_field(err, DIC_E_INVALID, "DATA_DIR",
                              "cannot write to the data folder DATA_DIR='%.100s': %s", data_dir,
                              strerror(errno));
    }
    return DIC_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static enum dic_code copy_file(const char *from, const char *to, struct dic_err *err)
{
    struct stat info;
    DIC_CLEANUP(close_fd) int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0 || fstat(source, &info) != 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot read the sample photo %s: %s", from,
                        strerror(errno));
    }
    DIC_CLEANUP(close_fd) int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (target < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot write %s: %s", to, strerror(errno));
    }
    for (off_t done = 0; done < info.st_size;) {
        ssize_t step = sendfile(target, source, &done, (size_t)(info.st_size - done));
        if (step <= 0) {
            return dic_fail(err, DIC_E_UPSTREAM, "cannot write %s: %s", to,
                            step == 0 ? "the sample photo became shorter" : strerror(errno));
        }
    }
    return DIC_OK;
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static char *join(const char *folder, const char *name)
{
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, MAX_PATH_BYTES);
    dic_buf_printf(&path, "%s/%s", folder, name);
    return dic_buf_detach(&path, &len);
}

static enum dic_code copy_sample(const char *bucket, const char *samples_dir, const char *name,
                                 struct dic_err *err)
{
    const char *folder = strcmp(name, "image.jpg") == 0 ? "test" : "samples";
    DIC_CLEANUP(dic_free_cleanup) char *target_dir = join(bucket, folder);
    DIC_CLEANUP(dic_free_cleanup) char *from = join(samples_dir, name);
    DIC_CLEANUP(dic_free_cleanup) char *to = join(target_dir, name);
    DIC_TRY(make_folder(target_dir, err));
    return copy_file(from, to, err);
}

static void close_dir(DIR **dir)
{
    if (*dir != NULL) {
        closedir(*dir);
    }
}

static enum dic_code copy_all(const char *bucket, const char *samples_dir, struct dic_err *err)
{
    DIC_CLEANUP(close_dir) DIR *dir = opendir(samples_dir);
    if (dir == NULL) {
        dic_log_message(DIC_LOG_WARN, "no_samples", "%s: %s", samples_dir, strerror(errno));
        return DIC_OK;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (is_picture(entry->d_name)) {
            DIC_TRY(copy_sample(bucket, samples_dir, entry->d_name, err));
        }
    }
    return DIC_OK;
}

enum dic_code dic_samples_seed(const char *data_dir, const char *samples_dir, struct dic_err *err)
{
    DIC_CLEANUP(dic_free_cleanup) char *bucket = join(data_dir, "bucket");
    /* Filled under another name, so that a crash in between does not leave half of it for good. */
    DIC_CLEANUP(dic_free_cleanup) char *unfinished = join(data_dir, "bucket.unfinished");
    DIC_TRY(prepare_data_folder(data_dir, err));
    if (access(bucket, F_OK) == 0) {
        return DIC_OK;
    }
    DIC_TRY(make_folder(unfinished, err));
    DIC_TRY(copy_all(unfinished, samples_dir, err));
    if (rename(unfinished, bucket) != 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot make the folder %s: %s", bucket,
                        strerror(errno));
    }
    return DIC_OK;
}
