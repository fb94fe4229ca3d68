/* SPDX-License-Identifier: Apache-2.0 */
/* classify jobs: a table, newest first. */
#include "cli.h"
#include "output.h"

#include "aws/uri.h"
#include "job/limits.h"

#include <inttypes.h>

enum { PATH_BYTES = 1024 };

struct listing {
    struct dic_cli *cli;
    int64_t left;
    struct dic_buf path;
    bool more;
};

static void put_row(const struct dic_json *job)
{
    const struct dic_json *progress = dic_json_member(job, "progress");
    struct dic_str status = dic_member_text(job, "status");
    dic_put_safe(stdout, dic_member_text(job, "job_id"));
    printf("  %-24.*s", DIC_STR_ARGS(status));
    dic_put_number(stdout, 10, dic_member_int(progress, "total", -1));
    dic_put_number(stdout, 11, dic_member_int(progress, "succeeded", -1));
    dic_put_number(stdout, 9, dic_member_int(progress, "failed", -1));
    fputs("  ", stdout);
    dic_put_safe(stdout, dic_member_text(job, "created_at"));
    putchar('\n');
}

static void show_page(const struct dic_cli *cli, struct dic_str text, const struct dic_json *jobs)
{
    struct dic_json_items items = dic_json_items(text, "jobs");
    struct dic_str job;
    while (cli->arguments.json && dic_json_items_next(&items, &job)) {
        fwrite(job.ptr, 1, job.len, stdout);
        putchar('\n');
    }
    for (size_t i = 0; !cli->arguments.json && i < dic_json_size(jobs); i++) {
        put_row(dic_json_at(jobs, i));
    }
}

static enum dic_code set_path(struct listing *listing, struct dic_str cursor, struct dic_err *err)
{
    const char *status = listing->cli->arguments.status;
    const int64_t limit = listing->left < DIC_MAX_PAGE ? listing->left : DIC_MAX_PAGE;
    dic_buf_clear(&listing->path);
    dic_buf_printf(&listing->path, "/jobs?limit=%" PRId64, limit);
    if (status != NULL) {
        dic_buf_append_text(&listing->path, "&status=");
        dic_aws_uri_encode(&listing->path, dic_str(status), false);
    }
    if (cursor.len > 0) {
        dic_buf_append_text(&listing->path, "&cursor=");
        dic_aws_uri_encode(&listing->path, cursor, false);
    }
    return dic_buf_check(&listing->path, err);
}

static enum dic_code next_page(struct listing *listing, struct dic_http_response *answer,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    const struct dic_service_call call = {.method = "GET", .path = listing->path.ptr};
    DIC_TRY(dic_service_call(&listing->cli->service, &call, answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer->body), &root, err));
    const struct dic_json *jobs = dic_json_member(root, "jobs");
    if (jobs == NULL || !dic_json_is_array(jobs)) {
        return dic_fail(err, DIC_E_UPSTREAM, "the service's answer has no jobs");
    }
    struct dic_str cursor = dic_member_text(root, "next_cursor");
    show_page(listing->cli, dic_buf_view(&answer->body), jobs);
    listing->left -= (int64_t)dic_json_size(jobs);
    listing->more = cursor.len > 0 && listing->left > 0;
    return listing->more ? set_path(listing, cursor, err) : DIC_OK;
}

static enum dic_code list(struct listing *listing, struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    dic_http_response_init(&answer);
    DIC_TRY(set_path(listing, dic_str_len("", 0), err));
    if (!listing->cli->arguments.json) {
        printf("%-26s  %-24s%10s%11s%9s  %s\n", "JOB", "STATUS", "IMAGES", "CLASSIFIED", "FAILED",
               "CREATED");
    }
    do {
        DIC_TRY(next_page(listing, &answer, err));
    } while (listing->more);
    return dic_flush_stdout(err);
}

enum dic_code dic_command_jobs(struct dic_cli *cli, struct dic_err *err)
{
    const int64_t limit = cli->arguments.limit;
    struct listing listing = {.cli = cli, .left = limit > 0 ? limit : DIC_DEFAULT_PAGE};
    dic_buf_init(&listing.path, PATH_BYTES);
    enum dic_code code = list(&listing, err);
    dic_buf_clean_up(&listing.path);
    return code;
}
