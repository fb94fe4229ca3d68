/* SPDX-License-Identifier: Apache-2.0 */
/* classify: the command-line client. The table of commands is here; each is a file of its own. */
#include "cli.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#ifndef DIC_VERSION
#define DIC_VERSION "0.0.0"
#endif

enum { HELP_BYTES = 64 * 1024, MOST_OPERANDS = 1 << 24, MAX_SECONDS = 14 * 24 * 3600 };

#define AT(member) offsetof(struct dic_arguments, member)
#define TABLE(rows)                            \
    {                                          \
        rows, sizeof(rows) / sizeof((rows)[0]) \
    }

static const struct dic_option common_options[] = {
    {"url", DIC_OPTION_TEXT, AT(url), "URL", "the service; else CLASSIFIER_URL", 0},
    {"json", DIC_OPTION_FLAG, AT(json), NULL, "answer in JSON, one document a line", 0},
    {"help", DIC_OPTION_FLAG, AT(help), NULL, "this text", 0},
};
static const struct dic_option submit_options[] = {
    {"prefix", DIC_OPTION_TEXT, AT(prefix), "P", "all images whose keys start so", 0},
    {"include", DIC_OPTION_LIST, AT(include), "GLOB", "of these, only; may be repeated", 0},
    {"exclude", DIC_OPTION_LIST, AT(exclude), "GLOB", "but for these; may be repeated", 0},
    {"manifest", DIC_OPTION_TEXT, AT(manifest), "KEY", "an object that names the images", 0},
    {"top-k", DIC_OPTION_NUMBER, AT(top_k), "N", "predictions an image", 0},
    {"threshold", DIC_OPTION_NUMBER, AT(threshold), "X", "least confidence, 0 to 1", 0},
    {"tag", DIC_OPTION_LIST, AT(tags), "NAME=VALUE", "kept with the job; may be repeated", 0},
    {"deadline", DIC_OPTION_NUMBER, AT(deadline), "SECONDS", "when the job is to end at last", 0},
    {"max-failures", DIC_OPTION_NUMBER, AT(max_failures), "N", "more of them end the job", 0},
    {"idempotency-key", DIC_OPTION_TEXT, AT(idempotency_key), "TEXT",
     "the same key and request are one job", 0},
    {"dry-run", DIC_OPTION_FLAG, AT(dry_run), NULL, "count only; nothing is queued", 0},
    {"wait", DIC_OPTION_FLAG, AT(wait), NULL, "until the job has ended", 0},
    {"timeout", DIC_OPTION_COUNT, AT(timeout_s), "SECONDS", "of that waiting", MAX_SECONDS},
    {"out", DIC_OPTION_TEXT, AT(out), "FILE", "wait, then write the rows there (JSON lines)", 0},
};
static const struct dic_option wait_options[] = {
    {"timeout", DIC_OPTION_COUNT, AT(timeout_s), "SECONDS", "no longer than this", MAX_SECONDS},
};
static const struct dic_option result_options[] = {
    {"out", DIC_OPTION_TEXT, AT(out), "FILE", "in place of standard output", 0},
    {"cursor", DIC_OPTION_TEXT, AT(cursor), "C", "go on there; FILE is added to", 0},
};
static const struct dic_option jobs_options[] = {
    {"status", DIC_OPTION_TEXT, AT(status), "STATUS", "only these, e.g. running", 0},
    {"limit", DIC_OPTION_COUNT, AT(limit), "N", "at most so many (100)", 1000000},
};
static const struct dic_option redrive_options[] = {
    {"all", DIC_OPTION_FLAG, AT(all), NULL, "every dead letter", 0},
};
static const struct dic_option purge_options[] = {
    {"yes", DIC_OPTION_FLAG, AT(yes), NULL, "remove; without it they are counted", 0},
};

struct command {
    const char *name;
    const char *operands; /* for the usage line */
    const char *summary;
    struct dic_option_table options;
    size_t fewest;
    size_t most;
    dic_command_run run;
};

static const struct command commands[] = {
    {"submit", "KEY… | - | --prefix P | --manifest KEY",
     "queue a job and print its id; - reads keys from standard input, one a line",
     TABLE(submit_options), 0, MOST_OPERANDS, dic_command_submit},
    {"status", "JOB", "state and progress", {NULL, 0}, 1, 1, dic_command_status},
    {"wait", "JOB", "until the job has ended", TABLE(wait_options), 1, 1, dic_command_wait},
    {"result", "JOB", "its rows, as JSON lines", TABLE(result_options), 1, 1, dic_command_result},
    {"cancel", "JOB", "stop it; what is classified stays", {NULL, 0}, 1, 1, dic_command_cancel},
    {"retry", "JOB", "a new job of its failed images", {NULL, 0}, 1, 1, dic_command_retry},
    {"jobs", "", "all jobs, newest first", TABLE(jobs_options), 0, 0, dic_command_jobs},
    {"dlq ls",
     "",
     "dead letters: copies, and messages still in the queue",
     {NULL, 0},
     0,
     0,
     dic_command_dlq_ls},
    {"dlq show",
     "JOB [CHUNK]",
     "the dead letters of a job, in full",
     {NULL, 0},
     1,
     2,
     dic_command_dlq_show},
    {"dlq redrive", "JOB [CHUNK] | --all", "try them again", TABLE(redrive_options), 0, 2,
     dic_command_dlq_redrive},
    {"dlq purge", "[JOB [CHUNK]] --yes", "remove them for ever", TABLE(purge_options), 0, 2,
     dic_command_dlq_purge},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

/* What each reaction to an error is to a script. MALFORMED and TOO_LARGE are answers that are not
 * the service's. */
static const int exit_statuses[DIC_CODE_COUNT] = {
    [DIC_OK] = DIC_EXIT_GOOD,
    [DIC_E_MALFORMED] = DIC_EXIT_UNREACHABLE,
    [DIC_E_INVALID] = DIC_EXIT_USAGE,
    [DIC_E_NOT_FOUND] = DIC_EXIT_REFUSED,
    [DIC_E_DENIED] = DIC_EXIT_REFUSED,
    [DIC_E_CONFLICT] = DIC_EXIT_REFUSED,
    [DIC_E_TOO_LARGE] = DIC_EXIT_UNREACHABLE,
    [DIC_E_UNSUPPORTED] = DIC_EXIT_REFUSED,
    [DIC_E_BUSY] = DIC_EXIT_UNREACHABLE,
    [DIC_E_TIMEOUT] = DIC_EXIT_UNREACHABLE,
    [DIC_E_UPSTREAM] = DIC_EXIT_UNREACHABLE,
    [DIC_E_INTERNAL] = DIC_EXIT_USAGE,
};

/* ---- help ---- */

static int print_overview(FILE *out)
{
    fputs("classify — the image classifier's command-line client\n\n"
          "usage: classify COMMAND [--help] …\n\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nThe service is the one of --url or CLASSIFIER_URL (default: http://localhost:8080).\n"
          "dlq uses RESULT_BUCKET, JOB_QUEUE_URL, JOB_DLQ_URL and AWS_*, as the services do.\n"
          "Exit status: 0 good; 1 wrong usage, or a file that cannot be written; 2 refused; 3 the\n"
          "job ended and not all of its images are classified; 4 no answer in time.\n",
          out);
    return out == stdout ? DIC_EXIT_GOOD : DIC_EXIT_USAGE;
}

static int print_help(const struct command *command)
{
    const struct dic_option_table common = TABLE(common_options);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    dic_buf_init(&text, HELP_BYTES);
    dic_buf_printf(&text, "usage: classify %s %s%s[option…]\n\n%s\n\n", command->name,
                   command->operands, command->operands[0] != '\0' ? " " : "", command->summary);
    dic_options_help(&command->options, &text);
    dic_options_help(&common, &text);
    fputs(text.ptr, stdout);
    return DIC_EXIT_GOOD;
}

/* ---- running a command ---- */

/* How many of the arguments are the command's name: "dlq ls" is two. */
static int name_matches(const struct command *command, int argc, char **argv)
{
    struct dic_str rest = dic_str(command->name);
    struct dic_str word;
    int count = 0;
    while (dic_str_split(&rest, ' ', &word)) {
        if (count == argc || !dic_str_is(word, argv[count])) {
            return 0;
        }
        count++;
    }
    return count;
}

static const struct command *find_command(int argc, char **argv, int *words_out)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        *words_out = name_matches(&commands[i], argc, argv);
        if (*words_out > 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* JSON, keys and tags are UTF-8; nothing else could be sent as it was meant. */
static enum dic_code check_utf8(int argc, char **argv, struct dic_err *err)
{
    for (int i = 1; i < argc; i++) {
        if (!dic_utf8_valid(dic_str(argv[i]))) {
            return dic_fail(err, DIC_E_INVALID, "argument %d is not UTF-8", i);
        }
    }
    return DIC_OK;
}

static enum dic_code check_operands(const struct command *command, const struct dic_texts *operands,
                                    struct dic_err *err)
{
    if (operands->count < command->fewest) {
        return dic_fail(err, DIC_E_INVALID, "usage: classify %s %s", command->name,
                        command->operands);
    }
    if (operands->count > command->most) {
        return dic_fail(err, DIC_E_INVALID, "'%.80s' is one argument too many; try --help",
                        operands->items[command->most]);
    }
    return DIC_OK;
}

struct environment {
    const char *url;
};

static enum dic_code connect_service(struct dic_cli *cli, struct dic_err *err)
{
    static const struct dic_setting url = {"CLASSIFIER_URL",
                                           DIC_SETTING_TEXT,
                                           offsetof(struct environment, url),
                                           "http://localhost:8080",
                                           1,
                                           DIC_SERVICE_URL_BYTES - 1,
                                           false,
                                           "the service"};
    struct environment environment = {0};
    if (cli->arguments.url == NULL) {
        DIC_TRY(dic_settings_read(&url, 1, &environment, err));
        cli->arguments.url = environment.url;
    }
    return dic_service_init(&cli->service, cli->arguments.url, err);
}

static enum dic_code run(struct dic_cli *cli, const struct command *command, int argc, char **argv,
                         struct dic_err *err)
{
    const struct dic_option_table tables[] = {command->options, TABLE(common_options)};
    struct dic_arguments *arguments = &cli->arguments;
    DIC_TRY(dic_options_parse(tables, 2, argc, argv, arguments, &arguments->operands, err));
    if (arguments->help) {
        print_help(command);
        return DIC_OK;
    }
    DIC_TRY(check_operands(command, &arguments->operands, err));
    DIC_TRY(connect_service(cli, err));
    return command->run(cli, err);
}

static void clean_up(struct dic_cli *cli)
{
    dic_service_clean_up(&cli->service);
    dic_texts_clean_up(&cli->arguments.operands);
    dic_texts_clean_up(&cli->arguments.include);
    dic_texts_clean_up(&cli->arguments.exclude);
    dic_texts_clean_up(&cli->arguments.tags);
}

static int report(enum dic_code code, const struct dic_err *err)
{
    fprintf(stderr, "classify: %s", err->msg);
    if (code == DIC_E_DENIED && err->field[0] != '\0') {
        fprintf(stderr, " (field %s)", err->field);
    }
    fputc('\n', stderr);
    if (code == DIC_E_UPSTREAM && !err->retryable) {
        return DIC_EXIT_REFUSED; /* a bucket or queue that is not there will not come by waiting */
    }
    return exit_statuses[code];
}

int main(int argc, char **argv)
{
    struct dic_cli cli = {0};
    struct dic_err err = {0};
    int words = 0;
    signal(SIGPIPE, SIG_IGN); /* a write tells, and a socket's end must not end the program */
    dic_log_set_level(DIC_LOG_OFF);
    enum dic_code code = check_utf8(argc, argv, &err);
    if (code != DIC_OK) {
        return report(code, &err);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("classify %s\n", DIC_VERSION);
        return DIC_EXIT_GOOD;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        return print_overview(argc < 2 ? stderr : stdout);
    }
    const struct command *command = find_command(argc - 1, argv + 1, &words);
    if (command == NULL) {
        fprintf(stderr, "classify: there is no command '%.80s'; try --help\n", argv[1]);
        return DIC_EXIT_USAGE;
    }
    code = run(&cli, command, argc - 1 - words, argv + 1 + words, &err);
    const bool job_failed = cli.job_failed;
    clean_up(&cli);
    if (code != DIC_OK) {
        return report(code, &err);
    }
    return job_failed ? DIC_EXIT_JOB_FAILED : DIC_EXIT_GOOD;
}
