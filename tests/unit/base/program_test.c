/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include "test.h"

#include "base/mem.h"
#include "capture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct values {
    int64_t port;
};

static const struct dic_setting table[] = {
    {"T_PORT", DIC_SETTING_NUMBER, offsetof(struct values, port), "8080", 0, 65535, false,
     "where it listens"},
};

static struct values values;
static const struct dic_settings_group groups[] = {{table, 1, &values}};
static const struct dic_program program = {"tester", "Tests things.", "1.2.3", groups, 1};

static enum dic_program_mode start(const char *first, const char *second)
{
    char arguments[2][64] = {"", ""};
    char *argv[4] = {arguments[0], NULL, NULL, NULL};
    int argc = 1;
    if (first != NULL) {
        strncpy(arguments[0], first, sizeof arguments[0] - 1);
        argv[argc++] = arguments[0];
    }
    if (second != NULL) {
        strncpy(arguments[1], second, sizeof arguments[1] - 1);
        argv[argc++] = arguments[1];
    }
    return dic_program_start(&program, argc, argv);
}

static void without_arguments_a_program_runs(void **state)
{
    (void)state;
    assert_int_equal(start(NULL, NULL), DIC_PROGRAM_RUN);
    assert_int_equal(start("--check-config", NULL), DIC_PROGRAM_CHECK);
}

static void questions_are_answered_on_standard_output(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        const char *words[3];
    } cases[] = {
        {"--help", {"tester — Tests things.", "--check-config", "T_PORT"}},
        {"--version", {"tester 1.2.3\n", "", ""}},
        {"--print-config-docs", {"| `T_PORT` | `8080` | 0–65535 | where it listens |", "", ""}},
    };
    for (size_t i = 0; i < 3; i++) {
        dic_capture_begin(STDOUT_FILENO);
        enum dic_program_mode mode = start(cases[i].flag, NULL);
        const char *text = dic_capture_end();
        assert_int_equal(mode, DIC_PROGRAM_DONE);
        for (int w = 0; w < 3; w++) {
            assert_non_null(strstr(text, cases[i].words[w]));
        }
    }
}

static void what_is_not_known_is_named_on_standard_error(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"--loud", NULL, "--loud"}, {"run", NULL, "run"}, {"--help", "me", "me"}};
    for (size_t i = 0; i < 3; i++) {
        dic_capture_begin(STDERR_FILENO);
        enum dic_program_mode mode = start(cases[i][0], cases[i][1]);
        const char *text = dic_capture_end();
        assert_int_equal(mode, DIC_PROGRAM_USAGE_ERROR);
        assert_non_null(strstr(text, cases[i][2]));
        assert_non_null(strstr(text, "try --help"));
    }
}

static void ends_are_reported_with_their_status(void **state)
{
    (void)state;
    const struct dic_err err = {.msg = "T_PORT='x' is not a whole number"};
    dic_capture_begin(STDERR_FILENO);
    int status = dic_program_failed(&program, &err);
    assert_string_equal(dic_capture_end(), "tester: T_PORT='x' is not a whole number\n");
    assert_int_equal(status, 1);
    dic_capture_begin(STDOUT_FILENO);
    status = dic_program_checked(&program);
    assert_string_equal(dic_capture_end(), "tester: the configuration is valid\n");
    assert_int_equal(status, 0);
}

static void a_blocked_signal_is_waited_for(void **state)
{
    (void)state;
    dic_program_block_signals();
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(dic_program_wait_for_signal(), SIGTERM);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(dic_program_wait_for_signal(), SIGINT);
    assert_int_equal(kill(getpid(), SIGPIPE), 0); /* is ignored */
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void a_pending_signal_is_seen_without_being_taken(void **state)
{
    (void)state;
    static const int asked[] = {SIGTERM, SIGINT};
    int fd = -1;
    dic_program_block_signals();
    assert_int_equal(dic_program_signals_fd(&fd, NULL), DIC_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_false(dic_program_signal_is_pending() || is_readable(fd));
        assert_int_equal(kill(getpid(), asked[i]), 0);
        assert_true(dic_program_signal_is_pending() && is_readable(fd));
        assert_true(dic_program_signal_is_pending() && is_readable(fd));
        assert_int_equal(dic_program_wait_for_signal(), asked[i]);
    }
    assert_false(dic_program_signal_is_pending() || is_readable(fd));
    close(fd);
}

static void a_program_knows_its_folder(void **state)
{
    (void)state;
    char *folder = dic_program_folder();
    char path[4200];
    snprintf(path, sizeof path, "%s/program_test", folder);
    assert_int_equal(access(path, X_OK), 0);
    dic_free(folder);
}

static void the_limit_of_descriptors_is_raised_as_far_as_it_may(void **state)
{
    (void)state;
    struct rlimit before;
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit low = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(dic_program_raise_open_files(512) == 512);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == 512);
    assert_true(dic_program_raise_open_files(UINT64_MAX - 1) == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == before.rlim_max);
    assert_true(dic_program_raise_open_files(1) == before.rlim_max); /* never lowers it */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void a_program_that_hangs_at_its_end_ends_all_the_same(void **state)
{
    (void)state;
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        dic_program_end_within(1);
        for (;;) {
            pause();
        }
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_a_program_runs),
        cmocka_unit_test(questions_are_answered_on_standard_output),
        cmocka_unit_test(what_is_not_known_is_named_on_standard_error),
        cmocka_unit_test(ends_are_reported_with_their_status),
        cmocka_unit_test(a_blocked_signal_is_waited_for),
        cmocka_unit_test(a_pending_signal_is_seen_without_being_taken),
        cmocka_unit_test(a_program_that_hangs_at_its_end_ends_all_the_same),
        cmocka_unit_test(a_program_knows_its_folder),
        cmocka_unit_test(the_limit_of_descriptors_is_raised_as_far_as_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
