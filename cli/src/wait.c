/* SPDX-License-Identifier: Apache-2.0 */
/* classify wait, and the waiting of classify submit --wait. */
#include "cli.h"
#include "output.h"

#include "base/clock.h"
#include "job/limits.h"

#include <stdio.h>
#include <unistd.h>

enum {
    MAX_JOB_BYTES = 1024 * 1024,
    PATH_BYTES = 64,
    TERMINAL_WAIT_S = 2, /* a person watches: the line moves this often */
    PAUSE_MS = 1000,     /* before the next question when the service says nothing else */
};

struct waiting {
    struct dic_cli *cli;
    char path[PATH_BYTES];
    int64_t until_ms; /* 0: no bound */
    bool shows_progress;
};

static bool has_ended(const struct dic_json *job)
{
    static const char *const live[] = {"queued", "running", "cancelling"};
    struct dic_str status = dic_member_text(job, "status");
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
        if (dic_str_is(status, live[i])) {
            return false;
        }
    }
    return true;
}

static int64_t left_ms(const struct waiting *waiting)
{
    return waiting->until_ms == 0 ? INT64_MAX
                                  : waiting->until_ms - dic_clock_mono_ms(dic_clock_system());
}

/* What Prefer: wait asks for: whole seconds that end no later than the time there is. 0: none. */
static int64_t wait_seconds(const struct waiting *waiting)
{
    const int64_t longest = waiting->shows_progress ? TERMINAL_WAIT_S : DIC_MAX_WAIT_S;
    const int64_t left = left_ms(waiting) / 1000;
    return left < longest ? left : longest;
}

static void show_progress(const struct waiting *waiting, const struct dic_json *job)
{
    if (waiting->shows_progress) {
        fputs("\r\033[K", stderr); /* to the line's start, and clear it */
        if (!has_ended(job)) {
            dic_put_progress(stderr, job);
        }
        fflush(stderr);
    }
}

static enum dic_code timed_out(const struct waiting *waiting, const struct dic_json *job,
                               struct dic_err *err)
{
    char status[40];
    snprintf(status, sizeof status, "%.*s", DIC_STR_ARGS(dic_member_text(job, "status")));
    if (waiting->shows_progress) {
        fputc('\n', stderr);
    }
    return dic_fail(err, DIC_E_TIMEOUT, "the job has not ended within %lld s: it is %s",
                    (long long)waiting->cli->arguments.timeout_s, status);
}

/* The service answers early when it is about to stop, or does not know the preference: then it is
 * asked again after its Retry-After. */
static void pause_after(const struct waiting *waiting, const struct dic_http_response *answer,
                        int64_t asked_ms, int64_t wait_s)
{
    const int64_t took = dic_clock_mono_ms(dic_clock_system()) - asked_ms;
    if (wait_s > 0 && took >= wait_s * 1000 - PAUSE_MS / 2) {
        return;
    }
    const int64_t rest = dic_service_retry_after_ms(answer, PAUSE_MS);
    const int64_t left = left_ms(waiting);
    dic_sleep_ms(rest < left ? rest : left > 0 ? left : 0);
}

/* Asks once; *ended_out tells whether that was the end. */
static enum dic_code ask(struct waiting *waiting, struct dic_http_response *answer, bool *ended_out,
                         struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *job = NULL;
    const int64_t asked_ms = dic_clock_mono_ms(dic_clock_system());
    const struct dic_service_call call = {
        .method = "GET",
        .path = waiting->path,
        .wait_s = wait_seconds(waiting),
        /* The answer to a wait of all the time there is needs a moment more. */
        .until_mono_ms = waiting->until_ms > 0 ? waiting->until_ms + 2 * PAUSE_MS : 0,
    };
    DIC_TRY(dic_service_call(&waiting->cli->service, &call, answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer->body), &job, err));
    show_progress(waiting, job);
    *ended_out = has_ended(job);
    if (*ended_out) {
        waiting->cli->job_failed = !dic_str_is(dic_member_text(job, "status"), "succeeded");
        return DIC_OK;
    }
    pause_after(waiting, answer, asked_ms, call.wait_s);
    return left_ms(waiting) > 0 ? DIC_OK : timed_out(waiting, job, err);
}

enum dic_code dic_cli_wait(struct dic_cli *cli, const char *job, struct dic_buf *job_out,
                           struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    struct waiting waiting = {.cli = cli, .shows_progress = isatty(STDERR_FILENO) == 1};
    const int64_t timeout_s = cli->arguments.timeout_s;
    bool ended = false;
    dic_http_response_init(&answer);
    snprintf(waiting.path, sizeof waiting.path, "/status/%s", job);
    if (timeout_s > 0) {
        waiting.until_ms = dic_clock_mono_ms(dic_clock_system()) + 1000 * timeout_s;
    }
    while (!ended) {
        DIC_TRY(ask(&waiting, &answer, &ended, err));
    }
    dic_buf_append_str(job_out, dic_buf_view(&answer.body));
    return dic_buf_check(job_out, err);
}

enum dic_code dic_command_wait(struct dic_cli *cli, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    const char *job = NULL;
    dic_buf_init(&text, MAX_JOB_BYTES);
    DIC_TRY(dic_cli_job_operand(cli, &job, err));
    DIC_TRY(dic_cli_wait(cli, job, &text, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&text), &root, err));
    if (cli->arguments.json) {
        fwrite(text.ptr, 1, text.len, stdout);
    } else {
        dic_put_job(stdout, root);
    }
    return dic_flush_stdout(err);
}
