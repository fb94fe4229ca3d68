/* SPDX-License-Identifier: Apache-2.0 */
/* What a process in the sandbox can still do, call by call. */
#include "sandbox.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STACK_BYTES = 1 << 20,
    LIMIT_BYTES = 64 << 20,
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* the call failed, but the process lives */
    EXIT_NO_SANDBOX = 90,
};

static int sockets[2]; /* ours, and the one that the process in the sandbox keeps */
static int other_fd;

static int set_up(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        return -1;
    }
    other_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return other_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(sockets[0]);
    close(sockets[1]);
    close(other_fd);
    return 0;
}

/*
 * Runs a function in a process of its own, and returns waitpid's status. The process has its own
 * descriptors, limits, filter and signals, but this one's memory, so that what it runs is counted
 * here: it could write no file. Sanitizers do not know such processes: with them it is a fork.
 */
static int run(int (*function)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = -1;
    char *stack = NULL;
    if (DIC_SANDBOX_LOOSE) {
        pid = fork();
        if (pid == 0) {
            _exit(function(arg));
        }
    } else {
        stack = malloc(STACK_BYTES);
        assert_non_null(stack);
        pid = clone(function, stack + STACK_BYTES, CLONE_VM | SIGCHLD, arg);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* goes with the memory */
    free(stack);
    return status;
}

struct deed {
    const char *name;
    long (*call)(void);
    bool also_denied_when_loose;
};

static int do_in_sandbox(void *arg)
{
    const struct deed *deed = arg;
    if (dic_sandbox_enter(sockets[1], LIMIT_BYTES, NULL) != DIC_OK) {
        return EXIT_NO_SANDBOX;
    }
    return deed->call() >= 0 ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- what is allowed ---- */

static long echo(void)
{
    char text[16];
    ssize_t len = recv(sockets[1], text, sizeof text, 0);
    return len < 0 ? -1 : send(sockets[1], text, (size_t)len, MSG_NOSIGNAL);
}

static void its_own_socket_is_all_that_it_has(void **state)
{
    (void)state;
    const struct deed deed = {.call = echo};
    char text[16] = "";
    assert_int_equal(send(sockets[0], "hello", 5, 0), 5);
    assert_int_equal(run(do_in_sandbox, (void *)(uintptr_t)&deed), EXIT_DONE);
    assert_int_equal(recv(sockets[0], text, sizeof text, 0), 5);
    assert_string_equal(text, "hello");
}

static long read_other(void)
{
    char byte = 0;
    return read(other_fd, &byte, 1);
}

static long take_little(void)
{
    void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -1;
    }
    *(volatile char *)memory = 1;
    return munmap(memory, 1 << 20);
}

static long take_much(void)
{
    const size_t size = (size_t)LIMIT_BYTES * 2;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : munmap(memory, size);
}

static void other_descriptors_are_closed(void **state)
{
    (void)state;
    const struct deed deed = {.call = read_other};
    assert_int_equal(run(do_in_sandbox, (void *)(uintptr_t)&deed), EXIT_REFUSED << 8);
}

static void memory_is_to_be_had_up_to_the_limit(void **state)
{
    (void)state;
    const struct deed little = {.call = take_little};
    const struct deed much = {.call = take_much};
    assert_int_equal(run(do_in_sandbox, (void *)(uintptr_t)&little), EXIT_DONE);
    if (!DIC_SANDBOX_LOOSE) {
        assert_int_equal(run(do_in_sandbox, (void *)(uintptr_t)&much), EXIT_REFUSED << 8);
    }
}

static int take_much_without_limit(void *arg)
{
    (void)arg;
    if (dic_sandbox_enter(sockets[1], 0, NULL) != DIC_OK) {
        return EXIT_NO_SANDBOX;
    }
    return take_much() >= 0 ? EXIT_DONE : EXIT_REFUSED;
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(run(take_much_without_limit, NULL), EXIT_DONE);
}

/* ---- what is not ---- */

static long open_file(void)
{
    return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long make_socket(void)
{
    return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long execute(void)
{
    char *const arguments[] = {NULL};
    return syscall(SYS_execve, "/bin/true", arguments, arguments);
}

static long signal_parent(void)
{
    return syscall(SYS_kill, 1, 0);
}

static long trace(void)
{
    return syscall(SYS_ptrace, 0, 0, 0, 0);
}

static long make_process(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long map_code(void)
{
    return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long ask_for_pid(void)
{
    return syscall(SYS_getpid);
}

static long change_limits(void)
{
    return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, NULL);
}

static void other_calls_end_the_process(void **state)
{
    (void)state;
    static const struct deed deeds[] = {
        {"open", open_file, false},
        {"socket", make_socket, true},
        {"execve", execute, true},
        {"kill", signal_parent, true},
        {"ptrace", trace, true},
        {"clone", make_process, false},
        {"mmap of code", map_code, false},
        {"getpid", ask_for_pid, false},
        {"prlimit64", change_limits, false},
    };
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        if (DIC_SANDBOX_LOOSE && !deeds[i].also_denied_when_loose) {
            continue; /* sanitizers make such calls themselves */
        }
        int status = run(do_in_sandbox, (void *)(uintptr_t)&deeds[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            print_error("%s: status %x\n", deeds[i].name, status);
            fail();
        }
    }
}

/* ---- when it cannot be had ---- */

struct missing {
    int call; /* that the system refuses */
    const char *words;
    bool also_needed_when_loose;
};

static int enter_without(void *arg)
{
    const struct missing *missing = arg;
    struct dic_err err = {0};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), missing->call, 0) != 0 ||
        seccomp_load(filter) != 0) {
        return EXIT_NO_SANDBOX;
    }
    seccomp_release(filter);
    if (dic_sandbox_enter(sockets[1], LIMIT_BYTES, &err) != DIC_E_INTERNAL) {
        return EXIT_REFUSED;
    }
    return send(sockets[1], err.msg, strlen(err.msg), MSG_NOSIGNAL) > 0 ? EXIT_DONE : EXIT_REFUSED;
}

static void a_step_that_the_system_refuses_is_named(void **state)
{
    (void)state;
    static const struct missing cases[] = {
        {SCMP_SYS(prctl), "cannot give up new privileges: ", true},
        {SCMP_SYS(prlimit64), "cannot set a resource limit: ", true},
        {SCMP_SYS(openat), "cannot read /proc/self/statm: ", false},
        {SCMP_SYS(close_range), "cannot close descriptors: ", true},
        {SCMP_SYS(seccomp), "cannot load the seccomp filter: ", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200] = "";
        if (DIC_SANDBOX_LOOSE && !cases[i].also_needed_when_loose) {
            continue;
        }
        assert_int_equal(run(enter_without, (void *)(uintptr_t)&cases[i]), EXIT_DONE);
        assert_true(recv(sockets[0], text, sizeof text - 1, MSG_DONTWAIT) > 0);
        if (strstr(text, cases[i].words) == NULL) {
            print_error("'%s' lacks '%s'\n", text, cases[i].words);
            fail();
        }
    }
}

/* ---- its first part alone ---- */

static int close_others(void *arg)
{
    int kept = *(const int *)arg;
    if (dic_sandbox_close_others(kept, NULL) != DIC_OK) {
        return EXIT_NO_SANDBOX;
    }
    for (int fd = 0; fd < 100; fd++) {
        bool open_still = fcntl(fd, F_GETFD) >= 0;
        bool expected = fd == kept || (DIC_SANDBOX_LOOSE && fd <= STDERR_FILENO);
        if (open_still != expected) {
            return 1 + fd;
        }
    }
    return EXIT_DONE;
}

static void all_descriptors_but_one_are_closed_whichever_it_is(void **state)
{
    (void)state;
    for (int kept = DIC_SANDBOX_LOOSE ? 3 : 0; kept < 60; kept += 19) {
        const int fd = sockets[1];
        int saved = fcntl(kept, F_DUPFD_CLOEXEC, 90); /* what stands there now, if anything */
        if (kept != fd) {
            assert_int_equal(dup2(fd, kept), kept);
        }
        assert_int_equal(run(close_others, &kept), EXIT_DONE);
        if (kept != fd) {
            close(kept);
        }
        if (saved >= 0) {
            dup2(saved, kept);
            close(saved);
        }
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(its_own_socket_is_all_that_it_has),
        CASE(other_descriptors_are_closed),
        CASE(memory_is_to_be_had_up_to_the_limit),
        CASE(no_limit_is_no_limit),
        CASE(other_calls_end_the_process),
        CASE(a_step_that_the_system_refuses_is_named),
        CASE(all_descriptors_but_one_are_closed_whichever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
