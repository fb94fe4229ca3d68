/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large object in parts: CreateMultipartUpload, UploadPart…, CompleteMultipartUpload. Nothing is
 * visible before the last call, and that one carries the condition. What fails is aborted, since S3
 * charges for parts that were left behind.
 */
#include "aws/s3_request.h"
#include "aws/xml_read.h"
#include "base/log.h"
#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_PARTS = 10000, /* S3's own bound */
    MAX_UPLOAD_ID_BYTES = 2048,
    COMPLETE_TRIES = 3,       /* of one that answers 200 and an error */
    COMPLETE_TRY_MS = 120000, /* S3 puts the parts together before it answers */
    COMPLETE_TOTAL_MS = 300000,
    PART_LINE_BYTES = 80 + 6 * DIC_S3_ETAG_SIZE,
};

struct upload {
    struct dic_s3_bucket *bucket; /* borrowed */
    struct dic_str key;
    struct dic_str bytes;
    bool if_absent;
    bool is_race; /* S3's 409: to be begun anew */
    char write_id[DIC_ID_SIZE];
    struct dic_buf id;
    struct dic_buf parts; /* <Part>…</Part>… of what was uploaded */
};

static void upload_clean_up(struct upload *upload)
{
    dic_buf_clean_up(&upload->id);
    dic_buf_clean_up(&upload->parts);
}

/* ---- what the answers say (errors, in answers of 200 too, are dic_aws_call's to find) ---- */

struct answer {
    struct dic_buf upload_id;
    bool is_created;
    bool is_completed;
};

static void answer_clean_up(struct answer *answer)
{
    dic_buf_clean_up(&answer->upload_id);
}

static enum dic_code note_element(void *context, struct dic_str path, struct dic_str text,
                                  struct dic_err *err)
{
    struct answer *answer = context;
    if (dic_str_is(path, "InitiateMultipartUploadResult/UploadId")) {
        dic_buf_append_str(&answer->upload_id, text);
        return dic_buf_check(&answer->upload_id, err);
    }
    answer->is_created |= dic_str_is(path, "InitiateMultipartUploadResult");
    answer->is_completed |= dic_str_is(path, "CompleteMultipartUploadResult");
    return DIC_OK;
}

/* S3 may send spaces and line ends before the document, to keep the connection alive. */
static enum dic_code read_answer(const struct dic_s3_request *request, struct answer *out,
                                 struct dic_err *err)
{
    const struct dic_xml_visitor visitor = {.context = out, .end = note_element};
    struct dic_str document = dic_buf_view(&request->answer.http.body);
    struct dic_err why = {0};
    while (document.len > 0 && strchr(" \t\r\n", document.ptr[0]) != NULL) {
        document = dic_str_skip(document, 1);
    }
    *out = (struct answer){0};
    dic_buf_init(&out->upload_id, MAX_UPLOAD_ID_BYTES);
    if (dic_xml_read(document, &visitor, &why) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer cannot be read: %s",
                        request->call.operation, why.msg);
    }
    return DIC_OK;
}

/* ---- the calls ---- */

static enum dic_code create(struct upload *upload, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    DIC_CLEANUP(answer_clean_up) struct answer answer = {0};
    dic_s3_request_init(&request, upload->bucket, "CreateMultipartUpload", "POST", upload->key);
    dic_s3_request_query(&request, "uploads", dic_str_len("", 0));
    dic_s3_request_header(&request, DIC_S3_WRITE_ID_HEADER, dic_str(upload->write_id));
    DIC_TRY(dic_s3_request_send(&request, err));
    DIC_TRY(read_answer(&request, &answer, err));
    if (!answer.is_created || answer.upload_id.len == 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "CreateMultipartUpload: the answer has no UploadId");
    }
    dic_buf_append_str(&upload->id, dic_buf_view(&answer.upload_id));
    return DIC_OK;
}

/* XML 1.0 section 2.4: what may not stand in text as it is. */
static void append_xml(struct dic_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '"':
            dic_buf_append_text(out, "&quot;");
            break;
        case '&':
            dic_buf_append_text(out, "&amp;");
            break;
        case '<':
            dic_buf_append_text(out, "&lt;");
            break;
        default:
            dic_buf_append_byte(out, *text);
        }
    }
}

static enum dic_code upload_part(struct upload *upload, uint32_t number, struct dic_str bytes,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    dic_s3_request_init(&request, upload->bucket, "UploadPart", "PUT", upload->key);
    dic_s3_request_query(&request, "partNumber", dic_str(text));
    dic_s3_request_query(&request, "uploadId", dic_buf_view(&upload->id));
    dic_s3_request_body(&request, bytes);
    DIC_TRY(dic_s3_request_send(&request, err));
    const struct dic_s3_object part = dic_s3_object_of(&request.answer.http);
    if (part.etag[0] == '\0') {
        return dic_fail(err, DIC_E_UPSTREAM, "UploadPart: the answer has no ETag");
    }
    dic_buf_append_text(&upload->parts, "<Part><ETag>");
    append_xml(&upload->parts, part.etag);
    dic_buf_printf(&upload->parts, "</ETag><PartNumber>%u</PartNumber></Part>", number);
    return dic_buf_check(&upload->parts, err);
}

static enum dic_code upload_parts(struct upload *upload, struct dic_err *err)
{
    struct dic_str rest = upload->bytes;
    for (uint32_t number = 1; rest.len > 0; number++) {
        const size_t len = rest.len < DIC_S3_PART_BYTES ? rest.len : DIC_S3_PART_BYTES;
        DIC_TRY(upload_part(upload, number, dic_str_len(rest.ptr, len), err));
        rest = dic_str_skip(rest, len);
    }
    return DIC_OK;
}

/* *again_out: S3 says that it went well and not what it has made. */
static enum dic_code complete_once(struct dic_s3_request *request, bool *again_out,
                                   struct dic_err *err)
{
    DIC_CLEANUP(answer_clean_up) struct answer answer = {0};
    *again_out = false;
    DIC_TRY(dic_s3_request_send(request, err));
    *again_out = true;
    DIC_TRY(read_answer(request, &answer, err));
    return answer.is_completed ? DIC_OK
                               : dic_fail(err, DIC_E_UPSTREAM,
                                          "CompleteMultipartUpload: the answer is no result of it");
}

/* After a refusal: the condition did not hold, or an earlier try, whose answer was lost, has done
 * it, and there is no such upload any more. */
static enum dic_code completed_after_all(struct upload *upload,
                                         const struct dic_s3_request *request, enum dic_code code,
                                         bool is_unsure, struct dic_err *err)
{
    const bool is_gone = strcmp(request->answer.error_code, "NoSuchUpload") == 0;
    bool is_ours = false;
    if (is_unsure) {
        DIC_TRY(dic_s3_written_by(upload->bucket, upload->key, upload->write_id, &is_ours, err));
    }
    if (is_ours) {
        return DIC_OK;
    }
    if (is_gone) {
        return dic_fail(err, DIC_E_UPSTREAM, "the upload in parts was ended by somebody else");
    }
    return code == DIC_E_CONFLICT && !upload->is_race ? dic_s3_exists_already(err) : code;
}

static enum dic_code complete(struct upload *upload, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf body;
    bool is_unsure = false;
    bool again = true;
    enum dic_code code = DIC_OK;
    dic_buf_init(&body, upload->parts.len + 200);
    dic_buf_append_text(&body, "<CompleteMultipartUpload "
                               "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    dic_buf_append_str(&body, dic_buf_view(&upload->parts));
    dic_buf_append_text(&body, "</CompleteMultipartUpload>");
    dic_s3_request_init(&request, upload->bucket, "CompleteMultipartUpload", "POST", upload->key);
    dic_s3_request_query(&request, "uploadId", dic_buf_view(&upload->id));
    if (upload->if_absent) {
        dic_s3_request_header(&request, "if-none-match", DIC_STR_LIT("*"));
    }
    request.call.body = dic_buf_view(&body);
    request.call.timeout_ms = COMPLETE_TRY_MS;
    request.call.total_timeout_ms = COMPLETE_TOTAL_MS;
    for (uint32_t done = 1; again && done <= COMPLETE_TRIES; done++) {
        if (done > 1) {
            dic_s3_wait_for_race(upload->bucket, done);
        }
        code = complete_once(&request, &again, err);
        again = again && code != DIC_OK;
        is_unsure |= again || request.answer.maybe_applied;
    }
    upload->is_race = code != DIC_OK && dic_s3_is_race(&request.answer);
    return code == DIC_OK ? DIC_OK : completed_after_all(upload, &request, code, is_unsure, err);
}

/* Best effort: a lifecycle rule of the bucket removes what stays. */
static void abort_upload(const struct upload *upload)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    struct dic_err err = {0};
    dic_s3_request_init(&request, upload->bucket, "AbortMultipartUpload", "DELETE", upload->key);
    dic_s3_request_query(&request, "uploadId", dic_buf_view(&upload->id));
    if (dic_s3_request_send(&request, &err) != DIC_OK &&
        strcmp(request.answer.error_code, "NoSuchUpload") != 0) {
        dic_log_message(DIC_LOG_WARN, "upload_left_behind", "%s", err.msg);
    }
}

static enum dic_code put_parts(struct upload *upload, struct dic_err *err)
{
    dic_rand_id(upload->write_id);
    dic_buf_clear(&upload->id);
    dic_buf_clear(&upload->parts);
    upload->is_race = false;
    DIC_TRY(create(upload, err));
    enum dic_code code = upload_parts(upload, err);
    if (code == DIC_OK) {
        code = complete(upload, err);
    }
    if (code != DIC_OK) {
        abort_upload(upload);
    }
    return code;
}

enum dic_code dic_s3_put_in_parts(struct dic_s3_bucket *bucket, struct dic_str key,
                                  struct dic_str bytes, bool if_absent, struct dic_err *err)
{
    const size_t parts = (bytes.len + DIC_S3_PART_BYTES - 1) / DIC_S3_PART_BYTES;
    DIC_CLEANUP(upload_clean_up)
    struct upload upload = {.bucket = bucket, .key = key, .bytes = bytes, .if_absent = if_absent};
    if (parts > MAX_PARTS) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the object has %zu bytes, the limit is %zu",
                        bytes.len, (size_t)MAX_PARTS * DIC_S3_PART_BYTES);
    }
    dic_buf_init(&upload.id, MAX_UPLOAD_ID_BYTES);
    dic_buf_init(&upload.parts, parts * PART_LINE_BYTES);
    for (uint32_t done = 1;; done++) {
        const enum dic_code code = put_parts(&upload, err);
        if (code == DIC_OK || !upload.is_race) {
            return code;
        }
        if (done == DIC_S3_RACE_TRIES) {
            return dic_s3_lost_race(err);
        }
        dic_s3_wait_for_race(bucket, done);
    }
}
