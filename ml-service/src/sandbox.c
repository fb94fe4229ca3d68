/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a decoder needs: its socket, memory, time, randomness (malloc's seed) and an end. */
static const int allowed_calls[] = {
    SCMP_SYS(read),          SCMP_SYS(write),           SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),        SCMP_SYS(recvmsg),         SCMP_SYS(sendmsg),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),          SCMP_SYS(brk),
    SCMP_SYS(madvise),       SCMP_SYS(futex),           SCMP_SYS(exit),
    SCMP_SYS(exit_group),    SCMP_SYS(getrandom),       SCMP_SYS(rt_sigreturn),
    SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall),
};

/* Loose builds: what no decoder does, sanitized or not. */
static const int denied_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(socket),
    SCMP_SYS(connect),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill),
    SCMP_SYS(bind),
};

static enum dic_code fail_errno(struct dic_err *err, const char *what, int error)
{
    return dic_fail(err, DIC_E_INTERNAL, "sandbox: cannot %s: %s", what, strerror(error));
}

static enum dic_code close_range_inclusive(unsigned first, unsigned last, struct dic_err *err)
{
    if (first <= last && close_range(first, last, 0) != 0) {
        return fail_errno(err, "close descriptors", errno);
    }
    return DIC_OK;
}

enum dic_code dic_sandbox_close_others(int kept_fd, struct dic_err *err)
{
    const unsigned kept = (unsigned)kept_fd;
    const unsigned first = DIC_SANDBOX_LOOSE ? STDERR_FILENO + 1 : 0;
    if (kept > first) {
        DIC_TRY(close_range_inclusive(first, kept - 1, err));
    }
    return close_range_inclusive(kept >= first ? kept + 1 : first, UINT_MAX, err);
}

static enum dic_code read_address_space(uint64_t *bytes_out, struct dic_err *err)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return fail_errno(err, "read /proc/self/statm", errno);
    }
    unsigned long long pages = 0;
    int fields = fscanf(file, "%llu", &pages);
    fclose(file);
    if (fields != 1) {
        return dic_fail(err, DIC_E_INTERNAL, "sandbox: /proc/self/statm has no number");
    }
    *bytes_out = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return DIC_OK;
}

static enum dic_code limit(__rlimit_resource_t resource, uint64_t value, struct dic_err *err)
{
    const struct rlimit both = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
    if (setrlimit(resource, &both) != 0) {
        return fail_errno(err, "set a resource limit", errno);
    }
    return DIC_OK;
}

static enum dic_code set_limits(uint64_t memory_limit_bytes, struct dic_err *err)
{
    if (memory_limit_bytes != 0 && !DIC_SANDBOX_LOOSE) {
        uint64_t now = 0;
        DIC_TRY(read_address_space(&now, err));
        DIC_TRY(limit(RLIMIT_AS, now + memory_limit_bytes, err));
    }
    DIC_TRY(limit(RLIMIT_CORE, 0, err));
    DIC_TRY(limit(RLIMIT_FSIZE, 0, err));
    return limit(RLIMIT_NPROC, 0, err);
}

/* Memory that can be executed is never needed once the program is loaded. */
static int allow_memory_without_exec(scmp_filter_ctx filter)
{
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (error != 0) {
        return error;
    }
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int add_rules(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* -EDOM: this architecture has no such call (fork on arm64). */
        int error = seccomp_rule_add(filter, action, calls[i], 0);
        if (error != 0 && error != -EDOM) {
            return error;
        }
    }
    return 0;
}

static int load_filter(scmp_filter_ctx filter)
{
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0 && DIC_SANDBOX_LOOSE) {
        error = add_rules(filter, SCMP_ACT_KILL_PROCESS, denied_calls,
                          sizeof denied_calls / sizeof denied_calls[0]);
    }
    if (error == 0 && !DIC_SANDBOX_LOOSE) {
        error = add_rules(filter, SCMP_ACT_ALLOW, allowed_calls,
                          sizeof allowed_calls / sizeof allowed_calls[0]);
    }
    if (error == 0 && !DIC_SANDBOX_LOOSE) {
        error = allow_memory_without_exec(filter);
    }
    return error == 0 ? seccomp_load(filter) : error;
}

static enum dic_code filter_calls(struct dic_err *err)
{
    scmp_filter_ctx filter =
        seccomp_init(DIC_SANDBOX_LOOSE ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "sandbox: no seccomp filter");
    }
    int error = load_filter(filter);
    seccomp_release(filter);
    if (error != 0) {
        return fail_errno(err, "load the seccomp filter", -error);
    }
    return DIC_OK;
}

enum dic_code dic_sandbox_enter(int kept_fd, uint64_t memory_limit_bytes, struct dic_err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return fail_errno(err, "give up new privileges", errno);
    }
    DIC_TRY(set_limits(memory_limit_bytes, err));
    DIC_TRY(dic_sandbox_close_others(kept_fd, err));
    DIC_TRY(limit(RLIMIT_NOFILE, 0, err));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return fail_errno(err, "become undumpable", errno);
    }
    return filter_calls(err);
}
