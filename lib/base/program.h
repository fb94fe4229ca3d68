/* SPDX-License-Identifier: Apache-2.0 */
/* What every program's command line understands; everything else is set by the environment. */
#ifndef DIC_BASE_PROGRAM_H
#define DIC_BASE_PROGRAM_H

#include "base/settings.h"

enum dic_program_mode {
    DIC_PROGRAM_RUN,
    DIC_PROGRAM_CHECK,       /* --check-config: read and check everything, then end */
    DIC_PROGRAM_DONE,        /* --help, --version, --print-config-docs: already answered */
    DIC_PROGRAM_USAGE_ERROR, /* already reported on stderr */
};

/* A part's settings: its table, and the struct that its offsets are of. */
struct dic_settings_group {
    const struct dic_setting *table;
    size_t count;
    void *settings; /* filled by dic_program_read_settings */
};

struct dic_program {
    const char *name;
    const char *summary; /* one sentence */
    const char *version;
    const struct dic_settings_group *groups;
    size_t group_count;
};

DIC_MUST_USE enum dic_code dic_program_read_settings(const struct dic_program *program,
                                                     struct dic_err *err);
/* One log line a group with every effective value, secrets masked. */
void dic_program_log_settings(const struct dic_program *program);
enum dic_program_mode dic_program_start(const struct dic_program *program, int argc, char **argv);
/* Reports on stderr as a person reads it, and returns the exit status 1. */
int dic_program_failed(const struct dic_program *program, const struct dic_err *err);
/* Prints that the configuration is good, and returns the exit status 0. */
int dic_program_checked(const struct dic_program *program);

/* Blocks SIGTERM and SIGINT in this and all later threads, and ignores SIGPIPE. */
void dic_program_block_signals(void);
/* Waits for one of them and returns it. */
int dic_program_wait_for_signal(void);

/* While they are blocked: a descriptor that is readable as soon as one is pending, and takes none
 * away. The caller closes it. */
DIC_MUST_USE enum dic_code dic_program_signals_fd(int *fd_out, struct dic_err *err);
/* Whether one is pending: the program was asked to end before it was ready. */
bool dic_program_signal_is_pending(void);

/* Whatever then hangs, the process ends with status 0 in so many seconds. What it leaves undone is
 * as after a kill: others take it up. For the end of a program that has been asked to end. */
enum { DIC_PROGRAM_END_S = 20 }; /* ECS gives 30 */
void dic_program_end_within(unsigned seconds);

/* Raises the process's limit of open files to `wanted` if the system allows it, or as far as it
 * does; the limit as it is then. Many systems start programs with 1,024 and allow far more. */
uint64_t dic_program_raise_open_files(uint64_t wanted);

/* The folder that the program file lies in, e.g. "/usr/bin"; the caller frees it. */
char *dic_program_folder(void);

#endif
