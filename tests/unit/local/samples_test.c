/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include "test.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char data[96];
static char samples[96];

static void shell(const char *text)
{
    char command[600];
    snprintf(command, sizeof command, "cd %s && %s", folder, text);
    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_OFF);
    snprintf(folder, sizeof folder, "/tmp/dic-samples-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(samples, sizeof samples, "%s/samples", folder);
    shell("mkdir samples && for name in image.jpg cat.PNG a.jpeg b.webp c.gif d.bmp notes.md "
          "LICENSE jpg; do echo $name >samples/$name; done");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void a_new_bucket_is_filled_with_the_pictures(void **state)
{
    (void)state;
    assert_ok(dic_samples_seed(data, samples, NULL));
    shell("test \"$(cd data/bucket && find . -type f | sort | tr '\\n' ' ')\" = "
          "'./samples/a.jpeg ./samples/b.webp ./samples/c.gif ./samples/cat.PNG ./samples/d.bmp "
          "./test/image.jpg '");
    shell("cmp samples/cat.PNG data/bucket/samples/cat.PNG");
    shell("test ! -e data/bucket.unfinished");
}

static void a_bucket_that_is_there_is_left_alone(void **state)
{
    (void)state;
    shell("mkdir -p data/bucket");
    assert_ok(dic_samples_seed(data, samples, NULL));
    shell("test -z \"$(ls data/bucket)\"");
}

static void a_bucket_left_half_filled_by_a_crash_is_completed(void **state)
{
    (void)state;
    shell("mkdir -p data/bucket.unfinished/samples && echo half >data/bucket.unfinished/samples/"
          "cat.PNG");
    assert_ok(dic_samples_seed(data, samples, NULL));
    shell("cmp samples/cat.PNG data/bucket/samples/cat.PNG && test -e data/bucket/test/image.jpg");
}

static void without_samples_the_bucket_is_empty(void **state)
{
    (void)state;
    assert_ok(dic_samples_seed(data, "/no/such/folder", NULL));
    shell("test -d data/bucket && test -z \"$(ls data/bucket)\"");
}

static void what_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct dic_err err = {0};
    char below[128];
    shell("echo x >taken");
    snprintf(below, sizeof below, "%s/taken/data", folder);
    assert_code(dic_samples_seed(below, samples, &err), DIC_E_INVALID);
    assert_string_equal(err.field, "DATA_DIR");
    assert_non_null(strstr(err.msg, below));
    snprintf(below, sizeof below, "%s/taken", folder);
    assert_code(dic_samples_seed(below, samples, &err), DIC_E_INVALID);
    assert_non_null(strstr(err.msg, "is not a folder"));
    snprintf(below, sizeof below, "%s/no/parent", folder);
    assert_code(dic_samples_seed(below, samples, &err), DIC_E_INVALID);
    assert_non_null(strstr(err.msg, "make its parent first"));
    shell("mkdir -p data/bucket.unfinished && echo x >data/bucket.unfinished/samples");
    assert_code(dic_samples_seed(data, samples, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "bucket.unfinished/samples"));
}

static void a_sample_that_is_no_file_is_an_error(void **state)
{
    (void)state;
    struct dic_err err = {0};
    shell("mkdir samples/folder.png");
    assert_code(dic_samples_seed(data, samples, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "folder.png"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_bucket_is_filled_with_the_pictures),
        CASE(a_bucket_that_is_there_is_left_alone),
        CASE(a_bucket_left_half_filled_by_a_crash_is_completed),
        CASE(without_samples_the_bucket_is_empty),
        CASE(what_cannot_be_written_is_named),
        CASE(a_sample_that_is_no_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
