/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sqs.h"

#include "aws/json_call.h"
#include "base/log.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum {
    /* Each byte of a batch perhaps an escape of six, and what stands around it. */
    REQUEST_CEILING = 2 * 1024 * 1024,
    /* Ten messages of 1 MiB, each byte perhaps an escape of six. */
    RECEIVE_CEILING = 64 * 1024 * 1024,
    SEND_TRIES = 6,
    RECEIVE_MARGIN_MS = 10 * 1000, /* for a try, beyond the wait that was asked for */
    RECEIVE_TOTAL_MARGIN_MS = 30 * 1000,
    MD5_HEX_SIZE = 33,
};

/* ---- one call ---- */

static void begin_call(struct dic_json_call *call, const struct dic_sqs_queue *queue,
                       const char *operation)
{
    dic_json_call_init(call, DIC_AWS_SQS, operation, REQUEST_CEILING);
    dic_json_put_text(&call->json, "QueueUrl", queue->url);
}

/* SQS's words, as it says them now and as it said them in its older protocol. */
static const struct {
    const char *error_code;
    enum dic_code code;
} reactions[] = {
    {"QueueDoesNotExist", DIC_E_NOT_FOUND},
    {"AWS.SimpleQueueService.NonExistentQueue", DIC_E_NOT_FOUND},
    {"ReceiptHandleIsInvalid", DIC_E_NOT_FOUND},
    {"InvalidIdFormat", DIC_E_NOT_FOUND}, /* a receipt of another queue's making */
    {"MessageNotInflight", DIC_E_NOT_FOUND},
    {"AWS.SimpleQueueService.MessageNotInflight", DIC_E_NOT_FOUND},
    {"KmsThrottled", DIC_E_BUSY},
    {"BatchRequestTooLong", DIC_E_TOO_LARGE},
    {"AWS.SimpleQueueService.BatchRequestTooLong", DIC_E_TOO_LARGE},
};

static enum dic_code reaction(const struct dic_json_call *call, enum dic_code code)
{
    for (size_t i = 0; i < sizeof reactions / sizeof *reactions; i++) {
        if (dic_json_call_failed_with(call, reactions[i].error_code)) {
            return reactions[i].code;
        }
    }
    /* A lease that is over has no code of its own, only words. */
    if (code == DIC_E_INVALID &&
        (dic_json_call_body_has(call, "does not exist or is not available for visibility") ||
         dic_json_call_body_has(call, "The receipt handle has expired"))) {
        return DIC_E_NOT_FOUND;
    }
    if (code == DIC_E_NOT_FOUND) { /* 404 without SQS's own word: not its endpoint */
        return DIC_E_UPSTREAM;
    }
    return code;
}

DIC_MUST_USE
static enum dic_code send_call(const struct dic_sqs_queue *queue, struct dic_json_call *call,
                               struct dic_err *err)
{
    enum dic_code code = dic_json_call_send(queue->aws, call, err);
    return code == DIC_OK ? DIC_OK : dic_aws_recode(err, reaction(call, code));
}

/* A member that must be a string. */
DIC_MUST_USE
static enum dic_code text_member(const struct dic_json_call *call, const struct dic_json *object,
                                 const char *name, struct dic_str *out, struct dic_err *err)
{
    const struct dic_json *value =
        dic_json_is_object(object) ? dic_json_member(object, name) : NULL;
    if (value == NULL || dic_json_get_str(value, name, out, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has an entry without %s",
                        call->operation, name);
    }
    return DIC_OK;
}

/* An array that may be left out when it is empty: NULL then. */
DIC_MUST_USE
static enum dic_code array_member(const struct dic_json_call *call, const char *name,
                                  const struct dic_json **out, struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(call->root, name);
    *out = value == NULL || dic_json_is_null(value) ? NULL : value;
    if (*out != NULL && !dic_json_is_array(*out)) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: %s of the answer is %s, not an array",
                        call->operation, name, dic_json_type_name(*out));
    }
    return DIC_OK;
}

/* ---- checksums ---- */

/* RFC 1321; no protection, SQS's own checksum of a body. False where MD5 is forbidden (FIPS). */
static bool md5_hex(struct dic_str bytes, char out[MD5_HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const void *ptr = bytes.len == 0 ? "" : bytes.ptr;
    if (EVP_Digest(ptr, bytes.len, digest, &size, EVP_md5(), NULL) != 1) {
        return false;
    }
    for (unsigned i = 0; i < size && i < (MD5_HEX_SIZE - 1) / 2; i++) {
        snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
    return true;
}

static bool is_md5_of(struct dic_str hex, struct dic_str body)
{
    char expected[MD5_HEX_SIZE];
    return !md5_hex(body, expected) || dic_str_is(hex, expected);
}

/* ---- sending ---- */

struct batch {
    const struct dic_sqs_entry *entries;
    bool pending[DIC_SQS_BATCH];
    size_t count;
};

static size_t pending_count(const struct batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        count += batch->pending[i] ? 1 : 0;
    }
    return count;
}

static void put_entries(const struct batch *batch, struct dic_json_writer *json)
{
    char id[8];
    dic_json_begin_array(json, "Entries");
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->pending[i]) {
            continue;
        }
        snprintf(id, sizeof id, "%zu", i);
        dic_json_begin_object(json, NULL);
        dic_json_put_text(json, "Id", id);
        dic_json_put_str(json, "MessageBody", batch->entries[i].body);
        if (batch->entries[i].group_id.len > 0) {
            dic_json_put_str(json, "MessageGroupId", batch->entries[i].group_id);
        }
        dic_json_end_object(json);
    }
    dic_json_end_array(json);
}

/* Which of the batch's entries one of the answer's is about. */
DIC_MUST_USE
static enum dic_code entry_index(const struct dic_json_call *call, const struct batch *batch,
                                 const struct dic_json *result, size_t *out, struct dic_err *err)
{
    struct dic_str id = {0};
    uint64_t index = 0;
    DIC_TRY(text_member(call, result, "Id", &id, err));
    if (dic_parse_u64(id, 0, batch->count - 1, &index, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has an entry that was not sent",
                        call->operation);
    }
    *out = (size_t)index;
    return DIC_OK;
}

/* An entry that arrived changed stays pending: better twice than not at all. */
DIC_MUST_USE
static enum dic_code read_successful(const struct dic_json_call *call, struct batch *batch,
                                     struct dic_err *err)
{
    const struct dic_json *results = NULL;
    DIC_TRY(array_member(call, "Successful", &results, err));
    for (size_t i = 0; results != NULL && i < dic_json_size(results); i++) {
        const struct dic_json *result = dic_json_at(results, i);
        struct dic_str md5 = {0};
        size_t index = 0;
        DIC_TRY(entry_index(call, batch, result, &index, err));
        DIC_TRY(text_member(call, result, "MD5OfMessageBody", &md5, err));
        if (is_md5_of(md5, batch->entries[index].body)) {
            batch->pending[index] = false;
        }
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code read_failed(const struct dic_json_call *call, const struct batch *batch,
                                 struct dic_err *err)
{
    const struct dic_json *results = NULL;
    DIC_TRY(array_member(call, "Failed", &results, err));
    for (size_t i = 0; results != NULL && i < dic_json_size(results); i++) {
        const struct dic_json *result = dic_json_at(results, i);
        struct dic_str code = {0};
        struct dic_str message = {0};
        size_t index = 0;
        bool never = false;
        DIC_TRY(entry_index(call, batch, result, &index, err));
        DIC_TRY(text_member(call, result, "Code", &code, err));
        const struct dic_json *fault = dic_json_member(result, "SenderFault");
        if (fault == NULL || dic_json_get_bool(fault, "SenderFault", &never, NULL) != DIC_OK) {
            return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has a failure without SenderFault",
                            call->operation);
        }
        const struct dic_json *text = dic_json_member(result, "Message");
        if (never) {
            if (text == NULL || dic_json_get_str(text, "Message", &message, NULL) != DIC_OK) {
                message = dic_str("no reason given");
            }
            return dic_fail(err, DIC_E_INVALID, "%s: a message is refused: %.*s: %.*s",
                            call->operation, DIC_STR_ARGS(code), DIC_STR_ARGS(message));
        }
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code send_pending(const struct dic_sqs_queue *queue, struct batch *batch,
                                  struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, queue, "SendMessageBatch");
    put_entries(batch, &call.json);
    DIC_TRY(send_call(queue, &call, err));
    DIC_TRY(read_successful(&call, batch, err));
    return read_failed(&call, batch, err);
}

DIC_MUST_USE
static enum dic_code send_batch(const struct dic_sqs_queue *queue, struct batch *batch,
                                struct dic_err *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        batch->pending[i] = true;
    }
    for (int try = 1;; try++) {
        DIC_TRY(send_pending(queue, batch, err));
        if (pending_count(batch) == 0) {
            return DIC_OK;
        }
        if (try == SEND_TRIES) {
            return dic_fail(err, DIC_E_BUSY,
                            "SendMessageBatch: %zu of %zu messages failed %d times",
                            pending_count(batch), batch->count, try);
        }
        dic_aws_back_off(queue->sleep_ms, queue->sleep_context, try);
    }
}

/* As many of the entries as one call may carry. */
static size_t batch_size(const struct dic_sqs_entry *entries, size_t count)
{
    size_t bytes = 0;
    size_t fits = 0;
    while (fits < count && fits < DIC_SQS_BATCH &&
           bytes + entries[fits].body.len <= DIC_SQS_BATCH_BYTES) {
        bytes += entries[fits++].body.len;
    }
    return fits;
}

enum dic_code dic_sqs_send(const struct dic_sqs_queue *queue, const struct dic_sqs_entry *entries,
                           size_t count, struct dic_err *err)
{
    for (size_t at = 0; at < count;) {
        struct batch batch = {.entries = entries + at,
                              .count = batch_size(entries + at, count - at)};
        if (batch.count == 0) {
            return dic_fail(err, DIC_E_TOO_LARGE, "message of %zu bytes, limit %d",
                            entries[at].body.len, DIC_SQS_BATCH_BYTES);
        }
        DIC_TRY(send_batch(queue, &batch, err));
        at += batch.count;
    }
    return DIC_OK;
}

/* ---- receiving ---- */

static void put_receive(struct dic_json_writer *json, const struct dic_sqs_receive *receive)
{
    static const char *const attributes[] = {"ApproximateReceiveCount", "SentTimestamp"};
    dic_json_put_int(json, "MaxNumberOfMessages", (int64_t)receive->max);
    dic_json_put_int(json, "VisibilityTimeout", receive->visibility_s);
    dic_json_put_int(json, "WaitTimeSeconds", receive->wait_s);
    dic_json_begin_array(json, "MessageSystemAttributeNames");
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        dic_json_put_text(json, NULL, attributes[i]);
    }
    dic_json_end_array(json);
}

/* A number that SQS writes as a string; `fallback` when it is left out. */
DIC_MUST_USE
static enum dic_code attribute(const struct dic_json_call *call, const struct dic_json *attributes,
                               const char *name, uint64_t max, uint64_t fallback, uint64_t *out,
                               struct dic_err *err)
{
    struct dic_str text = {0};
    *out = fallback;
    if (attributes == NULL) {
        return DIC_OK;
    }
    if (!dic_json_is_object(attributes)) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: attributes are %s, not an object",
                        call->operation, dic_json_type_name(attributes));
    }
    const struct dic_json *value = dic_json_member(attributes, name);
    if (value == NULL) {
        return DIC_OK;
    }
    if (dic_json_get_str(value, name, &text, NULL) != DIC_OK ||
        dic_parse_u64(text, 0, max, out, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: %s is no whole number in a string",
                        call->operation, name);
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code read_message(const struct dic_json_call *call, const struct dic_json *from,
                                  struct dic_sqs_message *out, struct dic_str *md5_out,
                                  struct dic_err *err)
{
    uint64_t receives = 0;
    uint64_t sent = 0;
    DIC_TRY(text_member(call, from, "MessageId", &out->id, err));
    DIC_TRY(text_member(call, from, "ReceiptHandle", &out->receipt, err));
    DIC_TRY(text_member(call, from, "Body", &out->body, err));
    DIC_TRY(text_member(call, from, "MD5OfBody", md5_out, err));
    const struct dic_json *attributes = dic_json_member(from, "Attributes");
    DIC_TRY(attribute(call, attributes, "ApproximateReceiveCount", UINT32_MAX, 1, &receives, err));
    DIC_TRY(attribute(call, attributes, "SentTimestamp", INT64_MAX, 0, &sent, err));
    out->receive_count = (uint32_t)receives;
    out->sent_ms = (int64_t)sent;
    return DIC_OK;
}

static void log_bad_checksum(const struct dic_sqs_message *message)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "message_checksum_mismatch");
    dic_log_view(&log, "message_id", message->id);
    dic_log_int(&log, "receive_count", message->receive_count);
    dic_log_end(&log);
}

DIC_MUST_USE
static enum dic_code visit_messages(const struct dic_json_call *call, dic_sqs_visit visit,
                                    void *context, struct dic_err *err)
{
    const struct dic_json *messages = NULL;
    DIC_TRY(array_member(call, "Messages", &messages, err));
    for (size_t i = 0; messages != NULL && i < dic_json_size(messages); i++) {
        struct dic_sqs_message message = {0};
        struct dic_str md5 = {0};
        DIC_TRY(read_message(call, dic_json_at(messages, i), &message, &md5, err));
        if (!is_md5_of(md5, message.body)) {
            log_bad_checksum(&message);
            continue;
        }
        DIC_TRY(visit(context, &message, err));
    }
    return DIC_OK;
}

enum dic_code dic_sqs_receive(const struct dic_sqs_queue *queue,
                              const struct dic_sqs_receive *receive, dic_sqs_visit visit,
                              void *context, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, queue, "ReceiveMessage");
    put_receive(&call.json, receive);
    call.timeout_ms = (int64_t)receive->wait_s * 1000 + RECEIVE_MARGIN_MS;
    call.total_timeout_ms = (int64_t)receive->wait_s * 1000 + RECEIVE_TOTAL_MARGIN_MS;
    call.max_response_bytes = RECEIVE_CEILING;
    call.cancel = receive->cancel;
    DIC_TRY(send_call(queue, &call, err));
    return visit_messages(&call, visit, context, err);
}

/* ---- leases and depth ---- */

enum dic_code dic_sqs_change_visibility(const struct dic_sqs_queue *queue, struct dic_str receipt,
                                        uint32_t visibility_s, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, queue, "ChangeMessageVisibility");
    call.no_output = true;
    dic_json_put_str(&call.json, "ReceiptHandle", receipt);
    dic_json_put_int(&call.json, "VisibilityTimeout", visibility_s);
    return send_call(queue, &call, err);
}

enum dic_code dic_sqs_delete(const struct dic_sqs_queue *queue, struct dic_str receipt,
                             struct dic_err *err)
{
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, queue, "DeleteMessage");
    call.no_output = true;
    dic_json_put_str(&call.json, "ReceiptHandle", receipt);
    return send_call(queue, &call, err);
}

DIC_MUST_USE
static enum dic_code depth_attribute(const struct dic_json_call *call, const char *name,
                                     int64_t *out, struct dic_err *err)
{
    uint64_t value = 0;
    const struct dic_json *attributes = dic_json_member(call->root, "Attributes");
    DIC_TRY(attribute(call, attributes, name, INT64_MAX, UINT64_MAX, &value, err));
    if (value == UINT64_MAX) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer has no %s", call->operation, name);
    }
    *out = (int64_t)value;
    return DIC_OK;
}

enum dic_code dic_sqs_depth(const struct dic_sqs_queue *queue, int64_t *visible_out,
                            int64_t *in_flight_out, struct dic_err *err)
{
    static const char visible[] = "ApproximateNumberOfMessages";
    static const char in_flight[] = "ApproximateNumberOfMessagesNotVisible";
    DIC_CLEANUP(dic_json_call_clean_up) struct dic_json_call call;
    begin_call(&call, queue, "GetQueueAttributes");
    dic_json_begin_array(&call.json, "AttributeNames");
    dic_json_put_text(&call.json, NULL, visible);
    dic_json_put_text(&call.json, NULL, in_flight);
    dic_json_end_array(&call.json);
    DIC_TRY(send_call(queue, &call, err));
    DIC_TRY(depth_attribute(&call, visible, visible_out, err));
    return depth_attribute(&call, in_flight, in_flight_out, err);
}
