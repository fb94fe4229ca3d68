/* SPDX-License-Identifier: Apache-2.0 */
#include "s3_fake.h"

static int open_fake(void **state)
{
    (void)state;
    fake_open("http://127.0.0.1:9000", "photos");
    return 0;
}

static enum dic_code get(const char *key, int64_t max_bytes, struct dic_buf *out,
                         struct dic_err *err)
{
    dic_buf_init(out, 1000);
    return dic_s3_get(fake.bucket, dic_str(key), max_bytes, out, NULL, err);
}

/* One answer to one GET of at most 10 bytes. */
static enum dic_code get_answered(int status, const char *headers, const char *body,
                                  struct dic_err *err)
{
    struct dic_buf out;
    fake_answers(status, headers, body);
    const enum dic_code code = get("k", 10, &out, err);
    assert_true(code == DIC_OK || out.len == 0);
    dic_buf_clean_up(&out);
    return code;
}

/* ---- addresses ---- */

static void keys_are_encoded_byte_by_byte_and_slashes_and_dots_stay(void **state)
{
    (void)state;
    static const char *const keys[][2] = {
        {"a b", "a%20b"},
        {"a+b", "a%2Bb"},
        {"a%20b", "a%2520b"},
        {"~tilde", "~tilde"},
        {"//two", "//two"},
        {"/lead", "/lead"},
        {"trail/", "trail/"},
        {".", "."},
        {"..", ".."},
        {"a/../b/./c", "a/../b/./c"},
        {"\xC3\xA9/\xF0\x9F\x98\x80", "%C3%A9/%F0%9F%98%80"},
        {"!*'();:@&=$,?#[]", "%21%2A%27%28%29%3B%3A%40%26%3D%24%2C%3F%23%5B%5D"},
        {"\x01\x7F\r\n\t\"<>\\^`{|}", "%01%7F%0D%0A%09%22%3C%3E%5C%5E%60%7B%7C%7D"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char url[200];
        struct dic_buf out;
        snprintf(url, sizeof url, "http://127.0.0.1:9000/photos/%s", keys[i][1]);
        fake_answers(200, "", "");
        assert_ok(get(keys[i][0], 10, &out, NULL));
        fake_assert_request(i, "GET", url);
        dic_buf_clean_up(&out);
    }
}

static void a_key_of_1024_bytes_fits_however_it_is_encoded(void **state)
{
    (void)state;
    char key[DIC_S3_MAX_KEY_BYTES];
    struct dic_buf out;
    dic_buf_init(&out, 10);
    memset(key, 0xFF, sizeof key);
    fake_answers(200, "", "x");
    assert_ok(dic_s3_get(fake.bucket, dic_str_len(key, sizeof key), 10, &out, NULL, NULL));
    assert_int_equal(strlen(fake.http.records[0].url),
                     strlen("http://127.0.0.1:9000/photos/") + 3 * 1024);
    dic_buf_clean_up(&out);
}

static void a_bucket_is_in_the_host_where_aws_has_one_for_it(void **state)
{
    static const char *const cases[][3] = {
        {"", "photos", "https://photos.s3.eu-west-1.amazonaws.com/k"},
        {"", "a-1", "https://a-1.s3.eu-west-1.amazonaws.com/k"},
        {"", "my.photos", "https://s3.eu-west-1.amazonaws.com/my.photos/k"},
        {"", "Photos_1", "https://s3.eu-west-1.amazonaws.com/Photos_1/k"},
        {"https://minio.example", "photos", "https://minio.example/photos/k"},
        {"http://localhost:4566", "photos", "http://localhost:4566/photos/k"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_buf out;
        fake_open(cases[i][0], cases[i][1]);
        fake_answers(200, "", "");
        assert_ok(get("k", 1, &out, NULL));
        fake_assert_request(0, "GET", cases[i][2]);
        dic_buf_clean_up(&out);
        assert_int_equal(fake_close(state), 0);
    }
}

static void a_key_named_soap_goes_by_the_path(void **state)
{
    struct dic_buf out;
    fake_open("", "photos");
    fake_answers(200, "", "");
    assert_ok(get("soap", 1, &out, NULL));
    fake_assert_request(0, "GET", "https://s3.eu-west-1.amazonaws.com/photos/soap");
    dic_buf_clean_up(&out);
    assert_int_equal(fake_close(state), 0);
}

static void what_is_no_buckets_name_is_refused(void **state)
{
    (void)state;
    char name[66] = {0};
    struct dic_s3_bucket *bucket = NULL;
    struct dic_s3_options options = {.aws = fake.aws};
    static const char *const bad[] = {"",    "ab",  "-ab", "ab-",       ".ab",
                                      "a/b", "a b", "a%b", "a\xC3\xA9", "arn:aws:s3:::x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.bucket = bad[i];
        assert_code(dic_s3_bucket_new(&options, &bucket, NULL), DIC_E_INVALID);
    }
    for (size_t len = 62; len <= 64; len++) {
        memset(name, 'a', len);
        options.bucket = name;
        assert_code(dic_s3_bucket_new(&options, &bucket, NULL), len <= 63 ? DIC_OK : DIC_E_INVALID);
        if (len <= 63) {
            dic_s3_bucket_destroy(bucket);
        }
    }
}

/* ---- get ---- */

static void an_object_comes_as_it_is_stored_with_size_and_tag(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_s3_object object;
    dic_buf_init(&out, 100);
    fake_answers(200, "etag: \"0123\"\ncontent-length: 4\ncontent-encoding: gzip\n",
                 "\x1f\x8b\x08\x01");
    dic_buf_append_text(&out, "before ");
    assert_ok(dic_s3_get(fake.bucket, dic_str("k"), 10, &out, &object, NULL));
    assert_view(dic_buf_view(&out), "before \x1f\x8b\x08\x01");
    assert_int_equal(object.size_bytes, 4);
    assert_string_equal(object.etag, "\"0123\"");
    dic_buf_clean_up(&out);
}

static void a_tag_too_long_to_keep_is_none(void **state)
{
    (void)state;
    char headers[200];
    for (int len = DIC_S3_ETAG_SIZE - 2; len <= DIC_S3_ETAG_SIZE; len++) {
        struct dic_buf out;
        struct dic_s3_object object;
        dic_buf_init(&out, 100);
        snprintf(headers, sizeof headers, "etag: %0*d\n", len, 7);
        fake_answers(200, headers, "x");
        assert_ok(dic_s3_get(fake.bucket, dic_str("k"), 10, &out, &object, NULL));
        assert_int_equal(strlen(object.etag), len < DIC_S3_ETAG_SIZE ? len : 0);
        dic_buf_clean_up(&out);
    }
}

static void an_object_over_the_ceiling_is_too_large_and_says_how_large(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_ok(get_answered(200, "", "123456789", &err));
    assert_ok(get_answered(200, "", "1234567890", &err));
    assert_code(get_answered(200, "", "12345678901", &err), DIC_E_TOO_LARGE);
    assert_string_equal(err.msg, "the object has more than 10 bytes");
    assert_code(get_answered(200, "content-length: 11\n", "12345678901", &err), DIC_E_TOO_LARGE);
    assert_string_equal(err.msg, "the object has 11 bytes, the limit is 10");
}

static void a_length_that_lies_is_found_out(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_code(get_answered(200, "content-length: 5\n", "1234", &err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "GetObject: 4 bytes came, 5 were announced");
    assert_true(err.retryable);
    assert_code(get_answered(200, "content-length: 3\n", "1234", &err), DIC_E_UPSTREAM);
    assert_ok(get_answered(200, "content-length: 4\n", "1234", &err));
    assert_ok(get_answered(200, "content-length: 0\n", "", &err));
}

/* The page of a portal, or an empty 200 of a proxy. */
static void what_has_no_tag_is_no_answer_of_s3s(void **state)
{
    (void)state;
    struct dic_err err = {0};
    struct dic_buf out;
    dic_buf_init(&out, 100);
    fake.untagged = true;
    assert_code(get_answered(200, "", "<html>", &err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "GetObject: the answer has no ETag, so it is not S3's");
    assert_true(err.retryable);
    fake_answers(200, "", "<html>");
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), 0, 10, NULL, &out, NULL),
                DIC_E_UPSTREAM);
    fake_answers(200, "", "");
    assert_code(dic_s3_put(fake.bucket, dic_str("k"), dic_str("x"), false, &err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "PutObject: the answer has no ETag, so it is not S3's");
    dic_buf_clean_up(&out);
}

/* ---- ranges ---- */

static enum dic_code range_answered(int64_t offset, int64_t len, const char *etag, int status,
                                    const char *headers, const char *body, const char *expected)
{
    struct dic_buf out;
    dic_buf_init(&out, 100);
    fake_answers(status, headers, body);
    const enum dic_code code =
        dic_s3_get_range(fake.bucket, dic_str("k"), offset, len, etag, &out, NULL);
    assert_view(dic_buf_view(&out), code == DIC_OK ? expected : "");
    dic_buf_clean_up(&out);
    return code;
}

static void a_range_is_asked_for_with_its_tag(void **state)
{
    (void)state;
    assert_ok(range_answered(3, 4, "\"t\"", 206, "content-range: bytes 3-6/10\n", "3456", "3456"));
    fake_assert_header(0, "range", "bytes=3-6");
    fake_assert_header(0, "if-match", "\"t\"");
    assert_ok(range_answered(3, 4, NULL, 206, "content-range: bytes 3-6/10\n", "3456", "3456"));
    fake_assert_no_header(1, "if-match");
    assert_ok(range_answered(3, 4, "", 206, "content-range: bytes 3-6/*\n", "3456", "3456"));
    fake_assert_no_header(2, "if-match");
}

static void a_range_is_shorter_only_where_the_object_ends(void **state)
{
    (void)state;
    assert_ok(range_answered(8, 5, NULL, 206, "content-range: bytes 8-9/10\n", "89", "89"));
    static const struct {
        const char *headers;
        const char *body;
    } bad[] = {
        {"content-range: bytes 0-3/10\n", "0123"},   /* not at its end */
        {"content-range: bytes 0-3/*\n", "0123"},    /* nobody knows */
        {"content-range: bytes 1-5/10\n", "12345"},  /* from elsewhere */
        {"content-range: bytes 0-5/10\n", "012345"}, /* more */
        {"content-range: bytes 0-4/10\n", "0123"},   /* less than it says */
        {"content-range: bytes 0-4/10\n", "012345"}, /* more than it says */
        {"content-range: bytes 0-4/10\ncontent-length: 6\n", "01234"},
        {"content-range: bytes 4-0/10\n", "01234"},
        {"content-range: bytes */10\n", "01234"},
        {"content-range: items 0-4/10\n", "01234"},
        {"content-range: bytes 0-4\n", "01234"},
        {"content-range: bytes 0-4/ten\n", "01234"},
        {"content-range: bytes 0-99999999999999999999/10\n", "01234"},
        {"", "01234"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (range_answered(0, 5, NULL, 206, bad[i].headers, bad[i].body, "") != DIC_E_UPSTREAM) {
            fail_msg("case %zu was taken", i);
        }
    }
}

static void the_whole_object_may_answer_a_range_that_holds_it(void **state)
{
    (void)state;
    assert_ok(range_answered(0, 5, NULL, 200, "", "01234", "01234"));
    assert_ok(range_answered(0, 6, NULL, 200, "", "01234", "01234"));
    assert_code(range_answered(0, 4, NULL, 200, "", "01234", ""), DIC_E_UPSTREAM);
    assert_code(range_answered(1, 5, NULL, 200, "", "01234", ""), DIC_E_UPSTREAM);
}

static void beyond_the_end_there_is_nothing(void **state)
{
    (void)state;
    fake_error(416, "InvalidRange", "<ActualObjectSize>10</ActualObjectSize>");
    struct dic_buf out;
    dic_buf_init(&out, 100);
    assert_ok(dic_s3_get_range(fake.bucket, dic_str("k"), 10, 5, NULL, &out, NULL));
    assert_int_equal(out.len, 0);
    dic_buf_clean_up(&out);
}

static void an_object_that_changed_is_a_conflict(void **state)
{
    (void)state;
    struct dic_err err = {0};
    struct dic_buf out;
    dic_buf_init(&out, 100);
    fake_error(412, "PreconditionFailed", "<Condition>If-Match</Condition>");
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), 0, 5, "\"t\"", &out, &err),
                DIC_E_CONFLICT);
    assert_string_equal(err.msg, "the object has changed");
    dic_buf_clean_up(&out);
}

static void no_bytes_are_asked_for_with_a_head(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 100);
    fake_answers(200, "content-length: 10\netag: \"t\"\n", "");
    fake_answers(200, "content-length: 10\netag: \"t\"\n", "");
    assert_ok(dic_s3_get_range(fake.bucket, dic_str("k"), 5, 0, "\"t\"", &out, NULL));
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), 5, 0, "\"u\"", &out, NULL),
                DIC_E_CONFLICT);
    assert_string_equal(fake.http.records[0].method, "HEAD");
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), -1, 5, NULL, &out, NULL),
                DIC_E_INVALID);
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), 0, -1, NULL, &out, NULL),
                DIC_E_INVALID);
    assert_code(dic_s3_get_range(fake.bucket, dic_str("k"), INT64_MAX, 1, NULL, &out, NULL),
                DIC_E_INVALID);
    dic_buf_clean_up(&out);
}

/* ---- what S3 says no with ---- */

static enum dic_code get_refused(int status, const char *code, const char *more,
                                 struct dic_err *err)
{
    struct dic_buf out;
    fake_error(status, code, more);
    const enum dic_code result = get("k", 0, &out, err); /* room for the error all the same */
    dic_buf_clean_up(&out);
    return result;
}

static void each_refusal_is_a_reaction(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code;
        const char *more;
        enum dic_code expected;
        const char *says;
    } cases[] = {
        {404, "NoSuchKey", "", DIC_E_NOT_FOUND, "there is no object with this key"},
        {404, "NoSuchBucket", "", DIC_E_UPSTREAM, "no bucket 'photos' at http://127.0.0.1:9000"},
        {404, "Whatever", "", DIC_E_UPSTREAM, "Whatever"},
        {403, "AccessDenied", "", DIC_E_DENIED, "AccessDenied"},
        {403, "InvalidObjectState", "", DIC_E_DENIED, "InvalidObjectState"},
        {400, "KMS.DisabledException", "", DIC_E_DENIED, "KMS.DisabledException"},
        {400, "KeyTooLongError", "", DIC_E_INVALID, "KeyTooLongError"},
        {400, "InvalidArgument", "", DIC_E_UPSTREAM, "InvalidArgument"},
        {301, "PermanentRedirect", "<Region>ap-south-1</Region>", DIC_E_UPSTREAM,
         "bucket 'photos' is in region ap-south-1, but requests go to eu-west-1"},
        {400, "AuthorizationHeaderMalformed", "<Region>us-east-2</Region>", DIC_E_UPSTREAM,
         "bucket 'photos' is in region us-east-2, but requests go to eu-west-1"},
        {400, "IllegalLocationConstraintException", "", DIC_E_UPSTREAM, "bucket 'photos'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_err err = {0};
        const enum dic_code code = get_refused(cases[i].status, cases[i].code, cases[i].more, &err);
        if (code != cases[i].expected || err.code != code ||
            strstr(err.msg, cases[i].says) == NULL || err.retryable) {
            fail_msg("%s: code %d, '%s'", cases[i].code, (int)code, err.msg);
        }
    }
}

static void a_redirect_names_both_regions(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_code(
        get_answered(301, "x-amz-bucket-region: ap-south-1\nlocation: http://evil/\n", "", &err),
        DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "bucket 'photos' is in region ap-south-1, but requests go to "
                                 "eu-west-1: set AWS_REGION, or use a bucket of that region");
    assert_false(err.retryable);
}

static void a_redirect_to_nowhere_is_tried_again_and_named(void **state)
{
    (void)state;
    struct dic_err err = {0};
    struct dic_buf out;
    fake.repeat_last = true;
    fake_error(307, "TemporaryRedirect", "<Endpoint>x</Endpoint>");
    assert_code(get("k", 10, &out, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "bucket 'photos' is not in region eu-west-1"));
    assert_true(err.retryable);
    fake_error(301, "PermanentRedirect", "");
    assert_code(get("k", 10, &out, &err), DIC_E_UPSTREAM);
    assert_false(err.retryable);
    assert_int_equal(fake.asked, 6);
}

static void keys_that_lead_out_of_the_bucket_are_invalid_where_s3_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum dic_code expected;
    } cases[] = {
        {"..", DIC_E_INVALID},      {"../a", DIC_E_INVALID}, {"a/../../b", DIC_E_INVALID},
        {"a/../b", DIC_E_UPSTREAM}, {"..a", DIC_E_UPSTREAM}, {"a/..", DIC_E_UPSTREAM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_buf out;
        fake_answers(400, "content-type: text/html\n", "<html>Bad Request</html>");
        assert_code(get(cases[i].key, 10, &out, NULL), cases[i].expected);
    }
    struct dic_buf out;
    fake_answers(200, "", "x"); /* and are fine where it takes them */
    assert_ok(get("../a", 10, &out, NULL));
    dic_buf_clean_up(&out);
}

/* ---- head ---- */

static void a_head_tells_size_and_tag(void **state)
{
    (void)state;
    struct dic_s3_object object;
    fake_answers(200, "content-length: 9223372036854775807\netag: \"t\"\n", "");
    assert_ok(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL));
    assert_int_equal(object.size_bytes, INT64_MAX);
    assert_string_equal(object.etag, "\"t\"");
    fake_answers(200, "etag: \"t\"\n", "");
    assert_code(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL), DIC_E_UPSTREAM);
}

static void a_head_that_is_refused_asks_a_get_why(void **state)
{
    (void)state;
    struct dic_s3_object object;
    struct dic_err err = {0};
    fake_answers(404, "", "");
    fake_error(404, "NoSuchBucket", "");
    assert_code(dic_s3_head(fake.bucket, dic_str("k"), &object, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "no bucket 'photos'"));
    fake_assert_request(1, "GET", "http://127.0.0.1:9000/photos/k");
    fake_assert_header(1, "range", "bytes=0-0");
    fake_answers(404, "", "");
    fake_error(404, "NoSuchKey", "");
    assert_code(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL), DIC_E_NOT_FOUND);
    fake_answers(403, "", "");
    fake_error(403, "AccessDenied", "");
    assert_code(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL), DIC_E_DENIED);
    fake_answers(404, "", "");
    fake_answers(206, "content-range: bytes 0-0/1\n", "x");
    fake_answers(404, "", "");
    assert_code(dic_s3_head(fake.bucket, dic_str("k"), &object, &err), DIC_E_UPSTREAM);
    assert_true(err.retryable);
}

/* A HEAD's refusal cannot say that it was the clock or the token; the GET's can, and is retried. */
static void a_head_is_sent_again_when_the_get_is_served(void **state)
{
    (void)state;
    struct dic_s3_object object;
    fake_answers(403, "", "");
    fake_answers(206, "content-range: bytes 0-0/7\n", "x");
    fake_answers(200, "content-length: 7\n", "");
    assert_ok(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL));
    assert_int_equal(object.size_bytes, 7);
    fake_answers(400, "", "");
    fake_error(416, "InvalidRange", "<ActualObjectSize>0</ActualObjectSize>");
    fake_answers(200, "content-length: 0\n", "");
    assert_ok(dic_s3_head(fake.bucket, dic_str("k"), &object, NULL));
    assert_int_equal(object.size_bytes, 0);
}

/* ---- put and delete ---- */

static enum dic_code put(const char *text, bool if_absent, struct dic_err *err)
{
    return dic_s3_put(fake.bucket, dic_str("k"), dic_str(text), if_absent, err);
}

static void a_put_sends_the_bytes_and_the_condition(void **state)
{
    (void)state;
    fake_answers(200, "etag: \"t\"\n", "");
    fake_answers(200, "etag: \"t\"\n", "");
    assert_ok(put("hello", false, NULL));
    fake_assert_request(0, "PUT", "http://127.0.0.1:9000/photos/k");
    assert_view(dic_buf_view(&fake.http.records[0].body), "hello");
    fake_assert_no_header(0, "if-none-match");
    fake_assert_header(0, "x-amz-content-sha256",
                       ""
                       "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_ok(put("", true, NULL));
    fake_assert_header(1, "if-none-match", "*");
}

static void what_is_there_already_is_a_conflict(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_error(412, "PreconditionFailed", "<Condition>If-None-Match</Condition>");
    assert_code(put("hello", true, &err), DIC_E_CONFLICT);
    assert_string_equal(err.msg, "there is an object with this key already");
}

static void a_race_is_run_again_five_times_at_most(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_error(409, "ConditionalRequestConflict", "");
    fake_answers(200, "", "");
    assert_ok(put("hello", true, NULL));
    assert_int_equal(fake.clock.sleeps, 1);
    fake_error(409, "ConditionalRequestConflict", "");
    fake_error(412, "PreconditionFailed", "");
    assert_code(put("hello", true, NULL), DIC_E_CONFLICT);
    for (int i = 0; i < 5; i++) {
        fake_error(409, "ConditionalRequestConflict", "");
    }
    assert_code(put("hello", true, &err), DIC_E_UPSTREAM);
    assert_true(err.retryable);
    assert_int_equal(fake.clock.sleeps, 1 + 1 + 4);
}

/* The second try finds what the first one, whose answer was lost, has stored. */
static void a_put_whose_answer_was_lost_knows_its_object_again(void **state)
{
    (void)state;
    fake_answers(0, "", "");
    fake_error(412, "PreconditionFailed", "");
    fake_answers(200, FAKE_ECHO, "");
    assert_ok(put("hello", true, NULL));
    assert_string_equal(fake.http.records[2].method, "HEAD");
    fake_answers(0, "", "");
    fake_error(412, "PreconditionFailed", "");
    fake_answers(200, "content-length: 5\nx-amz-meta-write-id: somebody-else\n", "");
    assert_code(put("hello", true, NULL), DIC_E_CONFLICT);
}

static void a_delete_of_nothing_is_no_error(void **state)
{
    (void)state;
    fake_answers(204, "", "");
    fake_error(404, "NoSuchKey", "");
    fake_error(403, "AccessDenied", "");
    fake_error(404, "NoSuchBucket", "");
    assert_ok(dic_s3_delete(fake.bucket, dic_str("k"), NULL));
    assert_ok(dic_s3_delete(fake.bucket, dic_str("k"), NULL));
    assert_code(dic_s3_delete(fake.bucket, dic_str("k"), NULL), DIC_E_DENIED);
    assert_code(dic_s3_delete(fake.bucket, dic_str("k"), NULL), DIC_E_UPSTREAM);
    fake_assert_request(0, "DELETE", "http://127.0.0.1:9000/photos/k");
}

static void a_large_body_is_hashed_over_http_and_left_to_tls_over_https(void **state)
{
    static const char *const endpoints[] = {"http://127.0.0.1:9000", "https://127.0.0.1:9000"};
    for (size_t i = 0; i < 2; i++) {
        fake_open(endpoints[i], "photos");
        for (size_t len = 1024 * 1024; len <= 1024 * 1024 + 1; len++) {
            char *bytes = dic_calloc(len, 1);
            fake_answers(200, "", "");
            assert_ok(dic_s3_put(fake.bucket, dic_str("k"), dic_str_len(bytes, len), false, NULL));
            const bool is_unsigned = dic_str_is(
                fake_http_sent_header(&fake.http, fake.asked - 1, "x-amz-content-sha256"),
                "UNSIGNED-PAYLOAD");
            assert_int_equal(is_unsigned, i == 1 && len > 1024 * 1024);
            dic_free(bytes);
        }
        assert_int_equal(fake_close(state), 0);
    }
}

/* ---- URLs for others ---- */

static void an_uploads_url_binds_type_length_and_absence(void **state)
{
    (void)state;
    struct dic_buf url;
    uint32_t expires_s = 0;
    dic_buf_init(&url, 8192);
    const struct dic_s3_upload upload = {
        .key = dic_str("uploads/a b.jpg"),
        .content_type = dic_str("image/jpeg"),
        .size_bytes = 123,
        .expires_s = 3600,
    };
    assert_ok(dic_s3_presign_put(fake.bucket, &upload, &url, &expires_s, NULL));
    assert_true(dic_str_starts_with(dic_buf_view(&url),
                                    dic_str("http://127.0.0.1:9000/photos/uploads/a%20b.jpg?")));
    assert_non_null(strstr(url.ptr, "X-Amz-Expires=3600&"));
    assert_non_null(strstr(
        url.ptr, "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match&"));
    assert_int_equal(expires_s, 3600);
    assert_int_equal(fake.http.record_count, 0);
    dic_buf_clean_up(&url);
}

/* A task's credentials end, and with them what they have signed. */
static void an_uploads_url_ends_with_the_credentials(void **state)
{
    static const struct {
        const char *ends;
        uint32_t expected_s; /* 0: too soon */
    } cases[] = {
        {"2015-08-30T13:36:01Z", 3600}, {"2015-08-30T13:35:59Z", 3599},
        {"2015-08-30T12:37:01Z", 61},   {"2015-08-30T12:37:00Z", 60},
        {"2015-08-30T12:36:59Z", 0},
    };
    struct dic_aws_environment environment = test_aws_environment();
    environment.access_key_id = "";
    environment.secret_access_key = "";
    environment.container_full_uri = "http://127.0.0.1/credentials";
    const struct dic_s3_upload upload = {
        .key = dic_str("k"),
        .content_type = dic_str("image/png"),
        .size_bytes = 1,
        .expires_s = 3600,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[200];
        struct dic_buf url;
        uint32_t expires_s = 0;
        dic_buf_init(&url, 8192);
        fake_open_with(&environment, "photos");
        fake.repeat_last = true;
        snprintf(body, sizeof body,
                 "{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
                 "\"Expiration\":\"%s\"}",
                 cases[i].ends);
        fake_answers(200, "content-type: application/json\n", body);
        const enum dic_code code = dic_s3_presign_put(fake.bucket, &upload, &url, &expires_s, NULL);
        assert_int_equal(code, cases[i].expected_s > 0 ? DIC_OK : DIC_E_BUSY);
        assert_int_equal(expires_s, cases[i].expected_s);
        assert_int_equal(fake_close(state), 0);
        dic_buf_clean_up(&url);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fake, fake_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_are_encoded_byte_by_byte_and_slashes_and_dots_stay),
        CASE(a_key_of_1024_bytes_fits_however_it_is_encoded),
        cmocka_unit_test(a_bucket_is_in_the_host_where_aws_has_one_for_it),
        cmocka_unit_test(a_key_named_soap_goes_by_the_path),
        CASE(what_is_no_buckets_name_is_refused),
        CASE(an_object_comes_as_it_is_stored_with_size_and_tag),
        CASE(a_tag_too_long_to_keep_is_none),
        CASE(an_object_over_the_ceiling_is_too_large_and_says_how_large),
        CASE(a_length_that_lies_is_found_out),
        CASE(what_has_no_tag_is_no_answer_of_s3s),
        CASE(a_range_is_asked_for_with_its_tag),
        CASE(a_range_is_shorter_only_where_the_object_ends),
        CASE(the_whole_object_may_answer_a_range_that_holds_it),
        CASE(beyond_the_end_there_is_nothing),
        CASE(an_object_that_changed_is_a_conflict),
        CASE(no_bytes_are_asked_for_with_a_head),
        CASE(each_refusal_is_a_reaction),
        CASE(a_redirect_names_both_regions),
        CASE(a_redirect_to_nowhere_is_tried_again_and_named),
        CASE(keys_that_lead_out_of_the_bucket_are_invalid_where_s3_says_so),
        CASE(a_head_tells_size_and_tag),
        CASE(a_head_that_is_refused_asks_a_get_why),
        CASE(a_head_is_sent_again_when_the_get_is_served),
        CASE(a_put_sends_the_bytes_and_the_condition),
        CASE(what_is_there_already_is_a_conflict),
        CASE(a_race_is_run_again_five_times_at_most),
        CASE(a_put_whose_answer_was_lost_knows_its_object_again),
        CASE(a_delete_of_nothing_is_no_error),
        cmocka_unit_test(a_large_body_is_hashed_over_http_and_left_to_tls_over_https),
        CASE(an_uploads_url_binds_type_length_and_absence),
        cmocka_unit_test(an_uploads_url_ends_with_the_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
