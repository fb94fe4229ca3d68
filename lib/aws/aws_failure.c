/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_failure.h"

#include "aws/hash.h"
#include "aws/xml_read.h"
#include "json/json_read.h"
#include "net/http_date.h"

#include <stdio.h>
#include <string.h>

enum { MOST_WAIT_MS = 24 * 3600 * 1000 };

/* ---- what AWS's codes mean ---- */

struct meaning {
    const char *error_code;
    enum dic_aws_reaction reaction;
    enum dic_code code;
};

/*
 * Throttling and transient codes are those of botocore's retries/standard.py, with SQS's OverLimit
 * (too many messages in flight) and KmsThrottled; codes of a wrong clock those of the SDKs' clock
 * skew rules (see clock_skew.rs of aws-sdk-rust's aws-runtime); the others are in the services' API
 * references. What is not here is judged by its status.
 */
static const struct meaning meanings[] = {
    {"Throttling", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"ThrottlingException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"ThrottledException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"RequestThrottledException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"RequestThrottled", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"TooManyRequestsException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"ProvisionedThroughputExceededException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"RequestLimitExceeded", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"BandwidthLimitExceeded", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"LimitExceededException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"SlowDown", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"PriorRequestNotComplete", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"TransactionInProgressException", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"OverLimit", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"KmsThrottled", DIC_AWS_SLOW_DOWN, DIC_E_BUSY},
    {"RequestTimeout", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"RequestTimeoutException", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"InternalError", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"InternalFailure", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"InternalServerError", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"ServiceUnavailable", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"IDPCommunicationError", DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    {"RequestTimeTooSkewed", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"RequestExpired", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"RequestInTheFuture", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"InvalidSignatureException", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"SignatureDoesNotMatch", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"AuthFailure", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"AccessDeniedException", DIC_AWS_CORRECT_CLOCK, DIC_E_DENIED},
    {"ExpiredToken", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"ExpiredTokenException", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"TokenRefreshRequired", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"InvalidToken", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"InvalidAccessKeyId", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"InvalidClientTokenId", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"UnrecognizedClientException", DIC_AWS_NEW_CREDENTIALS, DIC_E_DENIED},
    {"AccessDenied", DIC_AWS_GIVE_UP, DIC_E_DENIED},
    {"MissingAuthenticationTokenException", DIC_AWS_GIVE_UP, DIC_E_DENIED},
    {"MissingAuthenticationToken", DIC_AWS_GIVE_UP, DIC_E_DENIED},
    {"IncompleteSignatureException", DIC_AWS_GIVE_UP, DIC_E_DENIED},
    {"KmsAccessDenied", DIC_AWS_GIVE_UP, DIC_E_DENIED},
    {"NoSuchKey", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"NoSuchBucket", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"NoSuchUpload", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"ResourceNotFoundException", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"QueueDoesNotExist", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"AWS.SimpleQueueService.NonExistentQueue", DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
    {"PreconditionFailed", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"ConditionalRequestConflict", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"OperationAborted", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"ConditionalCheckFailedException", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"TransactionCanceledException", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"TransactionConflictException", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"IdempotentParameterMismatchException", DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
    {"EntityTooLarge", DIC_AWS_GIVE_UP, DIC_E_TOO_LARGE},
    {"RequestEntityTooLarge", DIC_AWS_GIVE_UP, DIC_E_TOO_LARGE},
};

static const struct meaning *find_meaning(const char *error_code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (strcmp(meanings[i].error_code, error_code) == 0) {
            return &meanings[i];
        }
    }
    return NULL;
}

static void judge_by_status(struct dic_aws_failure *out, int status)
{
    static const struct {
        int status;
        enum dic_aws_reaction reaction;
        enum dic_code code;
    } rows[] = {
        {304, DIC_AWS_GIVE_UP, DIC_E_CONFLICT},   {401, DIC_AWS_GIVE_UP, DIC_E_DENIED},
        {403, DIC_AWS_GIVE_UP, DIC_E_DENIED},     {404, DIC_AWS_GIVE_UP, DIC_E_NOT_FOUND},
        {408, DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM}, {409, DIC_AWS_GIVE_UP, DIC_E_CONFLICT},
        {412, DIC_AWS_GIVE_UP, DIC_E_CONFLICT},   {413, DIC_AWS_GIVE_UP, DIC_E_TOO_LARGE},
        {429, DIC_AWS_SLOW_DOWN, DIC_E_BUSY},     {500, DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
        {502, DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM}, {503, DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
        {504, DIC_AWS_TRY_AGAIN, DIC_E_UPSTREAM},
    };
    out->reaction = DIC_AWS_GIVE_UP;
    out->code = status >= 300 && status < 500 ? DIC_E_INVALID : DIC_E_UPSTREAM;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            out->reaction = rows[i].reaction;
            out->code = rows[i].code;
        }
    }
}

/* ---- reading names and messages ---- */

/* The first line, without control characters: further lines of a signature error hold the request
 * as it was signed, and so a session token. */
static void copy_line(struct dic_str text, char *out, size_t out_size)
{
    struct dic_str line = dic_str_len(text.ptr, dic_str_find(text, '\n'));
    size_t len = line.len < out_size - 1 ? line.len : out_size - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)line.ptr[i];
        out[i] = (char)(byte < ' ' || byte == 0x7f ? ' ' : byte);
    }
    out[len] = '\0';
}

/* "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" or "ValidationException:http://…" is
 * the name alone (AWS JSON protocol, "Operation error serialization"). */
static void copy_error_code(struct dic_str type, char out[80])
{
    struct dic_str name = dic_str_skip(type, dic_str_find(type, '#') + 1);
    name = name.len > 0 ? name : type;
    name.len = dic_str_find(name, ':');
    copy_line(dic_str_trim(name), out, 80);
}

static struct dic_str member_text(const struct dic_json *object, const char *name)
{
    struct dic_str text = {NULL, 0};
    const struct dic_json *value = dic_json_member(object, name);
    if (value != NULL && dic_json_get_str(value, name, &text, NULL) != DIC_OK) {
        text = dic_str_len(NULL, 0);
    }
    return text;
}

static void read_json_error(const struct dic_http_response *answer, struct dic_aws_failure *out)
{
    struct dic_str header = dic_http_response_header(answer, "x-amzn-errortype");
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    bool parsed = dic_json_parse(dic_buf_view(&answer->body), &root, NULL) == DIC_OK &&
                  dic_json_is_object(root);
    struct dic_str type = parsed ? member_text(root, "__type") : dic_str_len(NULL, 0);
    type = type.len > 0 || !parsed ? type : member_text(root, "code");
    copy_error_code(header.len > 0 ? header : type, out->error_code);
    if (parsed) {
        struct dic_str message = member_text(root, "message");
        message = message.len > 0 ? message : member_text(root, "Message");
        copy_line(message, out->message, sizeof out->message);
    }
}

static enum dic_code on_error_element(void *context, struct dic_str path, struct dic_str text,
                                      struct dic_err *err)
{
    (void)err; /* nothing fails here */
    struct dic_aws_failure *out = context;
    if (dic_str_is(path, "Error/Code")) {
        copy_error_code(text, out->error_code);
    } else if (dic_str_is(path, "Error/Message")) {
        copy_line(text, out->message, sizeof out->message);
    } else if (dic_str_is(path, "Error/Region")) {
        copy_line(text, out->region, sizeof out->region);
    } else if (dic_str_is(path, "Error/RequestId") && out->request_id[0] == '\0') {
        copy_line(text, out->request_id, sizeof out->request_id);
    }
    return DIC_OK;
}

static void read_xml_error(const struct dic_http_response *answer, struct dic_aws_failure *out)
{
    struct dic_xml_visitor visitor = {.context = out, .end = on_error_element};
    /* What was read before the document broke still counts: the status says that it is an error. */
    enum dic_code code = dic_xml_read(dic_buf_view(&answer->body), &visitor, NULL);
    (void)code;
}

static void read_request_id(const struct dic_http_response *answer, struct dic_aws_failure *out)
{
    struct dic_str id = dic_http_response_header(answer, "x-amzn-requestid");
    id = id.len > 0 ? id : dic_http_response_header(answer, "x-amz-request-id");
    copy_line(id, out->request_id, sizeof out->request_id);
}

/* x-amz-retry-after is in milliseconds; Retry-After in seconds, or a date (RFC 9110 10.2.3). More
 * than a day is no wish that is meant, and ignored. */
static int64_t read_retry_after(const struct dic_http_response *answer, int64_t now_ms)
{
    uint64_t number = 0;
    struct dic_str own = dic_http_response_header(answer, "x-amz-retry-after");
    if (own.len > 0 && dic_parse_u64(own, 0, MOST_WAIT_MS, &number, NULL) == DIC_OK) {
        return (int64_t)number;
    }
    struct dic_str text = dic_http_response_header(answer, "retry-after");
    if (text.len > 0 && dic_parse_u64(text, 0, MOST_WAIT_MS / 1000, &number, NULL) == DIC_OK) {
        return (int64_t)number * 1000;
    }
    int64_t date_ms = 0;
    if (dic_http_date_parse(text, &date_ms) && date_ms > now_ms &&
        date_ms - now_ms <= MOST_WAIT_MS) {
        return date_ms - now_ms;
    }
    return 0;
}

/* ---- answers that say 2xx ---- */

static void set_broken(struct dic_aws_failure *out, const char *why)
{
    out->reaction = DIC_AWS_TRY_AGAIN;
    out->code = DIC_E_UPSTREAM;
    out->outcome_unknown = true;
    snprintf(out->message, sizeof out->message, "%s", why);
}

static struct dic_str without_spaces(struct dic_str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[0]) != NULL) {
        text = dic_str_skip(text, 1);
    }
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL) {
        text.len--;
    }
    return text;
}

/* DynamoDB sends the CRC-32 of the body in decimal. */
static void check_json(const struct dic_http_response *answer, struct dic_aws_failure *out)
{
    struct dic_str body = dic_buf_view(&answer->body);
    struct dic_str sum = dic_http_response_header(answer, "x-amz-crc32");
    uint64_t expected = 0;
    if (sum.len > 0 && (dic_parse_u64(sum, 0, UINT32_MAX, &expected, NULL) != DIC_OK ||
                        expected != dic_crc32(body))) {
        set_broken(out, "the answer's x-amz-crc32 is not that of its body");
        return;
    }
    body = without_spaces(body);
    if (body.len > 0 && (body.ptr[0] != '{' || body.ptr[body.len - 1] != '}')) {
        set_broken(out, "the answer is no JSON object");
    }
}

/* Of a list, which costs nothing to ask for again; other documents of S3's are their callers' to
 * judge, as a repeated write may find its work done. */
static void check_xml(const struct dic_aws_call *call, const struct dic_http_response *answer,
                      struct dic_aws_failure *out)
{
    const struct dic_str body = without_spaces(dic_buf_view(&answer->body));
    const bool is_list = strcmp(call->method, "GET") == 0 && call->query.len > 0;
    if (is_list && (body.len == 0 || body.ptr[0] != '<' || body.ptr[body.len - 1] != '>')) {
        set_broken(out, "the answer is no XML document");
    }
}

static bool starts_with_error_element(struct dic_str body)
{
    size_t at = 0;
    while (at < body.len && strchr(" \t\r\n", body.ptr[at]) != NULL) {
        at++;
    }
    struct dic_str rest = dic_str_skip(body, at);
    if (dic_str_starts_with(rest, DIC_STR_LIT("<?xml"))) {
        rest = dic_str_skip(rest, dic_str_find(rest, '>') + 1);
        return starts_with_error_element(rest);
    }
    return dic_str_starts_with(rest, DIC_STR_LIT("<Error>")) ||
           dic_str_starts_with(rest, DIC_STR_LIT("<Error "));
}

/* No answer of SQS's or DynamoDB's has this member, but every error has: without the look "no item"
 * could be read, or "done". */
static bool names_an_error(struct dic_str body)
{
    static const char member[] = "\"__type\"";
    if (body.len == 0 || memmem(body.ptr, body.len, member, sizeof member - 1) == NULL) {
        return false;
    }
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    return dic_json_parse(body, &root, NULL) == DIC_OK && dic_json_is_object(root) &&
           member_text(root, "__type").len > 0;
}

/* S3 says 200 before it knows how a long operation ends (CompleteMultipartUpload): the error comes
 * in the body. An object that looks like one is no error: those are got without a query. */
static bool is_error_in_disguise(const struct dic_aws_call *call,
                                 const struct dic_http_response *answer)
{
    bool is_object = strcmp(call->method, "GET") == 0 && call->query.len == 0;
    if (call->service != DIC_AWS_S3) {
        return names_an_error(dic_buf_view(&answer->body));
    }
    return !is_object && starts_with_error_element(dic_buf_view(&answer->body));
}

/* ---- all together ---- */

static void judge_region(const struct dic_http_response *answer, const char *region,
                         struct dic_aws_failure *out)
{
    struct dic_str header = dic_http_response_header(answer, "x-amz-bucket-region");
    if (header.len > 0) {
        copy_line(header, out->region, sizeof out->region);
    }
    bool redirected = answer->status == 301 || answer->status == 307;
    bool elsewhere = out->region[0] != '\0' && strcmp(out->region, region) != 0;
    if (!elsewhere) {
        out->region[0] = '\0';
    }
    if (redirected && !elsewhere) { /* a new bucket, whose name is not known everywhere yet */
        out->reaction = DIC_AWS_TRY_AGAIN;
        out->code = DIC_E_UPSTREAM;
    }
    bool refused = redirected || answer->status == 400;
    if (refused && elsewhere) {
        out->reaction = DIC_AWS_GIVE_UP;
        out->code = DIC_E_INVALID;
    } else {
        out->region[0] = '\0';
    }
}

static void judge(const struct dic_http_response *answer, struct dic_aws_failure *out)
{
    judge_by_status(out, answer->status);
    /* SQS names errors twice: as JSON does, and as its old protocol did ("Code;Sender"). */
    struct dic_str old = dic_http_response_header(answer, "x-amzn-query-error");
    char old_code[80];
    copy_error_code(dic_str_len(old.ptr, dic_str_find(old, ';')), old_code);
    const struct meaning *meaning = find_meaning(out->error_code);
    meaning = meaning != NULL ? meaning : find_meaning(old_code);
    if (meaning != NULL) {
        out->reaction = meaning->reaction;
        out->code = meaning->code;
    }
    if (out->error_code[0] == '\0') {
        snprintf(out->error_code, sizeof out->error_code, "%s", old_code);
    }
    if (out->error_code[0] == '\0') {
        snprintf(out->error_code, sizeof out->error_code, "HTTP %d", answer->status);
    }
    out->clock_is_why = strcmp(out->error_code, "RequestTimeTooSkewed") == 0 ||
                        strcmp(out->error_code, "RequestExpired") == 0 ||
                        strcmp(out->error_code, "RequestInTheFuture") == 0;
    out->outcome_unknown = out->reaction == DIC_AWS_TRY_AGAIN && answer->status != 408 &&
                           strcmp(out->error_code, "RequestTimeout") != 0;
}

void dic_aws_failure_read(const struct dic_aws_call *call, const struct dic_http_response *answer,
                          const char *region, int64_t now_ms, struct dic_aws_failure *out)
{
    *out = (struct dic_aws_failure){.reaction = DIC_AWS_SUCCEEDED, .code = DIC_OK};
    read_request_id(answer, out);
    bool is_s3 = call->service == DIC_AWS_S3;
    bool says_success = answer->status >= 200 && answer->status < 300;
    if (says_success && !is_error_in_disguise(call, answer)) {
        if (is_s3) {
            check_xml(call, answer, out);
        } else {
            check_json(answer, out);
        }
        return;
    }
    if (is_s3) {
        read_xml_error(answer, out);
    } else {
        read_json_error(answer, out);
    }
    judge(answer, out);
    if (is_s3) {
        judge_region(answer, region, out);
    }
    out->retry_after_ms = read_retry_after(answer, now_ms);
}
