/* SPDX-License-Identifier: Apache-2.0 */
#include "child_run.h"

#include "test.h"

#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static enum dic_code succeed(void *context, struct dic_err *err)
{
    (void)err;
    *(int *)context = 7;
    return DIC_OK;
}

static enum dic_code refuse(void *context, struct dic_err *err)
{
    (void)context;
    dic_fail_field(err, DIC_E_DENIED, "MODEL_URI", "no entry");
    err->retryable = true;
    return DIC_E_DENIED;
}

static enum dic_code leave(void *context, struct dic_err *err)
{
    (void)err;
    _exit(*(int *)context);
}

static enum dic_code be_killed(void *context, struct dic_err *err)
{
    (void)err;
    raise(*(int *)context);
    return DIC_OK;
}

static enum dic_code never_end(void *context, struct dic_err *err)
{
    (void)context;
    (void)err;
    while (pause() != 0) {
    }
    return DIC_OK;
}

static enum dic_code run(enum dic_code (*function)(void *, struct dic_err *), void *context,
                         int64_t timeout_ms, struct dic_err *err)
{
    const struct dic_child_options options = {"the work", function, context, timeout_ms};
    return dic_child_run(&options, err);
}

static void assert_no_child_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void it_runs_in_a_memory_of_its_own(void **state)
{
    (void)state;
    int mine = 3;
    int *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_ok(run(succeed, &mine, 60000, NULL));
    assert_int_equal(mine, 3);
    assert_ok(run(succeed, shared, 60000, NULL));
    assert_int_equal(*shared, 7);
    munmap(shared, sizeof *shared);
    assert_no_child_is_left();
}

static void its_error_is_the_callers(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_code(run(refuse, NULL, 60000, &err), DIC_E_DENIED);
    assert_int_equal(err.code, DIC_E_DENIED);
    assert_true(err.retryable);
    assert_string_equal(err.field, "MODEL_URI");
    assert_string_equal(err.msg, "no entry");
    assert_code(run(refuse, NULL, 60000, NULL), DIC_E_DENIED);
    assert_no_child_is_left();
}

static void an_end_without_a_word_is_an_error_that_says_how(void **state)
{
    (void)state;
    int status = 5;
    int signals[] = {SIGUSR1, SIGKILL};
    struct dic_err err = {0};
    assert_code(run(leave, &status, 60000, &err), DIC_E_INTERNAL);
    assert_string_equal(err.msg, "the work ended with status 5 and no word");
    assert_code(run(be_killed, &signals[0], 60000, &err), DIC_E_INTERNAL);
    assert_string_equal(err.msg, "the work ended with signal 10");
    assert_code(run(be_killed, &signals[1], 60000, &err), DIC_E_INTERNAL);
    assert_string_equal(err.msg, "the work ended with signal 9, as when memory runs out");
    assert_no_child_is_left();
}

static void one_that_does_not_end_is_killed_in_time(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_code(run(never_end, NULL, 20, &err), DIC_E_TIMEOUT);
    assert_non_null(strstr(err.msg, "the work did not end"));
    assert_no_child_is_left();
}

/* Blocked before the fork and pending before the wait, so nothing depends on time. */
static void a_signal_that_asks_to_end_ends_it_and_stays_pending(void **state)
{
    (void)state;
    static const int asked[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        struct dic_err err = {0};
        assert_false(dic_program_signal_is_pending());
        assert_int_equal(kill(getpid(), asked[i]), 0);
        assert_code(run(never_end, NULL, 600000, &err), DIC_E_CONFLICT);
        assert_string_equal(err.msg, "the work was stopped by a signal");
        assert_true(dic_program_signal_is_pending());
        assert_int_equal(dic_program_wait_for_signal(), asked[i]);
        assert_no_child_is_left();
    }
}

static enum dic_code ask_parent_to_end(void *context, struct dic_err *err)
{
    kill(getppid(), SIGTERM);
    return never_end(context, err);
}

static void a_signal_that_comes_while_it_works_ends_it_too(void **state)
{
    (void)state;
    assert_code(run(ask_parent_to_end, NULL, 600000, NULL), DIC_E_CONFLICT);
    assert_int_equal(dic_program_wait_for_signal(), SIGTERM);
    assert_no_child_is_left();
}

/* The grandchild holds the write end of a pipe, whose end of file tells that it is gone. */
static enum dic_code say_and_wait(void *context, struct dic_err *err)
{
    const ssize_t written = write(*(int *)context, "x", 1);
    (void)written;
    return never_end(NULL, err);
}

static void it_dies_with_its_parent(void **state)
{
    (void)state;
    int pair[2];
    char byte = 0;
    assert_int_equal(pipe(pair), 0);
    const pid_t parent = fork();
    if (parent == 0) {
        close(pair[0]);
        enum dic_code code = run(say_and_wait, &pair[1], 600000, NULL);
        _exit((int)code);
    }
    close(pair[1]);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(pair[0], &byte, 1), 0);
    close(pair[0]);
}

static void no_descriptor_is_left_open(void **state)
{
    (void)state;
    int value = 0;
    const int before = dup(0);
    close(before);
    assert_ok(run(succeed, &value, 60000, NULL));
    assert_code(run(refuse, NULL, 60000, NULL), DIC_E_DENIED);
    assert_code(run(never_end, NULL, 1, NULL), DIC_E_TIMEOUT);
    const int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

int main(void)
{
    dic_program_block_signals();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_in_a_memory_of_its_own),
        cmocka_unit_test(its_error_is_the_callers),
        cmocka_unit_test(an_end_without_a_word_is_an_error_that_says_how),
        cmocka_unit_test(one_that_does_not_end_is_killed_in_time),
        cmocka_unit_test(a_signal_that_asks_to_end_ends_it_and_stays_pending),
        cmocka_unit_test(a_signal_that_comes_while_it_works_ends_it_too),
        cmocka_unit_test(it_dies_with_its_parent),
        cmocka_unit_test(no_descriptor_is_left_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
