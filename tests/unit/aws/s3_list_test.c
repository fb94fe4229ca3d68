/* SPDX-License-Identifier: Apache-2.0 */
#include "s3_fake.h"

#define HEAD                                                         \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult " \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define TAIL "</ListBucketResult>"
#define URL "<EncodingType>url</EncodingType>"
#define MORE "<IsTruncated>true</IsTruncated>"
#define TOKEN(text) "<NextContinuationToken>" text "</NextContinuationToken>"
#define OBJECT(key) "<Contents><Key>" key "</Key><Size>7</Size></Contents>"

static struct dic_buf seen;
static uint32_t stop_after;

static int open_fake(void **state)
{
    (void)state;
    fake_open("http://127.0.0.1:9000", "photos");
    dic_buf_init(&seen, 100000);
    stop_after = UINT32_MAX;
    return 0;
}

static int close_fake(void **state)
{
    dic_buf_clean_up(&seen);
    return fake_close(state);
}

static enum dic_code note(void *context, struct dic_str key, int64_t size_bytes,
                          struct dic_err *err)
{
    (void)context;
    dic_buf_append_str(&seen, key);
    dic_buf_printf(&seen, "=%lld ", (long long)size_bytes);
    return --stop_after == 0 ? dic_fail(err, DIC_E_INTERNAL, "enough") : DIC_OK;
}

static enum dic_code list(const char *prefix, const char *after, uint32_t max_keys, bool *more_out,
                          struct dic_err *err)
{
    const struct dic_s3_listing listing = {dic_str(prefix), dic_str(after), max_keys, note, NULL};
    dic_buf_clear(&seen);
    return dic_s3_list(fake.bucket, &listing, more_out, err);
}

static void assert_seen(const char *expected)
{
    assert_view(dic_buf_view(&seen), expected);
}

/* Of a single document, all keys. */
static enum dic_code list_document(const char *document, bool *more_out, struct dic_err *err)
{
    fake_answers(200, "", document);
    return list("", "", 1000, more_out, err);
}

static void a_page_is_asked_for_by_prefix_start_and_count(void **state)
{
    (void)state;
    bool more = true;
    fake_answers(200, "", HEAD TAIL);
    assert_ok(list("a b/+", "a b/+1", 5000, &more, NULL));
    assert_false(more);
    fake_assert_request(0, "GET",
                        "http://127.0.0.1:9000/photos?encoding-type=url&list-type=2&max-keys=1000"
                        "&prefix=a%20b%2F%2B&start-after=a%20b%2F%2B1");
    fake_answers(200, "", HEAD TAIL);
    assert_ok(list("", "", 999, &more, NULL));
    fake_assert_request(1, "GET",
                        "http://127.0.0.1:9000/photos?encoding-type=url&list-type=2&max-keys=999"
                        "&prefix=");
    assert_seen("");
}

static void keys_are_decoded_as_the_document_says(void **state)
{
    (void)state;
    bool more = true;
    assert_ok(list_document(HEAD URL OBJECT("%01%0A") OBJECT("a+b%2Bc%2520")
                                OBJECT("d//%C3%A9/&#38;") TAIL,
                            &more, NULL));
    assert_seen("\x01\n=7 a b+c%20=7 d//\xC3\xA9/&=7 ");
    assert_ok(list_document(HEAD OBJECT("a+b%2B") OBJECT("c &amp; d") TAIL, &more, NULL));
    assert_seen("a+b%2B=7 c & d=7 ");
    assert_false(more);
    /* Where the encoding is said does not matter. */
    assert_ok(list_document(HEAD OBJECT("a+b") URL TAIL, &more, NULL));
    assert_seen("a b=7 ");
}

static void further_pages_start_after_the_last_key_and_after_none_with_the_token(void **state)
{
    (void)state;
    bool more = true;
    fake_answers(200, "", HEAD MORE TOKEN("1") OBJECT("a") OBJECT("b") TAIL);
    fake_answers(200, "", HEAD MORE TOKEN("2/+=") TAIL); /* S3 may send an empty page */
    fake_answers(200, "", HEAD MORE OBJECT("c") TAIL);
    fake_answers(200, "", HEAD OBJECT("d") TAIL);
    assert_ok(list("", "", 10, &more, NULL));
    assert_seen("a=7 b=7 c=7 d=7 ");
    assert_false(more);
    static const char *const urls[] = {
        "?encoding-type=url&list-type=2&max-keys=10&prefix=",
        "?encoding-type=url&list-type=2&max-keys=8&prefix=&start-after=b",
        "?continuation-token=2%2F%2B%3D&encoding-type=url&list-type=2&max-keys=8&prefix=",
        "?encoding-type=url&list-type=2&max-keys=7&prefix=&start-after=c",
    };
    for (size_t i = 0; i < 4; i++) {
        char url[200];
        snprintf(url, sizeof url, "http://127.0.0.1:9000/photos%s", urls[i]);
        fake_assert_request(i, "GET", url);
    }
}

static void as_many_keys_come_as_were_asked_for(void **state)
{
    (void)state;
    bool more = false;
    fake_answers(200, "", HEAD OBJECT("a") OBJECT("b") MORE TAIL);
    assert_ok(list("", "", 2, &more, NULL));
    assert_seen("a=7 b=7 ");
    assert_true(more);
    /* A server that sends more than max-keys. */
    fake_answers(200, "", HEAD OBJECT("a") OBJECT("b") OBJECT("c") TAIL);
    assert_ok(list("", "", 2, &more, NULL));
    assert_seen("a=7 b=7 ");
    assert_true(more);
    fake_answers(200, "", HEAD OBJECT("a") OBJECT("b") TAIL);
    assert_ok(list("", "", 2, &more, NULL));
    assert_false(more);
    fake_answers(200, "", HEAD OBJECT("a") TAIL);
    assert_ok(list("", "", 0, &more, NULL));
    assert_seen("");
    assert_true(more);
}

static void the_visitor_ends_the_listing(void **state)
{
    (void)state;
    bool more = false;
    struct dic_err err = {0};
    stop_after = 2;
    assert_code(list_document(HEAD MORE OBJECT("a") OBJECT("b") OBJECT("c") TAIL, &more, &err),
                DIC_E_INTERNAL);
    assert_seen("a=7 b=7 ");
    assert_string_equal(err.msg, "enough");
}

static void an_order_that_is_none_is_refused(void **state)
{
    (void)state;
    bool more = false;
    static const char *const bad[] = {
        HEAD OBJECT("pb") OBJECT("pa") TAIL,
        HEAD OBJECT("pa") OBJECT("pa") TAIL,
        HEAD OBJECT("q") TAIL, /* not below the prefix */
        HEAD OBJECT("p") TAIL, /* not after the start */
        HEAD OBJECT("") TAIL,
        HEAD "<Contents><Key>pa</Key></Contents>" TAIL,
        HEAD "<Contents><Key>pa</Key><Size>-1</Size></Contents>" TAIL,
        HEAD "<Contents><Key>pa</Key><Size>99999999999999999999</Size></Contents>" TAIL,
        HEAD "<Contents><Size>1</Size></Contents>" TAIL,
        HEAD MORE TAIL, /* truncated, and no word how to go on */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dic_err err = {0};
        fake_answers(200, "", bad[i]);
        if (list("p", "p", 10, &more, &err) != DIC_E_UPSTREAM) {
            fail_msg("case %zu was taken", i);
        }
    }
}

static void pages_without_an_end_are_given_up(void **state)
{
    (void)state;
    bool more = false;
    struct dic_err err = {0};
    fake.repeat_last = true;
    fake_answers(200, "", HEAD MORE TOKEN("x") TAIL);
    assert_code(list("", "", 10, &more, &err), DIC_E_UPSTREAM);
    assert_int_equal(fake.asked, 100);
}

static void what_is_no_list_is_refused_before_anything_is_visited(void **state)
{
    (void)state;
    bool more = false;
    static const char whole[] = HEAD URL OBJECT("a") OBJECT("b") TAIL;
    static const char *const bad[] = {
        "<html><body>Bad gateway</body></html>",
        "<Error><Code>InternalError</Code></Error>",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" HEAD OBJECT("&b;") TAIL,
        HEAD OBJECT("&undefined;") TAIL,
        HEAD OBJECT("a") TAIL HEAD,
        "{}",
    };
    fake.repeat_last = true;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fake.answer_count = 0;
        fake_answers(200, "", bad[i]);
        assert_code(list("", "", 1000, &more, NULL), DIC_E_UPSTREAM);
        assert_seen("");
    }
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char part[sizeof whole] = {0};
        memcpy(part, whole, len);
        fake.answer_count = 0;
        fake_answers(200, "", part);
        assert_code(list("", "", 1000, &more, NULL), DIC_E_UPSTREAM);
        assert_seen("");
    }
    fake.answer_count = 0;
    fake_answers(200, "", whole);
    assert_ok(list("", "", 1000, &more, NULL));
}

static void a_missing_bucket_is_named(void **state)
{
    (void)state;
    bool more = false;
    struct dic_err err = {0};
    fake_error(404, "NoSuchBucket", "");
    assert_code(list("", "", 1, &more, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "no bucket 'photos'"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fake, close_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_page_is_asked_for_by_prefix_start_and_count),
        CASE(keys_are_decoded_as_the_document_says),
        CASE(further_pages_start_after_the_last_key_and_after_none_with_the_token),
        CASE(as_many_keys_come_as_were_asked_for),
        CASE(the_visitor_ends_the_listing),
        CASE(an_order_that_is_none_is_refused),
        CASE(pages_without_an_end_are_given_up),
        CASE(what_is_no_list_is_refused_before_anything_is_visited),
        CASE(a_missing_bucket_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
