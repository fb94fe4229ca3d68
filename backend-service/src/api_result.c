/* SPDX-License-Identifier: Apache-2.0 */
/* GET /result/{job-id}: rows as the worker wrote them, spliced into one answer or streamed. */
#include "api_common.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TOP_LABELS = 20, STREAM_CHUNKS = 4, CURSOR_SIZE = 48 };

/* Where a page or a stream starts: a chunk, and rows of it that were already given. */
struct position {
    uint32_t chunk;
    uint32_t row;
};

/* "chunk.row"; it means the same for ever, since booked rows never change. */
static enum dic_code parse_cursor(struct dic_str text, struct position *out, struct dic_err *err)
{
    struct dic_str rest = text;
    struct dic_str part = {0};
    uint64_t chunk = 0;
    uint64_t row = 0;
    *out = (struct position){0, 0};
    if (text.ptr == NULL) {
        return DIC_OK;
    }
    if (!dic_str_split(&rest, '.', &part) ||
        dic_parse_u64(part, 0, DIC_MAX_SEGMENTS * DIC_SEGMENT_CHUNKS, &chunk, NULL) != DIC_OK ||
        dic_parse_u64(rest, 0, DIC_MAX_CHUNK_IMAGES, &row, NULL) != DIC_OK) {
        return dic_fail_field(err, DIC_E_MALFORMED, "cursor",
                              "cursor is not one that this service gave");
    }
    *out = (struct position){(uint32_t)chunk, (uint32_t)row};
    return DIC_OK;
}

/* ---- one page ---- */

struct page {
    struct dic_json_writer *writer;
    struct position from; /* then: where the next page starts */
    uint64_t left;
    bool full;
};

static enum dic_code add_rows(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    struct page *page = context;
    struct dic_str rest = rows->rows;
    struct dic_str line = {0};
    uint32_t row = 0;
    uint32_t skip = rows->chunk == page->from.chunk ? page->from.row : 0;
    (void)err; /* the buffer's state is checked at the end */
    while (!page->full && dic_str_split(&rest, '\n', &line)) {
        if (line.len == 0 || row++ < skip) {
            continue;
        }
        if (page->left == 0) {
            page->from = (struct position){rows->chunk, row - 1};
            page->full = true;
            return DIC_OK;
        }
        dic_json_put_raw(page->writer, NULL, line);
        page->left--;
    }
    if (!page->full) {
        page->from = (struct position){rows->chunk + 1, 0};
    }
    return DIC_OK;
}

static void put_labels(struct dic_json_writer *writer, const struct dic_label_count *labels,
                       size_t count)
{
    dic_json_begin_array(writer, "labels");
    for (size_t i = 0; i < count; i++) {
        dic_json_begin_object(writer, NULL);
        dic_json_put_str(writer, "label", labels[i].label);
        dic_json_put_int(writer, "images", labels[i].images);
        dic_json_end_object(writer);
    }
    dic_json_end_array(writer);
}

static enum dic_code put_head(struct dic_api *api, const struct dic_job *job,
                              struct dic_json_writer *writer, struct dic_err *err)
{
    struct dic_label_count labels[TOP_LABELS];
    size_t count = TOP_LABELS;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, 64 * 1024);
    DIC_TRY(api->jobs.ops->labels(api->jobs.impl, job->id, labels, &count, &memory, err));
    dic_json_put_text(writer, "job_id", job->id);
    dic_json_put_text(writer, "status", dic_job_api_status(job));
    if (job->model_json.len > 0) {
        dic_json_put_raw(writer, "model", job->model_json);
    } else {
        dic_json_put_null(writer, "model");
    }
    dic_json_begin_object(writer, "summary");
    dic_json_put_int_or_null(writer, "total", job->totals.images);
    dic_json_put_int(writer, "classified", job->totals.succeeded - job->totals.unknown);
    dic_json_put_int(writer, "unknown", job->totals.unknown);
    dic_json_put_int(writer, "failed", job->totals.failed);
    dic_json_put_int(writer, "skipped", job->totals.skipped);
    put_labels(writer, labels, count);
    dic_json_end_object(writer);
    return DIC_OK;
}

/* A live job always has a next cursor: more rows will come. */
static void put_cursor(struct dic_json_writer *writer, const struct dic_job *job,
                       const struct page *page)
{
    char cursor[CURSOR_SIZE];
    if (!page->full && dic_job_is_terminal(job->state)) {
        dic_json_put_null(writer, "next_cursor");
        return;
    }
    snprintf(cursor, sizeof cursor, "%u.%u", page->from.chunk, page->from.row);
    dic_json_put_text(writer, "next_cursor", cursor);
}

static enum dic_code answer_page(struct dic_api *api, const struct dic_job *job,
                                 struct position from, uint64_t limit,
                                 struct dic_response *response, struct dic_err *err)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    struct page page = {.writer = &writer, .from = from, .left = limit};
    dic_json_begin_object(&writer, NULL);
    DIC_TRY(put_head(api, job, &writer, err));
    dic_json_begin_array(&writer, "results");
    /* Chunks may hold one image each: as many of them as rows, and one to learn of a next page. */
    uint32_t chunks = (uint32_t)limit + 1;
    for (uint32_t read = 0; read < chunks && !page.full; read += STREAM_CHUNKS) {
        uint32_t before = page.from.chunk;
        DIC_TRY(api->jobs.ops->rows(api->jobs.impl, job->id, page.from.chunk, STREAM_CHUNKS,
                                    add_rows, &page, err));
        if (page.from.chunk == before) {
            break;
        }
    }
    dic_json_end_array(&writer);
    put_cursor(&writer, job, &page);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
    return DIC_OK;
}

/* ---- streaming ---- */

struct row_stream {
    struct dic_api *api;
    char id[DIC_ID_SIZE];
    struct position from;
};

struct stream_step {
    struct row_stream *stream;
    struct dic_buf *out;
    uint32_t chunks;
};

static enum dic_code stream_rows(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    struct stream_step *step = context;
    struct dic_str rest = rows->rows;
    struct dic_str line = {0};
    uint32_t skip = rows->chunk == step->stream->from.chunk ? step->stream->from.row : 0;
    while (skip > 0 && dic_str_split(&rest, '\n', &line)) {
        skip--;
    }
    if (rest.ptr != NULL) {
        dic_buf_append_str(step->out, rest);
    }
    step->stream->from = (struct position){rows->chunk + 1, 0};
    step->chunks++;
    return dic_buf_check(step->out, err);
}

static enum dic_code next_piece(void *context, struct dic_buf *out, bool *end_out,
                                struct dic_err *err)
{
    struct row_stream *stream = context;
    struct stream_step step = {stream, out, 0};
    DIC_TRY(stream->api->jobs.ops->rows(stream->api->jobs.impl, stream->id, stream->from.chunk,
                                        STREAM_CHUNKS, stream_rows, &step, err));
    *end_out = step.chunks == 0;
    return DIC_OK;
}

static void answer_stream(struct dic_api *api, const struct dic_job *job, struct position from,
                          struct dic_response *response)
{
    struct row_stream *stream = dic_calloc(1, sizeof *stream);
    stream->api = api;
    memcpy(stream->id, job->id, DIC_ID_SIZE);
    stream->from = from;
    response->content_type = "application/x-ndjson";
    response->stream = (struct dic_stream){next_piece, dic_free, stream};
}

static bool wants_ndjson(const struct dic_request *request)
{
    static const char type[] = "application/x-ndjson";
    struct dic_str rest = request->header(request, "Accept");
    struct dic_str range = {0};
    while (rest.ptr != NULL && dic_str_split(&rest, ',', &range)) {
        struct dic_str name = dic_str_trim(dic_str_len(range.ptr, dic_str_find(range, ';')));
        if (name.len == sizeof type - 1 && strncasecmp(name.ptr, type, name.len) == 0) {
            return true;
        }
    }
    return false;
}

static enum dic_code result(struct dic_api *api, const struct dic_request *request,
                            struct dic_response *response, struct dic_err *err)
{
    static const char *const allowed[] = {"limit", "cursor", NULL};
    struct dic_job job = {0};
    struct position from = {0, 0};
    uint64_t limit = 0;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory = {0};
    DIC_TRY(dic_api_check_query(request, allowed, err));
    DIC_TRY(parse_cursor(request->query(request, "cursor"), &from, err));
    DIC_TRY(dic_api_query_number(request, "limit", 1, DIC_MAX_PAGE, DIC_DEFAULT_PAGE, &limit, err));
    if (wants_ndjson(request) && request->query(request, "limit").ptr != NULL) {
        return dic_fail_field(err, DIC_E_MALFORMED, "limit",
                              "limit is for pages; application/x-ndjson has all rows");
    }
    DIC_TRY(dic_api_get_job(api, request, response, &job, &memory, err));
    dic_api_json(response, dic_job_is_terminal(job.state) ? 200 : 202);
    if (!dic_job_is_terminal(job.state)) {
        dic_response_header(response, "Retry-After", "1");
    }
    if (wants_ndjson(request)) {
        answer_stream(api, &job, from, response);
        return DIC_OK;
    }
    return answer_page(api, &job, from, limit, response, err);
}

enum dic_handling dic_api_result(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response)
{
    struct dic_err err = {0};
    if (result(api, request, response, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    return DIC_HANDLED;
}
