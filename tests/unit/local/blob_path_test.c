/* SPDX-License-Identifier: Apache-2.0 */
/* Run twice: with openat2, and on a system that has none. */
#include "blob_path.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static int root_fd;

static int set_up(void **state)
{
    char command[400];
    (void)state;
    snprintf(root, sizeof root, "/tmp/dic-path-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(command, sizeof command,
             "cd %s && mkdir -p bucket/a/b outside && echo in >bucket/a/b/file && "
             "echo out >outside/secret && ln -s ../outside bucket/folder-link && "
             "ln -s ../outside/secret bucket/file-link && ln -s a bucket/inner-link",
             root);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/bucket", root);
    root_fd = open(command, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    close(root_fd);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void a_key_that_is_no_path_beneath_a_folder_is_invalid(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *why; /* NULL: fine */
    } cases[] = {
        {"a", NULL},
        {"a/b/c.jpg", NULL},
        {"...", NULL},
        {"..a/.b/c..", NULL},
        {"a b\n\xC3\xA9", NULL},
        {"", "empty component"},
        {"/a", "empty component"},
        {"a/", "empty component"},
        {"a//b", "empty component"},
        {".", "'.' or '..'"},
        {"..", "'.' or '..'"},
        {"a/../b", "'.' or '..'"},
        {"a/./b", "'.' or '..'"},
        {"a/..", "'.' or '..'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_err err = {0};
        enum dic_code code = dic_blob_path_check(dic_str(cases[i].key), &err);
        assert_int_equal(code, cases[i].why == NULL ? DIC_OK : DIC_E_INVALID);
        assert_true(cases[i].why == NULL || strstr(err.msg, cases[i].why) != NULL);
    }
    assert_code(dic_blob_path_check(dic_str_len("a\0b", 3), NULL), DIC_E_INVALID);
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        char key[300] = "a/";
        memset(key + 2, 'x', 254 + over);
        strcpy(key + 2 + 254 + over, "/b");
        assert_code(dic_blob_path_check(dic_str(key), NULL), over < 2 ? DIC_OK : DIC_E_INVALID);
    }
}

static void files_beneath_the_folder_are_opened(void **state)
{
    char byte = 0;
    (void)state;
    int fd = dic_open_beneath(root_fd, "a/b/file", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'i');
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    fd = dic_open_beneath(root_fd, "a/b", O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    close(fd);
    fd = dic_open_beneath(root_fd, "a/new", O_WRONLY | O_CREAT | O_EXCL);
    assert_true(fd >= 0);
    close(fd);
}

static void no_link_is_followed_and_nothing_outside_opened(void **state)
{
    (void)state;
    static const char *const paths[] = {"file-link", "folder-link/secret", "folder-link",
                                        "inner-link/b/file"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(dic_open_beneath(root_fd, paths[i], O_RDONLY), -1);
        assert_true(errno == ELOOP || errno == EXDEV || errno == ENOTDIR);
    }
}

static void what_is_not_there_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(dic_open_beneath(root_fd, "none", O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(dic_open_beneath(root_fd, "none/file", O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(dic_open_beneath(root_fd, "a/b/file/below", O_RDONLY), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(dic_open_beneath(-1, "a/b/file", O_RDONLY), -1);
    assert_int_equal(errno, EBADF);
}

static void parents_are_made_where_they_lack(void **state)
{
    (void)state;
    const char *name = NULL;
    int folder = dic_make_parents(root_fd, "a/new/deep/file", &name);
    assert_true(folder >= 0);
    assert_string_equal(name, "file");
    close(folder);
    folder = dic_make_parents(root_fd, "a/new/deep/other", &name); /* they are there now */
    assert_true(folder >= 0);
    close(folder);
    folder = dic_open_beneath(root_fd, "a/new/deep", O_RDONLY | O_DIRECTORY);
    assert_true(folder >= 0);
    close(folder);
    folder = dic_make_parents(root_fd, "file", &name); /* none are needed */
    assert_true(folder >= 0);
    assert_string_equal(name, "file");
    close(folder);
}

static void parents_are_not_made_through_links_or_files(void **state)
{
    (void)state;
    const char *name = NULL;
    assert_int_equal(dic_make_parents(root_fd, "folder-link/new/file", &name), -1);
    assert_int_equal(dic_make_parents(root_fd, "a/b/file/new/x", &name), -1);
    assert_int_equal(dic_open_beneath(root_fd, "../outside/new", O_RDONLY), -1);
}

/* From here on the kernel says that it has no openat2. */
static void forget_openat2(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) != 0 ||
        seccomp_load(filter) != 0) {
        abort();
    }
    seccomp_release(filter);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_key_that_is_no_path_beneath_a_folder_is_invalid),
        CASE(files_beneath_the_folder_are_opened),
        CASE(no_link_is_followed_and_nothing_outside_opened),
        CASE(what_is_not_there_is_told_apart),
        CASE(parents_are_made_where_they_lack),
        CASE(parents_are_not_made_through_links_or_files),
    };
    int failed = cmocka_run_group_tests_name("with openat2", tests, NULL, NULL);
    forget_openat2();
    return failed + cmocka_run_group_tests_name("without openat2", tests, NULL, NULL);
}
