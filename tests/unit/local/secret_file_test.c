/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_file.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char path[128];
static unsigned char secret[32];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dic_secret_XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/upload.key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* and so nothing else was left in it */
}

static enum dic_code open_secret(unsigned char *out)
{
    return dic_secret_file_open(folder, "upload.key", out, sizeof secret, NULL);
}

static void the_second_start_reads_what_the_first_made(void **state)
{
    unsigned char again[32] = {0};
    struct stat info;
    (void)state;
    assert_ok(open_secret(secret));
    assert_memory_not_equal(secret, again, sizeof again);
    assert_ok(open_secret(again));
    assert_memory_equal(secret, again, sizeof again);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void a_start_that_was_ended_in_the_middle_leaves_nothing(void **state)
{
    char temporary[160];
    (void)state;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    fclose(file);
    assert_ok(open_secret(secret));
}

static void write_file(size_t len, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++) {
        fputc('x', file);
    }
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_file_of_another_length_or_that_others_read_is_refused(void **state)
{
    (void)state;
    write_file(31, 0600);
    assert_code(open_secret(secret), DIC_E_INVALID);
    write_file(33, 0600);
    assert_code(open_secret(secret), DIC_E_INVALID);
    write_file(32, 0640);
    assert_code(open_secret(secret), DIC_E_INVALID);
    write_file(32, 0604);
    assert_code(open_secret(secret), DIC_E_INVALID);
    write_file(32, 0600);
    assert_ok(open_secret(secret));
}

static void a_link_and_a_missing_folder_are_refused(void **state)
{
    (void)state;
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_code(open_secret(secret), DIC_E_INVALID);
    assert_code(dic_secret_file_open("/nowhere", "x", secret, sizeof secret, NULL), DIC_E_UPSTREAM);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_second_start_reads_what_the_first_made),
        CASE(a_start_that_was_ended_in_the_middle_leaves_nothing),
        CASE(a_file_of_another_length_or_that_others_read_is_refused),
        CASE(a_link_and_a_missing_folder_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
