/* SPDX-License-Identifier: Apache-2.0 */
#include "api_common.h"

#include "json/json_read.h"

#include <stdio.h>
#include <string.h>

enum { USD_DECIMALS = 6, MAX_RETRY_AFTER_S = 30 };

enum dic_handling dic_api_fail(const struct dic_request *request, struct dic_response *response,
                               const struct dic_err *err)
{
    struct dic_err ours = *err;
    if (ours.code == DIC_E_DENIED) {
        ours.code = DIC_E_UPSTREAM;
    }
    dic_response_error(response, request, &ours, 0);
    return DIC_HANDLED;
}

static enum dic_code check_parameter(void *context, struct dic_str name, struct dic_str value,
                                     struct dic_err *err)
{
    const char *const *allowed = context;
    (void)value; /* its handler checks it */
    for (; *allowed != NULL; allowed++) {
        if (dic_str_is(name, *allowed)) {
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_MALFORMED, "query", "unknown query parameter '%.*s'",
                          (int)(name.len < 60 ? name.len : 60), name.len ? name.ptr : "");
}

enum dic_code dic_api_check_query(const struct dic_request *request, const char *const *allowed,
                                  struct dic_err *err)
{
    return request->each_query(request, check_parameter, (void *)(uintptr_t)allowed, err);
}

enum dic_code dic_api_query_number(const struct dic_request *request, const char *name,
                                   uint64_t min, uint64_t max, uint64_t fallback, uint64_t *out,
                                   struct dic_err *err)
{
    struct dic_err why = {0};
    struct dic_str text = request->query(request, name);
    *out = fallback;
    if (text.ptr == NULL) {
        return DIC_OK;
    }
    if (dic_parse_u64(text, min, max, out, &why) != DIC_OK) {
        return dic_fail_field(err, DIC_E_MALFORMED, name, "%s: %.200s", name, why.msg);
    }
    return DIC_OK;
}

enum dic_code dic_api_job_id(const struct dic_request *request, struct dic_response *response,
                             char id_out[DIC_ID_SIZE], struct dic_err *err)
{
    struct dic_str text = request->path_arg;
    if (!dic_job_id_valid(text)) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%.*s'",
                        (int)(text.len < 60 ? text.len : 60), text.len ? text.ptr : "");
    }
    memcpy(id_out, text.ptr, DIC_ID_LEN);
    id_out[DIC_ID_LEN] = '\0';
    memcpy(response->job_id, id_out, DIC_ID_SIZE);
    return DIC_OK;
}

enum dic_code dic_api_check_no_body(const struct dic_request *request, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    if (request->body.len == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_json_parse(request->body, &root, err));
    if (!dic_json_is_object(root) || dic_json_size(root) > 0) {
        return dic_fail(err, DIC_E_INVALID, "this request takes no body, or an empty object");
    }
    return DIC_OK;
}

enum dic_code dic_api_get_job(struct dic_api *api, const struct dic_request *request,
                              struct dic_response *response, struct dic_job *job_out,
                              struct dic_buf *memory, struct dic_err *err)
{
    char id[DIC_ID_SIZE];
    dic_buf_init(memory, DIC_JOB_RECORD_BYTES);
    DIC_TRY(dic_api_job_id(request, response, id, err));
    return api->jobs.ops->get(api->jobs.impl, id, job_out, memory, err);
}

/* ---- a job as JSON ---- */

static int64_t finished_images(const struct dic_job_totals *totals)
{
    return totals->succeeded + totals->failed + totals->skipped;
}

int64_t dic_job_eta_s(const struct dic_job *job, int64_t now_ms)
{
    int64_t done = job->totals.succeeded + job->totals.failed;
    int64_t spent_ms = now_ms - job->started_ms;
    if (job->totals.images < 0 || job->started_ms == 0 || done == 0 || spent_ms <= 0) {
        return -1;
    }
    int64_t left = job->totals.images - finished_images(&job->totals);
    return (int64_t)((double)spent_ms / (double)done * (double)left / 1000.0) + 1;
}

static void put_time_or_null(struct dic_json_writer *writer, const char *name, int64_t wall_ms)
{
    if (wall_ms == 0) {
        dic_json_put_null(writer, name);
    } else {
        dic_json_put_time(writer, name, wall_ms);
    }
}

static void put_progress(struct dic_json_writer *writer, const struct dic_job *job)
{
    const struct dic_job_totals *totals = &job->totals;
    int64_t pending = totals->images < 0 ? -1 : totals->images - finished_images(totals);
    dic_json_begin_object(writer, "progress");
    dic_json_put_int_or_null(writer, "total", totals->images);
    dic_json_put_int(writer, "succeeded", totals->succeeded);
    dic_json_put_int(writer, "failed", totals->failed);
    dic_json_put_int(writer, "skipped", totals->skipped);
    dic_json_put_int_or_null(writer, "pending", pending);
    dic_json_end_object(writer);
}

static void put_cost(struct dic_json_writer *writer, const struct dic_api *api,
                     const struct dic_job *job)
{
    int64_t images = job->totals.images < 0 ? job->planned_images : job->totals.images;
    dic_json_put_real(writer, "estimated_cost_usd",
                      (double)images * api->usd_per_million_images / 1e6, USD_DECIMALS);
}

void dic_job_write(struct dic_json_writer *writer, const struct dic_api *api,
                   const struct dic_job *job)
{
    bool ended = dic_job_is_terminal(job->state);
    int64_t eta = ended ? -1 : dic_job_eta_s(job, dic_clock_wall_ms(api->clock));
    dic_json_begin_object(writer, NULL);
    dic_json_put_text(writer, "job_id", job->id);
    dic_json_put_text(writer, "status", dic_job_api_status(job));
    put_progress(writer, job);
    put_time_or_null(writer, "created_at", job->created_ms);
    put_time_or_null(writer, "started_at", job->started_ms);
    put_time_or_null(writer, "ended_at", job->ended_ms);
    put_time_or_null(writer, "deadline_at", job->params.deadline_ms);
    dic_json_put_int_or_null(writer, "eta_seconds", eta);
    put_cost(writer, api, job);
    dic_json_put_int(writer, "top_k", job->params.top_k);
    dic_json_put_real(writer, "confidence_threshold", job->params.confidence_threshold, 6);
    if (job->model_json.len > 0) {
        dic_json_put_raw(writer, "model", job->model_json);
    } else {
        dic_json_put_null(writer, "model");
    }
    /* Source and tags, as they were checked: {"s3_prefix":…,"tags":…}. */
    dic_json_put_raw(writer, "request",
                     job->params.spec_json.len > 0 ? job->params.spec_json : DIC_STR_LIT("{}"));
    if (job->reason.len > 0) {
        dic_json_put_str(writer, "reason", job->reason);
    }
    dic_json_end_object(writer);
}

void dic_api_json(struct dic_response *response, int status)
{
    response->status = status;
    response->content_type = "application/json";
}

void dic_api_answer_job(struct dic_api *api, struct dic_response *response,
                        const struct dic_job *job)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_api_json(response, 200);
    dic_job_write(&writer, api, job);
    dic_buf_append_byte(&response->body, '\n');
    if (!dic_job_is_terminal(job->state)) {
        int64_t eta = dic_job_eta_s(job, dic_clock_wall_ms(api->clock));
        char text[24];
        int64_t wait = eta < 1 ? 1 : eta > MAX_RETRY_AFTER_S ? MAX_RETRY_AFTER_S : eta;
        snprintf(text, sizeof text, "%lld", (long long)wait);
        dic_response_header(response, "Retry-After", text);
    }
}
