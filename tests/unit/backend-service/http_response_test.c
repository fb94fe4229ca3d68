/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "test.h"

#include <stdio.h>

static struct dic_response response;
static struct dic_request request;

static int set_up(void **state)
{
    (void)state;
    response = (struct dic_response){0};
    dic_buf_init(&response.body, 10000);
    request = (struct dic_request){.request_id = "abcdefghijklmnopqrstuvwxyz"};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&response.body);
    return 0;
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < response.header_count; i++) {
        if (strcmp(response.headers[i].name, name) == 0) {
            return response.headers[i].value;
        }
    }
    return NULL;
}

static void an_error_has_one_form_and_replaces_what_was_written(void **state)
{
    (void)state;
    struct dic_err err = {0};
    dic_buf_append_text(&response.body, "half an answer");
    (void)dic_fail_field(&err, DIC_E_INVALID, "top_k", "top_k is \"0\", allowed are 1 to 100");
    dic_response_error(&response, &request, &err, 0);
    assert_int_equal(response.status, 422);
    assert_string_equal(response.content_type, "application/json");
    assert_view(
        dic_buf_view(&response.body),
        "{\"error\":{\"code\":\"INVALID\",\"message\":\"top_k is \\\"0\\\", allowed are 1 to "
        "100\",\"field\":\"top_k\",\"request_id\":\"abcdefghijklmnopqrstuvwxyz\"}}\n");
    assert_int_equal(response.err.code, DIC_E_INVALID);
    assert_null(header("Retry-After"));
}

static void an_error_without_a_field_has_none(void **state)
{
    (void)state;
    struct dic_err err = {0};
    (void)dic_fail(&err, DIC_E_NOT_FOUND, "no");
    dic_response_error(&response, &request, &err, 0);
    assert_null(strstr(response.body.ptr, "field"));
}

static void every_code_has_its_status_and_those_that_pass_say_when_to_come_again(void **state)
{
    (void)state;
    static const struct {
        enum dic_code code;
        int status;
        bool retry;
    } cases[] = {
        {DIC_E_MALFORMED, 400, false}, {DIC_E_INVALID, 422, false},  {DIC_E_NOT_FOUND, 404, false},
        {DIC_E_DENIED, 403, false},    {DIC_E_CONFLICT, 409, false}, {DIC_E_TOO_LARGE, 413, false},
        {DIC_E_BUSY, 503, true},       {DIC_E_TIMEOUT, 503, true},   {DIC_E_UPSTREAM, 503, true},
        {DIC_E_INTERNAL, 500, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_err err = {0};
        response.header_count = 0;
        (void)dic_fail(&err, cases[i].code, "why");
        dic_response_error(&response, &request, &err, 0);
        assert_int_equal(response.status, cases[i].status);
        assert_int_equal(header("Retry-After") != NULL, cases[i].retry);
    }
}

static void a_status_of_its_own_wins(void **state)
{
    (void)state;
    struct dic_err err = {0};
    (void)dic_fail(&err, DIC_E_TOO_LARGE, "why");
    dic_response_error(&response, &request, &err, 431);
    assert_int_equal(response.status, 431);
    assert_null(header("Retry-After"));
    dic_response_error(&response, &request, &err, 429);
    assert_string_equal(header("Retry-After"), "1");
}

static void headers_are_kept_up_to_their_number_and_length(void **state)
{
    (void)state;
    static char value[DIC_HEADER_VALUE_SIZE + 100];
    memset(value, 'v', sizeof value - 1);
    dic_response_header(&response, "X-Long", value);
    assert_int_equal(strlen(header("X-Long")), DIC_HEADER_VALUE_SIZE - 1);
    for (int i = 0; i < DIC_MAX_RESPONSE_HEADERS; i++) {
        dic_response_header(&response, "X-More", "1");
    }
    assert_int_equal(response.header_count, DIC_MAX_RESPONSE_HEADERS);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_error_has_one_form_and_replaces_what_was_written),
        CASE(an_error_without_a_field_has_none),
        CASE(every_code_has_its_status_and_those_that_pass_say_when_to_come_again),
        CASE(a_status_of_its_own_wins),
        CASE(headers_are_kept_up_to_their_number_and_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
