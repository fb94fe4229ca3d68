/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_request.h"

#include <stdio.h>
#include <string.h>

enum { MAX_URL = 16 * 1024 }; /* a key of 1,024 bytes is at most 3,072 in a URL */

const char *dic_aws_service_name(enum dic_aws_service service)
{
    static const char *const names[DIC_AWS_SERVICE_COUNT] = {
        [DIC_AWS_S3] = "s3", [DIC_AWS_SQS] = "sqs", [DIC_AWS_DYNAMODB] = "dynamodb"};
    return names[service];
}

void dic_aws_request_init(struct dic_aws_request *request)
{
    dic_buf_init(&request->url, MAX_URL);
    dic_buf_init(&request->authorization, DIC_SIGV4_MAX_TEXT);
    request->header_count = 0;
}

void dic_aws_request_clean_up(struct dic_aws_request *request)
{
    dic_buf_clean_up(&request->url);
    dic_buf_clean_up(&request->authorization);
}

/* What cannot be part of a request line, or would end path or query early. */
DIC_MUST_USE
static enum dic_code check_sent_as_is(struct dic_str text, const char *forbidden, const char *what,
                                      struct dic_err *err)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte <= ' ' || byte > '~' || strchr(forbidden, byte) != NULL) {
            return dic_fail(err, DIC_E_INVALID, "%s has byte 0x%02x at %zu, which is not encoded",
                            what, byte, i);
        }
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code check_call(const struct dic_aws_call *call, struct dic_err *err)
{
    if (call->path.len == 0 || call->path.ptr[0] != '/') {
        return dic_fail(err, DIC_E_INVALID, "%s: path does not start with '/'", call->operation);
    }
    DIC_TRY(check_sent_as_is(call->path, "?#", "path", err));
    DIC_TRY(check_sent_as_is(call->query, "#", "query", err));
    return check_sent_as_is(call->host, "/?#@", "host", err);
}

static struct dic_str host_of(const struct dic_aws_signing *signing,
                              const struct dic_aws_call *call)
{
    return call->host.len > 0 ? call->host : dic_aws_endpoint_authority(signing->endpoint);
}

static struct dic_sigv4_signer signer_of(const struct dic_aws_signing *signing,
                                         const struct dic_aws_call *call)
{
    bool is_s3 = call->service == DIC_AWS_S3; /* its keys are any bytes, "a/../b" and "a//b" too */
    return (struct dic_sigv4_signer){
        .key_id = signing->credentials->key_id,
        .secret = signing->credentials->secret,
        .token = signing->credentials->token,
        .region = signing->region,
        .service = dic_aws_service_name(call->service),
        .time_ms = signing->time_ms,
        .normalize_path = !is_s3,
        .encode_path = !is_s3,
    };
}

static void append_url(struct dic_buf *out, const struct dic_aws_signing *signing,
                       const struct dic_aws_call *call, struct dic_str query)
{
    dic_buf_append_text(out, dic_aws_endpoint_is_https(signing->endpoint) ? "https://" : "http://");
    dic_buf_append_str(out, host_of(signing, call));
    dic_buf_append_str(out, call->path);
    dic_buf_append_text(out, query.len > 0 ? "?" : "");
    dic_buf_append_str(out, query);
}

static void add_header(struct dic_aws_request *request, const char *name, struct dic_str value)
{
    request->headers[request->header_count++] =
        (struct dic_http_header){.name = dic_str(name), .value = value};
}

static void set_payload_hash(struct dic_aws_request *request, const struct dic_aws_signing *signing,
                             const struct dic_aws_call *call)
{
    if (call->payload_unsigned && dic_aws_endpoint_is_https(signing->endpoint)) {
        snprintf(request->payload_hash, sizeof request->payload_hash, "%s",
                 DIC_SIGV4_UNSIGNED_PAYLOAD);
    } else {
        dic_sha256_hex(call->body, request->payload_hash);
    }
}

/* x-amz-*, host and authorization, besides the caller's. */
enum { OWN_HEADERS = 5 };

DIC_MUST_USE
static enum dic_code set_headers(struct dic_aws_request *request,
                                 const struct dic_aws_signing *signing,
                                 const struct dic_aws_call *call, struct dic_err *err)
{
    if (call->header_count > DIC_HTTP_MAX_HEADERS - OWN_HEADERS) {
        return dic_fail(err, DIC_E_INVALID, "%s: %zu headers, the limit is %d", call->operation,
                        call->header_count, DIC_HTTP_MAX_HEADERS - OWN_HEADERS);
    }
    request->header_count = 0;
    for (size_t i = 0; i < call->header_count; i++) {
        request->headers[request->header_count++] = call->headers[i];
    }
    dic_sigv4_date(signing->time_ms, request->date);
    add_header(request, "x-amz-date", dic_str(request->date));
    if (signing->credentials->token[0] != '\0') {
        add_header(request, "x-amz-security-token", dic_str(signing->credentials->token));
    }
    set_payload_hash(request, signing, call);
    if (call->service == DIC_AWS_S3) {
        add_header(request, "x-amz-content-sha256", dic_str(request->payload_hash));
    }
    return DIC_OK;
}

enum dic_code dic_aws_request_build(struct dic_aws_request *request,
                                    const struct dic_aws_signing *signing,
                                    const struct dic_aws_call *call, struct dic_err *err)
{
    DIC_TRY(check_call(call, err));
    DIC_TRY(set_headers(request, signing, call, err));
    struct dic_sigv4_signer signer = signer_of(signing, call);
    struct dic_sigv4_request canonical = {
        .method = dic_str(call->method),
        .host = host_of(signing, call),
        .path = call->path,
        .query = call->query,
        .headers = request->headers,
        .header_count = request->header_count,
        .payload_hash = dic_str(request->payload_hash),
    };
    DIC_CLEANUP(dic_sigv4_signature_clean_up) struct dic_sigv4_signature signature;
    dic_sigv4_signature_init(&signature);
    dic_buf_clear(&request->authorization);
    DIC_TRY(dic_sigv4_sign(&signer, &canonical, &signature, &request->authorization, err));
    add_header(request, "host",
               canonical.host); /* as it was signed, whatever libcurl makes of it */
    add_header(request, "authorization", dic_buf_view(&request->authorization));
    dic_buf_clear(&request->url);
    append_url(&request->url, signing, call, call->query);
    return dic_buf_check(&request->url, err);
}

enum dic_code dic_aws_request_presign(const struct dic_aws_signing *signing,
                                      const struct dic_aws_call *call, uint32_t expires_s,
                                      struct dic_buf *url_out, struct dic_err *err)
{
    DIC_TRY(check_call(call, err));
    struct dic_sigv4_signer signer = signer_of(signing, call);
    char empty_hash[DIC_SHA256_HEX_SIZE];
    dic_sha256_hex(dic_str(""), empty_hash);
    struct dic_sigv4_request canonical = {
        .method = dic_str(call->method),
        .host = host_of(signing, call),
        .path = call->path,
        .query = call->query,
        .headers = call->headers,
        .header_count = call->header_count,
        .payload_hash = call->service == DIC_AWS_S3 ? DIC_STR_LIT(DIC_SIGV4_UNSIGNED_PAYLOAD)
                                                    : dic_str(empty_hash),
    };
    DIC_CLEANUP(dic_sigv4_signature_clean_up) struct dic_sigv4_signature signature;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf query;
    dic_sigv4_signature_init(&signature);
    dic_buf_init(&query, DIC_SIGV4_MAX_TEXT);
    DIC_TRY(dic_sigv4_presign(&signer, &canonical, expires_s, &signature, &query, err));
    append_url(url_out, signing, call, dic_buf_view(&query));
    return dic_buf_check(url_out, err);
}
