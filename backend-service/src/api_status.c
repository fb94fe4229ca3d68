/* SPDX-License-Identifier: Apache-2.0 */
/* GET /status/{job-id}, POST /cancel/{job-id}, GET /jobs. */
#include "api_common.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    FIRST_WAIT_MS = 20,
    LONGEST_WAIT_MS = 250,
    LONGEST_REMOTE_WAIT_MS = 1000, /* each look is a request to the store that is paid for */
    CURSOR_SIZE = 64,
};

/* The value of wait=N in one preference, without its parameters and quotes; ptr NULL for another
 * preference. */
static struct dic_str wait_value(struct dic_str preference)
{
    struct dic_str value = dic_str_len(preference.ptr, dic_str_find(preference, ';'));
    struct dic_str name = {0};
    if (!dic_str_split(&value, '=', &name)) {
        return dic_str_len(NULL, 0);
    }
    name = dic_str_trim(name);
    if (name.len != 4 || strncasecmp(name.ptr, "wait", 4) != 0) {
        return dic_str_len(NULL, 0);
    }
    value = value.ptr == NULL ? DIC_STR_LIT("") : dic_str_trim(value);
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') {
        value = dic_str_len(value.ptr + 1, value.len - 2);
    }
    return value;
}

/* Prefer: respond-async, wait=N (RFC 7240; the first wait counts). 0 when there is none; other
 * preferences are not ours to judge. A wait that cannot be kept is refused and not ignored, so
 * that nobody polls without knowing. */
static enum dic_code wait_seconds(const struct dic_request *request, uint64_t *seconds_out,
                                  struct dic_err *err)
{
    struct dic_str rest = request->header(request, "Prefer");
    struct dic_str preference = {0};
    struct dic_err why = {0};
    *seconds_out = 0;
    while (rest.ptr != NULL && dic_str_split(&rest, ',', &preference)) {
        struct dic_str value = wait_value(preference);
        if (value.ptr == NULL) {
            continue;
        }
        if (dic_parse_u64(value, 1, DIC_MAX_WAIT_S, seconds_out, &why) != DIC_OK) {
            return dic_fail_field(err, DIC_E_MALFORMED, "Prefer", "Prefer: wait: %.200s", why.msg);
        }
        return DIC_OK;
    }
    return DIC_OK;
}

/* Whether the client is to wait on; sets when to look again. */
static bool waits_on(const struct dic_api *api, const struct dic_request *request,
                     struct dic_response *response, const struct dic_job *job, uint64_t seconds)
{
    int64_t waited_ms = dic_clock_mono_ms(api->clock) - request->started_ns / 1000000;
    int64_t left_ms = (int64_t)seconds * 1000 - waited_ms;
    if (left_ms <= 0 || dic_job_is_terminal(job->state) || atomic_load(&api->draining)) {
        return false;
    }
    int64_t step = (int64_t)FIRST_WAIT_MS * (request->calls + 1);
    const int64_t longest = api->jobs.ops->is_local ? LONGEST_WAIT_MS : LONGEST_REMOTE_WAIT_MS;
    step = step < longest ? step : longest;
    response->later_ms = step < left_ms ? step : left_ms;
    return true;
}

enum dic_handling dic_api_status(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response)
{
    static const char *const allowed[] = {NULL};
    struct dic_err err = {0};
    struct dic_job job = {0};
    uint64_t seconds = 0;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory = {0};
    if (dic_api_check_query(request, allowed, &err) != DIC_OK ||
        wait_seconds(request, &seconds, &err) != DIC_OK ||
        dic_api_get_job(api, request, response, &job, &memory, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    if (seconds > 0 && waits_on(api, request, response, &job, seconds)) {
        return DIC_HANDLE_LATER;
    }
    dic_api_answer_job(api, response, &job);
    if (seconds > 0) {
        char applied[32];
        snprintf(applied, sizeof applied, "wait=%u", (unsigned)seconds);
        dic_response_header(response, "Preference-Applied", applied);
    }
    return DIC_HANDLED;
}

/* ---- cancel ---- */

/* Once the stop is recorded the job will end: by this call, by a worker, or by the sweeper. So what
 * fails behind it is logged, and is no failure of the request. */
static enum dic_code cancel(struct dic_api *api, const char *id, struct dic_err *err)
{
    const struct dic_job_store *jobs = &api->jobs;
    struct dic_message message = {.kind = DIC_MESSAGE_SEAL};
    struct dic_err why = {0};
    DIC_TRY(jobs->ops->stop(jobs->impl, id, DIC_JOB_CANCELLING, DIC_STR_LIT("cancelled by request"),
                            err));
    if (jobs->ops->seal(jobs->impl, id, &why) == DIC_OK) {
        return DIC_OK;
    }
    dic_log_message(DIC_LOG_WARN, "seal_failed", "job %s: %s", id, why.msg);
    memcpy(message.job_id, id, DIC_ID_SIZE);
    if (api->queue.ops->send(api->queue.impl, &message, 1, &why) != DIC_OK) {
        dic_log_message(DIC_LOG_WARN, "send_failed", "job %s: %s", id, why.msg);
    }
    return DIC_OK;
}

enum dic_handling dic_api_cancel(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response)
{
    static const char *const allowed[] = {NULL};
    struct dic_err err = {0};
    struct dic_job job = {0};
    char id[DIC_ID_SIZE];
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory = {0};
    if (dic_api_check_query(request, allowed, &err) != DIC_OK ||
        dic_api_check_no_body(request, &err) != DIC_OK ||
        dic_api_job_id(request, response, id, &err) != DIC_OK || cancel(api, id, &err) != DIC_OK ||
        dic_api_get_job(api, request, response, &job, &memory, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    dic_api_answer_job(api, response, &job);
    return DIC_HANDLED;
}

/* ---- list ---- */

struct listing {
    struct dic_api *api;
    struct dic_json_writer writer;
    uint32_t limit;
    uint32_t count;
    int64_t last_ms;
    char last_id[DIC_ID_SIZE];
    bool more;
};

static enum dic_code add_job(void *context, const struct dic_job *job, struct dic_err *err)
{
    struct listing *listing = context;
    (void)err; /* nothing can fail here: the buffer's state is checked at the end */
    if (listing->count == listing->limit) {
        listing->more = true;
        return DIC_OK;
    }
    dic_job_write(&listing->writer, listing->api, job);
    listing->count++;
    listing->last_ms = job->created_ms;
    memcpy(listing->last_id, job->id, DIC_ID_SIZE);
    return DIC_OK;
}

/* A cursor is "created_ms-id" of the last job shown. */
static enum dic_code parse_cursor(struct dic_str text, struct dic_job_filter *filter,
                                  struct dic_err *err)
{
    struct dic_str rest = text;
    struct dic_str part = {0};
    uint64_t created = 0;
    if (text.ptr == NULL) {
        return DIC_OK;
    }
    if (!dic_str_split(&rest, '-', &part) ||
        dic_parse_u64(part, 0, INT64_MAX, &created, NULL) != DIC_OK || !dic_job_id_valid(rest)) {
        return dic_fail_field(err, DIC_E_MALFORMED, "cursor",
                              "cursor is not one that this service gave");
    }
    filter->before_ms = (int64_t)created;
    filter->before_id = rest;
    return DIC_OK;
}

static enum dic_code list_jobs(struct dic_api *api, const struct dic_request *request,
                               struct dic_response *response, struct dic_err *err)
{
    static const char *const allowed[] = {"status", "limit", "cursor", NULL};
    struct dic_job_filter filter = {0};
    uint64_t limit = 0;
    char status[40] = "";
    struct dic_str text = request->query(request, "status");
    DIC_TRY(dic_api_check_query(request, allowed, err));
    DIC_TRY(dic_api_query_number(request, "limit", 1, DIC_MAX_PAGE, DIC_DEFAULT_PAGE, &limit, err));
    DIC_TRY(parse_cursor(request->query(request, "cursor"), &filter, err));
    if (text.ptr != NULL) {
        snprintf(status, sizeof status, "%.*s", DIC_STR_ARGS(text));
        filter.status = status;
    }
    filter.limit = (uint32_t)limit + 1; /* one more tells whether there is a next page */
    struct listing listing = {.api = api, .limit = (uint32_t)limit};
    listing.writer = dic_json_writer(&response->body);
    dic_json_begin_object(&listing.writer, NULL);
    dic_json_begin_array(&listing.writer, "jobs");
    DIC_TRY(api->jobs.ops->list(api->jobs.impl, &filter, add_job, &listing, err));
    dic_json_end_array(&listing.writer);
    if (listing.more) {
        char cursor[CURSOR_SIZE];
        snprintf(cursor, sizeof cursor, "%lld-%s", (long long)listing.last_ms, listing.last_id);
        dic_json_put_text(&listing.writer, "next_cursor", cursor);
    } else {
        dic_json_put_null(&listing.writer, "next_cursor");
    }
    dic_json_end_object(&listing.writer);
    dic_buf_append_byte(&response->body, '\n');
    return DIC_OK;
}

enum dic_handling dic_api_jobs(struct dic_api *api, const struct dic_request *request,
                               struct dic_response *response)
{
    struct dic_err err = {0};
    if (list_jobs(api, request, response, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    dic_api_json(response, 200);
    return DIC_HANDLED;
}
