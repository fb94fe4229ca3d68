/* SPDX-License-Identifier: Apache-2.0 */
/* POST /uploads and, where the image store takes no uploads itself, PUT /uploads/{upload-id}. */
#include "api_common.h"
#include "base/rand.h"
#include "upload_request.h"
#include "upload_ticket.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_PREFIX "uploads/" DIC_TENANT "/"

enum {
    MAX_URL_BYTES = 32 * 1024, /* a presigned URL holds a session token of up to 8 KiB, encoded */
    MAX_HOST_BYTES = 255,
};

/* ---- POST ---- */

/* As the client named this server, if that is a host; it gets a path otherwise. Only who sent the
 * header sees it again. */
static struct dic_str own_host(const struct dic_request *request)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_:[]";
    const struct dic_str host = request->header(request, "Host");
    bool good = host.len > 0 && host.len <= MAX_HOST_BYTES;
    for (size_t i = 0; good && i < host.len; i++) {
        good = host.ptr[i] != '\0' && strchr(allowed, host.ptr[i]) != NULL;
    }
    return good ? host : dic_str_len("", 0);
}

static void own_url(const struct dic_upload_signer *signer, const struct dic_request *request,
                    const struct dic_upload_ticket *ticket, const char *id, struct dic_buf *out)
{
    const struct dic_str host = own_host(request);
    if (host.len > 0) {
        dic_buf_append_text(out, "http://");
        dic_buf_append_str(out, host);
    }
    dic_buf_printf(out, "/uploads/%s?ticket=", id);
    dic_upload_ticket_write(signer, ticket, out);
}

/* ticket->expires_ms becomes what it is indeed. */
static enum dic_code upload_url(struct dic_api *api, const struct dic_request *request,
                                struct dic_upload_ticket *ticket, const char *id,
                                struct dic_buf *out, struct dic_err *err)
{
    const int64_t now_ms = dic_clock_wall_ms(api->clock);
    uint32_t expires_s = DIC_UPLOAD_EXPIRES_S;
    const struct dic_blob_upload upload = {
        .key = ticket->key,
        .content_type = ticket->content_type,
        .size_bytes = ticket->size_bytes,
        .expires_s = expires_s,
    };
    if (api->images.ops->presign_put != NULL) {
        DIC_TRY(api->images.ops->presign_put(api->images.impl, &upload, out, &expires_s, err));
        ticket->expires_ms = now_ms + (int64_t)expires_s * 1000;
        return DIC_OK;
    }
    if (api->upload_signer == NULL) {
        return dic_fail(err, DIC_E_UNSUPPORTED, "this server takes no uploads");
    }
    ticket->expires_ms = now_ms + (int64_t)expires_s * 1000;
    own_url(api->upload_signer, request, ticket, id, out);
    return dic_buf_check(out, err);
}

static void write_upload(struct dic_json_writer *writer, const struct dic_upload_ticket *ticket,
                         struct dic_str url)
{
    char length[24];
    snprintf(length, sizeof length, "%" PRId64, ticket->size_bytes);
    dic_json_begin_object(writer, NULL);
    dic_json_put_str(writer, "s3_key", ticket->key);
    dic_json_put_text(writer, "method", "PUT");
    dic_json_put_str(writer, "url", url);
    dic_json_begin_object(writer, "headers");
    dic_json_put_str(writer, "Content-Type", ticket->content_type);
    dic_json_put_text(writer, "Content-Length", length);
    dic_json_put_text(writer, "If-None-Match", "*");
    dic_json_end_object(writer);
    dic_json_put_time(writer, "expires_at", ticket->expires_ms);
    dic_json_end_object(writer);
}

static enum dic_code add_upload(struct dic_api *api, const struct dic_request *request,
                                const struct dic_upload_file *file, struct dic_json_writer *writer,
                                struct dic_err *err)
{
    char id[DIC_ID_SIZE];
    char key[sizeof KEY_PREFIX + DIC_ID_SIZE + DIC_MAX_UPLOAD_NAME_BYTES + 1];
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf url;
    dic_buf_init(&url, MAX_URL_BYTES);
    dic_rand_id(id);
    snprintf(key, sizeof key, KEY_PREFIX "%s/%.*s", id, DIC_STR_ARGS(file->name));
    struct dic_upload_ticket ticket = {
        .key = dic_str(key),
        .content_type = file->content_type,
        .size_bytes = file->size_bytes,
    };
    DIC_TRY(upload_url(api, request, &ticket, id, &url, err));
    write_upload(writer, &ticket, dic_buf_view(&url));
    return DIC_OK;
}

static enum dic_code answer_uploads(struct dic_api *api, const struct dic_request *request,
                                    struct dic_response *response, struct dic_err *err)
{
    static const char *const no_query[] = {NULL};
    DIC_CLEANUP(dic_upload_request_clean_up) struct dic_upload_request body = {0};
    struct dic_json_writer writer = dic_json_writer(&response->body);
    DIC_TRY(dic_api_check_query(request, no_query, err));
    DIC_TRY(dic_upload_request_parse(request->body, &body, err));
    dic_api_json(response, 200);
    dic_json_begin_object(&writer, NULL);
    dic_json_begin_array(&writer, "uploads");
    for (size_t i = 0; i < body.count; i++) {
        DIC_TRY(add_upload(api, request, &body.files[i], &writer, err));
    }
    dic_json_end_array(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
    return DIC_OK;
}

enum dic_handling dic_api_uploads(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response)
{
    struct dic_err err = {0};
    if (answer_uploads(api, request, response, &err) != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    return DIC_HANDLED;
}

/* ---- PUT ---- */

/* The id in the path is the one in the key: the log has the path, and never the ticket. */
static bool is_for(const struct dic_upload_ticket *ticket, struct dic_str id)
{
    struct dic_str rest = ticket->key;
    const struct dic_str prefix = DIC_STR_LIT(KEY_PREFIX);
    if (!dic_str_starts_with(rest, prefix)) {
        return false;
    }
    rest = dic_str_skip(rest, prefix.len);
    return rest.len > id.len && dic_str_starts_with(rest, id) && rest.ptr[id.len] == '/';
}

static enum dic_code read_ticket(struct dic_api *api, const struct dic_request *request,
                                 struct dic_buf *memory, struct dic_upload_ticket *out,
                                 struct dic_err *err)
{
    static const char *const allowed[] = {"ticket", NULL};
    const struct dic_str token = request->query(request, "ticket");
    if (api->upload_signer == NULL) {
        return dic_fail(err, DIC_E_NOT_FOUND, "uploads go to the bucket itself here");
    }
    DIC_TRY(dic_api_check_query(request, allowed, err));
    DIC_TRY(dic_upload_ticket_read(
        api->upload_signer, token.ptr == NULL ? dic_str_len("", 0) : token, memory, out, err));
    if (!is_for(out, request->path_arg)) {
        return dic_fail(err, DIC_E_DENIED, "this ticket is for another path");
    }
    if (dic_clock_wall_ms(api->clock) >= out->expires_ms) {
        char when[DIC_TIME_TEXT_SIZE];
        dic_time_format(out->expires_ms, when);
        return dic_fail(err, DIC_E_DENIED, "this URL was good until %s", when);
    }
    return DIC_OK;
}

/* Before the body is read: who may not store it need not send it. */
static enum dic_code check_body(struct dic_api *api, const struct dic_request *request,
                                const struct dic_body_head *head, int *status_out,
                                struct dic_err *err)
{
    struct dic_upload_ticket ticket;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, DIC_MAX_UPLOAD_TICKET_BYTES);
    DIC_TRY(read_ticket(api, request, &memory, &ticket, err));
    if (!dic_str_eq(head->content_type, ticket.content_type)) {
        *status_out = 415;
        return dic_fail_field(err, DIC_E_UNSUPPORTED, "Content-Type",
                              "Content-Type is '%.60s', this URL is for %.*s",
                              head->content_type.len > 0 ? head->content_type.ptr : "",
                              DIC_STR_ARGS(ticket.content_type));
    }
    if (head->length < 0) {
        *status_out = 411;
        return dic_fail_field(err, DIC_E_MALFORMED, "Content-Length",
                              "an upload needs a Content-Length");
    }
    if (head->length != ticket.size_bytes) {
        return dic_fail_field(err, DIC_E_INVALID, "Content-Length",
                              "Content-Length is %" PRId64 ", this URL is for %" PRId64 " bytes",
                              head->length, ticket.size_bytes);
    }
    return DIC_OK;
}

const struct dic_body_rule dic_api_upload_body = {DIC_MAX_IMAGE_BYTES, check_body};

static void answer_stored(struct dic_response *response, const struct dic_upload_ticket *ticket)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_api_json(response, 200);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_str(&writer, "s3_key", ticket->key);
    dic_json_put_int(&writer, "size_bytes", ticket->size_bytes);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
}

/* The ticket is read again: it may have expired while the body came. */
enum dic_handling dic_api_upload_put(struct dic_api *api, const struct dic_request *request,
                                     struct dic_response *response)
{
    struct dic_err err = {0};
    struct dic_upload_ticket ticket;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, DIC_MAX_UPLOAD_TICKET_BYTES);
    if (read_ticket(api, request, &memory, &ticket, &err) != DIC_OK) {
        dic_response_error(response, request, &err, 0);
        return DIC_HANDLED;
    }
    enum dic_code code =
        api->images.ops->put(api->images.impl, ticket.key, request->body, true, &err);
    if (code == DIC_E_CONFLICT) { /* as S3 says it to a second PUT with If-None-Match: * */
        dic_response_error(response, request, &err, 412);
        return DIC_HANDLED;
    }
    if (code != DIC_OK) {
        return dic_api_fail(request, response, &err);
    }
    answer_stored(response, &ticket);
    return DIC_HANDLED;
}
