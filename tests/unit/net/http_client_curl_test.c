/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

#include "base/clock.h"
#include "test.h"
#include "wire_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

struct fixture {
    struct wire_server server;
    struct dic_http_client client;
    struct dic_http_response response;
    struct dic_err err;
    char url[128];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    wire_server_start(&fixture->server);
    wire_server_script(&fixture->server, 1, &(struct wire_step){.bytes = OK_HI});
    struct dic_http_client_options options = {.max_idle_handles = 4};
    assert_ok(dic_http_client_curl_new(&options, &fixture->client, NULL));
    dic_http_response_init(&fixture->response);
    snprintf(fixture->url, sizeof fixture->url, "http://127.0.0.1:%u/p",
             (unsigned)fixture->server.port);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dic_http_response_clean_up(&fixture->response);
    fixture->client.ops->destroy(fixture->client.impl);
    wire_server_stop(&fixture->server);
    free(fixture);
    return 0;
}

static struct dic_http_request get_request(const struct fixture *fixture)
{
    return (struct dic_http_request){
        .method = "GET",
        .url = dic_str(fixture->url),
        .connect_timeout_ms = 10000,
        .timeout_ms = 20000,
        .max_response_bytes = 1024,
    };
}

static enum dic_code send_it(struct fixture *fixture, const struct dic_http_request *request)
{
    return fixture->client.ops->send(fixture->client.impl, request, &fixture->response,
                                     &fixture->err);
}

static enum dic_code get(struct fixture *fixture)
{
    struct dic_http_request request = get_request(fixture);
    return send_it(fixture, &request);
}

static void answer(struct fixture *fixture, const char *bytes, enum wire_end end)
{
    wire_server_script(&fixture->server, 1, &(struct wire_step){.bytes = bytes, .end = end});
}

static const char *sent(struct fixture *fixture, size_t index)
{
    assert_true(index < wire_server_requests(&fixture->server));
    return fixture->server.requests[index].ptr;
}

/* ---- requests ---- */

static void a_get_is_sent_with_nothing_added_but_the_encoding(void **state)
{
    struct fixture *fixture = *state;
    const struct dic_http_header headers[] = {{DIC_STR_LIT("Host"), DIC_STR_LIT("bucket.example")},
                                              {DIC_STR_LIT("x-empty"), DIC_STR_LIT("")},
                                              {DIC_STR_LIT("x-a"), DIC_STR_LIT("1; \"2\"")}};
    struct dic_http_request request = get_request(fixture);
    request.headers = headers;
    request.header_count = 3;
    assert_ok(send_it(fixture, &request));
    assert_string_equal(sent(fixture, 0), "GET /p HTTP/1.1\r\nHost: bucket.example\r\nx-empty:\r\n"
                                          "x-a: 1; \"2\"\r\nAccept-Encoding: identity\r\n\r\n");
}

static void paths_and_queries_are_sent_byte_for_byte(void **state)
{
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/a/../b/./c//d",
                                          "/%2e%2E/%2F/%7e",
                                          "/?",
                                          "/a?b=c?d=../e&f",
                                          "//x",
                                          "/a+b*'()!;:@&=$,[]{}|^`\"<>\\",
                                          "/%zz%"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char url[160];
        snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)fixture->server.port,
                 targets[i]);
        struct dic_http_request request = get_request(fixture);
        request.url = dic_str(url);
        assert_ok(send_it(fixture, &request));
        char line[160];
        snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", targets[i]);
        assert_true(dic_str_starts_with(dic_str(sent(fixture, i)), dic_str(line)));
    }
}

static void a_url_without_a_path_asks_for_the_root(void **state)
{
    struct fixture *fixture = *state;
    char url[160];
    snprintf(url, sizeof url, "http://127.0.0.1:%u?list-type=2", (unsigned)fixture->server.port);
    struct dic_http_request request = get_request(fixture);
    request.url = dic_str(url);
    assert_ok(send_it(fixture, &request));
    assert_non_null(strstr(sent(fixture, 0), "GET /?list-type=2 HTTP/1.1\r\n"));
}

static void bodies_have_a_length_and_no_expectation(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 2 * 1024 * 1024; /* long enough for libcurl to want "Expect: 100-continue" */
    char *body = calloc(1, len + 1);
    memset(body, 'b', len);
    struct dic_http_request request = get_request(fixture);
    request.method = "PUT";
    request.body = dic_str_len(body, len);
    assert_ok(send_it(fixture, &request));
    assert_null(strstr(sent(fixture, 0), "Expect"));
    assert_null(strstr(sent(fixture, 0), "Content-Type"));
    assert_non_null(strstr(sent(fixture, 0), "Content-Length: 2097152\r\n"));
    assert_int_equal(strspn(strstr(sent(fixture, 0), "\r\n\r\n") + 4, "b"), len);
    free(body);
}

static void a_content_type_is_sent_as_it_is_given(void **state)
{
    struct fixture *fixture = *state;
    const struct dic_http_header headers[] = {
        {DIC_STR_LIT("Content-Type"), DIC_STR_LIT("application/x-amz-json-1.0")},
        {DIC_STR_LIT("Content-Tape"), DIC_STR_LIT("x")}};
    struct dic_http_request request = get_request(fixture);
    request.method = "POST";
    request.body = dic_str("{}");
    request.headers = headers;
    request.header_count = 2;
    assert_ok(send_it(fixture, &request));
    assert_non_null(strstr(sent(fixture, 0), "\r\nContent-Type: application/x-amz-json-1.0\r\n"));
    request.headers = &headers[1];
    request.header_count = 1;
    assert_ok(send_it(fixture, &request));
    assert_null(strstr(sent(fixture, 1), "Content-Type"));
}

static void a_header_longer_than_servers_take_is_refused(void **state)
{
    struct fixture *fixture = *state;
    enum { LINE = 16 * 1024, NAME_AND_COLON = 5 };
    char *value = calloc(1, LINE + 1);
    memset(value, 'v', LINE);
    struct dic_http_header header = {dic_str("x-h"), dic_str_len(value, LINE - NAME_AND_COLON)};
    struct dic_http_request request = get_request(fixture);
    request.headers = &header;
    request.header_count = 1;
    assert_ok(send_it(fixture, &request));
    header.value.len++;
    assert_code(send_it(fixture, &request), DIC_E_INVALID);
    free(value);
}

static void put_and_post_have_a_length_even_without_a_body(void **state)
{
    struct fixture *fixture = *state;
    static const char *const methods[] = {"PUT", "POST", "DELETE", "GET"};
    for (size_t i = 0; i < 4; i++) {
        struct dic_http_request request = get_request(fixture);
        request.method = methods[i];
        assert_ok(send_it(fixture, &request));
        assert_int_equal(strstr(sent(fixture, i), "Content-Length: 0\r\n") != NULL, i < 2);
        assert_true(dic_str_starts_with(dic_str(sent(fixture, i)), dic_str(methods[i])));
    }
}

static void zeros_in_a_body_are_sent(void **state)
{
    struct fixture *fixture = *state;
    struct dic_http_request request = get_request(fixture);
    request.method = "POST";
    request.body = dic_str_len("a\0b", 3);
    assert_ok(send_it(fixture, &request));
    const struct dic_buf *kept = &fixture->server.requests[0];
    assert_memory_equal(kept->ptr + kept->len - 3, "a\0b", 3);
}

static void a_head_ends_with_its_headers(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", WIRE_KEEP);
    struct dic_http_request request = get_request(fixture);
    request.method = "HEAD";
    for (int i = 0; i < 2; i++) {
        assert_ok(send_it(fixture, &request));
        assert_view(dic_http_response_header(&fixture->response, "content-length"), "5000000000");
        assert_int_equal(fixture->response.body.len, 0);
    }
    assert_int_equal(wire_server_connections(&fixture->server), 1);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {"",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "127.0.0.1/",
                                       "http://",
                                       "http:///p",
                                       "http://user@127.0.0.1/",
                                       "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1\\@evil/",
                                       "http://127.0.0.1/a b",
                                       "http://127.0.0.1/a\r\nx: y",
                                       "http://127.0.0.1/\xC3\xA9",
                                       "http://127.0.0.1/a#b",
                                       "http://127.0.0.1\t/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct dic_http_request request = get_request(fixture);
        request.url = dic_str(urls[i]);
        assert_code(send_it(fixture, &request), DIC_E_INVALID);
        assert_false(fixture->response.sent);
    }
    static const struct dic_http_header bad[] = {
        {{"a b", 3}, {"v", 1}},  {{"a:", 2}, {"v", 1}},    {{"", 0}, {"v", 1}},
        {{"a\n", 2}, {"v", 1}},  {{"a", 1}, {"v\nb", 3}},  {{"a", 1}, {"v\rb", 3}},
        {{"a", 1}, {"v\0b", 3}}, {{"a", 1}, {"v\x7f", 2}}, {{"\xC3", 1}, {"v", 1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dic_http_request request = get_request(fixture);
        request.headers = &bad[i];
        request.header_count = 1;
        assert_code(send_it(fixture, &request), DIC_E_INVALID);
    }
    assert_int_equal(wire_server_connections(&fixture->server), 0);
}

static void one_header_over_the_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct dic_http_header headers[DIC_HTTP_MAX_HEADERS + 1];
    for (size_t i = 0; i <= DIC_HTTP_MAX_HEADERS; i++) {
        headers[i] = (struct dic_http_header){dic_str("x-h"), dic_str("v")};
    }
    struct dic_http_request request = get_request(fixture);
    request.headers = headers;
    request.header_count = DIC_HTTP_MAX_HEADERS;
    assert_ok(send_it(fixture, &request));
    request.header_count++;
    assert_code(send_it(fixture, &request), DIC_E_INVALID);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    struct fixture *fixture = *state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    assert_ok(get(fixture));
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

/* ---- answers ---- */

static void headers_come_in_lower_case_and_trimmed(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture,
           "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
           "HTTP/1.1 404 Not Found\r\nX-One:  a: b \r\nx-one: second\r\nX-Empty:\r\n"
           "Content-Length: 0\r\n\r\n",
           WIRE_KEEP);
    assert_ok(get(fixture));
    assert_int_equal(fixture->response.status, 404);
    assert_view(dic_http_response_header(&fixture->response, "x-one"), "a: b");
    assert_view(dic_http_response_header(&fixture->response, "x-empty"), "");
    assert_null(dic_http_response_header(&fixture->response, "x-interim").ptr);
    assert_null(dic_http_response_header(&fixture->response, "x").ptr);
    assert_true(fixture->response.sent);
}

static void a_redirect_is_an_answer_and_not_followed(void **state)
{
    struct fixture *fixture = *state;
    char bytes[160];
    snprintf(bytes, sizeof bytes,
             "HTTP/1.1 307 R\r\nLocation: http://127.0.0.1:%u/other\r\nContent-Length: 0\r\n\r\n",
             (unsigned)fixture->server.port);
    answer(fixture, bytes, WIRE_KEEP);
    assert_ok(get(fixture));
    assert_int_equal(fixture->response.status, 307);
    assert_int_equal(wire_server_requests(&fixture->server), 1);
}

static void a_compressed_body_is_left_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw",
           WIRE_KEEP);
    assert_ok(get(fixture));
    assert_view(dic_buf_view(&fixture->response.body), "raw");
}

static void one_byte_over_the_ceiling_is_too_large(void **state)
{
    struct fixture *fixture = *state;
    static const char *const forms[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        answer(fixture, forms[i], WIRE_KEEP);
        for (size_t limit = 2; limit <= 4; limit++) {
            struct dic_http_request request = get_request(fixture);
            request.max_response_bytes = limit;
            assert_code(send_it(fixture, &request), limit < 3 ? DIC_E_TOO_LARGE : DIC_OK);
            assert_int_equal(fixture->response.body.len <= limit, true);
        }
        assert_view(dic_buf_view(&fixture->response.body), "abc");
    }
}

static void a_ceiling_of_nothing_allows_an_empty_body_only(void **state)
{
    struct fixture *fixture = *state;
    struct dic_http_request request = get_request(fixture);
    request.max_response_bytes = 0;
    assert_code(send_it(fixture, &request), DIC_E_TOO_LARGE);
    answer(fixture, "HTTP/1.1 204 OK\r\n\r\n", WIRE_KEEP);
    assert_ok(send_it(fixture, &request));
}

static void endless_headers_are_cut_off(void **state)
{
    struct fixture *fixture = *state;
    struct dic_buf bytes;
    dic_buf_init(&bytes, 1024 * 1024);
    dic_buf_append_text(&bytes, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 700; i++) {
        dic_buf_printf(&bytes, "x-%05d: %090d\r\n", i, 7); /* 100 bytes a line as it is kept */
    }
    dic_buf_append_text(&bytes, "Content-Length: 0\r\n\r\n");
    answer(fixture, bytes.ptr, WIRE_KEEP);
    assert_code(get(fixture), DIC_E_UPSTREAM);
    assert_non_null(strstr(fixture->err.msg, "65536 bytes of headers"));
    wire_server_wait_closed(&fixture->server, 1); /* then nobody reads the bytes any more */
    dic_buf_clean_up(&bytes);
}

static void an_answer_cut_at_any_byte_is_no_answer(void **state)
{
    struct fixture *fixture = *state;
    static const char *const forms[] = {
        OK_HI, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        size_t whole = strlen(forms[i]) - i; /* libcurl does not wait for the very last line feed */
        for (size_t len = 1; len < whole; len++) {
            struct wire_step step = {.bytes = forms[i], .len = len, .end = WIRE_CLOSE};
            wire_server_script(&fixture->server, 1, &step);
            if (get(fixture) != DIC_E_UPSTREAM) {
                print_error("answer %zu cut at %zu is one\n", i, len);
                fail();
            }
            assert_true(fixture->response.sent);
            assert_int_equal(fixture->response.status, 0);
        }
    }
    answer(fixture, OK_HI, WIRE_KEEP);
    assert_ok(get(fixture));
}

static void bytes_after_an_answer_are_not_the_next_one(void **state)
{
    struct fixture *fixture = *state;
    static const struct wire_step steps[] = {
        {.bytes = OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"}, {.bytes = OK_HI}};
    wire_server_script(&fixture->server, 2, steps);
    for (int i = 0; i < 3; i++) {
        assert_ok(get(fixture));
        assert_view(dic_buf_view(&fixture->response.body), "hi");
    }
}

static void a_reset_in_the_body_is_an_upstream_error(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", WIRE_RESET);
    assert_code(get(fixture), DIC_E_UPSTREAM);
    assert_true(fixture->response.sent);
}

static void what_is_no_http_is_an_upstream_error(void **state)
{
    struct fixture *fixture = *state;
    static const char *const answers[] = {"SSH-2.0-x\r\n", "\r\n\r\n", "HTTP/0.9 x\r\n\r\n",
                                          "{\"a\":1}"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        answer(fixture, answers[i], WIRE_CLOSE);
        assert_code(get(fixture), DIC_E_UPSTREAM);
    }
}

/* ---- connections ---- */

static void connections_are_kept(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        assert_ok(get(fixture));
    }
    assert_int_equal(wire_server_connections(&fixture->server), 1);
}

struct sender {
    struct fixture *fixture;
    atomic_bool cancel;
    struct dic_http_response response;
    enum dic_code code;
};

static void *send_in_thread(void *context)
{
    struct sender *sender = context;
    struct dic_http_request request = get_request(sender->fixture);
    request.timeout_ms = 250000;
    request.cancel = &sender->cancel;
    sender->code = sender->fixture->client.ops->send(sender->fixture->client.impl, &request,
                                                     &sender->response, NULL);
    return NULL;
}

static void each_host_gets_the_handle_that_is_connected_to_it(void **state)
{
    struct fixture *fixture = *state;
    static const struct wire_step step = {.bytes = OK_HI, .after_requests = 2};
    wire_server_script(&fixture->server, 1, &step);
    struct sender sender = {.fixture = fixture};
    dic_http_response_init(&sender.response);
    pthread_t thread;
    dic_thread_start(&thread, "sender", send_in_thread, &sender);
    wire_server_wait_requests(&fixture->server, 1);
    char other[64]; /* the same server by another name; the first handle waits for this request */
    snprintf(other, sizeof other, "http://localhost:%u/", (unsigned)fixture->server.port);
    struct dic_http_request request = get_request(fixture);
    request.url = dic_str(other);
    assert_ok(send_it(fixture, &request));
    dic_thread_join(thread);
    assert_ok(sender.code);
    for (int i = 0; i < 4; i++) {
        assert_ok(get(fixture));
        assert_ok(send_it(fixture, &request));
    }
    assert_int_equal(wire_server_connections(&fixture->server), 2);
    dic_http_response_clean_up(&sender.response);
}

static void nobody_listening_is_an_upstream_error_and_nothing_sent(void **state)
{
    struct fixture *fixture = *state;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)(void *)&address, &len), 0);
    char url[64]; /* a port that is taken and not listened on */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    struct dic_http_request request = get_request(fixture);
    request.url = dic_str(url);
    assert_code(send_it(fixture, &request), DIC_E_UPSTREAM);
    assert_false(fixture->response.sent);
    assert_non_null(strstr(fixture->err.msg, "http://127.0.0.1:"));
    close(listener);
}

static void a_kept_connection_closed_meanwhile_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, OK_HI, WIRE_CLOSE);
    assert_ok(get(fixture));
    wire_server_wait_closed(&fixture->server, 1);
    assert_ok(get(fixture));
    assert_int_equal(wire_server_connections(&fixture->server), 2);
}

/* libcurl would send it a second time by itself. */
static void a_request_lost_on_a_kept_connection_is_sent_once_and_reported(void **state)
{
    struct fixture *fixture = *state;
    static const struct wire_step steps[] = {
        {.bytes = OK_HI}, {.bytes = "", .end = WIRE_CLOSE}, {.bytes = OK_HI}};
    wire_server_script(&fixture->server, 3, steps);
    assert_ok(get(fixture));
    assert_code(get(fixture), DIC_E_UPSTREAM);
    assert_true(fixture->response.sent);
    assert_non_null(strstr(fixture->err.msg, "without an answer"));
    assert_int_equal(wire_server_requests(&fixture->server), 2);
    assert_ok(get(fixture));
}

static void a_server_that_does_not_answer_is_a_timeout(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "", WIRE_HOLD);
    struct dic_http_request request = get_request(fixture);
    request.timeout_ms = 100;
    assert_code(send_it(fixture, &request), DIC_E_TIMEOUT);
    assert_true(fixture->response.sent);
    answer(fixture, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow", WIRE_HOLD);
    assert_code(send_it(fixture, &request), DIC_E_TIMEOUT);
    request.timeout_ms = 0;
    assert_code(send_it(fixture, &request), DIC_E_TIMEOUT);
    assert_false(fixture->response.sent);
}

/* ---- cancelling ---- */

static void waking_ends_a_cancelled_request_at_once(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "", WIRE_HOLD);
    struct sender sender = {.fixture = fixture};
    dic_http_response_init(&sender.response);
    pthread_t thread;
    dic_thread_start(&thread, "sender", send_in_thread, &sender);
    wire_server_wait_requests(&fixture->server, 1);
    fixture->client.ops->wake(fixture->client.impl); /* not cancelled: it goes on */
    atomic_store(&sender.cancel, true);
    fixture->client.ops->wake(fixture->client.impl);
    dic_thread_join(thread);
    assert_code(sender.code, DIC_E_CONFLICT);
    assert_true(sender.response.sent);
    dic_http_response_clean_up(&sender.response);
    wire_server_wait_closed(&fixture->server, 1); /* its connection is of no use any more */
    answer(fixture, OK_HI, WIRE_KEEP);
    assert_ok(get(fixture));
}

static void a_request_cancelled_before_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    atomic_bool cancel = true;
    struct dic_http_request request = get_request(fixture);
    request.cancel = &cancel;
    assert_code(send_it(fixture, &request), DIC_E_CONFLICT);
    assert_false(fixture->response.sent);
    assert_int_equal(wire_server_requests(&fixture->server), 0);
}

/* ---- threads ---- */

static void *send_many(void *context)
{
    struct fixture *fixture = context;
    struct dic_http_response response;
    dic_http_response_init(&response);
    size_t failed = 0;
    for (int i = 0; i < 50; i++) {
        struct dic_http_request request = get_request(fixture);
        failed +=
            fixture->client.ops->send(fixture->client.impl, &request, &response, NULL) != DIC_OK ||
            !dic_str_is(dic_buf_view(&response.body), "hi");
        fixture->client.ops->wake(fixture->client.impl);
    }
    dic_http_response_clean_up(&response);
    return failed == 0 ? context : NULL;
}

static void threads_send_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        dic_thread_start(&threads[i], "sender", send_many, fixture);
    }
    for (size_t i = 0; i < 8; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        assert_non_null(fine);
    }
    assert_int_equal(wire_server_requests(&fixture->server), 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_is_sent_with_nothing_added_but_the_encoding),
        TEST(paths_and_queries_are_sent_byte_for_byte),
        TEST(a_url_without_a_path_asks_for_the_root),
        TEST(bodies_have_a_length_and_no_expectation),
        TEST(a_content_type_is_sent_as_it_is_given),
        TEST(a_header_longer_than_servers_take_is_refused),
        TEST(put_and_post_have_a_length_even_without_a_body),
        TEST(zeros_in_a_body_are_sent),
        TEST(a_head_ends_with_its_headers),
        TEST(what_cannot_be_sent_is_refused),
        TEST(one_header_over_the_limit_is_refused),
        TEST(proxies_of_the_environment_are_not_used),
        TEST(headers_come_in_lower_case_and_trimmed),
        TEST(a_redirect_is_an_answer_and_not_followed),
        TEST(a_compressed_body_is_left_as_it_is),
        TEST(one_byte_over_the_ceiling_is_too_large),
        TEST(a_ceiling_of_nothing_allows_an_empty_body_only),
        TEST(endless_headers_are_cut_off),
        TEST(an_answer_cut_at_any_byte_is_no_answer),
        TEST(bytes_after_an_answer_are_not_the_next_one),
        TEST(a_reset_in_the_body_is_an_upstream_error),
        TEST(what_is_no_http_is_an_upstream_error),
        TEST(connections_are_kept),
        TEST(each_host_gets_the_handle_that_is_connected_to_it),
        TEST(nobody_listening_is_an_upstream_error_and_nothing_sent),
        TEST(a_kept_connection_closed_meanwhile_is_replaced),
        TEST(a_request_lost_on_a_kept_connection_is_sent_once_and_reported),
        TEST(a_server_that_does_not_answer_is_a_timeout),
        TEST(waking_ends_a_cancelled_request_at_once),
        TEST(a_request_cancelled_before_is_not_sent),
        TEST(threads_send_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
