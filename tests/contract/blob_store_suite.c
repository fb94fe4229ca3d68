/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_store_suite.h"

#include "test.h"

#include "base/thread.h"

#include <stdio.h>

enum { WRITERS = 8 };

static struct dic_blob_store store;

static int open_store(void **state)
{
    (void)state;
    store = dic_blob_suite_open();
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    dic_blob_suite_close(store);
    return 0;
}

static void put(const char *key, const char *text)
{
    assert_ok(store.ops->put(store.impl, dic_str(key), dic_str(text), false, NULL));
}

static void what_was_put_is_read_whole_and_in_parts(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info = {0};
    dic_buf_init(&out, 100);
    put("a/b/c.txt", "0123456789");
    assert_ok(store.ops->get(store.impl, dic_str("a/b/c.txt"), 10, &out, &info, NULL));
    assert_view(dic_buf_view(&out), "0123456789");
    assert_int_equal(info.size_bytes, 10);
    dic_buf_clear(&out);
    assert_ok(store.ops->get_range(store.impl, dic_str("a/b/c.txt"), 3, 4, info.etag, &out, NULL));
    assert_view(dic_buf_view(&out), "3456");
    dic_buf_clear(&out);
    assert_ok(store.ops->get_range(store.impl, dic_str("a/b/c.txt"), 8, 100, NULL, &out, NULL));
    assert_view(dic_buf_view(&out), "89");
    dic_buf_clear(&out);
    assert_ok(store.ops->get_range(store.impl, dic_str("a/b/c.txt"), 10, 5, NULL, &out, NULL));
    assert_int_equal(out.len, 0);
    dic_buf_clean_up(&out);
}

static void an_object_over_the_callers_limit_is_too_large(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 100);
    put("k", "12345");
    assert_code(store.ops->get(store.impl, dic_str("k"), 4, &out, NULL, NULL), DIC_E_TOO_LARGE);
    assert_ok(store.ops->get(store.impl, dic_str("k"), 5, &out, NULL, NULL));
    dic_buf_clean_up(&out);
}

static void an_absent_object_is_not_found(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info;
    dic_buf_init(&out, 100);
    put("file", "x");
    static const char *const keys[] = {"no", "no/such", "file/below"};
    for (size_t i = 0; i < 3; i++) {
        assert_code(store.ops->get(store.impl, dic_str(keys[i]), 9, &out, NULL, NULL),
                    DIC_E_NOT_FOUND);
        assert_code(store.ops->head(store.impl, dic_str(keys[i]), &info, NULL), DIC_E_NOT_FOUND);
    }
    dic_buf_clean_up(&out);
}

static void if_absent_keeps_the_first_and_an_etag_tells_the_second(void **state)
{
    (void)state;
    struct dic_blob_info first;
    struct dic_buf out;
    dic_buf_init(&out, 100);
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("one"), true, NULL));
    assert_code(store.ops->put(store.impl, dic_str("k"), dic_str("two"), true, NULL),
                DIC_E_CONFLICT);
    assert_ok(store.ops->head(store.impl, dic_str("k"), &first, NULL));
    put("k", "three");
    assert_code(store.ops->get_range(store.impl, dic_str("k"), 0, 9, first.etag, &out, NULL),
                DIC_E_CONFLICT);
    assert_ok(store.ops->get(store.impl, dic_str("k"), 9, &out, NULL, NULL));
    assert_view(dic_buf_view(&out), "three");
    assert_ok(store.ops->remove(store.impl, dic_str("k"), NULL));
    assert_code(store.ops->head(store.impl, dic_str("k"), &first, NULL), DIC_E_NOT_FOUND);
    dic_buf_clean_up(&out);
}

static enum dic_code note_key(void *context, struct dic_str key, int64_t size_bytes,
                              struct dic_err *err)
{
    struct dic_buf *seen = context;
    (void)size_bytes;
    (void)err;
    dic_buf_append_str(seen, key);
    dic_buf_append_byte(seen, ' ');
    return DIC_OK;
}

static bool list_is(const char *prefix, const char *after, uint32_t limit, const char *expected,
                    bool more_expected)
{
    struct dic_buf seen;
    bool more = false;
    dic_buf_init(&seen, 1000);
    assert_ok(store.ops->list(store.impl, dic_str(prefix), dic_str(after), limit, note_key, &seen,
                              &more, NULL));
    bool same = dic_str_is(dic_buf_view(&seen), expected) && more == more_expected;
    if (!same) {
        print_error("'%s' is not '%s'\n", seen.ptr, expected);
    }
    dic_buf_clean_up(&seen);
    return same;
}

static void a_listing_is_in_the_byte_order_of_whole_keys(void **state)
{
    (void)state;
    /* '-' < '.' < '/' < '0': a folder's keys stand between its file-name neighbours. */
    static const char *const keys[] = {"a/1", "a/2/x", "a-b", "a.b", "a0", "b", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put(keys[i], "x");
    }
    assert_true(list_is("", "", 100, "a-b a.b a/1 a/2/x a0 b \xC3\xA9 ", false));
    assert_true(list_is("", "", 3, "a-b a.b a/1 ", true));
    assert_true(list_is("", "a/1", 3, "a/2/x a0 b ", true));
    assert_true(list_is("a/", "", 100, "a/1 a/2/x ", false));
    assert_true(list_is("a", "a.b", 2, "a/1 a/2/x ", true));
    assert_true(list_is("a/2", "", 100, "a/2/x ", false));
    assert_true(list_is("zz", "", 100, "", false));
    assert_true(list_is("", "b", 1, "\xC3\xA9 ", false));
}

static enum dic_code stop_at_second(void *context, struct dic_str key, int64_t size_bytes,
                                    struct dic_err *err)
{
    int *visits = context;
    assert_int_equal(size_bytes, (int64_t)key.len);
    return ++*visits < 2 ? DIC_OK : dic_fail(err, DIC_E_BUSY, "enough");
}

static void a_listing_tells_sizes_and_stops_where_the_visitor_wants(void **state)
{
    (void)state;
    struct dic_err err = {0};
    int visits = 0;
    bool more = false;
    put("a", "1");
    put("bb", "22");
    put("ccc", "333");
    assert_code(store.ops->list(store.impl, dic_str(""), dic_str(""), 100, stop_at_second, &visits,
                                &more, &err),
                DIC_E_BUSY);
    assert_int_equal(visits, 2);
    assert_string_equal(err.msg, "enough");
}

static void an_object_of_no_bytes_is_an_object(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info = {.size_bytes = -1};
    dic_buf_init(&out, 100);
    put("k", "");
    assert_ok(store.ops->head(store.impl, dic_str("k"), &info, NULL));
    assert_int_equal(info.size_bytes, 0);
    assert_ok(store.ops->get(store.impl, dic_str("k"), 0, &out, &info, NULL));
    assert_ok(store.ops->get_range(store.impl, dic_str("k"), 0, 5, info.etag, &out, NULL));
    assert_ok(store.ops->get_range(store.impl, dic_str("k"), 0, 0, info.etag, &out, NULL));
    assert_int_equal(out.len, 0);
    assert_true(list_is("", "", 10, "k ", false));
    dic_buf_clean_up(&out);
}

static void an_absent_object_has_no_range_and_can_be_removed(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 100);
    assert_code(store.ops->get_range(store.impl, dic_str("no"), 0, 5, NULL, &out, NULL),
                DIC_E_NOT_FOUND);
    assert_code(store.ops->get_range(store.impl, dic_str("no"), 0, 0, NULL, &out, NULL),
                DIC_E_NOT_FOUND);
    const enum dic_code code = store.ops->remove(store.impl, dic_str("no"), NULL);
    assert_true(code == DIC_OK || code == DIC_E_NOT_FOUND);
    dic_buf_clean_up(&out);
}

static void pages_of_any_size_make_the_whole_listing(void **state)
{
    (void)state;
    char key[32];
    for (int i = 0; i < 23; i++) {
        snprintf(key, sizeof key, "p/%02d", i);
        put(key, "x");
    }
    for (uint32_t limit = 1; limit <= 24; limit++) {
        struct dic_buf seen;
        bool more = true;
        int count = 0;
        dic_buf_init(&seen, 1000);
        while (more) {
            snprintf(key, sizeof key, "%.4s", count == 0 ? "" : seen.ptr + seen.len - 5);
            assert_ok(store.ops->list(store.impl, dic_str("p/"), dic_str(key), limit, note_key,
                                      &seen, &more, NULL));
            count = (int)(seen.len / 5);
            assert_true(count == 23 || more);
        }
        assert_int_equal(count, 23);
        dic_buf_clean_up(&seen);
    }
}

static void *write_once(void *arg)
{
    enum dic_code *code = arg;
    *code = store.ops->put(store.impl, dic_str("k"), dic_str("x"), true, NULL);
    return NULL;
}

static void of_many_writers_of_a_new_key_one_wins(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    enum dic_code codes[WRITERS] = {DIC_E_INTERNAL};
    int winners = 0;
    if (dic_blob_suite_lacks("of_many_writers_of_a_new_key_one_wins")) {
        skip();
    }
    for (int i = 0; i < WRITERS; i++) {
        dic_thread_start(&threads[i], "writer", write_once, &codes[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        dic_thread_join(threads[i]);
        winners += codes[i] == DIC_OK;
        assert_true(codes[i] == DIC_OK || codes[i] == DIC_E_CONFLICT);
    }
    assert_int_equal(winners, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int dic_run_blob_store_suite(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_read_whole_and_in_parts),
        CASE(an_object_over_the_callers_limit_is_too_large),
        CASE(an_absent_object_is_not_found),
        CASE(if_absent_keeps_the_first_and_an_etag_tells_the_second),
        CASE(a_listing_is_in_the_byte_order_of_whole_keys),
        CASE(a_listing_tells_sizes_and_stops_where_the_visitor_wants),
        CASE(an_object_of_no_bytes_is_an_object),
        CASE(an_absent_object_has_no_range_and_can_be_removed),
        CASE(pages_of_any_size_make_the_whole_listing),
        CASE(of_many_writers_of_a_new_key_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
