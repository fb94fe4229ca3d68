/* SPDX-License-Identifier: Apache-2.0 */
/* A key of local mode's bucket is a file under that very path beneath the folder, or refused; no
 * key leads through a symbolic link. */
#include "blob_path.h"
#include "fuzz.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_KEY = 1024 };

static char root[64];
static int root_fd = -1;

static void remove_root(void)
{
    unlinkat(root_fd, "link", 0);
    rmdir(root);
}

static void make_root(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, sizeof root, "%s/dic-fuzz-XXXXXX", parent);
    FUZZ_CHECK(mkdtemp(root) != NULL && atexit(remove_root) == 0);
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(root_fd >= 0 && symlinkat("/", root_fd, "link") == 0);
}

/* By another way than the code's: no component may be empty, a dot, two dots, or too long. */
static bool is_plain(const char *key, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && key[i] != '/') {
            continue;
        }
        size_t part = i - start;
        bool dots = part > 0 && part <= 2 && key[start] == '.' && key[i - 1] == '.';
        if (part == 0 || part > NAME_MAX || dots) {
            return false;
        }
        start = i + 1;
    }
    return memchr(key, '\0', len) == NULL;
}

static void check_place(int file, const char *key)
{
    char link[64];
    char place[PATH_MAX] = "";
    char expected[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    FUZZ_CHECK(readlink(link, place, sizeof place - 1) > 0);
    snprintf(expected, sizeof expected, "%s/%s", root, key);
    FUZZ_CHECK(strcmp(place, expected) == 0);
}

/* The file and the folders that were made for it; a folder in use stays. */
static void remove_path(char *key)
{
    unlinkat(root_fd, key, 0);
    for (char *slash = strrchr(key, '/'); slash != NULL; slash = strrchr(key, '/')) {
        *slash = '\0';
        unlinkat(root_fd, key, AT_REMOVEDIR);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char key[MAX_KEY + 1];
    const char *name = NULL;
    struct dic_err err = {0};
    if (root_fd < 0) {
        make_root();
    }
    if (len > MAX_KEY) {
        return 0;
    }
    enum dic_code code = dic_blob_path_check(dic_fuzz_view(bytes, len), &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK((code == DIC_OK) == (len > 0 && is_plain((const char *)bytes, len)));
    if (code != DIC_OK || strncmp((const char *)bytes, "link", len) == 0) {
        return 0;
    }
    memcpy(key, bytes, len);
    key[len] = '\0';
    bool through_link = strncmp(key, "link/", 5) == 0;
    int folder = dic_make_parents(root_fd, key, &name);
    FUZZ_CHECK(folder < 0 || !through_link);
    if (folder >= 0) {
        FUZZ_CHECK(strchr(name, '/') == NULL);
        close(folder);
    }
    int file = dic_open_beneath(root_fd, key, O_CREAT | O_RDWR);
    FUZZ_CHECK(file < 0 || !through_link);
    if (file >= 0) {
        check_place(file, key);
        close(file);
    }
    if (!through_link) {
        remove_path(key);
    }
    return 0;
}
