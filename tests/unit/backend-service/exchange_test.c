/* SPDX-License-Identifier: Apache-2.0 */
/* What is decided before a body is read. */
#include "exchange.h"

#include "test.h"

#include "base/log.h"
#include "capture.h"
#include "job/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct dic_exchange *exchange;
static struct dic_err err;
static int status;

static int tear_down(void **state)
{
    (void)state;
    dic_exchange_destroy(exchange);
    exchange = NULL;
    return 0;
}

static struct dic_head_facts sound(void)
{
    return (struct dic_head_facts){.header_count = 1, .header_bytes = 20, .hosts = 1};
}

static struct dic_head_facts with_json(void)
{
    struct dic_head_facts facts = sound();
    facts.content_lengths = 1;
    facts.content_length = dic_str("2");
    facts.content_type = dic_str("application/json");
    return facts;
}

static enum dic_code check(enum dic_method method, const char *target,
                           const struct dic_head_facts *facts)
{
    dic_exchange_destroy(exchange);
    exchange = dic_exchange_new(target);
    exchange->request.method = method;
    err = (struct dic_err){0};
    return dic_exchange_check_head(exchange, facts, &status, &err);
}

static void header_names_are_tokens_and_values_have_no_control_characters(void **state)
{
    (void)state;
    assert_true(dic_exchange_header_is_sound(dic_str("X-Any_1!#$%&'*+.^`|~"), dic_str("")));
    assert_true(dic_exchange_header_is_sound(dic_str("a"), dic_str("caf\xC3\xA9 \t \"x\"")));
    assert_false(dic_exchange_header_is_sound(dic_str(""), dic_str("x")));
    for (int byte = 0; byte < 256; byte++) {
        const char name[] = {'a', (char)byte, 'b'};
        bool letter = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= 'a' && byte <= 'z');
        bool token = letter || (byte > 0 && byte < 128 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
        bool printable = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
        assert_int_equal(dic_exchange_header_is_sound(dic_str_len(name, 3), dic_str("v")), token);
        assert_int_equal(dic_exchange_header_is_sound(dic_str("n"), dic_str_len(name, 3)),
                         printable);
    }
}

static void a_good_head_finds_its_route_path_and_query(void **state)
{
    (void)state;
    struct dic_head_facts facts = with_json();
    assert_ok(check(DIC_POST, "/sub%6Dit?dry_run=true&x=a+b", &facts));
    assert_string_equal(exchange->route->path, "/submit");
    assert_view(exchange->request.path, "/submit");
    assert_view(dic_query_find(&exchange->query, dic_str("dry_run")), "true");
    assert_view(dic_query_find(&exchange->query, dic_str("x")), "a b");
    assert_false(exchange->close_after);
    facts = sound();
    assert_ok(check(DIC_GET, "/status/abc", &facts));
    assert_view(exchange->request.path_arg, "abc");
}

/* ---- framing: refused, and the connection closed ---- */

static void a_head_that_could_be_read_in_two_ways_is_refused_and_the_connection_closed(void **state)
{
    (void)state;
    struct {
        struct dic_head_facts facts;
        const char *field;
    } cases[] = {
        {sound(), "Host"},
        {sound(), "Host"},
        {with_json(), "Content-Length"},
        {with_json(), "Content-Length"},
        {sound(), "Content-Length"},
        {sound(), "Transfer-Encoding"},
        {sound(), "Transfer-Encoding"},
        {sound(), ""},
        {sound(), "Prefer"},
        {with_json(), "Content-Length"},
        {with_json(), "Content-Length"},
        {with_json(), "Content-Length"},
    };
    cases[0].facts.hosts = 0;
    cases[1].facts.hosts = 2;
    cases[2].facts.content_lengths = 2;
    cases[3].facts.transfer_encodings = 1; /* and a length */
    cases[4].facts.transfer_encodings = 2;
    cases[5].facts.transfer_encodings = 1;
    cases[5].facts.transfer_encoding = dic_str("gzip, chunked");
    cases[6].facts.transfer_encodings = 1;
    cases[6].facts.transfer_encoding = dic_str("chunked");
    cases[6].facts.is_http_1_0 = true;
    cases[7].facts.bad_header = true;
    cases[8].facts.repeated = "Prefer";
    cases[9].facts.content_length = dic_str("+2");
    cases[10].facts.content_length = dic_str("0x2");
    cases[11].facts.content_length = dic_str("2, 2");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_code(check(DIC_POST, "/submit", &cases[i].facts), DIC_E_MALFORMED);
        assert_string_equal(err.field, cases[i].field);
        assert_true(exchange->close_after);
        assert_int_equal(status, 0);
    }
}

static void http_1_0_needs_no_host(void **state)
{
    (void)state;
    struct dic_head_facts facts = sound();
    facts.hosts = 0;
    facts.is_http_1_0 = true;
    assert_ok(check(DIC_GET, "/healthz", &facts));
}

static void a_chunked_body_is_taken(void **state)
{
    (void)state;
    struct dic_head_facts facts = sound();
    facts.transfer_encodings = 1;
    facts.transfer_encoding = dic_str("Chunked");
    facts.content_type = dic_str("application/json");
    assert_ok(check(DIC_POST, "/submit", &facts));
}

/* ---- limits ---- */

static void a_target_has_a_limit(void **state)
{
    (void)state;
    static char target[DIC_MAX_URI_BYTES + 2];
    struct dic_head_facts facts = sound();
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        size_t len = DIC_MAX_URI_BYTES - 1 + over;
        memset(target, 'x', len);
        memcpy(target, "/healthz?a=", 11);
        target[len] = '\0';
        assert_code(check(DIC_GET, target, &facts), over < 2 ? DIC_OK : DIC_E_TOO_LARGE);
        assert_int_equal(status, over < 2 ? 0 : 414);
    }
}

static void headers_have_limits_of_number_and_size(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        struct dic_head_facts facts = sound();
        facts.header_count = DIC_MAX_HEADERS - 1 + over;
        assert_code(check(DIC_GET, "/healthz", &facts), over < 2 ? DIC_OK : DIC_E_TOO_LARGE);
        assert_int_equal(status, over < 2 ? 0 : 431);
        facts = sound();
        facts.header_bytes = DIC_MAX_HEADER_BYTES - 1 + over;
        assert_code(check(DIC_GET, "/healthz", &facts), over < 2 ? DIC_OK : DIC_E_TOO_LARGE);
    }
}

static void a_body_has_a_limit(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        char text[24];
        struct dic_head_facts facts = with_json();
        snprintf(text, sizeof text, "%d", DIC_MAX_BODY_BYTES + over);
        facts.content_length = dic_str(text);
        assert_code(check(DIC_POST, "/submit", &facts), over < 1 ? DIC_OK : DIC_E_TOO_LARGE);
    }
}

/* ---- path, method, type ---- */

static void what_is_wrong_with_path_or_query_is_said(void **state)
{
    (void)state;
    static const struct {
        enum dic_method method;
        const char *target;
        enum dic_code code;
        int status;
    } cases[] = {
        {DIC_GET, "/nothing", DIC_E_NOT_FOUND, 0},
        {DIC_GET, "/%zz", DIC_E_MALFORMED, 0},
        {DIC_GET, "/a%00b", DIC_E_MALFORMED, 0},
        {DIC_GET, "/jobs?a=1&a=2", DIC_E_MALFORMED, 0},
        {DIC_GET, "/jobs?a=%", DIC_E_MALFORMED, 0},
        {DIC_GET, "/submit", DIC_E_UNSUPPORTED, 405},
        {DIC_DELETE, "/jobs", DIC_E_UNSUPPORTED, 405},
    };
    struct dic_head_facts facts = sound();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_code(check(cases[i].method, cases[i].target, &facts), cases[i].code);
        assert_int_equal(status, cases[i].status);
        assert_false(exchange->close_after); /* the framing was sound */
    }
    assert_string_equal(exchange->response.headers[0].name, "Allow");
    assert_string_equal(exchange->response.headers[0].value, "OPTIONS, GET, HEAD");
}

static void an_early_answer_to_a_request_with_a_body_closes_the_connection(void **state)
{
    (void)state;
    struct dic_head_facts facts = with_json();
    assert_code(check(DIC_POST, "/nothing", &facts), DIC_E_NOT_FOUND);
    assert_true(exchange->close_after);
    facts.content_length = dic_str("0");
    assert_code(check(DIC_POST, "/nothing", &facts), DIC_E_NOT_FOUND);
    assert_false(exchange->close_after);
}

static void a_body_is_json_in_utf8_and_not_compressed(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *encoding;
        bool good;
    } cases[] = {
        {"application/json", "", true},
        {"Application/JSON", "identity", true},
        {"application/json; charset=utf-8", "", true},
        {"application/json;charset=UTF-8", "", true},
        {"application/json ; charset=\"utf-8\"", "", true},
        {"application/json;", "", true},
        {"application/json; charset=latin-1", "", false},
        {"application/jsonp", "", false},
        {"application/jso", "", false},
        {"text/json", "", false},
        {"", "", false},
        {"application/json", "gzip", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_head_facts facts = with_json();
        facts.content_type = dic_str(cases[i].type);
        facts.content_encoding = dic_str(cases[i].encoding);
        assert_code(check(DIC_POST, "/submit", &facts), cases[i].good ? DIC_OK : DIC_E_UNSUPPORTED);
        assert_int_equal(status, cases[i].good ? 0 : 415);
    }
    struct dic_head_facts facts = sound(); /* no body, no type */
    assert_ok(check(DIC_POST, "/cancel/x", &facts));
}

/* ---- the rest of its life ---- */

static void a_failure_is_ready_to_be_sent(void **state)
{
    (void)state;
    struct dic_head_facts facts = sound();
    assert_code(check(DIC_GET, "/nothing", &facts), DIC_E_NOT_FOUND);
    dic_exchange_fail(exchange, &err, status);
    assert_int_equal(exchange->state, DIC_EXCHANGE_READY);
    assert_int_equal(exchange->response.status, 404);
    assert_non_null(strstr(exchange->response.body.ptr, exchange->request.request_id));
}

static void count_destroy(void *context)
{
    ++*(int *)context;
}

static enum dic_code no_more(void *context, struct dic_buf *out, bool *end_out, struct dic_err *e)
{
    (void)context;
    (void)out;
    (void)e;
    *end_out = true;
    return DIC_OK;
}

static void its_stream_ends_with_it(void **state)
{
    (void)state;
    int destroyed = 0;
    struct dic_exchange *streaming = dic_exchange_new("/result/x");
    streaming->response.stream = (struct dic_stream){no_more, count_destroy, &destroyed};
    dic_exchange_destroy(streaming);
    assert_int_equal(destroyed, 1);
    dic_exchange_destroy(NULL);
}

static const char *logged(void)
{
    dic_capture_begin(STDERR_FILENO);
    dic_exchange_log(exchange, exchange->request.started_ns + 2500000);
    return dic_capture_end();
}

static void a_request_is_one_log_line(void **state)
{
    (void)state;
    struct dic_head_facts facts = sound();
    dic_log_set_level(DIC_LOG_INFO);
    assert_ok(check(DIC_GET, "/status/%22x", &facts));
    snprintf(exchange->response.job_id, sizeof exchange->response.job_id, "%s", "job1");
    const char *text = logged();
    assert_non_null(strstr(text, "\"level\":\"info\""));
    assert_non_null(strstr(text, "\"method\":\"GET\",\"path\":\"/status/\\\"x\",\"status\":200,"
                                 "\"duration_ms\":2.500,\"bytes_in\":0,\"bytes_out\":0,"
                                 "\"job_id\":\"job1\"}\n"));
    exchange->request.method = DIC_METHOD_OTHER;
    (void)dic_fail(&err, DIC_E_UPSTREAM, "the store is away");
    dic_exchange_fail(exchange, &err, 0);
    text = logged();
    assert_non_null(strstr(text, "\"level\":\"warn\""));
    assert_non_null(strstr(text, "\"method\":\"other\""));
    assert_non_null(strstr(text, "\"error\":\"UPSTREAM\",\"message\":\"the store is away\""));
}

#define CASE(test) cmocka_unit_test_teardown(test, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(header_names_are_tokens_and_values_have_no_control_characters),
        CASE(a_good_head_finds_its_route_path_and_query),
        CASE(a_head_that_could_be_read_in_two_ways_is_refused_and_the_connection_closed),
        CASE(http_1_0_needs_no_host),
        CASE(a_chunked_body_is_taken),
        CASE(a_target_has_a_limit),
        CASE(headers_have_limits_of_number_and_size),
        CASE(a_body_has_a_limit),
        CASE(what_is_wrong_with_path_or_query_is_said),
        CASE(an_early_answer_to_a_request_with_a_body_closes_the_connection),
        CASE(a_body_is_json_in_utf8_and_not_compressed),
        CASE(a_failure_is_ready_to_be_sent),
        CASE(its_stream_ends_with_it),
        CASE(a_request_is_one_log_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
