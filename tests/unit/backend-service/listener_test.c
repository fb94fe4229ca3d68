/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"

#include "base/clock.h"

#include "test.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

static struct dic_listener *listen_on(const char *address, uint16_t port)
{
    struct dic_listener *listener = NULL;
    struct dic_err err = {0};
    assert_ok(dic_listener_open(address, port, &listener, &err));
    assert_true(dic_listener_port(listener) > 0);
    return listener;
}

static int connect_to(const struct dic_listener *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(dic_listener_port(listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int accept_one(struct dic_listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = 0;
    int fd = dic_listener_accept(listener, &peer, &peer_len);
    if (fd >= 0) {
        assert_int_equal(peer.ss_family, AF_INET);
        assert_int_equal(peer_len, sizeof(struct sockaddr_in));
    }
    return fd;
}

static bool is_waited_on(const struct dic_listener *listener)
{
    int64_t again_ms = 0;
    const int fd = dic_listener_poll_fd(listener, &again_ms);
    assert_true((fd >= 0 && again_ms == -1) || fd == -1);
    return fd >= 0;
}

static void a_connection_is_accepted_once(void **state)
{
    (void)state;
    struct dic_listener *listener = listen_on("127.0.0.1", 0);
    assert_int_equal(accept_one(listener), -1);
    int client = connect_to(listener);
    int fd = accept_one(listener);
    assert_true(fd >= 0);
    assert_int_equal(accept_one(listener), -1);
    assert_true(is_waited_on(listener)); /* having none is no reason to pause */
    close(fd);
    close(client);
    dic_listener_close(listener);
}

static void addresses_of_both_families_are_numeric(void **state)
{
    (void)state;
    struct dic_listener *listener = NULL;
    struct dic_err err = {0};
    static const char *const bad[] = {"localhost", "", "127.0.0.1.1", "::g", "127.0.0.1:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_code(dic_listener_open(bad[i], 0, &listener, &err), DIC_E_INVALID);
        assert_string_equal(err.field, "BIND_ADDRESS");
    }
    dic_listener_close(listen_on("0.0.0.0", 0));
    if (dic_listener_open("::1", 0, &listener, &err) == DIC_OK) { /* where there is IPv6 */
        dic_listener_close(listener);
    }
}

static void a_taken_port_is_named(void **state)
{
    (void)state;
    struct dic_listener *first = listen_on("127.0.0.1", 0);
    struct dic_listener *second = NULL;
    struct dic_err err = {0};
    assert_code(dic_listener_open("127.0.0.1", dic_listener_port(first), &second, &err),
                DIC_E_UPSTREAM);
    assert_string_equal(err.field, "PORT");
    assert_non_null(strstr(err.msg, "in use"));
    dic_listener_close(first);
}

static void a_stopped_listener_is_not_waited_on(void **state)
{
    (void)state;
    struct dic_listener *listener = listen_on("127.0.0.1", 0);
    assert_true(is_waited_on(listener));
    dic_listener_stop(listener);
    assert_false(is_waited_on(listener));
    dic_listener_close(listener);
    dic_listener_close(NULL);
}

/* The next descriptor is over the limit. */
static void take_descriptors_away(struct rlimit *before_out)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before_out), 0);
    int next = dup(STDERR_FILENO);
    assert_true(next >= 0);
    close(next);
    const struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before_out->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void without_descriptors_accepting_pauses_and_the_client_waits(void **state)
{
    (void)state;
    struct rlimit before;
    int64_t again_ms = 0;
    struct dic_listener *listener = listen_on("127.0.0.1", 0);
    int client = connect_to(listener);
    take_descriptors_away(&before);
    assert_int_equal(accept_one(listener), -1);
    assert_int_equal(dic_listener_poll_fd(listener, &again_ms), -1);
    assert_true(again_ms > 0 && again_ms <= DIC_ACCEPT_PAUSE_MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (!is_waited_on(listener)) {
        dic_sleep_ms(1);
    }
    int second = connect_to(listener); /* Valgrind's own limit loses the first one */
    int fd = accept_one(listener);
    assert_true(fd >= 0);
    close(fd);
    close(second);
    close(client);
    dic_listener_close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_accepted_once),
        cmocka_unit_test(addresses_of_both_families_are_numeric),
        cmocka_unit_test(a_taken_port_is_named),
        cmocka_unit_test(a_stopped_listener_is_not_waited_on),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_the_client_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
