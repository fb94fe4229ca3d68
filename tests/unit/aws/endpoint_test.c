/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include "aws/uri.h"
#include "test.h"

static void assert_endpoint(const char *url, const char *expected)
{
    char endpoint[DIC_AWS_ENDPOINT_SIZE];
    assert_ok(dic_aws_endpoint_parse(dic_str(url), "AWS_ENDPOINT_URL", endpoint, NULL));
    assert_string_equal(endpoint, expected);
}

static void endpoints_lose_a_slash_at_the_end_and_their_own_port(void **state)
{
    (void)state;
    assert_endpoint("http://localhost:4566", "http://localhost:4566");
    assert_endpoint("http://localhost:4566/", "http://localhost:4566");
    assert_endpoint("https://S3.example.com:443/", "https://S3.example.com");
    assert_endpoint("http://h:80", "http://h");
    assert_endpoint("http://h:443", "http://h:443");
    assert_endpoint("https://h:80", "https://h:80");
    assert_endpoint("http://[::1]:9000", "http://[::1]:9000");
    assert_endpoint("https://[::1]", "https://[::1]");
    assert_endpoint("http://my_container-1:1", "http://my_container-1:1");
    assert_endpoint("http://h:65535", "http://h:65535");
}

static void urls_that_are_more_or_less_than_a_host_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "localhost:4566",
                                      "ftp://h",
                                      "HTTP://h",
                                      "http://",
                                      "http:///",
                                      "http://h/p",
                                      "http://h//",
                                      "http://h?a=b",
                                      "http://h#f",
                                      "http://u@h",
                                      "http://u:p@h",
                                      "http://h:0",
                                      "http://h:65536",
                                      "http://h:",
                                      "http://h:80a",
                                      "http://h:-1",
                                      "http://[::1",
                                      "http://[]",
                                      "http://::1",
                                      "http://h h",
                                      "http://h\n",
                                      "http://\xC3\xA9",
                                      "http://h\\x",
                                      "http://[::1]x",
                                      "http://%31"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char endpoint[DIC_AWS_ENDPOINT_SIZE];
        struct dic_err err = {0};
        if (dic_aws_endpoint_parse(dic_str(bad[i]), "AWS_ENDPOINT_URL", endpoint, &err) !=
            DIC_E_INVALID) {
            print_error("'%s' is taken as '%s'\n", bad[i], endpoint);
            fail();
        }
        assert_string_equal(err.field, "AWS_ENDPOINT_URL");
    }
}

static enum dic_code parse_of_length(size_t len)
{
    char url[DIC_AWS_ENDPOINT_SIZE + 2];
    memset(url, 'h', sizeof url);
    memcpy(url, "http://", 7);
    char endpoint[DIC_AWS_ENDPOINT_SIZE];
    return dic_aws_endpoint_parse(dic_str_len(url, len), "V", endpoint, NULL);
}

static void one_byte_over_the_longest_endpoint_is_refused(void **state)
{
    (void)state;
    assert_ok(parse_of_length(DIC_AWS_ENDPOINT_SIZE - 2));
    assert_ok(parse_of_length(DIC_AWS_ENDPOINT_SIZE - 1));
    assert_code(parse_of_length(DIC_AWS_ENDPOINT_SIZE), DIC_E_INVALID);
}

static void awss_own_hosts_are_those_of_the_regions_partition(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"s3", "eu-west-1", "https://s3.eu-west-1.amazonaws.com"},
        {"sqs", "us-gov-west-1", "https://sqs.us-gov-west-1.amazonaws.com"},
        {"dynamodb", "cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"},
        {"sqs", "us-iso-east-1", "https://sqs.us-iso-east-1.c2s.ic.gov"},
        {"sqs", "us-isob-east-1", "https://sqs.us-isob-east-1.sc2s.sgov.gov"},
        {"s3", "eusc-de-east-1", "https://s3.eusc-de-east-1.amazonaws.eu"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char endpoint[DIC_AWS_ENDPOINT_SIZE];
        dic_aws_endpoint_default(rows[i][0], rows[i][1], endpoint);
        assert_string_equal(endpoint, rows[i][2]);
    }
}

static void regions_are_short_words(void **state)
{
    (void)state;
    const char *longest = "abcdefghijklmnopqrstuvwxyz-01234567";
    assert_ok(dic_aws_region_check(dic_str("eu-west-1"), "R", NULL));
    assert_ok(dic_aws_region_check(dic_str_len(longest, DIC_AWS_REGION_SIZE - 2), "R", NULL));
    assert_ok(dic_aws_region_check(dic_str_len(longest, DIC_AWS_REGION_SIZE - 1), "R", NULL));
    assert_code(dic_aws_region_check(dic_str_len(longest, DIC_AWS_REGION_SIZE), "R", NULL),
                DIC_E_INVALID);
    static const char *const bad[] = {"", "-a", "a.b", "a/b", "a b", "a@b", "eu\n", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_code(dic_aws_region_check(dic_str(bad[i]), "R", NULL), DIC_E_INVALID);
    }
}

static void assert_encoded(struct dic_str text, bool keep_slash, const char *expected)
{
    struct dic_buf out;
    struct dic_buf back;
    dic_buf_init(&out, 4096);
    dic_buf_init(&back, 4096);
    dic_aws_uri_encode(&out, text, keep_slash);
    assert_view(dic_buf_view(&out), expected);
    dic_aws_uri_decode(&back, dic_buf_view(&out));
    assert_true(dic_str_eq(dic_buf_view(&back), text));
    dic_buf_clean_up(&out);
    dic_buf_clean_up(&back);
}

static void all_bytes_but_the_unreserved_are_percent_encoded(void **state)
{
    (void)state;
    assert_encoded(dic_str("AZaz09-._~"), false, "AZaz09-._~");
    assert_encoded(dic_str("a b+c%d/e"), false, "a%20b%2Bc%25d%2Fe");
    assert_encoded(dic_str("a b+c%d/e"), true, "a%20b%2Bc%25d/e");
    assert_encoded(dic_str("\xC3\xA9*'()!"), false, "%C3%A9%2A%27%28%29%21");
    assert_encoded(dic_str_len("\0\xFF\x7F", 3), false, "%00%FF%7F");
    assert_encoded(dic_str(""), false, "");
}

static void what_is_no_code_is_decoded_as_itself(void **state)
{
    (void)state;
    struct dic_buf out;
    dic_buf_init(&out, 4096);
    dic_aws_uri_decode(&out, dic_str("%41%4a%4Z+%%4%"));
    assert_view(dic_buf_view(&out), "AJ%4Z+%%4%");
    dic_buf_clean_up(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_lose_a_slash_at_the_end_and_their_own_port),
        cmocka_unit_test(urls_that_are_more_or_less_than_a_host_are_refused_by_name),
        cmocka_unit_test(one_byte_over_the_longest_endpoint_is_refused),
        cmocka_unit_test(awss_own_hosts_are_those_of_the_regions_partition),
        cmocka_unit_test(regions_are_short_words),
        cmocka_unit_test(all_bytes_but_the_unreserved_are_percent_encoded),
        cmocka_unit_test(what_is_no_code_is_decoded_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
