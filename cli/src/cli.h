/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: the arguments of any of them, the service, and how they end. */
#ifndef DIC_CLI_CLI_H
#define DIC_CLI_CLI_H

#include "options.h"
#include "service.h"

#include "base/rand.h"
#include "json/json_read.h"

/* docs/cli.md lists them; scripts rely on them. */
enum dic_cli_exit {
    DIC_EXIT_GOOD = 0,
    DIC_EXIT_USAGE = 1,       /* wrong arguments or settings, or a file that cannot be written */
    DIC_EXIT_REFUSED = 2,     /* the service, or AWS, does not do it */
    DIC_EXIT_JOB_FAILED = 3,  /* the job ended, but not every image was classified */
    DIC_EXIT_UNREACHABLE = 4, /* no answer in time: it may work later */
};

/* Every option of every command; a command's table says which are its own. */
struct dic_arguments {
    struct dic_texts operands;
    const char *url;
    bool help;
    bool json;
    const char *top_k;
    const char *threshold;
    const char *prefix;
    struct dic_texts include;
    struct dic_texts exclude;
    const char *manifest;
    struct dic_texts tags;
    const char *deadline;
    const char *max_failures;
    const char *idempotency_key;
    bool dry_run;
    bool wait;
    const char *out;
    int64_t timeout_s; /* 0: none */
    const char *cursor;
    const char *status;
    int64_t limit; /* 0: the default */
    bool all;
    bool yes;
};

struct dic_cli {
    struct dic_arguments arguments;
    struct dic_service service;
    bool job_failed; /* set by commands that wait: the exit status is DIC_EXIT_JOB_FAILED */
};

/* A command prints its answer on stdout; its error is printed by main. */
typedef enum dic_code (*dic_command_run)(struct dic_cli *cli, struct dic_err *err);

enum dic_code dic_command_submit(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_status(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_wait(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_result(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_cancel(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_retry(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_jobs(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_dlq_ls(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_dlq_show(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_dlq_redrive(struct dic_cli *cli, struct dic_err *err);
enum dic_code dic_command_dlq_purge(struct dic_cli *cli, struct dic_err *err);

/* ---- shared between commands ---- */

/* The job named by the first operand; DIC_E_INVALID when it has not the form of an id. */
DIC_MUST_USE enum dic_code dic_cli_job_operand(const struct dic_cli *cli, const char **job_out,
                                               struct dic_err *err);
/* The job_id of an answer; UPSTREAM when it has none. */
DIC_MUST_USE enum dic_code dic_cli_answered_job(const struct dic_json *answer,
                                                char job_out[DIC_ID_SIZE], struct dic_err *err);
/* Waits for the job's end and writes its final status document to `job_out`. Progress goes to
 * stderr when that is a terminal. TIMEOUT when arguments.timeout_s passed. */
DIC_MUST_USE enum dic_code dic_cli_wait(struct dic_cli *cli, const char *job,
                                        struct dic_buf *job_out, struct dic_err *err);
/* Writes the rows from `cursor` (NULL: the first) to `path` (NULL: stdout) as JSON lines. */
DIC_MUST_USE enum dic_code dic_cli_write_rows(struct dic_cli *cli, const char *job,
                                              const char *cursor, const char *path,
                                              struct dic_err *err);

#endif
