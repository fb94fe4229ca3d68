/* SPDX-License-Identifier: Apache-2.0 */
/* classify submit */
#include "cli.h"
#include "output.h"
#include "submit_body.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_JOB_BYTES = 1024 * 1024, KEY_BYTES = 64 };

/* A submit whose answer was lost is sent again, so each has a key; the caller's, or a random one.
 */
static enum dic_code post(struct dic_cli *cli, struct dic_str body,
                          struct dic_http_response *answer, struct dic_err *err)
{
    const struct dic_arguments *arguments = &cli->arguments;
    char id[DIC_ID_SIZE];
    char key[KEY_BYTES];
    dic_rand_id(id);
    snprintf(key, sizeof key, "classify-%s", id);
    const char *given = arguments->idempotency_key;
    const struct dic_service_call call = {
        .method = "POST",
        .path = arguments->dry_run ? "/submit?dry_run=true" : "/submit",
        .body = body,
        .idempotency_key = given != NULL ? given : key,
    };
    return dic_service_call(&cli->service, &call, answer, err);
}

static void put_bytes(int64_t bytes)
{
    printf("%-10s ", "bytes");
    dic_put_number(stdout, 0, bytes);
    putchar('\n');
}

static void put_dry_run(const struct dic_json *root)
{
    double cost = 0;
    const struct dic_json *usd = dic_json_member(root, "estimated_cost_usd");
    const int64_t missing = dic_member_int(root, "missing", 0);
    const int64_t seconds = dic_member_int(root, "estimated_seconds", -1);
    printf("%-10s ", "images");
    dic_put_number(stdout, 0, dic_member_int(root, "total_images", -1));
    putchar('\n');
    put_bytes(dic_member_int(root, "estimated_bytes", -1));
    if (missing > 0) {
        printf("%-10s %" PRId64 " of %" PRId64 " looked at\n", "missing", missing,
               dic_member_int(root, "sampled", 0));
    }
    if (usd != NULL &&
        dic_json_get_real(usd, "estimated_cost_usd", 0, 1e12, &cost, NULL) == DIC_OK) {
        printf("%-10s %.6f USD\n", "cost", cost);
    }
    if (seconds >= 0) {
        printf("%-10s %" PRId64 " s\n", "time", seconds);
    }
}

/* Of a job that was accepted: its id, at once, so that it is known whatever comes next. */
static enum dic_code show(const struct dic_cli *cli, const struct dic_http_response *answer,
                          const struct dic_json *root, const char *job, struct dic_err *err)
{
    if (cli->arguments.json) {
        fwrite(answer->body.ptr, 1, answer->body.len, stdout);
    } else if (cli->arguments.dry_run) {
        put_dry_run(root);
    } else {
        puts(job);
    }
    return dic_flush_stdout(err);
}

static enum dic_code follow(struct dic_cli *cli, const char *job, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    dic_buf_init(&text, MAX_JOB_BYTES);
    DIC_TRY(dic_cli_wait(cli, job, &text, err));
    if (cli->arguments.json) {
        fwrite(text.ptr, 1, text.len, stdout);
    } else {
        DIC_TRY(dic_json_parse(dic_buf_view(&text), &root, err));
        dic_put_progress(stderr, root);
        fputc('\n', stderr);
    }
    DIC_TRY(dic_flush_stdout(err));
    if (cli->arguments.out != NULL) {
        return dic_cli_write_rows(cli, job, NULL, cli->arguments.out, err);
    }
    return DIC_OK;
}

enum dic_code dic_command_submit(struct dic_cli *cli, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf body;
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    char job[DIC_ID_SIZE] = "";
    dic_http_response_init(&answer);
    dic_submit_body_init(&body);
    DIC_TRY(dic_submit_body_write(&cli->arguments, stdin, &body, err));
    DIC_TRY(post(cli, dic_buf_view(&body), &answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer.body), &root, err));
    if (!cli->arguments.dry_run) {
        DIC_TRY(dic_cli_answered_job(root, job, err));
    }
    DIC_TRY(show(cli, &answer, root, job, err));
    if (cli->arguments.dry_run || (!cli->arguments.wait && cli->arguments.out == NULL)) {
        return DIC_OK;
    }
    return follow(cli, job, err);
}
