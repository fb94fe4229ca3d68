/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/s3_request.h"

#include "aws/uri.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_PATH_BYTES = 16 * 1024, /* a key of 1,024 bytes, each as %XX, and a bucket's name */
    MAX_QUERY_BYTES = 16 * 1024,
    TRY_MS = 10000,
    TOTAL_MS = 30000,
    MS_PER_MIB = 1000, /* a link of 8 Mbit/s is slow and still in time */
    MIB = 1024 * 1024,
    HASHED_BYTES = MIB, /* larger bodies are left to TLS's own check, over https */
};

/* ---- the bucket ---- */

static bool is_alphanumeric(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

/* As buckets were ever allowed to be named (today's rules are narrower), up to 63 bytes. */
static enum dic_code check_name(const char *name, struct dic_err *err)
{
    const size_t len = strlen(name);
    bool good = len >= 3 && len <= 63 && is_alphanumeric(name[0]) && is_alphanumeric(name[len - 1]);
    for (size_t i = 0; i < len; i++) {
        good = good && (is_alphanumeric(name[i]) || strchr("-._", name[i]) != NULL);
    }
    return good ? DIC_OK
                : dic_fail(err, DIC_E_INVALID,
                           "'%.80s' is not a bucket's name: 3 to 63 of letters, digits, '-', '.' "
                           "and '_', with a letter or digit at both ends",
                           name);
}

/* A single label of lower case: others have no host name, or none that AWS's certificate covers.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html */
static bool is_dns_label(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static char *own_host(const struct dic_aws *aws, const char *name)
{
    struct dic_buf host;
    size_t len = 0;
    dic_buf_init(&host, 1024);
    const char *endpoint = dic_aws_endpoint(aws, DIC_AWS_S3);
    const char *authority = strstr(endpoint, "://");
    if (authority == NULL || dic_aws_endpoint_is_custom(aws, DIC_AWS_S3) || !is_dns_label(name)) {
        return dic_strdup_len("", 0);
    }
    dic_buf_printf(&host, "%s.%s", name, authority + 3);
    return dic_buf_detach(&host, &len);
}

enum dic_code dic_s3_bucket_new(const struct dic_s3_options *options, struct dic_s3_bucket **out,
                                struct dic_err *err)
{
    DIC_TRY(check_name(options->bucket, err));
    struct dic_s3_bucket *bucket = dic_calloc(1, sizeof *bucket);
    bucket->options = *options;
    bucket->name = dic_strdup_len(options->bucket, strlen(options->bucket));
    bucket->options.bucket = bucket->name;
    bucket->host = own_host(options->aws, bucket->name);
    bucket->is_https = strncmp(dic_aws_endpoint(options->aws, DIC_AWS_S3), "https:", 6) == 0;
    *out = bucket;
    return DIC_OK;
}

void dic_s3_bucket_destroy(struct dic_s3_bucket *bucket)
{
    if (bucket != NULL) {
        dic_free(bucket->name);
        dic_free(bucket->host);
        dic_free(bucket);
    }
}

/* ---- a request ---- */

void dic_s3_request_init(struct dic_s3_request *request, struct dic_s3_bucket *bucket,
                         const char *operation, const char *method, struct dic_str key)
{
    memset(request, 0, sizeof *request);
    /* S3 once took SOAP at this path of a bucket's host ("Naming Amazon S3 objects"). */
    const bool in_path = bucket->host[0] == '\0' || dic_str_is(key, "soap");
    request->bucket = bucket;
    request->key = key;
    request->call.service = DIC_AWS_S3;
    request->call.operation = operation;
    request->call.method = method;
    request->call.host = in_path ? dic_str_len("", 0) : dic_str(bucket->host);
    dic_buf_init(&request->path, MAX_PATH_BYTES);
    dic_buf_init(&request->query, MAX_QUERY_BYTES);
    dic_aws_answer_init(&request->answer);
    if (in_path) {
        dic_buf_append_byte(&request->path, '/');
        dic_aws_uri_encode(&request->path, dic_str(bucket->name), false);
    }
    if (key.len > 0 || !in_path) {
        dic_buf_append_byte(&request->path, '/');
        dic_aws_uri_encode(&request->path, key, true);
    }
}

void dic_s3_request_clean_up(struct dic_s3_request *request)
{
    dic_buf_clean_up(&request->path);
    dic_buf_clean_up(&request->query);
    dic_aws_answer_clean_up(&request->answer);
}

void dic_s3_request_query(struct dic_s3_request *request, const char *name, struct dic_str value)
{
    if (request->query.len > 0) {
        dic_buf_append_byte(&request->query, '&');
    }
    dic_buf_append_text(&request->query, name);
    dic_buf_append_byte(&request->query, '=');
    dic_aws_uri_encode(&request->query, value, false);
}

void dic_s3_request_header(struct dic_s3_request *request, const char *name, struct dic_str value)
{
    if (request->call.header_count < DIC_S3_REQUEST_HEADERS) {
        request->headers[request->call.header_count++] =
            (struct dic_http_header){dic_str(name), value};
    }
}

void dic_s3_request_is_read(struct dic_s3_request *request)
{
    request->call.cancel = request->bucket->options.cancel;
}

void dic_s3_request_expect(struct dic_s3_request *request, int64_t body_bytes)
{
    const int64_t extra_ms = body_bytes / MIB * MS_PER_MIB;
    request->call.timeout_ms = TRY_MS + extra_ms;
    request->call.total_timeout_ms = TOTAL_MS + 2 * extra_ms;
}

void dic_s3_request_body(struct dic_s3_request *request, struct dic_str bytes)
{
    dic_s3_request_expect(request, (int64_t)bytes.len);
    request->call.body = bytes;
    request->call.payload_unsigned = request->bucket->is_https && bytes.len > HASHED_BYTES;
}

const struct dic_aws_call *dic_s3_request_call(struct dic_s3_request *request)
{
    request->call.path = dic_buf_view(&request->path);
    request->call.query = dic_buf_view(&request->query);
    request->call.headers = request->headers;
    return &request->call;
}

/* ---- what S3 says, and what it means ---- */

static enum dic_code not_retryable(enum dic_code code, struct dic_err *err)
{
    if (err != NULL) {
        err->code = code;
        err->retryable = false;
    }
    return code;
}

/* The bucket's region by the answer, or an empty view: a redirect says nothing else that helps. */
static struct dic_str region_of(const struct dic_http_response *response)
{
    static const char tag[] = "<Region>";
    struct dic_str region = dic_http_response_header(response, "x-amz-bucket-region");
    const char *body = response->body.ptr;
    const char *start = region.len > 0 || body == NULL ? NULL : strstr(body, tag);
    if (start != NULL) {
        start += sizeof tag - 1;
        region = dic_str_len(start, strcspn(start, "<"));
    }
    return region.len <= 60 ? region : dic_str_len("", 0);
}

static enum dic_code other_region(const struct dic_s3_request *request, struct dic_err *err)
{
    const struct dic_str region = region_of(&request->answer.http);
    const char *ours = dic_aws_region(request->bucket->options.aws);
    if (region.len == 0) {
        (void)dic_fail(err, DIC_E_UPSTREAM,
                       "bucket '%s' is not in region %s or at this endpoint: S3 answered %s to %d",
                       request->bucket->name, ours, request->call.operation,
                       request->answer.http.status);
        /* 307: a new bucket, whose name is not known everywhere yet */
        return request->answer.http.status == 307 ? DIC_E_UPSTREAM
                                                  : not_retryable(DIC_E_UPSTREAM, err);
    }
    (void)dic_fail(err, DIC_E_UPSTREAM,
                   "bucket '%s' is in region %.*s, but requests go to %s: set AWS_REGION, or use a "
                   "bucket of that region",
                   request->bucket->name, DIC_STR_ARGS(region), ours);
    return not_retryable(DIC_E_UPSTREAM, err);
}

static bool is_other_region(const struct dic_aws_answer *answer)
{
    const int status = answer->http.status;
    if (status == 301 || status == 302 || status == 307 || status == 308) {
        return true;
    }
    return strcmp(answer->error_code, "IllegalLocationConstraintException") == 0 ||
           (strcmp(answer->error_code, "AuthorizationHeaderMalformed") == 0 &&
            region_of(&answer->http).len > 0);
}

/* S3 takes ".." in a key as long as, from left to right, no more of them than other parts have come
 * ("Naming Amazon S3 objects" in its User Guide); some servers are stricter, and some take all. */
static bool leads_out(struct dic_str key)
{
    struct dic_str part = {0};
    int64_t depth = 0;
    while (depth >= 0 && dic_str_split(&key, '/', &part)) {
        depth += dic_str_is(part, "..") ? -1 : 1;
    }
    return depth < 0;
}

/* From AWS's answer, as dic_aws_call classified it, to what the caller of a bucket can do. */
static enum dic_code react(const struct dic_s3_request *request, enum dic_code code,
                           struct dic_err *err)
{
    const char *aws_code = request->answer.error_code;
    if (is_other_region(&request->answer)) {
        return other_region(request, err);
    }
    if (strcmp(aws_code, "NoSuchKey") == 0) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no object with this key");
    }
    if (strcmp(aws_code, "NoSuchBucket") == 0) {
        (void)dic_fail(err, DIC_E_UPSTREAM, "there is no bucket '%s' at %s", request->bucket->name,
                       dic_aws_endpoint(request->bucket->options.aws, DIC_AWS_S3));
        return not_retryable(DIC_E_UPSTREAM, err);
    }
    if (strcmp(aws_code, "KeyTooLongError") == 0 || strcmp(aws_code, "InvalidURI") == 0) {
        return dic_fail(err, DIC_E_INVALID, "S3 takes no such key: %s", aws_code);
    }
    if (request->answer.http.status == 400 && leads_out(request->key)) {
        return dic_fail(err, DIC_E_INVALID, "the key's '..' lead out of the bucket");
    }
    if (strncmp(aws_code, "KMS.", 4) == 0) {
        return not_retryable(DIC_E_DENIED, err); /* the message stays as it is */
    }
    const bool may_be_silent = strcmp(request->call.method, "HEAD") == 0;
    if (code == DIC_E_INVALID || (code == DIC_E_NOT_FOUND && !may_be_silent)) {
        return not_retryable(DIC_E_UPSTREAM, err); /* says nothing of the object */
    }
    return code;
}

enum dic_code dic_s3_request_send(struct dic_s3_request *request, struct dic_err *err)
{
    struct dic_err local;
    struct dic_err *why = err != NULL ? err : &local;
    DIC_TRY(dic_buf_check(&request->path, why));
    DIC_TRY(dic_buf_check(&request->query, why));
    const enum dic_code code = dic_aws_call(request->bucket->options.aws,
                                            dic_s3_request_call(request), &request->answer, why);
    const bool is_answer = code != DIC_OK && request->answer.error_code[0] != '\0';
    if (code == DIC_E_TOO_LARGE && !is_answer &&
        strcmp(request->call.operation, "GetObject") != 0) {
        why->code = DIC_E_UPSTREAM; /* what is too large is no object */
        why->retryable = true;
        return DIC_E_UPSTREAM;
    }
    return is_answer ? react(request, code, why) : code;
}

bool dic_s3_is_race(const struct dic_aws_answer *answer)
{
    return strcmp(answer->error_code, "ConditionalRequestConflict") == 0 ||
           strcmp(answer->error_code, "OperationAborted") == 0;
}

void dic_s3_wait_for_race(const struct dic_s3_bucket *bucket, uint32_t done)
{
    const uint64_t ceiling_ms = (uint64_t)DIC_S3_RACE_BASE_MS << done;
    const int64_t ms = (int64_t)(dic_rand_u64() % ceiling_ms) + 1;
    if (bucket->options.sleep_ms != NULL) {
        bucket->options.sleep_ms(bucket->options.sleep_context, ms);
    } else {
        dic_sleep_ms(ms);
    }
}

enum dic_code dic_s3_lost_race(struct dic_err *err)
{
    return dic_fail(err, DIC_E_UPSTREAM, "others write to this key, at each of %d tries",
                    DIC_S3_RACE_TRIES);
}

struct dic_s3_object dic_s3_object_of(const struct dic_http_response *response)
{
    struct dic_s3_object object = {.size_bytes = -1};
    uint64_t size = 0;
    const struct dic_str length = dic_http_response_header(response, "content-length");
    const struct dic_str etag = dic_http_response_header(response, "etag");
    if (length.ptr != NULL && dic_parse_u64(length, 0, INT64_MAX, &size, NULL) == DIC_OK) {
        object.size_bytes = (int64_t)size;
    }
    if (etag.len < sizeof object.etag) { /* a part of a tag would never match */
        snprintf(object.etag, sizeof object.etag, "%.*s", (int)etag.len,
                 etag.len > 0 ? etag.ptr : "");
    }
    return object;
}

enum dic_code dic_s3_exists_already(struct dic_err *err)
{
    return dic_fail(err, DIC_E_CONFLICT, "there is an object with this key already");
}
