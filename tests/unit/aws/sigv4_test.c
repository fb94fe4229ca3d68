/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include "aws/uri.h"
#include "json/json_read.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the examples of "Authenticating Requests (AWS Signature Version 4)", S3 API Reference ----
 */

static const struct dic_sigv4_signer s3_example = {
    .key_id = "AKIAIOSFODNN7EXAMPLE",
    .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .token = "",
    .region = "us-east-1",
    .service = "s3",
    .time_ms = 1369353600000, /* 2013-05-24T00:00:00Z */
};

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEADER(header_name, header_value)                                    \
    {                                                                        \
        .name = DIC_STR_LIT(header_name), .value = DIC_STR_LIT(header_value) \
    }

static void assert_signature(const struct dic_sigv4_signer *signer,
                             const struct dic_sigv4_request *request, const char *expected)
{
    struct dic_sigv4_signature signature;
    struct dic_buf authorization;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&authorization, 4096);
    assert_ok(dic_sigv4_sign(signer, request, &signature, &authorization, NULL));
    assert_string_equal(signature.hex, expected);
    assert_non_null(strstr(authorization.ptr, expected));
    dic_buf_clean_up(&authorization);
    dic_sigv4_signature_clean_up(&signature);
}

static void the_published_get_of_an_object_is_signed_as_published(void **state)
{
    (void)state;
    const struct dic_http_header headers[] = {HEADER("Range", "bytes=0-9"),
                                              HEADER("x-amz-content-sha256", EMPTY_HASH),
                                              HEADER("x-amz-date", "20130524T000000Z")};
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("examplebucket.s3.amazonaws.com"),
                                        .path = dic_str("/test.txt"),
                                        .headers = headers,
                                        .header_count = 3,
                                        .payload_hash = dic_str(EMPTY_HASH)};
    assert_signature(&s3_example, &request,
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void the_published_put_of_an_object_is_signed_as_published(void **state)
{
    (void)state;
    char hash[DIC_SHA256_HEX_SIZE];
    dic_sha256_hex(dic_str("Welcome to Amazon S3."), hash);
    const struct dic_http_header headers[] = {
        HEADER("date", "Fri, 24 May 2013 00:00:00 GMT"),
        HEADER("x-amz-date", "20130524T000000Z"),
        HEADER("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        {.name = DIC_STR_LIT("x-amz-content-sha256"), .value = dic_str(hash)}};
    struct dic_sigv4_request request = {.method = dic_str("PUT"),
                                        .host = dic_str("examplebucket.s3.amazonaws.com"),
                                        .path = dic_str("/test%24file.text"),
                                        .headers = headers,
                                        .header_count = 4,
                                        .payload_hash = dic_str(hash)};
    assert_signature(&s3_example, &request,
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void the_published_listing_is_signed_as_published(void **state)
{
    (void)state;
    const struct dic_http_header headers[] = {HEADER("x-amz-content-sha256", EMPTY_HASH),
                                              HEADER("x-amz-date", "20130524T000000Z")};
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("examplebucket.s3.amazonaws.com"),
                                        .path = dic_str("/"),
                                        .query = dic_str("prefix=J&max-keys=2"),
                                        .headers = headers,
                                        .header_count = 2,
                                        .payload_hash = dic_str(EMPTY_HASH)};
    assert_signature(&s3_example, &request,
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    request.query = dic_str("lifecycle");
    assert_signature(&s3_example, &request,
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void the_published_presigned_url_is_signed_as_published(void **state)
{
    (void)state;
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("examplebucket.s3.amazonaws.com"),
                                        .path = dic_str("/test.txt"),
                                        .payload_hash = dic_str(DIC_SIGV4_UNSIGNED_PAYLOAD)};
    struct dic_sigv4_signature signature;
    struct dic_buf query;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&query, 4096);
    assert_ok(dic_sigv4_presign(&s3_example, &request, 86400, &signature, &query, NULL));
    assert_string_equal(query.ptr,
                        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
                        "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                        "&X-Amz-Signature="
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    dic_buf_clean_up(&query);
    dic_sigv4_signature_clean_up(&signature);
}

/* ---- the canonical form, line by line ---- */

/* The line'th line of the canonical request of a GET. */
static void assert_canonical(const struct dic_sigv4_signer *signer, const char *path,
                             const char *query, size_t line, const char *expected)
{
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("h"),
                                        .path = dic_str(path),
                                        .query = dic_str(query),
                                        .payload_hash = dic_str(EMPTY_HASH)};
    struct dic_sigv4_signature signature;
    struct dic_buf authorization;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&authorization, 4096);
    assert_ok(dic_sigv4_sign(signer, &request, &signature, &authorization, NULL));
    struct dic_str rest = dic_buf_view(&signature.canonical_request);
    struct dic_str part = {0};
    for (size_t i = 0; i <= line; i++) {
        assert_true(dic_str_split(&rest, '\n', &part));
    }
    assert_view(part, expected);
    dic_buf_clean_up(&authorization);
    dic_sigv4_signature_clean_up(&signature);
}

static void a_path_of_s3_is_signed_as_it_is_sent(void **state)
{
    (void)state;
    assert_canonical(&s3_example, "/a/../b//c/./%20%2B~/", "", 1, "/a/../b//c/./%20%2B~/");
    assert_canonical(&s3_example, "", "", 1, "/");
}

static void a_path_of_another_service_is_normalised_and_encoded_again(void **state)
{
    (void)state;
    struct dic_sigv4_signer signer = s3_example;
    signer.normalize_path = true;
    signer.encode_path = true;
    assert_canonical(&signer, "/a/../b//c/./%20~/", "", 1, "/b/c/%2520~/");
    assert_canonical(&signer, "/a/b/..", "", 1, "/a");
    assert_canonical(&signer, "/../../a/.", "", 1, "/a");
    assert_canonical(&signer, "/..", "", 1, "/");
    assert_canonical(&signer, "//", "", 1, "/");
    assert_canonical(&signer, "", "", 1, "/");
}

static void parameters_are_sorted_by_their_encoded_names_and_values(void **state)
{
    (void)state;
    assert_canonical(&s3_example, "/", "b=2&a=2&a=10&A=1&a&a-b=1&%7ea=0", 2,
                     "A=1&a=&a=10&a=2&a-b=1&b=2&~a=0");
    assert_canonical(&s3_example, "/", "p=a+b&q=%2f%2B=&&r=%zz%", 2,
                     "p=a%2Bb&q=%2F%2B%3D&r=%25zz%25");
}

static void headers_are_trimmed_sorted_and_joined(void **state)
{
    (void)state;
    const struct dic_http_header headers[] = {HEADER("X-B", "  two \t words "), HEADER("x-a", "2"),
                                              HEADER("X-A", "1"), HEADER("x-c", "")};
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("h:9000"),
                                        .headers = headers,
                                        .header_count = 4,
                                        .payload_hash = dic_str(EMPTY_HASH)};
    struct dic_sigv4_signature signature;
    struct dic_buf authorization;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&authorization, 4096);
    assert_ok(dic_sigv4_sign(&s3_example, &request, &signature, &authorization, NULL));
    assert_string_equal(signature.canonical_request.ptr,
                        "GET\n/\n\nhost:h:9000\nx-a:2,1\nx-b:two words\nx-c:\n\n"
                        "host;x-a;x-b;x-c\n" EMPTY_HASH);
    dic_buf_clean_up(&authorization);
    dic_sigv4_signature_clean_up(&signature);
}

/* ---- limits ---- */

static enum dic_code sign_with_parameters(size_t count)
{
    struct dic_buf query;
    dic_buf_init(&query, 4096);
    for (size_t i = 0; i < count; i++) {
        dic_buf_append_text(&query, i == 0 ? "a" : "&a");
    }
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("h"),
                                        .query = dic_buf_view(&query),
                                        .payload_hash = dic_str(EMPTY_HASH)};
    struct dic_sigv4_signature signature;
    struct dic_buf authorization;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&authorization, 4096);
    enum dic_code code = dic_sigv4_sign(&s3_example, &request, &signature, &authorization, NULL);
    dic_buf_clean_up(&authorization);
    dic_sigv4_signature_clean_up(&signature);
    dic_buf_clean_up(&query);
    return code;
}

static void one_parameter_over_the_limit_is_refused(void **state)
{
    (void)state;
    assert_ok(sign_with_parameters(DIC_SIGV4_MAX_PARAMETERS - 1));
    assert_ok(sign_with_parameters(DIC_SIGV4_MAX_PARAMETERS));
    assert_code(sign_with_parameters(DIC_SIGV4_MAX_PARAMETERS + 1), DIC_E_INVALID);
}

static enum dic_code sign_with_headers(size_t count, struct dic_str name)
{
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS + 1];
    for (size_t i = 0; i < count; i++) {
        headers[i] = (struct dic_http_header){.name = name, .value = dic_str("v")};
    }
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("h"),
                                        .headers = headers,
                                        .header_count = count,
                                        .payload_hash = dic_str(EMPTY_HASH)};
    struct dic_sigv4_signature signature;
    struct dic_buf authorization;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&authorization, 4096);
    enum dic_code code = dic_sigv4_sign(&s3_example, &request, &signature, &authorization, NULL);
    dic_buf_clean_up(&authorization);
    dic_sigv4_signature_clean_up(&signature);
    return code;
}

static void one_header_over_the_limit_is_refused(void **state)
{
    (void)state;
    assert_ok(sign_with_headers(DIC_HTTP_MAX_HEADERS, dic_str("x")));
    assert_code(sign_with_headers(DIC_HTTP_MAX_HEADERS + 1, dic_str("x")), DIC_E_INVALID);
}

static void a_header_name_over_63_bytes_is_refused(void **state)
{
    (void)state;
    char name[64];
    memset(name, 'n', sizeof name);
    assert_ok(sign_with_headers(1, dic_str_len(name, 62)));
    assert_ok(sign_with_headers(1, dic_str_len(name, 63)));
    assert_code(sign_with_headers(1, dic_str_len(name, 64)), DIC_E_INVALID);
    assert_code(sign_with_headers(1, dic_str("")), DIC_E_INVALID);
}

static void a_request_that_is_too_long_to_sign_is_refused(void **state)
{
    (void)state;
    char *path = calloc(1, DIC_SIGV4_MAX_TEXT + 2);
    memset(path, '/', DIC_SIGV4_MAX_TEXT + 1);
    struct dic_sigv4_request request = {.method = dic_str("GET"),
                                        .host = dic_str("h"),
                                        .path = dic_str(path),
                                        .payload_hash = dic_str(EMPTY_HASH)};
    struct dic_sigv4_signature signature;
    struct dic_buf out;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&out, 4096);
    assert_code(dic_sigv4_sign(&s3_example, &request, &signature, &out, NULL), DIC_E_TOO_LARGE);
    request.path = dic_str("/");
    request.query = dic_str(path);
    assert_code(dic_sigv4_presign(&s3_example, &request, 1, &signature, &out, NULL),
                DIC_E_TOO_LARGE);
    dic_buf_clean_up(&out);
    dic_sigv4_signature_clean_up(&signature);
    free(path);
}

/* ---- AWS's test suite: DIC_SIGV4_DIR, a folder for each case ---- */

struct vector {
    char folder[300];
    char *texts[16]; /* of the files that were read; owned */
    size_t text_count;
    struct dic_json *context;
    struct dic_sigv4_signer signer;
    struct dic_sigv4_request request;
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS];
    struct dic_str body;
    bool sign_body;
    bool omit_token;
};

static struct dic_str read_text(struct vector *vector, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", vector->folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 16384);
    size_t len = fread(text, 1, 16384, file);
    assert_int_equal(fclose(file), 0);
    assert_true(vector->text_count < 16);
    vector->texts[vector->text_count++] = text;
    return dic_str_len(text, len);
}

static const char *context_text(const struct dic_json *object, const char *name)
{
    struct dic_str text = {"", 0};
    const struct dic_json *value = dic_json_member(object, name);
    if (value != NULL) {
        assert_ok(dic_json_get_str(value, name, &text, NULL));
    }
    return text.ptr;
}

static bool context_flag(const struct dic_json *object, const char *name)
{
    bool flag = false;
    const struct dic_json *value = dic_json_member(object, name);
    if (value != NULL) {
        assert_ok(dic_json_get_bool(value, name, &flag, NULL));
    }
    return flag;
}

static void read_context(struct vector *vector)
{
    assert_ok(dic_json_parse(read_text(vector, "context.json"), &vector->context, NULL));
    const struct dic_json *credentials = dic_json_member(vector->context, "credentials");
    bool normalize = context_flag(vector->context, "normalize");
    assert_string_equal(context_text(vector->context, "timestamp"), "2015-08-30T12:36:00Z");
    vector->sign_body = context_flag(vector->context, "sign_body");
    vector->omit_token = context_flag(vector->context, "omit_session_token");
    vector->signer = (struct dic_sigv4_signer){
        .key_id = context_text(credentials, "access_key_id"),
        .secret = context_text(credentials, "secret_access_key"),
        .token = vector->omit_token ? "" : context_text(credentials, "token"),
        .region = context_text(vector->context, "region"),
        .service = context_text(vector->context, "service"),
        .time_ms = 1440938160000,
        .normalize_path = normalize,
        .encode_path = true,
    };
}

/* The line at the start of rest, together with the lines after it that begin with a space. */
static struct dic_str take_folded_line(struct dic_str *rest)
{
    size_t len = dic_str_find(*rest, '\n');
    while (len + 1 < rest->len && rest->ptr[len + 1] == ' ') {
        len += 1 + dic_str_find(dic_str_skip(*rest, len + 1), '\n');
    }
    struct dic_str line = dic_str_len(rest->ptr, len);
    *rest = dic_str_skip(*rest, len + 1);
    return line;
}

static void add_header(struct vector *vector, struct dic_str name, struct dic_str value)
{
    assert_true(vector->request.header_count < DIC_HTTP_MAX_HEADERS);
    vector->headers[vector->request.header_count++] = (struct dic_http_header){name, value};
}

static void read_request(struct vector *vector)
{
    struct dic_str rest = read_text(vector, "request.txt");
    struct dic_str line = take_folded_line(&rest);
    size_t method_len = dic_str_find(line, ' ');
    vector->request.method = dic_str_len(line.ptr, method_len);
    struct dic_str target = dic_str_skip(line, method_len + 1);
    target.len -= strlen(" HTTP/1.1");
    size_t path_len = dic_str_find(target, '?');
    vector->request.path = dic_str_len(target.ptr, path_len);
    vector->request.query = dic_str_skip(target, path_len + 1);
    vector->request.headers = vector->headers;
    while ((line = take_folded_line(&rest)).len > 0) {
        size_t colon = dic_str_find(line, ':');
        struct dic_str name = dic_str_len(line.ptr, colon);
        if (dic_str_is(name, "Host")) {
            vector->request.host = dic_str_skip(line, colon + 1);
        } else {
            add_header(vector, name, dic_str_skip(line, colon + 1));
        }
    }
    vector->body = rest;
}

static void check_vector(struct vector *vector, const char *hash)
{
    struct dic_sigv4_signature signature;
    struct dic_buf out;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&out, 16384);
    assert_ok(dic_sigv4_presign(&vector->signer, &vector->request, 3600, &signature, &out, NULL));
    assert_true(dic_str_eq(dic_buf_view(&signature.canonical_request),
                           read_text(vector, "query-canonical-request.txt")));
    assert_true(dic_str_eq(dic_buf_view(&signature.string_to_sign),
                           read_text(vector, "query-string-to-sign.txt")));
    assert_true(dic_str_eq(dic_str(signature.hex), read_text(vector, "query-signature.txt")));

    add_header(vector, dic_str("X-Amz-Date"), dic_str("20150830T123600Z"));
    if (vector->signer.token[0] != '\0') {
        add_header(vector, dic_str("X-Amz-Security-Token"), dic_str(vector->signer.token));
    }
    if (vector->sign_body) {
        add_header(vector, dic_str("x-amz-content-sha256"), dic_str(hash));
    }
    dic_buf_clear(&out);
    assert_ok(dic_sigv4_sign(&vector->signer, &vector->request, &signature, &out, NULL));
    assert_true(dic_str_eq(dic_buf_view(&signature.canonical_request),
                           read_text(vector, "header-canonical-request.txt")));
    assert_true(dic_str_eq(dic_buf_view(&signature.string_to_sign),
                           read_text(vector, "header-string-to-sign.txt")));
    assert_true(dic_str_eq(dic_str(signature.hex), read_text(vector, "header-signature.txt")));
    assert_non_null(strstr(read_text(vector, "header-signed-request.txt").ptr, out.ptr));
    dic_buf_clean_up(&out);
    dic_sigv4_signature_clean_up(&signature);
}

static void run_vector(const char *folder, const char *name)
{
    struct vector vector = {0};
    snprintf(vector.folder, sizeof vector.folder, "%s/%s", folder, name);
    print_message("%s\n", name);
    read_context(&vector);
    read_request(&vector);
    char hash[DIC_SHA256_HEX_SIZE];
    dic_sha256_hex(vector.body, hash);
    vector.request.payload_hash = dic_str(hash);
    check_vector(&vector, hash);
    dic_json_destroy(vector.context);
    for (size_t i = 0; i < vector.text_count; i++) {
        free(vector.texts[i]);
    }
}

static void every_case_of_the_published_suite_is_signed_as_published(void **state)
{
    (void)state;
    const char *folder = getenv("DIC_SIGV4_DIR");
    if (folder == NULL) {
        skip();
    }
    DIR *cases = opendir(folder);
    assert_non_null(cases);
    size_t count = 0;
    const struct dirent *entry = NULL;
    while ((entry = readdir(cases)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            run_vector(folder, entry->d_name);
            count++;
        }
    }
    closedir(cases);
    assert_in_range(count, 38, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_get_of_an_object_is_signed_as_published),
        cmocka_unit_test(the_published_put_of_an_object_is_signed_as_published),
        cmocka_unit_test(the_published_listing_is_signed_as_published),
        cmocka_unit_test(the_published_presigned_url_is_signed_as_published),
        cmocka_unit_test(a_path_of_s3_is_signed_as_it_is_sent),
        cmocka_unit_test(a_path_of_another_service_is_normalised_and_encoded_again),
        cmocka_unit_test(parameters_are_sorted_by_their_encoded_names_and_values),
        cmocka_unit_test(headers_are_trimmed_sorted_and_joined),
        cmocka_unit_test(one_parameter_over_the_limit_is_refused),
        cmocka_unit_test(one_header_over_the_limit_is_refused),
        cmocka_unit_test(a_header_name_over_63_bytes_is_refused),
        cmocka_unit_test(a_request_that_is_too_long_to_sign_is_refused),
        cmocka_unit_test(every_case_of_the_published_suite_is_signed_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
