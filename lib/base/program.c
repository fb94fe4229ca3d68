/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void print_help(const struct dic_program *program)
{
    struct dic_buf text;
    dic_buf_init(&text, 1 << 20);
    dic_buf_printf(&text,
                   "%s — %s\n\nusage: %s [--help | --version | --check-config | "
                   "--print-config-docs]\n\nSettings are environment variables:\n",
                   program->name, program->summary, program->name);
    for (size_t i = 0; i < program->group_count; i++) {
        dic_settings_help(program->groups[i].table, program->groups[i].count, &text);
    }
    fputs(text.ptr, stdout);
    dic_buf_clean_up(&text);
}

static void print_docs(const struct dic_program *program)
{
    struct dic_buf text;
    dic_buf_init(&text, 1 << 20);
    dic_buf_append_text(&text, "| variable | default | range | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < program->group_count; i++) {
        dic_settings_docs(program->groups[i].table, program->groups[i].count, &text);
    }
    fputs(text.ptr, stdout);
    dic_buf_clean_up(&text);
}

enum dic_code dic_program_read_settings(const struct dic_program *program, struct dic_err *err)
{
    for (size_t i = 0; i < program->group_count; i++) {
        const struct dic_settings_group *group = &program->groups[i];
        DIC_TRY(dic_settings_read(group->table, group->count, group->settings, err));
    }
    return DIC_OK;
}

void dic_program_log_settings(const struct dic_program *program)
{
    for (size_t i = 0; i < program->group_count; i++) {
        const struct dic_settings_group *group = &program->groups[i];
        dic_settings_log(group->table, group->count, group->settings);
    }
}

enum dic_program_mode dic_program_start(const struct dic_program *program, int argc, char **argv)
{
    if (argc < 2) {
        return DIC_PROGRAM_RUN;
    }
    struct dic_str flag = dic_str(argv[1]);
    if (argc == 2 && dic_str_is(flag, "--help")) {
        print_help(program);
        return DIC_PROGRAM_DONE;
    }
    if (argc == 2 && dic_str_is(flag, "--version")) {
        printf("%s %s\n", program->name, program->version);
        return DIC_PROGRAM_DONE;
    }
    if (argc == 2 && dic_str_is(flag, "--print-config-docs")) {
        print_docs(program);
        return DIC_PROGRAM_DONE;
    }
    if (argc == 2 && dic_str_is(flag, "--check-config")) {
        return DIC_PROGRAM_CHECK;
    }
    fprintf(stderr, "%s: unknown argument '%s'; try --help\n", program->name,
            argv[argc == 2 ? 1 : 2]);
    return DIC_PROGRAM_USAGE_ERROR;
}

int dic_program_failed(const struct dic_program *program, const struct dic_err *err)
{
    fprintf(stderr, "%s: %s\n", program->name, err->msg);
    return 1;
}

int dic_program_checked(const struct dic_program *program)
{
    printf("%s: the configuration is valid\n", program->name);
    return 0;
}

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void dic_program_block_signals(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int dic_program_wait_for_signal(void)
{
    sigset_t set;
    int received = 0;
    stop_signals(&set);
    while (sigwait(&set, &received) != 0) {
    }
    return received;
}

enum dic_code dic_program_signals_fd(int *fd_out, struct dic_err *err)
{
    sigset_t set;
    stop_signals(&set);
    *fd_out = signalfd(-1, &set, SFD_CLOEXEC);
    return *fd_out >= 0
               ? DIC_OK
               : dic_fail(err, DIC_E_INTERNAL, "cannot wait for signals: %s", strerror(errno));
}

bool dic_program_signal_is_pending(void)
{
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

static void end_now(int number)
{
    static const char line[] = "{\"level\":\"warn\",\"event\":\"ended_with_work_in_hand\"}\n";
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, line, sizeof line - 1);
    (void)ignored;
    _exit(0);
}

void dic_program_end_within(unsigned seconds)
{
    signal(SIGALRM, end_now);
    alarm(seconds);
}

uint64_t dic_program_raise_open_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_cur >= wanted) {
        return limit.rlim_cur;
    }
    const uint64_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

char *dic_program_folder(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0) {
        return dic_strdup_len(".", 1);
    }
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    size_t folder_len = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    return dic_strdup_len(path, folder_len);
}
