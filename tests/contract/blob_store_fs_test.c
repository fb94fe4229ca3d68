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
#include <sys/stat.h>
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

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_folder_is_listed_page_by_page_and_again_after_it_changed),
        cmocka_unit_test(names_that_are_no_keys_are_passed_over),
        cmocka_unit_test(a_key_whose_path_is_taken_is_invalid),
    };
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}

int main(void)
{
    return dic_run_blob_store_suite() + run_own_tests();
}
