/* SPDX-License-Identifier: Apache-2.0 */
/* On a clock that stands still: who is cut when, to the millisecond. */
#include "connection_watch.h"

#include "test.h"

#include "fake_clock.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_MS = 10000, IDLE_S = 60, BYTES_PER_S = 1000 };

static struct dic_fake_clock *fake;
static struct dic_watch *watch;
static int sockets[2]; /* the server's end, the client's */
static struct dic_watched *watched;

static int set_up(void **state)
{
    (void)state;
    fake = dic_fake_clock_new();
    const struct dic_watch_options options = {HEADER_MS, BYTES_PER_S, IDLE_S,
                                              dic_fake_clock_port(fake)};
    watch = dic_watch_new(&options);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    watched = dic_watch_add(watch, sockets[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_watch_remove(watch, watched);
    dic_watch_destroy(watch);
    dic_watch_destroy(NULL);
    close(sockets[0]);
    close(sockets[1]);
    dic_fake_clock_destroy(fake);
    return 0;
}

static bool is_cut_after(int64_t ms)
{
    char byte = 0;
    dic_fake_clock_advance_ms(fake, ms);
    dic_watch_look(watch);
    return recv(sockets[1], &byte, 1, MSG_DONTWAIT) == 0; /* the end of the stream */
}

static void headers_that_do_not_come_are_waited_for_so_long_and_no_longer(void **state)
{
    (void)state;
    assert_false(is_cut_after(HEADER_MS));
    assert_true(is_cut_after(1));
    assert_int_equal(dic_watch_cut(watch), 1);
    assert_true(is_cut_after(1000000)); /* once is enough */
    assert_int_equal(dic_watch_cut(watch), 1);
}

static void each_request_has_the_whole_time_for_its_headers(void **state)
{
    (void)state;
    assert_false(is_cut_after(HEADER_MS));
    dic_watch_headers(watched);
    assert_false(is_cut_after(HEADER_MS));
    assert_true(is_cut_after(1));
}

static void a_body_that_crawls_is_cut(void **state)
{
    (void)state;
    dic_watch_body(watched);
    assert_false(is_cut_after(HEADER_MS)); /* at first any body may be slow */
    assert_true(is_cut_after(1));
}

static void a_body_that_comes_fast_enough_may_last_as_long_as_it_does(void **state)
{
    (void)state;
    dic_watch_body(watched);
    for (int second = 1; second <= 100; second++) {
        dic_watch_body_bytes(watched, BYTES_PER_S);
        assert_false(is_cut_after(1000));
    }
    assert_true(is_cut_after(1)); /* one byte too few */
}

static void a_new_body_starts_from_nothing(void **state)
{
    (void)state;
    dic_watch_body(watched);
    dic_watch_body_bytes(watched, 1000000);
    assert_false(is_cut_after(20000));
    dic_watch_body(watched);
    assert_false(is_cut_after(HEADER_MS));
    assert_true(is_cut_after(1));
}

static void who_waits_for_an_answer_is_never_cut(void **state)
{
    (void)state;
    dic_watch_answering(watched);
    assert_false(is_cut_after(100000000));
    assert_int_equal(dic_watch_cut(watch), 0);
}

static void an_idle_connection_is_kept_for_its_time(void **state)
{
    (void)state;
    dic_watch_idle(watched);
    assert_false(is_cut_after(IDLE_S * 1000));
    assert_true(is_cut_after(1));
}

/* The first, a middle and the last one of the list leave it. */
static void connections_come_and_go_in_any_order(void **state)
{
    (void)state;
    struct dic_watched *others[4];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (int i = 0; i < 4; i++) {
        others[i] = dic_watch_add(watch, pair[0]);
    }
    assert_int_equal(dic_watch_open(watch), 5);
    dic_watch_remove(watch, others[3]);
    dic_watch_remove(watch, others[1]);
    dic_watch_remove(watch, NULL);
    assert_int_equal(dic_watch_open(watch), 3);
    assert_true(is_cut_after(HEADER_MS + 1));
    assert_int_equal(dic_watch_cut(watch), 3);
    dic_watch_remove(watch, others[0]);
    dic_watch_remove(watch, others[2]);
    assert_int_equal(dic_watch_open(watch), 1);
    close(pair[0]);
    close(pair[1]);
}

static void no_record_is_fine(void **state)
{
    (void)state;
    dic_watch_headers(NULL);
    dic_watch_body(NULL);
    dic_watch_body_bytes(NULL, 1);
    dic_watch_answering(NULL);
    dic_watch_idle(NULL);
}

/* With a real clock its own thread finds the connection, whenever that is. */
static void a_thread_looks_by_itself(void **state)
{
    (void)state;
    const struct dic_watch_options options = {.header_timeout_ms = 1};
    char byte = 0;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct dic_watch *real = dic_watch_new(&options);
    struct dic_watched *slow = dic_watch_add(real, pair[0]);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    dic_watch_remove(real, slow);
    dic_watch_destroy(real);
    close(pair[0]);
    close(pair[1]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(headers_that_do_not_come_are_waited_for_so_long_and_no_longer),
        CASE(each_request_has_the_whole_time_for_its_headers),
        CASE(a_body_that_crawls_is_cut),
        CASE(a_body_that_comes_fast_enough_may_last_as_long_as_it_does),
        CASE(a_new_body_starts_from_nothing),
        CASE(who_waits_for_an_answer_is_never_cut),
        CASE(an_idle_connection_is_kept_for_its_time),
        CASE(connections_come_and_go_in_any_order),
        CASE(no_record_is_fine),
        cmocka_unit_test(a_thread_looks_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
