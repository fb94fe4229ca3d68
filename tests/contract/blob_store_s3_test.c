/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite on an S3 server, named as for the programs: AWS_ENDPOINT_URL_S3, AWS_REGION,
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and IMAGE_BUCKET, a bucket of this test alone, which it
 * empties. DIC_TEST_LACKS: names of tests, separated by commas, that the server is known to fail.
 * DIC_TEST_RANDOM_KEYS: how many keys go round the trip (100). Without a server it ends with 77.
 */
#include "blob_store_suite.h"

#include "base/mem.h"
#include "base/rand.h"
#include "store/blob_store_s3.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

enum { MIB = 1024 * 1024, SKIPPED = 77, RESPONSE_BYTES = 64 * 1024 };

static struct dic_aws_environment environment;
static struct dic_http_client http;
static struct dic_aws *aws;
static const char *bucket;

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

static void read_environment(void)
{
    environment = (struct dic_aws_environment){
        .access_key_id = variable("AWS_ACCESS_KEY_ID"),
        .secret_access_key = variable("AWS_SECRET_ACCESS_KEY"),
        .session_token = variable("AWS_SESSION_TOKEN"),
        .profile = "",
        .shared_credentials_file = "",
        .config_file = "",
        .home = "",
        .container_relative_uri = "",
        .container_full_uri = "",
        .container_token = "",
        .container_token_file = "",
        .metadata_disabled = "true",
        .metadata_endpoint = "",
        .region = variable("AWS_REGION"),
        .default_region = "",
        .endpoint_url = "",
        .endpoint_url_s3 = variable("AWS_ENDPOINT_URL_S3"),
        .endpoint_url_sqs = "",
        .endpoint_url_dynamodb = "",
        .ca_bundle = "",
    };
    bucket = variable("IMAGE_BUCKET");
}

static struct dic_aws *new_aws(const struct dic_aws_environment *from)
{
    struct dic_aws *made = NULL;
    struct dic_err err = {0};
    const struct dic_aws_options options = {
        .environment = from, .http = http, .clock = dic_clock_system()};
    if (dic_aws_new(&options, &made, &err) != DIC_OK) {
        fail_msg("%s", err.msg);
    }
    return made;
}

static struct dic_blob_store new_store(struct dic_aws *with, const char *name)
{
    struct dic_blob_store store = {0};
    const struct dic_s3_options options = {.aws = with, .bucket = name};
    assert_ok(dic_blob_store_s3_new(&options, &store, NULL));
    return store;
}

/* ---- a bucket for each test ---- */

static enum dic_code note_key(void *context, struct dic_str key, int64_t size_bytes,
                              struct dic_err *err)
{
    struct dic_buf *keys = context;
    (void)size_bytes;
    (void)err;
    dic_buf_append_str(keys, key);
    dic_buf_append_byte(keys, '\0'); /* no key holds one */
    return DIC_OK;
}

static void make_empty(struct dic_blob_store store)
{
    bool more = true;
    while (more) {
        struct dic_buf keys;
        struct dic_err err = {0};
        dic_buf_init(&keys, 2 * MIB);
        if (store.ops->list(store.impl, dic_str(""), dic_str(""), 1000, note_key, &keys, &more,
                            &err) != DIC_OK) {
            fail_msg("%s", err.msg);
        }
        struct dic_str rest = dic_buf_view(&keys);
        struct dic_str key = {0};
        while (rest.len > 0 && dic_str_split(&rest, '\0', &key)) {
            assert_ok(store.ops->remove(store.impl, key, NULL));
        }
        dic_buf_clean_up(&keys);
    }
}

struct dic_blob_store dic_blob_suite_open(void)
{
    struct dic_blob_store store = new_store(aws, bucket);
    make_empty(store);
    return store;
}

void dic_blob_suite_close(struct dic_blob_store store)
{
    make_empty(store);
    store.ops->destroy(store.impl);
}

bool dic_blob_suite_lacks(const char *test)
{
    struct dic_str rest = dic_str(variable("DIC_TEST_LACKS"));
    struct dic_str name = {0};
    while (dic_str_split(&rest, ',', &name)) {
        if (dic_str_is(name, test)) {
            return true;
        }
    }
    return false;
}

/* ---- what a bucket has besides ---- */

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

/* Stored, found under just this name, read, listed and removed. */
static void assert_round_trip(struct dic_str key)
{
    struct dic_buf out;
    struct dic_buf keys;
    struct dic_blob_info info = {0};
    struct dic_err err = {0};
    bool more = true;
    dic_buf_init(&out, 2048);
    dic_buf_init(&keys, 4096);
    if (store.ops->put(store.impl, key, key, true, &err) != DIC_OK ||
        store.ops->get(store.impl, key, 1024, &out, &info, &err) != DIC_OK ||
        store.ops->head(store.impl, key, &info, &err) != DIC_OK ||
        store.ops->list(store.impl, key, dic_str(""), 2, note_key, &keys, &more, &err) != DIC_OK ||
        store.ops->remove(store.impl, key, &err) != DIC_OK) {
        fail_msg("key '%.*s': %s", DIC_STR_ARGS(key), err.msg);
    }
    assert_true(dic_str_eq(dic_buf_view(&out), key));
    assert_int_equal(info.size_bytes, (int64_t)key.len);
    assert_int_equal(keys.len, key.len + 1);
    assert_memory_equal(keys.ptr, key.ptr, key.len);
    assert_false(more);
    assert_code(store.ops->head(store.impl, key, &info, NULL), DIC_E_NOT_FOUND);
    dic_buf_clean_up(&out);
    dic_buf_clean_up(&keys);
}

static void strange_keys_go_round_the_trip(void **state)
{
    (void)state;
    char longest[1024];
    static const char *const keys[] = {
        "a b",
        "a+b",
        "a%b",
        "a%20b",
        "a%2Fb",
        "%",
        "~",
        "*",
        "'()!",
        "&=?#",
        ";",
        ":",
        "@",
        "\\",
        "\"",
        "<>",
        "\t",
        "\n",
        "\r\nx-evil: 1",
        "\x01",
        "\x7F",
        "\xC3\xA9",
        "e\xCC\x81",
        "\xF0\x9F\x98\x80",
        "\xE2\x80\xAE rtl",
        "\xE2\x80\x8D",
        "\xEF\xBB\xBFx",
        "a//b",
        "//a",
        "/a",
        "/",
        "a/",
        "a/./b",
        ".",
        "./a",
        "a/../b",
        "..%2f",
        "CON",
        "{}[]^`|$,",
        "?versionId=1",
        "uploads",
        "?uploads",
        "photo.jpg?x=1&y=2",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_round_trip(dic_str(keys[i]));
    }
    memset(longest, '~', sizeof longest);
    assert_round_trip(dic_str_len(longest, 1023));
    assert_round_trip(dic_str_len(longest, 1024));
    for (size_t i = 0; i + 1 < sizeof longest; i += 2) {
        memcpy(longest + i, "\xC3\xBC", 2);
    }
    assert_round_trip(dic_str_len(longest, 1024));
}

/* S3 refuses some of them; see lib/aws/s3_request.c. */
static void keys_that_lead_out_are_stored_or_invalid(void **state)
{
    (void)state;
    static const char *const keys[] = {"..", "../a", "../../etc/passwd", "a/../../../b"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const enum dic_code code =
            store.ops->put(store.impl, dic_str(keys[i]), dic_str("x"), false, NULL);
        if (code == DIC_OK) {
            assert_ok(store.ops->remove(store.impl, dic_str(keys[i]), NULL));
            assert_round_trip(dic_str(keys[i]));
        } else {
            assert_code(code, DIC_E_INVALID);
        }
    }
}

static void a_key_over_the_limit_is_invalid(void **state)
{
    (void)state;
    char key[1025];
    struct dic_buf out;
    dic_buf_init(&out, 10);
    memset(key, 'k', sizeof key);
    const struct dic_str too_long = dic_str_len(key, sizeof key);
    assert_code(store.ops->put(store.impl, too_long, dic_str("x"), false, NULL), DIC_E_INVALID);
    assert_code(store.ops->get(store.impl, too_long, 10, &out, NULL, NULL), DIC_E_INVALID);
    assert_code(store.ops->get(store.impl, dic_str(""), 10, &out, NULL, NULL), DIC_E_INVALID);
    dic_buf_clean_up(&out);
}

/* A code point of one to four bytes; of the ASCII ones many are special somewhere. */
static size_t random_character(char *out)
{
    static const char special[] = "/ +%&=?#;:@~*'()!,$\\\"<>.|^`{}[]\t\n\r\x01\x1F\x7F";
    const uint64_t random = dic_rand_u64();
    uint32_t point = (uint32_t)(random >> 8);
    switch (random % 8) {
    case 0:
    case 1:
    case 2:
        out[0] = special[point % (sizeof special - 1)];
        return 1;
    case 3:
    case 4:
        out[0] = (char)('a' + point % 26);
        return 1;
    case 5:
        point = 0x80 + point % (0x800 - 0x80);
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 63));
        return 2;
    case 6:
        point = 0x800 + point % (0xD800 - 0x800);
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 63));
        out[2] = (char)(0x80 | (point & 63));
        return 3;
    default:
        point = 0x10000 + point % 0x100000;
        out[0] = (char)(0xF0 | point >> 18);
        out[1] = (char)(0x80 | (point >> 12 & 63));
        out[2] = (char)(0x80 | (point >> 6 & 63));
        out[3] = (char)(0x80 | (point & 63));
        return 4;
    }
}

static void random_keys_go_round_the_trip(void **state)
{
    (void)state;
    uint64_t count = 100;
    const char *text = variable("DIC_TEST_RANDOM_KEYS");
    if (text[0] != '\0') {
        assert_ok(dic_parse_u64(dic_str(text), 1, 1000000, &count, NULL));
    }
    for (uint64_t i = 0; i < count; i++) {
        char key[1024];
        const size_t wanted = 1 + dic_rand_u64() % (i % 10 == 0 ? 1020 : 40);
        size_t len = 0;
        while (len < wanted) {
            len += random_character(key + len);
        }
        assert_round_trip(dic_str_len(key, len));
    }
}

static void more_keys_than_a_page_of_s3_are_one_listing(void **state)
{
    (void)state;
    bool more = true;
    struct dic_buf keys;
    char key[32];
    dic_buf_init(&keys, MIB);
    for (int i = 0; i < 1010; i++) {
        snprintf(key, sizeof key, "a/%04d +", i);
        assert_ok(store.ops->put(store.impl, dic_str(key), dic_str(""), false, NULL));
    }
    assert_ok(store.ops->list(store.impl, dic_str("a/"), dic_str("a/0003 +"), 2000, note_key, &keys,
                              &more, NULL));
    assert_false(more);
    assert_int_equal(keys.len, 1006 * 9);
    for (size_t i = 0; i < 1006; i++) {
        snprintf(key, sizeof key, "a/%04d +", (int)i + 4);
        assert_string_equal(keys.ptr + i * 9, key);
    }
    dic_buf_clean_up(&keys);
}

static void an_object_in_parts_is_one_object_under_its_condition(void **state)
{
    (void)state;
    const size_t len = 17 * MIB;
    char *bytes = dic_calloc(len, 1);
    struct dic_buf out;
    dic_buf_init(&out, len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 2654435761U >> 13);
    }
    const struct dic_str whole = dic_str_len(bytes, len);
    assert_ok(store.ops->put(store.impl, dic_str("large +%"), whole, true, NULL));
    assert_ok(store.ops->get(store.impl, dic_str("large +%"), (int64_t)len, &out, NULL, NULL));
    assert_true(dic_str_eq(dic_buf_view(&out), whole));
    dic_buf_clear(&out);
    assert_ok(
        store.ops->get_range(store.impl, dic_str("large +%"), 8 * MIB - 3, 6, NULL, &out, NULL));
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.ptr, bytes + 8 * MIB - 3, 6);
    if (!dic_blob_suite_lacks("an_object_in_parts_is_one_object_under_its_condition")) {
        assert_code(store.ops->put(store.impl, dic_str("large +%"), whole, true, NULL),
                    DIC_E_CONFLICT);
    }
    assert_ok(store.ops->put(store.impl, dic_str("large +%"), whole, false, NULL));
    dic_buf_clean_up(&out);
    dic_free(bytes);
}

static void a_wrong_secret_is_denied(void **state)
{
    (void)state;
    struct dic_aws_environment wrong = environment;
    struct dic_buf out;
    struct dic_blob_info info;
    struct dic_err err = {0};
    dic_buf_init(&out, 100);
    wrong.secret_access_key = "wrong";
    struct dic_aws *with = new_aws(&wrong);
    struct dic_blob_store denied = new_store(with, bucket);
    assert_code(denied.ops->get(denied.impl, dic_str("k"), 10, &out, NULL, &err), DIC_E_DENIED);
    assert_non_null(strstr(err.msg, "SignatureDoesNotMatch"));
    assert_code(denied.ops->head(denied.impl, dic_str("k"), &info, &err), DIC_E_DENIED);
    assert_non_null(strstr(err.msg, "SignatureDoesNotMatch"));
    assert_code(denied.ops->put(denied.impl, dic_str("k"), dic_str("x"), true, NULL), DIC_E_DENIED);
    denied.ops->destroy(denied.impl);
    dic_aws_destroy(with);
    assert_code(store.ops->head(store.impl, dic_str("k"), &info, NULL), DIC_E_NOT_FOUND);
    dic_buf_clean_up(&out);
}

static void a_missing_bucket_is_named_and_is_no_missing_object(void **state)
{
    (void)state;
    struct dic_buf out;
    struct dic_blob_info info;
    struct dic_err err = {0};
    bool more = false;
    dic_buf_init(&out, 100);
    struct dic_blob_store none = new_store(aws, "no-such-bucket-here");
    assert_code(none.ops->get(none.impl, dic_str("k"), 10, &out, NULL, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "no bucket 'no-such-bucket-here'"));
    assert_false(err.retryable);
    assert_code(none.ops->head(none.impl, dic_str("k"), &info, NULL), DIC_E_UPSTREAM);
    assert_code(none.ops->put(none.impl, dic_str("k"), dic_str("x"), true, NULL), DIC_E_UPSTREAM);
    assert_code(none.ops->list(none.impl, dic_str(""), dic_str(""), 1, note_key, &out, &more, NULL),
                DIC_E_UPSTREAM);
    none.ops->destroy(none.impl);
    dic_buf_clean_up(&out);
}

/* ---- URLs for others ---- */

/* The status of a PUT with these headers, by somebody who knows the URL and nothing else. */
static int put_status(const char *url, const char *type, const char *body)
{
    const struct dic_http_header headers[] = {
        {dic_str("content-type"), dic_str(type)},
        {dic_str("if-none-match"), dic_str("*")},
    };
    const struct dic_http_request request = {
        .method = "PUT",
        .url = dic_str(url),
        .headers = headers,
        .header_count = 2,
        .body = dic_str(body),
        .connect_timeout_ms = 5000,
        .timeout_ms = 20000,
        .max_response_bytes = RESPONSE_BYTES,
    };
    struct dic_http_response response;
    dic_http_response_init(&response);
    assert_ok(http.ops->send(http.impl, &request, &response, NULL));
    const int status = response.status;
    dic_http_response_clean_up(&response);
    return status;
}

static void a_presigned_url_stores_one_object_of_its_type_and_length(void **state)
{
    (void)state;
    struct dic_buf url;
    uint32_t expires_s = 0;
    struct dic_buf out;
    dic_buf_init(&url, 8192);
    dic_buf_init(&out, 100);
    const struct dic_blob_upload upload = {
        .key = dic_str("uploads/a b+%\xC3\xA9.jpg"),
        .content_type = dic_str("image/jpeg"),
        .size_bytes = 3,
        .expires_s = 60,
    };
    assert_ok(store.ops->presign_put(store.impl, &upload, &url, &expires_s, NULL));
    assert_int_equal(put_status(url.ptr, "image/jpeg", "four"), 403);
    assert_int_equal(put_status(url.ptr, "image/png", "abc"), 403);
    assert_int_equal(put_status(url.ptr, "image/jpeg", "abc"), 200);
    assert_ok(store.ops->get(store.impl, upload.key, 10, &out, NULL, NULL));
    assert_view(dic_buf_view(&out), "abc");
    assert_int_equal(put_status(url.ptr, "image/jpeg", "xyz"), 412);
    char *changed = strstr(url.ptr, "/a%20b");
    assert_non_null(changed);
    changed[1] = 'b';
    assert_int_equal(put_status(url.ptr, "image/jpeg", "abc"), 403);
    dic_buf_clean_up(&url);
    dic_buf_clean_up(&out);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        CASE(strange_keys_go_round_the_trip),
        CASE(keys_that_lead_out_are_stored_or_invalid),
        CASE(a_key_over_the_limit_is_invalid),
        CASE(random_keys_go_round_the_trip),
        CASE(more_keys_than_a_page_of_s3_are_one_listing),
        CASE(an_object_in_parts_is_one_object_under_its_condition),
        CASE(a_wrong_secret_is_denied),
        CASE(a_missing_bucket_is_named_and_is_no_missing_object),
        CASE(a_presigned_url_stores_one_object_of_its_type_and_length),
    };
    return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}

int main(void)
{
    struct dic_err err = {0};
    const struct dic_http_client_options options = {.max_idle_handles = 8};
    read_environment();
    if (environment.endpoint_url_s3[0] == '\0' || bucket[0] == '\0') {
        print_error("SKIPPED: AWS_ENDPOINT_URL_S3 and IMAGE_BUCKET name no server\n");
        return SKIPPED;
    }
    if (strncmp(bucket, "test-", 5) != 0) {
        print_error(
            "IMAGE_BUCKET='%s' is emptied by this test, and so it must start with 'test-'\n",
            bucket);
        return 1;
    }
    if (dic_http_client_curl_new(&options, &http, &err) != DIC_OK) {
        print_error("%s\n", err.msg);
        return 1;
    }
    aws = new_aws(&environment);
    const int failed = dic_run_blob_store_suite() + run_own_tests();
    dic_aws_destroy(aws);
    http.ops->destroy(http.impl);
    return failed;
}
