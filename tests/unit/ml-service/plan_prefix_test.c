/* SPDX-License-Identifier: Apache-2.0 */
/* Images from a listing: every object under a prefix that passes the globs. */
#include "plan_source.h"

#include "test.h"

#include "blob_store_memory.h"
#include "source_run.h"

#include <stdio.h>

enum { LINES_BYTES = 1024 * 1024 };

static const struct dic_source_cut whole = {.first = 32 * 500, .chunk_images = 500};

static struct dic_blob_store images;
static struct dic_job job;
static struct dic_buf lines;

static int set_up(void **state)
{
    (void)state;
    images = dic_blob_store_memory_new();
    dic_buf_init(&lines, LINES_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&lines);
    images.ops->destroy(images.impl);
    return 0;
}

static void put(const char *key)
{
    assert_ok(images.ops->put(images.impl, dic_str(key), dic_str("x"), false, NULL));
}

static enum dic_code plan(const char *spec_text, const struct dic_source_cut *cut,
                          struct dic_err *err)
{
    struct dic_json *spec = NULL;
    assert_ok(dic_json_parse(dic_str(spec_text), &spec, NULL));
    const struct dic_plan_source source = {.images = images, .job = &job, .spec = spec};
    dic_buf_clear(&lines);
    enum dic_code code = dic_source_run(dic_fill_from_prefix, &source, cut, &lines, err);
    dic_json_destroy(spec);
    return code;
}

static void assert_plan_gives(const char *spec, const char *expected)
{
    assert_ok(plan(spec, &whole, NULL));
    assert_view(dic_buf_view(&lines), expected);
}

static void the_globs_choose_among_the_keys_of_the_prefix(void **state)
{
    (void)state;
    static const char *const keys[] = {"a/1.jpg", "a/2.png", "a/b/3.jpg", "a/b/4.gif", "b/5.jpg"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put(keys[i]);
    }
    assert_plan_gives("{\"s3_prefix\":\"b/\"}", "\"b/5.jpg\"\n");
    assert_plan_gives("{\"s3_prefix\":\"a/b\"}", "\"a/b/3.jpg\"\n\"a/b/4.gif\"\n");
    assert_plan_gives("{\"s3_prefix\":\"\",\"include\":[\"*.jpg\"]}",
                      "\"a/1.jpg\"\n\"a/b/3.jpg\"\n\"b/5.jpg\"\n");
    assert_plan_gives("{\"s3_prefix\":\"\",\"include\":[\"*.gif\",\"*.png\"]}",
                      "\"a/2.png\"\n\"a/b/4.gif\"\n");
    assert_plan_gives("{\"s3_prefix\":\"\",\"exclude\":[\"a/b/*\",\"b*\"]}",
                      "\"a/1.jpg\"\n\"a/2.png\"\n");
    assert_plan_gives("{\"s3_prefix\":\"a\",\"include\":[\"*.jpg\"],\"exclude\":[\"*/b/*\"]}",
                      "\"a/1.jpg\"\n");
    assert_plan_gives("{\"s3_prefix\":\"b\",\"include\":[],\"exclude\":[]}", "\"b/5.jpg\"\n");
    assert_plan_gives("{\"s3_prefix\":\"\",\"include\":[\"*\"],\"exclude\":[\"*\"]}", "");
    assert_plan_gives("{\"s3_prefix\":\"none/\"}", "");
}

static void the_empty_objects_that_show_folders_are_no_images(void **state)
{
    (void)state;
    put("photos/");
    put("photos/a");
    put("photos/sub/");
    assert_plan_gives("{\"s3_prefix\":\"photos/\"}", "\"photos/a\"\n");
}

static void a_listing_around_the_size_of_a_page_is_complete(void **state)
{
    (void)state;
    struct dic_buf expected;
    dic_buf_init(&expected, LINES_BYTES);
    for (int i = 0; i < 2001; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        put(key);
        dic_buf_printf(&expected, "\"%s\"\n", key);
        if (i + 1 == 999 || i + 1 == 1000 || i + 1 == 1001 || i + 1 == 2000 || i + 1 == 2001) {
            assert_plan_gives("{\"s3_prefix\":\"k\"}", expected.ptr);
        }
    }
    dic_buf_clean_up(&expected);
}

static void a_listing_cut_anywhere_is_the_same_list(void **state)
{
    (void)state;
    struct dic_buf expected;
    dic_buf_init(&expected, LINES_BYTES);
    put("p/");
    for (int i = 0; i < 70; i++) {
        char key[32];
        snprintf(key, sizeof key, "p/%02d%s", i, i % 4 == 0 ? ".txt" : " \xC3\xA9\".jpg");
        put(key);
        if (i % 4 != 0) {
            dic_buf_printf(&expected, "\"p/%02d \xC3\xA9\\\".jpg\"\n", i);
        }
    }
    for (uint32_t first = 1; first <= 32; first++) {
        const struct dic_source_cut cut = {.first = first, .chunk_images = 1};
        assert_ok(plan("{\"s3_prefix\":\"p/\",\"exclude\":[\"*.txt\"]}", &cut, NULL));
        assert_view(dic_buf_view(&lines), expected.ptr);
    }
    dic_buf_clean_up(&expected);
}

static void add_before_and_behind(void *context, uint32_t segment)
{
    (void)context;
    if (segment == 0) {
        put("a0");
        put("z9");
    }
}

/* A segment goes on behind the last key of the one before: what came before it is not seen, what
 * comes behind it is. */
static void keys_that_come_while_a_listing_is_cut_are_taken_once_or_not_at_all(void **state)
{
    (void)state;
    struct dic_buf expected;
    const struct dic_source_cut cut = {
        .first = 3, .chunk_images = 1, .between = add_before_and_behind};
    dic_buf_init(&expected, LINES_BYTES);
    for (int i = 0; i < 9; i++) {
        char key[8];
        snprintf(key, sizeof key, "m%d", i);
        put(key);
        dic_buf_printf(&expected, "\"%s\"\n", key);
    }
    dic_buf_append_text(&expected, "\"z9\"\n");
    assert_ok(plan("{\"s3_prefix\":\"\"}", &cut, NULL));
    assert_view(dic_buf_view(&lines), expected.ptr);
    dic_buf_clean_up(&expected);
}

static enum dic_code fail_second_page(void *context, enum dic_blob_op op, struct dic_str key,
                                      struct dic_err *err)
{
    int *pages = context;
    (void)key;
    return op == DIC_BLOB_LIST && ++*pages == 2 ? dic_fail(err, DIC_E_TIMEOUT, "too slow") : DIC_OK;
}

static void a_listing_that_fails_half_way_fails(void **state)
{
    (void)state;
    struct dic_err err = {0};
    int pages = 0;
    for (int i = 0; i < 1001; i++) {
        char key[16];
        snprintf(key, sizeof key, "%04d", i);
        put(key);
    }
    dic_blob_store_memory_set_hook(images, fail_second_page, &pages);
    assert_code(plan("{\"s3_prefix\":\"\"}", &whole, &err), DIC_E_TIMEOUT);
    assert_string_equal(err.msg, "too slow");
}

static void a_stored_job_without_its_prefix_is_broken(void **state)
{
    (void)state;
    assert_code(plan("{}", &whole, NULL), DIC_E_INTERNAL);
    assert_code(plan("{\"s3_prefix\":7}", &whole, NULL), DIC_E_INVALID);
    put("k");
    assert_code(plan("{\"s3_prefix\":\"\",\"include\":[7]}", &whole, NULL), DIC_E_INVALID);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_globs_choose_among_the_keys_of_the_prefix),
        CASE(the_empty_objects_that_show_folders_are_no_images),
        CASE(a_listing_around_the_size_of_a_page_is_complete),
        CASE(a_listing_cut_anywhere_is_the_same_list),
        CASE(keys_that_come_while_a_listing_is_cut_are_taken_once_or_not_at_all),
        CASE(a_listing_that_fails_half_way_fails),
        CASE(a_stored_job_without_its_prefix_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
