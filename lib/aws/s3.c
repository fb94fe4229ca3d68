/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/s3.h"

#include "aws/s3_request.h"
#include "base/mem.h"
#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

/* The length that was announced and the body must agree: what sends on half an object with a new
 * length (or the wrong one) is caught here. */
static enum dic_code check_length(const struct dic_s3_request *request, struct dic_err *err)
{
    const struct dic_s3_object said = dic_s3_object_of(&request->answer.http);
    const size_t came = request->answer.http.body.len;
    if (said.size_bytes >= 0 && (uint64_t)said.size_bytes != came) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: %zu bytes came, %" PRId64 " were announced",
                        request->call.operation, came, said.size_bytes);
    }
    return DIC_OK;
}

/* S3 gives every object its tag: what has none is somebody else's page, or an empty 200 of somebody
 * who did not ask S3. Without the look it would be an image, or a shard that is stored nowhere. */
static enum dic_code check_tag(const struct dic_s3_request *request, struct dic_err *err)
{
    return dic_http_response_header(&request->answer.http, "etag").ptr != NULL
               ? DIC_OK
               : dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has no ETag, so it is not S3's",
                          request->call.operation);
}

/* Moves the bytes to an empty buffer, copies them to another. */
static enum dic_code take_body(struct dic_buf *body, struct dic_buf *out, struct dic_err *err)
{
    if (out->len == 0 && !out->poisoned && out->capacity < body->len && body->len <= out->ceiling) {
        dic_free(out->ptr);
        out->ptr = body->ptr;
        out->len = body->len;
        out->capacity = body->capacity;
        *body = (struct dic_buf){.ceiling = body->ceiling};
        return DIC_OK;
    }
    dic_buf_append_str(out, dic_buf_view(body));
    return dic_buf_check(out, err);
}

static enum dic_code too_large(int64_t size_bytes, int64_t max_bytes, struct dic_err *err)
{
    if (size_bytes < 0) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the object has more than %" PRId64 " bytes",
                        max_bytes);
    }
    return dic_fail(err, DIC_E_TOO_LARGE, "the object has %" PRId64 " bytes, the limit is %" PRId64,
                    size_bytes, max_bytes);
}

static void get_init(struct dic_s3_request *request, struct dic_s3_bucket *bucket,
                     struct dic_str key, int64_t max_bytes)
{
    dic_s3_request_init(request, bucket, "GetObject", "GET", key);
    dic_s3_request_is_read(request);
    dic_s3_request_expect(request, max_bytes);
    request->call.max_response_bytes = max_bytes > 0 ? (size_t)max_bytes : 1; /* 0: a default */
}

enum dic_code dic_s3_get(struct dic_s3_bucket *bucket, struct dic_str key, int64_t max_bytes,
                         struct dic_buf *out, struct dic_s3_object *object_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    get_init(&request, bucket, key, max_bytes);
    const enum dic_code code = dic_s3_request_send(&request, err);
    struct dic_s3_object object = dic_s3_object_of(&request.answer.http);
    const int64_t came = (int64_t)request.answer.http.body.len;
    if (code == DIC_E_TOO_LARGE || (code == DIC_OK && came > max_bytes)) {
        return too_large(object.size_bytes, max_bytes, err);
    }
    DIC_TRY(code);
    DIC_TRY(check_tag(&request, err));
    DIC_TRY(check_length(&request, err));
    object.size_bytes = came;
    if (object_out != NULL) {
        *object_out = object;
    }
    return take_body(&request.answer.http.body, out, err);
}

/* Content-Range: bytes 0-9/100 (RFC 9110 section 14.4); total −1 for '*'. */
static bool parse_content_range(struct dic_str text, uint64_t *first, uint64_t *last,
                                int64_t *total)
{
    const struct dic_str unit = DIC_STR_LIT("bytes ");
    struct dic_str span = {0};
    struct dic_str part = {0};
    uint64_t size = 0;
    if (!dic_str_starts_with(text, unit)) {
        return false;
    }
    text = dic_str_skip(text, unit.len);
    if (!dic_str_split(&text, '/', &span) || !dic_str_split(&span, '-', &part)) {
        return false;
    }
    *total = -1;
    if (!dic_str_is(text, "*")) {
        if (dic_parse_u64(text, 0, INT64_MAX, &size, NULL) != DIC_OK) {
            return false;
        }
        *total = (int64_t)size;
    }
    return dic_parse_u64(part, 0, INT64_MAX, first, NULL) == DIC_OK &&
           dic_parse_u64(span, *first, INT64_MAX, last, NULL) == DIC_OK;
}

/* What came is exactly what was asked for, up to the object's end. */
static enum dic_code check_range(const struct dic_s3_request *request, int64_t offset, int64_t len,
                                 struct dic_err *err)
{
    const struct dic_http_response *http = &request->answer.http;
    const struct dic_str text = dic_http_response_header(http, "content-range");
    uint64_t first = 0;
    uint64_t last = 0;
    int64_t total = 0;
    if (http->status == 200 && offset == 0 && http->body.len <= (uint64_t)len) {
        return DIC_OK; /* the whole object, which a server may answer with */
    }
    if (http->status != 206 || !parse_content_range(text, &first, &last, &total)) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "a range was asked for; the answer is %d with Content-Range '%.*s'",
                        http->status, (int)(text.len < 60 ? text.len : 60),
                        text.len > 0 ? text.ptr : "");
    }
    const bool is_short = total < 0 || last + 1 < (uint64_t)total;
    const uint64_t came = last - first + 1;
    if (first != (uint64_t)offset || came != http->body.len || came > (uint64_t)len ||
        (is_short && came != (uint64_t)len)) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "%zu bytes came as '%.*s' where %" PRId64 " from %" PRId64
                        " were asked for",
                        http->body.len, DIC_STR_ARGS(text), len, offset);
    }
    return DIC_OK;
}

static enum dic_code get_some(struct dic_s3_bucket *bucket, struct dic_str key, int64_t offset,
                              int64_t len, const char *etag, struct dic_buf *out,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    char range[64];
    get_init(&request, bucket, key, len);
    snprintf(range, sizeof range, "bytes=%" PRId64 "-%" PRId64, offset, offset + len - 1);
    dic_s3_request_header(&request, "range", dic_str(range));
    if (etag != NULL && etag[0] != '\0') {
        dic_s3_request_header(&request, "if-match", dic_str(etag));
    }
    const enum dic_code code = dic_s3_request_send(&request, err);
    const int status = request.answer.http.status;
    if (code != DIC_OK && status == 416) {
        return DIC_OK; /* from the object's end on there is nothing */
    }
    if (code != DIC_OK && status == 412) {
        return dic_fail(err, DIC_E_CONFLICT, "the object has changed");
    }
    if (code == DIC_E_TOO_LARGE) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "more bytes came than the %" PRId64 " that were asked for", len);
    }
    DIC_TRY(code);
    DIC_TRY(check_tag(&request, err));
    DIC_TRY(check_length(&request, err));
    DIC_TRY(check_range(&request, offset, len, err));
    return take_body(&request.answer.http.body, out, err);
}

enum dic_code dic_s3_get_range(struct dic_s3_bucket *bucket, struct dic_str key, int64_t offset,
                               int64_t len, const char *etag, struct dic_buf *out,
                               struct dic_err *err)
{
    if (offset < 0 || len < 0 || len > INT64_MAX - offset) {
        return dic_fail(err, DIC_E_INVALID,
                        "offset %" PRId64 " and length %" PRId64 " are not both positive", offset,
                        len);
    }
    if (len > 0) {
        return get_some(bucket, key, offset, len, etag, out, err);
    }
    struct dic_s3_object object; /* no range says "nothing" */
    DIC_TRY(dic_s3_head(bucket, key, &object, err));
    if (etag != NULL && etag[0] != '\0' && strcmp(etag, object.etag) != 0) {
        return dic_fail(err, DIC_E_CONFLICT, "the object has changed");
    }
    return DIC_OK;
}

/* An answer to HEAD has no body to say why: a GET of one byte is refused with the same reason. */
static enum dic_code why_not(struct dic_s3_bucket *bucket, struct dic_str key, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    get_init(&request, bucket, key, 1);
    dic_s3_request_header(&request, "range", DIC_STR_LIT("bytes=0-0"));
    const enum dic_code code = dic_s3_request_send(&request, err);
    return request.answer.http.status == 416 ? DIC_OK : code; /* an object without a first byte */
}

static enum dic_code head_once(struct dic_s3_bucket *bucket, struct dic_str key,
                               struct dic_s3_object *object_out, bool *refused_out,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    dic_s3_request_init(&request, bucket, "HeadObject", "HEAD", key);
    dic_s3_request_is_read(&request);
    const enum dic_code code = dic_s3_request_send(&request, err);
    const int status = request.answer.http.status;
    *refused_out = code != DIC_OK && status >= 300 && status < 500;
    DIC_TRY(code);
    *object_out = dic_s3_object_of(&request.answer.http);
    if (object_out->size_bytes < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "HeadObject: the answer has no Content-Length");
    }
    return DIC_OK;
}

enum dic_code dic_s3_head(struct dic_s3_bucket *bucket, struct dic_str key,
                          struct dic_s3_object *object_out, struct dic_err *err)
{
    bool refused = false;
    const enum dic_code code = head_once(bucket, key, object_out, &refused, err);
    if (!refused) {
        return code;
    }
    DIC_TRY(why_not(bucket, key, err));
    /* It was the clock or old credentials, which the GET has put right; or the object has come. */
    const enum dic_code again = head_once(bucket, key, object_out, &refused, err);
    return !refused ? again
                    : dic_fail(err, DIC_E_UPSTREAM,
                               "HEAD was refused and GET was not: the object changes");
}

/* ---- writing ---- */

enum dic_code dic_s3_written_by(struct dic_s3_bucket *bucket, struct dic_str key,
                                const char *write_id, bool *ours_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    dic_s3_request_init(&request, bucket, "HeadObject", "HEAD", key);
    struct dic_err why = {0};
    const enum dic_code code = dic_s3_request_send(&request, &why);
    const struct dic_str id =
        dic_http_response_header(&request.answer.http, DIC_S3_WRITE_ID_HEADER);
    *ours_out = code == DIC_OK && dic_str_is(id, write_id);
    if (code == DIC_OK || code == DIC_E_NOT_FOUND) {
        return DIC_OK;
    }
    if (err != NULL) {
        *err = why;
    }
    return code;
}

/* Again while other conditional writes of this key are under way (S3's 409). *unsure_out: a try
 * whose answer was lost may have stored the object, and a later one then finds it there. */
static enum dic_code send_write(struct dic_s3_request *request, bool *unsure_out,
                                struct dic_err *err)
{
    *unsure_out = false;
    for (uint32_t done = 1;; done++) {
        const enum dic_code code = dic_s3_request_send(request, err);
        *unsure_out |= request->answer.maybe_applied;
        if (code == DIC_OK || !dic_s3_is_race(&request->answer)) {
            return code;
        }
        if (done == DIC_S3_RACE_TRIES) {
            return dic_s3_lost_race(err);
        }
        dic_s3_wait_for_race(request->bucket, done);
    }
}

static enum dic_code put_once(struct dic_s3_bucket *bucket, struct dic_str key,
                              struct dic_str bytes, bool if_absent, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    char write_id[DIC_ID_SIZE];
    bool is_unsure = false;
    bool is_ours = false;
    dic_rand_id(write_id);
    dic_s3_request_init(&request, bucket, "PutObject", "PUT", key);
    dic_s3_request_body(&request, bytes);
    if (if_absent) {
        dic_s3_request_header(&request, "if-none-match", DIC_STR_LIT("*"));
        dic_s3_request_header(&request, DIC_S3_WRITE_ID_HEADER, dic_str(write_id));
    }
    const enum dic_code code = send_write(&request, &is_unsure, err);
    if (code != DIC_E_CONFLICT) {
        return code == DIC_OK ? check_tag(&request, err) : code;
    }
    if (is_unsure) {
        DIC_TRY(dic_s3_written_by(bucket, key, write_id, &is_ours, err));
    }
    return is_ours ? DIC_OK : dic_s3_exists_already(err);
}

enum dic_code dic_s3_put(struct dic_s3_bucket *bucket, struct dic_str key, struct dic_str bytes,
                         bool if_absent, struct dic_err *err)
{
    return bytes.len > DIC_S3_ONE_PUT_BYTES
               ? dic_s3_put_in_parts(bucket, key, bytes, if_absent, err)
               : put_once(bucket, key, bytes, if_absent, err);
}

enum dic_code dic_s3_delete(struct dic_s3_bucket *bucket, struct dic_str key, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    dic_s3_request_init(&request, bucket, "DeleteObject", "DELETE", key);
    const enum dic_code code = dic_s3_request_send(&request, err);
    return code == DIC_E_NOT_FOUND ? DIC_OK : code;
}

/* ---- URLs for others ---- */

enum dic_code dic_s3_presign_put(struct dic_s3_bucket *bucket, const struct dic_s3_upload *upload,
                                 struct dic_buf *url_out, uint32_t *expires_s_out,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    char length[24];
    uint32_t ceiling_s = 0;
    snprintf(length, sizeof length, "%" PRId64, upload->size_bytes);
    dic_s3_request_init(&request, bucket, "PutObject", "PUT", upload->key);
    dic_s3_request_header(&request, "content-length", dic_str(length));
    dic_s3_request_header(&request, "content-type", upload->content_type);
    dic_s3_request_header(&request, "if-none-match", DIC_STR_LIT("*"));
    DIC_TRY(dic_buf_check(&request.path, err));
    DIC_TRY(dic_aws_presign_ceiling(bucket->options.aws, &ceiling_s, err));
    *expires_s_out = upload->expires_s < ceiling_s ? upload->expires_s : ceiling_s;
    return dic_aws_presign(bucket->options.aws, dic_s3_request_call(&request), *expires_s_out,
                           url_out, err);
}
