/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_socket.h"

#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void port_0_takes_a_free_port_and_says_which(void **state)
{
    struct dic_err err = {0};
    uint16_t port = 0;
    int fd = -1;
    (void)state;
    assert_ok(dic_listen_socket("127.0.0.1", 0, &fd, &port, &err));
    assert_int_not_equal(port, 0);
    int client = connect_to(port);
    assert_true(client >= 0);
    close(client);
    close(fd);
}

static void a_port_that_is_taken_is_refused_with_the_reason(void **state)
{
    struct dic_err err = {0};
    uint16_t port = 0;
    uint16_t other = 7;
    int fd = -1;
    int second = -7;
    (void)state;
    assert_ok(dic_listen_socket("127.0.0.1", 0, &fd, &port, &err));
    assert_code(dic_listen_socket("127.0.0.1", port, &second, &other, &err), DIC_E_UPSTREAM);
    assert_int_equal(second, -7);
    assert_int_equal(other, 7);
    assert_string_equal(err.field, "PORT");
    assert_non_null(strstr(err.msg, "Address already in use"));
    close(fd);
}

static void a_port_with_connections_that_wait_is_taken_again(void **state)
{
    struct dic_err err = {0};
    uint16_t port = 0;
    int fd = -1;
    (void)state;
    assert_ok(dic_listen_socket("127.0.0.1", 0, &fd, &port, &err));
    int client = connect_to(port);
    int server = accept(fd, NULL, NULL);
    assert_true(client >= 0 && server >= 0);
    close(server); /* who closes first is left in TIME_WAIT, on the port */
    close(client);
    close(fd);
    assert_ok(dic_listen_socket("127.0.0.1", port, &fd, &port, &err));
    close(fd);
}

static void ipv6_addresses_are_taken(void **state)
{
    struct dic_err err = {0};
    uint16_t port = 0;
    int fd = -1;
    struct sockaddr_in6 address;
    socklen_t len = sizeof address;
    (void)state;
    if (dic_listen_socket("::1", 0, &fd, &port, &err) != DIC_OK) {
        assert_non_null(strstr(err.msg, "::1")); /* a machine without IPv6 says so */
        skip();
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(address.sin6_family, AF_INET6);
    assert_int_equal(ntohs(address.sin6_port), port);
    assert_int_equal(connect_to(port), -1); /* IPv4 does not get there */
    close(fd);
}

static void an_address_that_is_not_numeric_is_named(void **state)
{
    static const char *const texts[] = {"localhost",  "",    "127.0.0",
                                        "127.0.0.1.", "::g", "1.2.3.4:80"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct dic_err err = {0};
        uint16_t port = 0;
        int fd = -1;
        assert_code(dic_listen_socket(texts[i], 0, &fd, &port, &err), DIC_E_INVALID);
        assert_string_equal(err.field, "BIND_ADDRESS");
        assert_int_equal(fd, -1);
    }
}

static void an_address_of_another_machine_is_refused(void **state)
{
    struct dic_err err = {0};
    uint16_t port = 0;
    int fd = -1;
    (void)state;
    assert_code(dic_listen_socket("203.0.113.1", 0, &fd, &port, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "Cannot assign requested address"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_takes_a_free_port_and_says_which),
        cmocka_unit_test(a_port_that_is_taken_is_refused_with_the_reason),
        cmocka_unit_test(a_port_with_connections_that_wait_is_taken_again),
        cmocka_unit_test(ipv6_addresses_are_taken),
        cmocka_unit_test(an_address_that_is_not_numeric_is_named),
        cmocka_unit_test(an_address_of_another_machine_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
