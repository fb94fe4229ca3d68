/* SPDX-License-Identifier: Apache-2.0 */
/* POST /submit and POST /retry/{job-id}. */
#include "api_common.h"
#include "base/log.h"
#include "dry_run.h"
#include "submit_request.h"

#include <stdio.h>
#include <string.h>

enum { MAX_LINES_BYTES = 64 * 1024 * 1024 };

/* A job being accepted: its images as lines, cut into chunks where one segment holds them all. */
struct draft {
    struct dic_buf lines;
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    struct dic_segment_plan segment;
    struct dic_new_job job;
};

static void draft_clean_up(struct draft *draft)
{
    dic_buf_clean_up(&draft->lines);
}

static enum dic_code idempotency_key(const struct dic_request *request, struct dic_str *out,
                                     struct dic_err *err)
{
    struct dic_str key = request->header(request, "Idempotency-Key");
    bool good = key.ptr == NULL || (key.len >= 1 && key.len <= DIC_MAX_IDEMPOTENCY_KEY_BYTES);
    for (size_t i = 0; good && i < key.len; i++) {
        good = key.ptr[i] >= 0x20 && key.ptr[i] < 0x7F;
    }
    if (!good) {
        return dic_fail_field(
            err, DIC_E_MALFORMED, "Idempotency-Key",
            "Idempotency-Key has %zu bytes, allowed are 1 to %d of printable ASCII", key.len,
            DIC_MAX_IDEMPOTENCY_KEY_BYTES);
    }
    *out = key.ptr == NULL ? dic_str_len("", 0) : key;
    return DIC_OK;
}

/* Chunk boundaries of the lines written so far; the views are set when the buffer is complete. */
static void cut_chunks(struct draft *draft, const size_t *starts, size_t count,
                       uint32_t chunk_images)
{
    for (size_t i = 0; i * chunk_images < count; i++) {
        size_t first = i * chunk_images;
        size_t last = first + chunk_images < count ? first + chunk_images : count;
        draft->chunks[i] = (struct dic_chunk_plan){
            .first_image = (int64_t)first,
            .images = (uint32_t)(last - first),
            .lines = dic_str_len(draft->lines.ptr + starts[first], starts[last] - starts[first]),
        };
        draft->segment.chunk_count++;
    }
    draft->segment.chunks = draft->chunks;
    draft->segment.is_last = true;
    draft->job.segment = &draft->segment;
}

static enum dic_code draft_keys(const struct dic_api *api, const struct dic_submit_request *body,
                                struct draft *draft, struct dic_err *err)
{
    size_t starts[DIC_SEGMENT_CHUNKS * DIC_MAX_CHUNK_IMAGES + 1];
    size_t count = dic_json_size(body->keys);
    bool one_segment = count <= (size_t)DIC_SEGMENT_CHUNKS * api->chunk_images;
    for (size_t i = 0; i < count; i++) {
        struct dic_image image = {.key = dic_submit_request_key(body, i)};
        starts[one_segment ? i : 0] = draft->lines.len;
        dic_image_line_write(&draft->lines, &image);
    }
    DIC_TRY(dic_buf_check(&draft->lines, err));
    if (one_segment) {
        starts[count] = draft->lines.len;
        cut_chunks(draft, starts, count, api->chunk_images);
    } else {
        draft->job.keys = dic_buf_view(&draft->lines);
    }
    return DIC_OK;
}

/* Best effort: the sweeper finds work whose message was lost. */
static void send_messages(struct dic_api *api, const struct draft *draft, const char *id)
{
    struct dic_message messages[DIC_SEGMENT_CHUNKS] = {{.kind = DIC_MESSAGE_PLAN}};
    size_t count = draft->job.segment == NULL ? 1 : draft->segment.chunk_count;
    struct dic_err err = {0};
    for (size_t i = 0; i < count; i++) {
        messages[i].kind = draft->job.segment == NULL ? DIC_MESSAGE_PLAN : DIC_MESSAGE_CHUNK;
        messages[i].chunk = (uint32_t)i;
        memcpy(messages[i].job_id, id, DIC_ID_SIZE);
    }
    if (api->queue.ops->send(api->queue.impl, messages, count, &err) != DIC_OK) {
        dic_log_message(DIC_LOG_WARN, "send_failed", "job %s: %s", id, err.msg);
    }
}

static void put_urls(struct dic_json_writer *writer, const char *id)
{
    static const char *const names[] = {"status", "result", "cancel"};
    dic_json_begin_object(writer, "urls");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char url[64];
        snprintf(url, sizeof url, "/%s/%s", names[i], id);
        dic_json_put_text(writer, names[i], url);
    }
    dic_json_end_object(writer);
}

static void answer_accepted(struct dic_response *response, const char *id, const char *status,
                            int64_t total, enum dic_create_result result)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    char location[64];
    dic_api_json(response, 202);
    memcpy(response->job_id, id, DIC_ID_SIZE);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "job_id", id);
    dic_json_put_text(&writer, "status", status);
    dic_json_put_int_or_null(&writer, "total_images", total);
    put_urls(&writer, id);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
    snprintf(location, sizeof location, "/status/%s", id);
    dic_response_header(response, "Location", location);
    dic_response_header(response, "Retry-After", "1");
    if (result == DIC_CREATE_REPLAYED) {
        dic_response_header(response, "Idempotent-Replay", "true");
    }
}

/* A replay answers with what the job is by now. */
static enum dic_code answer_replayed(struct dic_api *api, struct dic_response *response,
                                     const char *id, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_job job = {0};
    dic_buf_init(&memory, 1024 * 1024);
    DIC_TRY(api->jobs.ops->get(api->jobs.impl, id, &job, &memory, err));
    answer_accepted(response, id, dic_job_api_status(&job), job.totals.images, DIC_CREATE_REPLAYED);
    return DIC_OK;
}

static enum dic_code create(struct dic_api *api, struct draft *draft, int64_t total,
                            struct dic_response *response, struct dic_err *err)
{
    char id[DIC_ID_SIZE];
    enum dic_create_result result = DIC_CREATED;
    bool sent = false;
    DIC_TRY(api->jobs.ops->create(api->jobs.impl, &draft->job, id, &result, &sent, err));
    if (!sent) {
        send_messages(api, draft, id);
    }
    if (result == DIC_CREATE_REPLAYED) {
        return answer_replayed(api, response, id, err);
    }
    answer_accepted(response, id, "queued", total, result);
    return DIC_OK;
}

static enum dic_code accept_job(struct dic_api *api, const struct dic_submit_request *body,
                                struct dic_str key, struct dic_response *response,
                                struct dic_err *err)
{
    DIC_CLEANUP(draft_clean_up) struct draft draft = {0};
    int64_t total = body->keys == NULL ? -1 : (int64_t)dic_json_size(body->keys);
    dic_buf_init(&draft.lines, MAX_LINES_BYTES);
    draft.job.params = body->params;
    draft.job.created_ms = dic_clock_wall_ms(api->clock);
    draft.job.chunk_images = api->chunk_images;
    if (body->params.deadline_ms > 0) {
        draft.job.params.deadline_ms = draft.job.created_ms + body->params.deadline_ms;
    }
    draft.job.images = total > 0 ? total : 0;
    draft.job.request_hash = dic_str(body->hash);
    draft.job.idempotency_key = key;
    if (body->keys != NULL) {
        DIC_TRY(draft_keys(api, body, &draft, err));
    }
    return create(api, &draft, total, response, err);
}

static enum dic_code wants_dry_run(const struct dic_request *request, bool *out,
                                   struct dic_err *err)
{
    struct dic_str text = request->query(request, "dry_run");
    *out = dic_str_is(text, "true");
    if (text.ptr != NULL && !*out && !dic_str_is(text, "false")) {
        return dic_fail_field(err, DIC_E_MALFORMED, "dry_run",
                              "dry_run is '%.*s', allowed are true and false",
                              (int)(text.len < 40 ? text.len : 40), text.ptr);
    }
    return DIC_OK;
}

enum dic_handling dic_api_submit(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response)
{
    static const char *const allowed[] = {"dry_run", NULL};
    struct dic_err err = {0};
    bool dry_run = false;
    struct dic_str key = {0};
    DIC_CLEANUP(dic_submit_request_clean_up) struct dic_submit_request body = {0};
    if (dic_api_check_query(request, allowed, &err) != DIC_OK ||
        wants_dry_run(request, &dry_run, &err) != DIC_OK ||
        idempotency_key(request, &key, &err) != DIC_OK ||
        dic_submit_request_parse(request->body, &body, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    enum dic_code code = dry_run ? dic_dry_run(api, &body, response, &err)
                                 : accept_job(api, &body, key, response, &err);
    return code == DIC_OK ? DIC_HANDLED : dic_api_fail(request, response, &err);
}

/* ---- retry ---- */

static enum dic_code check_retryable(const struct dic_job *job, struct dic_err *err)
{
    if (!dic_job_is_terminal(job->state)) {
        return dic_fail(err, DIC_E_CONFLICT,
                        "job '%s' is %s; its failed images can be retried when it has ended",
                        job->id, dic_job_api_status(job));
    }
    if (job->totals.failed == 0) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' has no failed images", job->id);
    }
    return DIC_OK;
}

static enum dic_code retry(struct dic_api *api, const struct dic_request *request,
                           struct dic_response *response, struct dic_err *err)
{
    static const char *const allowed[] = {NULL};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory = {0};
    DIC_CLEANUP(draft_clean_up) struct draft draft = {0};
    struct dic_job parent = {0};
    char spec[96];
    DIC_TRY(dic_api_check_query(request, allowed, err));
    DIC_TRY(dic_api_check_no_body(request, err));
    DIC_TRY(dic_api_get_job(api, request, response, &parent, &memory, err));
    DIC_TRY(check_retryable(&parent, err));
    snprintf(spec, sizeof spec, "{\"retry_of\":\"%s\"}", parent.id);
    draft.job.params = parent.params;
    draft.job.params.source = DIC_SOURCE_RETRY;
    draft.job.params.deadline_ms = 0; /* the parent's is past or nearly so */
    draft.job.params.max_failures = -1;
    draft.job.params.spec_json = dic_str(spec);
    draft.job.created_ms = dic_clock_wall_ms(api->clock);
    draft.job.chunk_images = api->chunk_images;
    draft.job.idempotency_key = dic_str_len("", 0);
    draft.job.retry_of = dic_str(parent.id);
    draft.job.images = parent.totals.failed;
    return create(api, &draft, parent.totals.failed, response, err);
}

enum dic_handling dic_api_retry(struct dic_api *api, const struct dic_request *request,
                                struct dic_response *response)
{
    struct dic_err err = {0};
    if (retry(api, request, response, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    return DIC_HANDLED;
}
