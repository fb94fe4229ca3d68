/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/json_call.h"

#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum { BACK_OFF_BASE_MS = 50, BACK_OFF_CEILING_MS = 5000 };

static const char *const versions[DIC_AWS_SERVICE_COUNT] = {
    [DIC_AWS_SQS] = "AmazonSQS",
    [DIC_AWS_DYNAMODB] = "DynamoDB_20120810",
};

void dic_json_call_init(struct dic_json_call *call, enum dic_aws_service service,
                        const char *operation, size_t body_ceiling)
{
    *call = (struct dic_json_call){.service = service, .operation = operation};
    dic_buf_init(&call->body, body_ceiling);
    dic_aws_answer_init(&call->answer);
    call->json = dic_json_writer(&call->body);
    dic_json_begin_object(&call->json, NULL);
}

void dic_json_call_clean_up(struct dic_json_call *call)
{
    dic_buf_clean_up(&call->body);
    dic_aws_answer_clean_up(&call->answer);
    dic_json_destroy(call->root);
    call->root = NULL;
}

enum dic_code dic_json_call_read_root(struct dic_json_call *call, struct dic_err *err)
{
    struct dic_err why = {0};
    if (dic_json_parse(dic_buf_view(&call->answer.http.body), &call->root, &why) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer is %.200s", call->operation, why.msg);
    }
    if (!dic_json_is_object(call->root)) {
        return dic_fail(err, DIC_E_UPSTREAM, "%s: the answer is %s, not an object", call->operation,
                        dic_json_type_name(call->root));
    }
    return DIC_OK;
}

/* A redirect, or an answer without an end, says nothing of the request: nothing is too large in it.
 */
static bool is_foreign(const struct dic_aws_answer *answer, enum dic_code code)
{
    const bool redirects = answer->http.status >= 300 && answer->http.status < 400;
    return redirects || (code == DIC_E_TOO_LARGE && answer->error_code[0] == '\0');
}

enum dic_code dic_json_call_send(struct dic_aws *aws, struct dic_json_call *call,
                                 struct dic_err *err)
{
    char target[80];
    dic_json_end_object(&call->json);
    DIC_TRY(dic_buf_check(&call->body, err));
    snprintf(target, sizeof target, "%s.%s", versions[call->service], call->operation);
    const struct dic_http_header headers[] = {
        {dic_str("content-type"), dic_str("application/x-amz-json-1.0")},
        {dic_str("x-amz-target"), dic_str(target)},
    };
    const struct dic_aws_call request = {
        .service = call->service,
        .operation = call->operation,
        .method = "POST",
        .path = dic_str("/"),
        .headers = headers,
        .header_count = sizeof headers / sizeof *headers,
        .body = dic_buf_view(&call->body),
        .timeout_ms = call->timeout_ms,
        .total_timeout_ms = call->total_timeout_ms,
        .max_response_bytes = call->max_response_bytes,
        .cancel = call->cancel,
    };
    const enum dic_code code = dic_aws_call(aws, &request, &call->answer, err);
    if (code != DIC_OK) {
        return is_foreign(&call->answer, code) ? dic_aws_recode(err, DIC_E_UPSTREAM) : code;
    }
    if (call->no_output && call->answer.http.body.len == 0) {
        return DIC_OK;
    }
    return dic_json_call_read_root(call, err);
}

bool dic_json_call_failed_with(const struct dic_json_call *call, const char *error_code)
{
    return strcmp(call->answer.error_code, error_code) == 0;
}

bool dic_json_call_body_has(const struct dic_json_call *call, const char *words)
{
    const struct dic_buf *body = &call->answer.http.body;
    return body->len > 0 && memmem(body->ptr, body->len, words, strlen(words)) != NULL;
}

enum dic_code dic_aws_recode(struct dic_err *err, enum dic_code code)
{
    if (err != NULL) {
        err->code = code;
        err->retryable = dic_outcome(code)->retryable;
    }
    return code;
}

void dic_aws_back_off(void (*sleep_ms)(void *context, int64_t ms), void *sleep_context, int try)
{
    int64_t ceiling = BACK_OFF_CEILING_MS;
    if (try < 10 && ((int64_t)BACK_OFF_BASE_MS << try) < ceiling) {
        ceiling = (int64_t)BACK_OFF_BASE_MS << try;
    }
    sleep_ms(sleep_context, (int64_t)(dic_rand_u64() % (uint64_t)(ceiling + 1)));
}
