/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole HTTP request, from its line to its body, as server.c hands it on, through the checks of
 * the head and the route's handler, on a store that has one job. The answer is as documented. An
 * input is "POST /submit", a line break, header lines, an empty line, the body.
 */
#include "api.h"
#include "base/mem.h"
#include "blob_store_memory.h"
#include "exchange.h"
#include "fuzz.h"
#include "job_queue_memory.h"
#include "upload_ticket.h"

#include <string.h>
#include <strings.h>

#define JOB "aaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { MOST_HEADERS = 128, MOST_PIECES = 16 };

/* ---- a store of one job ---- */

static const struct dic_job the_job = {
    .id = JOB,
    .state = DIC_JOB_SUCCEEDED,
    .params = {.source = DIC_SOURCE_KEYS, .top_k = 5, .max_failures = -1, .spec_json = {"{}", 2}},
    .totals = {.images = 2, .succeeded = 1, .failed = 1},
    .planned_chunks = 1,
    .created_ms = 1,
    .started_ms = 2,
    .ended_ms = 3,
};

static enum dic_code get(void *impl, const char *job_id, struct dic_job *out,
                         struct dic_buf *memory, struct dic_err *err)
{
    const bool *ended = impl;
    (void)memory; /* the texts are constants */
    if (strcmp(job_id, JOB) != 0) {
        return dic_fail(err, DIC_E_NOT_FOUND, "no such job");
    }
    *out = the_job;
    out->state = *ended ? DIC_JOB_SUCCEEDED : DIC_JOB_RUNNING;
    return DIC_OK;
}

static enum dic_code create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                            enum dic_create_result *result_out, bool *sent_out, struct dic_err *err)
{
    (void)impl; /* nothing is kept, and nothing fails */
    (void)err;
    FUZZ_CHECK(job->idempotency_key.len <= DIC_MAX_IDEMPOTENCY_KEY_BYTES);
    for (size_t i = 0; i < job->idempotency_key.len; i++) {
        FUZZ_CHECK(job->idempotency_key.ptr[i] >= 0x20 && job->idempotency_key.ptr[i] < 0x7F);
    }
    FUZZ_CHECK(dic_fuzz_is_json(job->params.spec_json));
    memcpy(id_out, JOB, DIC_ID_SIZE);
    *result_out = job->idempotency_key.len > 0 ? DIC_CREATE_REPLAYED : DIC_CREATED;
    *sent_out = true;
    return DIC_OK;
}

static enum dic_code list(void *impl, const struct dic_job_filter *filter, dic_job_visit visit,
                          void *context, struct dic_err *err)
{
    (void)impl; /* the same for all */
    FUZZ_CHECK(filter->limit >= 1 && filter->limit <= DIC_MAX_PAGE + 1);
    return visit(context, &the_job, err);
}

static enum dic_code rows(void *impl, const char *job_id, uint32_t chunk, uint32_t limit,
                          dic_rows_visit visit, void *context, struct dic_err *err)
{
    const struct dic_rows one = {.images = 2, .failed = 1, .rows = {"{\"i\":0}\n{\"i\":1}\n", 16}};
    (void)impl; /* the same for all */
    (void)job_id;
    FUZZ_CHECK(limit >= 1);
    return chunk == 0 ? visit(context, &one, err) : DIC_OK;
}

static enum dic_code labels(void *impl, const char *job_id, struct dic_label_count *out,
                            size_t *count_io, struct dic_buf *memory, struct dic_err *err)
{
    (void)impl; /* the same for all */
    (void)job_id;
    (void)memory;
    (void)err;
    out[0] = (struct dic_label_count){{"c\"at", 4}, 1};
    *count_io = 1;
    return DIC_OK;
}

static enum dic_code stop(void *impl, const char *job_id, enum dic_job_state state,
                          struct dic_str reason, struct dic_err *err)
{
    (void)state; /* nothing is kept */
    (void)reason;
    return get(impl, job_id, &(struct dic_job){0}, NULL, err);
}

static enum dic_code seal(void *impl, const char *job_id, struct dic_err *err)
{
    return get(impl, job_id, &(struct dic_job){0}, NULL, err);
}

static enum dic_code ping(void *impl, struct dic_err *err)
{
    (void)impl; /* always there */
    (void)err;
    return DIC_OK;
}

/* ---- what server.c gives a handler ---- */

struct received {
    struct dic_exchange *exchange;
    struct dic_str names[MOST_HEADERS];
    struct dic_str values[MOST_HEADERS];
    size_t count;
};

static struct dic_str header(const struct dic_request *request, const char *name)
{
    const struct received *received = request->server_data;
    for (size_t i = 0; i < received->count; i++) {
        if (strcasecmp(received->names[i].ptr, name) == 0) {
            return received->values[i];
        }
    }
    return dic_str_len(NULL, 0);
}

static struct dic_str query(const struct dic_request *request, const char *name)
{
    const struct received *received = request->server_data;
    return dic_query_find(&received->exchange->query, dic_str(name));
}

static enum dic_code each_query(const struct dic_request *request,
                                enum dic_code (*visit)(void *context, struct dic_str name,
                                                       struct dic_str value, struct dic_err *err),
                                void *context, struct dic_err *err)
{
    const struct received *received = request->server_data;
    for (size_t i = 0; i < received->exchange->query.count; i++) {
        DIC_TRY(visit(context, received->exchange->query.parameters[i].name,
                      received->exchange->query.parameters[i].value, err));
    }
    return DIC_OK;
}

static enum dic_method method_of(const char *word)
{
    static const char *const words[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (enum dic_method)(1 << i);
        }
    }
    return DIC_METHOD_OTHER;
}

/* ---- the answer ---- */

static void check_body(struct dic_response *response)
{
    struct dic_str body = dic_buf_view(&response->body);
    FUZZ_CHECK(!response->body.poisoned);
    if (response->content_type != NULL && strcmp(response->content_type, "application/json") == 0) {
        FUZZ_CHECK(dic_fuzz_is_json(body));
    }
    bool end = response->stream.next == NULL;
    for (int i = 0; !end; i++) {
        DIC_CLEANUP(dic_buf_clean_up) struct dic_buf piece;
        FUZZ_CHECK(i < MOST_PIECES);
        dic_buf_init(&piece, 1024 * 1024);
        FUZZ_CHECK(response->stream.next(response->stream.context, &piece, &end, NULL) == DIC_OK);
        FUZZ_CHECK(end || piece.len > 0);
    }
}

static void check_answer(struct dic_response *response)
{
    FUZZ_CHECK(response->status >= 200 && response->status < 600 && response->status != 500);
    FUZZ_CHECK((response->status >= 400) == (response->err.code != DIC_OK));
    for (size_t i = 0; i < response->header_count; i++) {
        const struct dic_response_header *one = &response->headers[i];
        FUZZ_CHECK(dic_exchange_header_is_sound(dic_str(one->name), dic_str(one->value)));
    }
    check_body(response);
}

static struct dic_api *the_api(void)
{
    static const struct dic_upload_signer signer = {"0123456789abcdef0123456789abcde"};
    static const struct dic_job_store_ops ops = {.create = create,
                                                 .get = get,
                                                 .peek = get,
                                                 .list = list,
                                                 .rows = rows,
                                                 .labels = labels,
                                                 .stop = stop,
                                                 .seal = seal,
                                                 .ping = ping};
    static bool ended;
    static struct dic_api api;
    if (api.version == NULL) {
        api.jobs = (struct dic_job_store){&ops, &ended};
        api.queue = dic_job_queue_memory_new(NULL);
        api.images = dic_blob_store_memory_new();
        api.clock = dic_clock_system();
        api.chunk_images = 1;
        api.version = "1";
        api.upload_signer = &signer;
    }
    return &api;
}

static void handle(struct received *received, const struct dic_head_facts *facts,
                   struct dic_str body)
{
    struct dic_exchange *exchange = received->exchange;
    struct dic_err err = {0};
    int status = 0;
    enum dic_code code = dic_exchange_check_head(exchange, facts, &status, &err);
    dic_fuzz_check_err(code, &err);
    if (code != DIC_OK) {
        dic_exchange_fail(exchange, &err, status);
    } else {
        exchange->request.body = dic_str_len(
            body.ptr, body.len < exchange->body.ceiling ? body.len : exchange->body.ceiling);
        *(bool *)exchange->api->jobs.impl = body.len % 2 == 0;
        if (exchange->route->handler(exchange->api, &exchange->request, &exchange->response) ==
            DIC_HANDLE_LATER) {
            FUZZ_CHECK(exchange->response.later_ms > 0);
            return;
        }
    }
    check_answer(&exchange->response);
}

/* A line, ended by a NUL in its place. */
static char *take_line(char **rest)
{
    char *line = *rest;
    char *end = strchr(line, '\n');
    *rest = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL) {
        *end = '\0';
    }
    return line;
}

static void take_headers(char **rest, struct received *received, struct dic_head_facts *facts)
{
    for (char *line = take_line(rest); *line != '\0'; line = take_line(rest)) {
        char *colon = strchr(line, ':');
        if (colon == NULL || received->count == MOST_HEADERS) {
            continue;
        }
        *colon = '\0';
        received->names[received->count] = dic_str(line);
        received->values[received->count] = dic_str_trim(dic_str(colon + 1));
        dic_head_facts_add(facts, dic_str(line), received->values[received->count]);
        received->count++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_free_cleanup) char *text = dic_strdup_len((const char *)bytes, len);
    struct received received = {0};
    struct dic_head_facts facts = {0};
    char *rest = text;
    char *target = take_line(&rest);
    char *space = strchr(target, ' ');
    if (space == NULL) {
        return 0;
    }
    *space = '\0';
    received.exchange = dic_exchange_new(space + 1);
    struct dic_request *request = &received.exchange->request;
    request->method = method_of(target);
    request->query = query;
    request->header = header;
    request->each_query = each_query;
    request->server_data = &received;
    received.exchange->api = the_api();
    take_headers(&rest, &received, &facts);
    handle(&received, &facts, dic_str_len(rest, len - (size_t)(rest - text)));
    dic_exchange_destroy(received.exchange);
    return 0;
}
