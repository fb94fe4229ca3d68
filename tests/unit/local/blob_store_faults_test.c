/* SPDX-License-Identifier: Apache-2.0 */
/* The folder store when system calls fail, each in turn. */
#include "blob_store_fs.h"

#include "fault.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static struct dic_blob_store store;

static int open_store(void **state)
{
    struct dic_err err = {0};
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dic-faults-XXXXXX");
    return mkdtemp(folder) != NULL && dic_blob_store_fs_new(folder, &store, &err) == DIC_OK ? 0 : 1;
}

static int close_store(void **state)
{
    char command[128];
    (void)state;
    store.ops->destroy(store.impl);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void arm(const char *function, int error, uint32_t first)
{
    struct dic_fault *fault = dic_fault();
    memset(fault, 0, sizeof *fault);
    snprintf(fault->function, sizeof fault->function, "%s", function);
    fault->error = error;
    fault->first = first;
    fault->count = 1;
    atomic_store(&fault->armed, 1);
}

static bool disarm(void)
{
    atomic_store(&dic_fault()->armed, 0);
    return atomic_load(&dic_fault()->failed) > 0;
}

static enum dic_code put(const char *key, const char *text, bool if_absent, struct dic_err *err)
{
    return store.ops->put(store.impl, dic_str(key), dic_str(text), if_absent, err);
}

static enum dic_code get(const char *key, char text_out[16])
{
    struct dic_buf out;
    dic_buf_init(&out, 15);
    enum dic_code code = store.ops->get(store.impl, dic_str(key), 15, &out, NULL, NULL);
    snprintf(text_out, 16, "%.*s", (int)out.len, out.len > 0 ? out.ptr : "");
    dic_buf_clean_up(&out);
    return code;
}

static void assert_no_temporary_file(void)
{
    char command[160];
    snprintf(command, sizeof command, "test -z \"$(find %s -name '.dic-tmp-*')\"", folder);
    assert_int_equal(system(command), 0);
}

struct fault_case {
    const char *function;
    int error;
    enum dic_code code;
};

static const struct fault_case put_cases[] = {
    {"open", EMFILE, DIC_E_UPSTREAM}, {"open", ENOSPC, DIC_E_UPSTREAM},
    {"open", EACCES, DIC_E_DENIED},   {"write", ENOSPC, DIC_E_UPSTREAM},
    {"write", EIO, DIC_E_UPSTREAM},   {"write", EDQUOT, DIC_E_UPSTREAM},
    {"fsync", EIO, DIC_E_UPSTREAM},   {"fsync", ENOSPC, DIC_E_UPSTREAM},
    {"rename", EIO, DIC_E_UPSTREAM},  {"rename", ENOSPC, DIC_E_UPSTREAM},
    {"rename", EROFS, DIC_E_DENIED},  {"link", EIO, DIC_E_UPSTREAM},
    {"link", EMLINK, DIC_E_UPSTREAM}, {"mkdir", ENOSPC, DIC_E_UPSTREAM},
    {"mkdir", EACCES, DIC_E_DENIED},  {"mkdir", EDQUOT, DIC_E_UPSTREAM},
};

enum { CASES = sizeof put_cases / sizeof put_cases[0], MOST_CALLS = 20 };

/* Fails the first call, then the second, … until a put has no such call left to fail; returns how
 * many there were. before and after are what may be read when the put has failed. */
static uint32_t put_with_each_call_failing(const struct fault_case *fault, const char *text,
                                           bool if_absent, const char *before)
{
    for (uint32_t call = 1; call <= MOST_CALLS; call++) {
        char key[64];
        char seen[16];
        struct dic_err err = {0};
        snprintf(key, sizeof key, "%s-%d-%d/%u/object", fault->function, fault->error,
                 (int)if_absent, call);
        if (before != NULL) {
            assert_ok(put(key, before, false, NULL));
        }
        arm(fault->function, fault->error, call);
        enum dic_code code = put(key, text, if_absent, &err);
        if (!disarm()) {
            assert_ok(code);
            return call - 1;
        }
        assert_code(code, fault->code);
        assert_non_null(strstr(err.msg, strerror(fault->error)));
        assert_no_temporary_file();
        /* Whole, old or new: a fault after the renaming leaves the new one, perhaps not for good.
         */
        if (get(key, seen) == DIC_OK) {
            assert_true(strcmp(seen, text) == 0 || (before != NULL && strcmp(seen, before) == 0));
        } else {
            assert_null(before);
        }
        assert_ok(put(key, text, false, NULL));
        assert_ok(get(key, seen));
        assert_string_equal(seen, text);
    }
    fail_msg("%s is called more than %d times", fault->function, MOST_CALLS);
    return 0;
}

static void a_new_object_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const uint32_t calls = put_with_each_call_failing(&put_cases[i], "new", false, NULL);
        assert_true(calls > 0 || strcmp(put_cases[i].function, "link") == 0);
    }
}

static void an_object_that_may_not_be_replaced_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const uint32_t calls = put_with_each_call_failing(&put_cases[i], "new", true, NULL);
        assert_true(calls > 0 || strcmp(put_cases[i].function, "rename") == 0);
    }
}

static void an_object_that_cannot_be_replaced_keeps_its_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const bool called = put_with_each_call_failing(&put_cases[i], "new", false, "old") > 0;
        const bool is_link = strcmp(put_cases[i].function, "link") == 0;
        assert_true(called || is_link);
    }
}

static void an_object_that_cannot_be_read_says_why(void **state)
{
    static const struct fault_case cases[] = {
        {"open", EMFILE, DIC_E_UPSTREAM}, {"open", ENFILE, DIC_E_UPSTREAM},
        {"open", EIO, DIC_E_UPSTREAM},    {"open", ENOMEM, DIC_E_UPSTREAM},
        {"open", EACCES, DIC_E_DENIED},   {"open", ELOOP, DIC_E_INVALID},
        {"pread", EIO, DIC_E_UPSTREAM},   {"pread", ESTALE, DIC_E_UPSTREAM},
    };
    char seen[16];
    (void)state;
    assert_ok(put("read/me", "text", false, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arm(cases[i].function, cases[i].error, 1);
        assert_code(get("read/me", seen), cases[i].code);
        assert_true(disarm());
        assert_ok(get("read/me", seen));
        assert_string_equal(seen, "text");
    }
}

static void a_read_that_a_signal_ends_goes_on(void **state)
{
    char seen[16];
    (void)state;
    assert_ok(put("read/me", "text", false, NULL));
    arm("pread", EINTR, 1);
    assert_ok(get("read/me", seen));
    assert_true(disarm());
    assert_string_equal(seen, "text");
    arm("write", EINTR, 1);
    assert_ok(put("read/me", "more", false, NULL));
    assert_true(disarm());
}

/* Old kernels and some containers do not let openat2 through. */
static void without_openat2_paths_are_walked_one_component_at_a_time(void **state)
{
    static const int errors[] = {ENOSYS, EPERM};
    char seen[16];
    (void)state;
    assert_ok(put("walk/down/here", "text", false, NULL));
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        arm("open", errors[i], 1);
        assert_ok(get("walk/down/here", seen));
        assert_true(disarm());
        assert_string_equal(seen, "text");
        arm("open", errors[i], 1);
        assert_code(get("walk/down/nowhere", seen), DIC_E_NOT_FOUND);
        assert_true(disarm());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_object_is_there_whole_or_not_at_all),
        cmocka_unit_test(an_object_that_may_not_be_replaced_is_there_whole_or_not_at_all),
        cmocka_unit_test(an_object_that_cannot_be_replaced_keeps_its_content),
        cmocka_unit_test(an_object_that_cannot_be_read_says_why),
        cmocka_unit_test(a_read_that_a_signal_ends_goes_on),
        cmocka_unit_test(without_openat2_paths_are_walked_one_component_at_a_time),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
