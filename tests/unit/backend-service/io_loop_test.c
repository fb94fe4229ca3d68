/* SPDX-License-Identifier: Apache-2.0 */
#include "io_loop.h"

#include "base/thread.h"

#include "test.h"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { NEVER = -1 };

/* What a loop did, and how it is to behave. */
struct served {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    int rounds;
    int added;
    int room;
    int64_t timeout_ms;
    struct dic_listener *listener;
    int event_fd;
    struct dic_io_loop *loop;
};

static void run(void *context)
{
    struct served *served = context;
    uint64_t count = 0;
    DIC_GUARD(&served->lock);
    ssize_t got = read(served->event_fd, &count, sizeof count);
    (void)got; /* empty when something else was the reason */
    served->rounds++;
    pthread_cond_broadcast(&served->changed);
}

static int64_t timeout_ms(void *context)
{
    struct served *served = context;
    DIC_GUARD(&served->lock);
    return served->timeout_ms;
}

static bool has_room(void *context)
{
    struct served *served = context;
    DIC_GUARD(&served->lock);
    return served->added < served->room;
}

static void add(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct served *served = context;
    assert_int_equal(peer->sa_family, AF_INET);
    assert_int_equal(peer_len, sizeof(struct sockaddr_in));
    close(fd);
    DIC_GUARD(&served->lock);
    served->added++;
    pthread_cond_broadcast(&served->changed);
}

static void start(struct served *served)
{
    struct dic_err err = {0};
    dic_mutex_init(&served->lock);
    dic_cond_init(&served->changed);
    served->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(served->event_fd >= 0);
    assert_ok(dic_listener_open("127.0.0.1", 0, &served->listener, &err));
    const struct dic_io_work work = {
        .fd = served->event_fd,
        .run = run,
        .timeout_ms = timeout_ms,
        .has_room = has_room,
        .add = add,
        .context = served,
    };
    assert_ok(dic_io_loop_start(&work, served->listener, &served->loop, &err));
}

static void stop(struct served *served)
{
    dic_io_loop_stop(served->loop);
    dic_listener_close(served->listener);
    close(served->event_fd);
    pthread_mutex_destroy(&served->lock);
    pthread_cond_destroy(&served->changed);
}

static void wait_for(struct served *served, const int *counter, int at_least)
{
    DIC_GUARD(&served->lock);
    while (*counter < at_least) {
        assert_true(dic_cond_wait_ms(&served->changed, &served->lock, 20000));
    }
}

static int connect_to(const struct served *served)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(dic_listener_port(served->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void make_a_round(struct served *served)
{
    dic_lock(&served->lock);
    const int rounds = served->rounds;
    dic_unlock(&served->lock);
    dic_io_loop_wake(served->loop);
    wait_for(served, &served->rounds, rounds + 1);
}

static void each_of_its_three_reasons_makes_it_run(void **state)
{
    (void)state;
    struct served served = {.timeout_ms = NEVER, .room = 1};
    const uint64_t one = 1;
    start(&served);
    dic_io_loop_wake(served.loop);
    wait_for(&served, &served.rounds, 1);
    assert_int_equal(write(served.event_fd, &one, sizeof one), sizeof one);
    wait_for(&served, &served.rounds, 2);
    int client = connect_to(&served);
    wait_for(&served, &served.added, 1);
    wait_for(&served, &served.rounds, 3);
    close(client);
    stop(&served);
}

static void it_runs_when_the_work_s_time_is_up(void **state)
{
    (void)state;
    struct served served = {.timeout_ms = 1};
    start(&served);
    wait_for(&served, &served.rounds, 3);
    stop(&served);
}

static void connections_wait_until_there_is_room(void **state)
{
    (void)state;
    struct served served = {.timeout_ms = NEVER, .room = 2};
    int clients[3];
    start(&served);
    for (size_t i = 0; i < 3; i++) {
        clients[i] = connect_to(&served);
    }
    wait_for(&served, &served.added, 2);
    make_a_round(&served);
    make_a_round(&served); /* the first one may have begun before */
    dic_lock(&served.lock);
    assert_int_equal(served.added, 2);
    served.room = 3;
    dic_unlock(&served.lock);
    dic_io_loop_wake(served.loop);
    wait_for(&served, &served.added, 3);
    for (size_t i = 0; i < 3; i++) {
        close(clients[i]);
    }
    stop(&served);
}

static void no_loop_can_be_stopped(void **state)
{
    (void)state;
    dic_io_loop_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_its_three_reasons_makes_it_run),
        cmocka_unit_test(it_runs_when_the_work_s_time_is_up),
        cmocka_unit_test(connections_wait_until_there_is_room),
        cmocka_unit_test(no_loop_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
