/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify result: all rows as JSON lines. They are asked for in pages and not as one stream, since
 * a page says where the next one begins: a broken connection costs a page, and what is held is one
 * page, however many rows there are. Rows are passed on as the service wrote them.
 */
#include "cli.h"
#include "output.h"

#include "aws/uri.h"
#include "job/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { PATH_BYTES = 1024, CURSOR_BYTES = 64 };

struct rows_out {
    const char *path; /* NULL: stdout */
    FILE *file;       /* opened when there is a first page, so that a refusal leaves no file */
    bool appends;
    int64_t rows;
    char cursor[CURSOR_BYTES]; /* of the next page; empty: the first one's */
    bool job_runs;
    bool write_failed; /* a page may have been written in part: nothing can go on from there */
};

static enum dic_code cannot_write(struct rows_out *out, struct dic_err *err)
{
    out->write_failed = true;
    return dic_fail(err, DIC_E_INVALID, "cannot write to %s: %s",
                    out->path != NULL ? out->path : "standard output", strerror(errno));
}

static enum dic_code open_out(struct rows_out *out, struct dic_err *err)
{
    if (out->file != NULL) {
        return DIC_OK;
    }
    out->file = out->path == NULL ? stdout : fopen(out->path, out->appends ? "ab" : "wb");
    return out->file != NULL ? DIC_OK : cannot_write(out, err);
}

static enum dic_code close_out(struct rows_out *out, struct dic_err *err)
{
    FILE *file = out->file;
    out->file = NULL;
    if (file == NULL) {
        return DIC_OK;
    }
    const bool good = (file == stdout ? fflush(file) : fclose(file)) == 0;
    return good ? DIC_OK : cannot_write(out, err);
}

static enum dic_code write_page(struct rows_out *out, struct dic_str page, struct dic_err *err)
{
    struct dic_json_items items = dic_json_items(page, "results");
    struct dic_str row;
    DIC_TRY(open_out(out, err));
    while (dic_json_items_next(&items, &row)) {
        fwrite(row.ptr, 1, row.len, out->file);
        fputc('\n', out->file);
        out->rows++;
    }
    return fflush(out->file) == 0 && !ferror(out->file) ? DIC_OK : cannot_write(out, err);
}

static enum dic_code take_page(struct rows_out *out, const struct dic_http_response *answer,
                               bool *more_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    DIC_TRY(dic_json_parse(dic_buf_view(&answer->body), &root, err));
    const struct dic_json *rows = dic_json_member(root, "results");
    if (rows == NULL || !dic_json_is_array(rows)) {
        return dic_fail(err, DIC_E_UPSTREAM, "the service's answer has no results");
    }
    DIC_TRY(write_page(out, dic_buf_view(&answer->body), err));
    struct dic_str next = dic_member_text(root, "next_cursor");
    *more_out = next.len > 0 && dic_json_size(rows) > 0;
    out->job_runs = next.len > 0 && answer->status == 202;
    if (next.len > 0) {
        snprintf(out->cursor, sizeof out->cursor, "%.*s", DIC_STR_ARGS(next));
    }
    return DIC_OK;
}

static enum dic_code page_path(const char *job, const char *cursor, struct dic_buf *path,
                               struct dic_err *err)
{
    dic_buf_clear(path);
    dic_buf_printf(path, "/result/%s?limit=%d", job, DIC_MAX_PAGE);
    if (cursor[0] != '\0') {
        dic_buf_append_text(path, "&cursor=");
        dic_aws_uri_encode(path, dic_str(cursor), false);
    }
    return dic_buf_check(path, err);
}

static enum dic_code write_all(struct dic_cli *cli, const char *job, struct rows_out *out,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf path;
    bool more = true;
    dic_http_response_init(&answer);
    dic_buf_init(&path, PATH_BYTES);
    while (more) {
        DIC_TRY(page_path(job, out->cursor, &path, err));
        const struct dic_service_call call = {.method = "GET", .path = path.ptr};
        DIC_TRY(dic_service_call(&cli->service, &call, &answer, err));
        DIC_TRY(take_page(out, &answer, &more, err));
    }
    return DIC_OK;
}

/* What was written is good: says where to go on. */
static void say_where(const struct rows_out *out, const char *why)
{
    fprintf(stderr, "classify: %s; %" PRId64 " rows written, go on with --cursor %s\n", why,
            out->rows, out->cursor);
}

enum dic_code dic_cli_write_rows(struct dic_cli *cli, const char *job, const char *cursor,
                                 const char *path, struct dic_err *err)
{
    struct rows_out out = {.path = path, .appends = cursor != NULL};
    struct dic_err why = {0};
    if (cursor != NULL && strlen(cursor) >= sizeof out.cursor) {
        return dic_fail(err, DIC_E_INVALID, "--cursor is over %zu bytes", sizeof out.cursor - 1);
    }
    snprintf(out.cursor, sizeof out.cursor, "%s", cursor != NULL ? cursor : "");
    enum dic_code code = write_all(cli, job, &out, err);
    enum dic_code closed = close_out(&out, &why);
    if (code == DIC_OK && closed != DIC_OK) {
        return dic_fail(err, closed, "%s", why.msg);
    }
    if (code != DIC_OK && out.rows > 0 && !out.write_failed) {
        say_where(&out, "the rows are not complete");
    } else if (code == DIC_OK && out.job_runs) {
        say_where(&out, "the job still runs");
    }
    return code;
}

enum dic_code dic_command_result(struct dic_cli *cli, struct dic_err *err)
{
    const char *job = NULL;
    DIC_TRY(dic_cli_job_operand(cli, &job, err));
    return dic_cli_write_rows(cli, job, cli->arguments.cursor, cli->arguments.out, err);
}
