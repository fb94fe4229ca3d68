/* SPDX-License-Identifier: Apache-2.0 */
/* classify status, cancel, retry: one request about one job. */
#include "cli.h"
#include "output.h"

#include "job/job.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 64 };

enum dic_code dic_cli_job_operand(const struct dic_cli *cli, const char **job_out,
                                  struct dic_err *err)
{
    const char *job = cli->arguments.operands.items[0];
    if (!dic_job_id_valid(dic_str(job))) {
        return dic_fail(err, DIC_E_INVALID, "'%.80s' is no job id: %d characters of a-z and 2-7",
                        job, DIC_ID_LEN);
    }
    *job_out = job;
    return DIC_OK;
}

enum dic_code dic_cli_answered_job(const struct dic_json *answer, char job_out[DIC_ID_SIZE],
                                   struct dic_err *err)
{
    struct dic_str id = dic_member_text(answer, "job_id");
    if (!dic_job_id_valid(id)) {
        return dic_fail(err, DIC_E_UPSTREAM, "the service's answer names no job");
    }
    memcpy(job_out, id.ptr, DIC_ID_LEN);
    job_out[DIC_ID_LEN] = '\0';
    return DIC_OK;
}

static enum dic_code ask(struct dic_cli *cli, const char *method, const char *route,
                         struct dic_http_response *answer, struct dic_err *err)
{
    const char *job = NULL;
    char path[PATH_BYTES];
    DIC_TRY(dic_cli_job_operand(cli, &job, err));
    snprintf(path, sizeof path, "/%s/%s", route, job);
    const struct dic_service_call call = {.method = method, .path = path};
    return dic_service_call(&cli->service, &call, answer, err);
}

static enum dic_code ask_and_show_job(struct dic_cli *cli, const char *method, const char *route,
                                      struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    dic_http_response_init(&answer);
    DIC_TRY(ask(cli, method, route, &answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer.body), &root, err));
    if (cli->arguments.json) {
        fwrite(answer.body.ptr, 1, answer.body.len, stdout);
    } else {
        dic_put_job(stdout, root);
    }
    return dic_flush_stdout(err);
}

enum dic_code dic_command_status(struct dic_cli *cli, struct dic_err *err)
{
    return ask_and_show_job(cli, "GET", "status", err);
}

enum dic_code dic_command_cancel(struct dic_cli *cli, struct dic_err *err)
{
    return ask_and_show_job(cli, "POST", "cancel", err);
}

enum dic_code dic_command_retry(struct dic_cli *cli, struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    char child[DIC_ID_SIZE];
    dic_http_response_init(&answer);
    DIC_TRY(ask(cli, "POST", "retry", &answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer.body), &root, err));
    DIC_TRY(dic_cli_answered_job(root, child, err));
    if (cli->arguments.json) {
        fwrite(answer.body.ptr, 1, answer.body.len, stdout);
    } else {
        puts(child);
    }
    return dic_flush_stdout(err);
}
