/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on a folder. */
#include "blob_store_suite.h"

#include "blob_store_fs.h"
#include "job/limits.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];

struct dic_blob_store dic_blob_suite_open(void)
{
    struct dic_blob_store store = {0};
    struct dic_err err = {0};
    snprintf(folder, sizeof folder, "/tmp/dic-blobs-XXXXXX");
    if (mkdtemp(folder) == NULL || dic_blob_store_fs_new(folder, &store, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return store;
}

void dic_blob_suite_close(struct dic_blob_store store)
{
    char command[128];
    store.ops->destroy(store.impl);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) {
        abort();
    }
}

bool dic_blob_suite_lacks(const char *test)
{
    (void)test;
    return false;
}

/* ---- what only a folder has ---- */

struct page {
    char last[DIC_MAX_KEY_BYTES + 1];
    size_t count;
};

static enum dic_code note_last(void *context, struct dic_str key, int64_t size_bytes,
                               struct dic_err *err)
{
    struct page *page = context;
    (void)size_bytes;
    (void)err;
    assert_true(strncmp(page->last, key.ptr, key.len) < 0); /* each key once, in order */
    snprintf(page->last, sizeof page->last, "%.*s", DIC_STR_ARGS(key));
    page->count++;
    return DIC_OK;
}

static size_t count_keys(struct dic_blob_store store, const char *prefix)
{
    struct page page = {0};
    bool more = true;
    while (more) {
        char after[sizeof page.last];
        snprintf(after, sizeof after, "%s", page.last);
        assert_ok(store.ops->list(store.impl, dic_str(prefix), dic_str(after), 700, note_last,
                                  &page, &more, NULL));
    }
    return page.count;
}

static void make_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* So many that their names are kept; the folder's time is set back, so that they count as old. */
static void make_large_folder(int count)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%05d.jpg", i);
        make_file(name);
    }
    assert_int_equal(utimensat(AT_FDCWD, folder, old, 0), 0);
}

static void a_large_folder_is_listed_page_by_page_and_again_after_it_changed(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    make_large_folder(2500);
    assert_int_equal(count_keys(store, ""), 2500);
    assert_int_equal(count_keys(store, "01"), 1000);
    make_file("00000-new.jpg");
    assert_int_equal(count_keys(store, ""), 2501);
    assert_ok(store.ops->remove(store.impl, dic_str("00007.jpg"), NULL));
    assert_int_equal(count_keys(store, ""), 2500);
    dic_blob_suite_close(store);
}

static void names_that_are_no_keys_are_passed_over(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    char path[96];
    make_file("kept");
    make_file("not-utf8-\xFF");
    make_file(".dic-tmp-1");
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("kept", path), 0);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(count_keys(store, ""), 1);
    dic_blob_suite_close(store);
}

static void a_key_whose_path_is_taken_is_invalid(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    make_file("taken");
    assert_code(store.ops->put(store.impl, dic_str("taken/below"), dic_str("x"), false, NULL),
                DIC_E_INVALID);
    dic_blob_suite_close(store);
}

static enum dic_code get_code(struct dic_blob_store store, const char *key, size_t room)
{
    struct dic_buf out;
    dic_buf_init(&out, room);
    enum dic_code code = store.ops->get(store.impl, dic_str(key), 1000, &out, NULL, NULL);
    dic_buf_clean_up(&out);
    return code;
}

static void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void what_is_no_regular_file_is_no_object(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    char path[96];
    make_file("kept");
    assert_ok(store.ops->put(store.impl, dic_str("sub/file"), dic_str("x"), false, NULL));
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("kept", path), 0);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    make_socket("socket");
    assert_code(get_code(store, "sub", 100), DIC_E_INVALID);
    assert_code(get_code(store, "link", 100), DIC_E_INVALID);
    assert_code(get_code(store, "pipe", 100), DIC_E_INVALID); /* and nobody waits for a writer */
    assert_code(get_code(store, "socket", 100), DIC_E_INVALID);
    assert_code(get_code(store, "../kept", 100), DIC_E_INVALID);
    assert_code(store.ops->put(store.impl, dic_str("sub"), dic_str("x"), false, NULL),
                DIC_E_INVALID);
    dic_blob_suite_close(store);
}

static void more_than_the_callers_buffer_holds_is_too_large(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("12345"), false, NULL));
    assert_code(get_code(store, "k", 4), DIC_E_TOO_LARGE);
    assert_code(get_code(store, "k", 5), DIC_OK);
    dic_blob_suite_close(store);
}

static void an_offset_or_length_below_zero_is_invalid(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    struct dic_buf out;
    dic_buf_init(&out, 100);
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("12345"), false, NULL));
    assert_code(store.ops->get_range(store.impl, dic_str("k"), -1, 2, NULL, &out, NULL),
                DIC_E_INVALID);
    assert_code(store.ops->get_range(store.impl, dic_str("k"), 1, -2, NULL, &out, NULL),
                DIC_E_INVALID);
    dic_buf_clean_up(&out);
    dic_blob_suite_close(store);
}

static void removing_what_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    make_file("file");
    static const char *const keys[] = {"none", "no/such", "file/below"};
    for (size_t i = 0; i < 3; i++) {
        assert_code(store.ops->remove(store.impl, dic_str(keys[i]), NULL), DIC_E_NOT_FOUND);
    }
    assert_code(store.ops->remove(store.impl, dic_str("a/.."), NULL), DIC_E_INVALID);
    dic_blob_suite_close(store);
}

static void limit(__rlimit_resource_t resource, rlim_t value)
{
    struct rlimit now;
    assert_int_equal(getrlimit(resource, &now), 0);
    now.rlim_cur = value < now.rlim_max ? value : now.rlim_max;
    assert_int_equal(setrlimit(resource, &now), 0);
}

/* A file may not become so large: as on a full disk. */
static void a_write_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    static char bytes[10000];
    struct dic_blob_store store = dic_blob_suite_open();
    struct dic_err err = {0};
    signal(SIGXFSZ, SIG_IGN);
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("old"), false, NULL));
    limit(RLIMIT_FSIZE, 1000);
    enum dic_code code =
        store.ops->put(store.impl, dic_str("k"), dic_str_len(bytes, sizeof bytes), false, &err);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    assert_code(code, DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "the object cannot be written: write: "));
    struct dic_buf out;
    dic_buf_init(&out, 100);
    assert_ok(store.ops->get(store.impl, dic_str("k"), 100, &out, NULL, NULL));
    assert_view(dic_buf_view(&out), "old");
    dic_buf_clean_up(&out);
    char command[128];
    snprintf(command, sizeof command, "test $(ls -A %s | wc -l) -eq 1", folder);
    assert_int_equal(system(command), 0);
    dic_blob_suite_close(store);
}

static void without_descriptors_everything_may_work_later(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    struct dic_blob_info info;
    struct page page = {0};
    bool more = false;
    assert_ok(store.ops->put(store.impl, dic_str("a/k"), dic_str("x"), false, NULL));
    int next = dup(0);
    close(next);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit(RLIMIT_NOFILE, (rlim_t)next);
    enum dic_code codes[] = {
        store.ops->head(store.impl, dic_str("a/k"), &info, NULL),
        store.ops->put(store.impl, dic_str("b"), dic_str("x"), false, NULL),
        store.ops->remove(store.impl, dic_str("a/k"), NULL),
        store.ops->list(store.impl, dic_str(""), dic_str(""), 10, note_last, &page, &more, NULL),
    };
    limit(RLIMIT_NOFILE, before.rlim_cur);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_code(codes[i], DIC_E_UPSTREAM);
    }
    assert_ok(store.ops->head(store.impl, dic_str("a/k"), &info, NULL));
    dic_blob_suite_close(store);
}

static void a_folder_that_cannot_be_is_named(void **state)
{
    (void)state;
    struct dic_blob_store store = {0};
    struct dic_err err = {0};
    assert_code(dic_blob_store_fs_new("/dev/null", &store, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "cannot open the folder /dev/null: "));
    assert_code(dic_blob_store_fs_new("/dev/null/below", &store, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "cannot make the folder /dev/null/below: "));
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_folder_is_listed_page_by_page_and_again_after_it_changed),
        cmocka_unit_test(names_that_are_no_keys_are_passed_over),
        cmocka_unit_test(a_key_whose_path_is_taken_is_invalid),
        cmocka_unit_test(what_is_no_regular_file_is_no_object),
        cmocka_unit_test(more_than_the_callers_buffer_holds_is_too_large),
        cmocka_unit_test(an_offset_or_length_below_zero_is_invalid),
        cmocka_unit_test(removing_what_is_not_there_is_not_found),
        cmocka_unit_test(a_write_that_fails_leaves_nothing_behind),
        cmocka_unit_test(without_descriptors_everything_may_work_later),
        cmocka_unit_test(a_folder_that_cannot_be_is_named),
    };
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}

int main(void)
{
    return dic_run_blob_store_suite() + run_own_tests();
}
