/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials_reply.h"

#include "json/json_read.h"

#include <string.h>
#include <time.h>

enum { TRIES = 3 };

/* The digits at [from, from + len), or -1. */
static int number_at(struct dic_str text, size_t from, size_t len)
{
    uint64_t value = 0;
    struct dic_str digits = dic_str_len(text.ptr + from, len);
    return dic_parse_u64(digits, 0, 9999, &value, NULL) == DIC_OK ? (int)value : -1;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "Z", perhaps after ".123". */
static bool is_zone(struct dic_str text)
{
    if (text.len > 2 && text.ptr[0] == '.' && is_digit(text.ptr[1])) {
        text = dic_str_skip(text, 2);
        while (text.len > 1 && is_digit(text.ptr[0])) {
            text = dic_str_skip(text, 1);
        }
    }
    return dic_str_is(text, "Z") || dic_str_is(text, "+00:00");
}

bool dic_aws_credentials_time_parse(struct dic_str text, int64_t *wall_ms_out)
{
    static const char form[] = "####-##-##T##:##:##";
    if (text.len < sizeof form || !is_zone(dic_str_skip(text, sizeof form - 1))) {
        return false;
    }
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] != '#' && form[i] != text.ptr[i]) {
            return false;
        }
    }
    struct tm parts = {
        .tm_year = number_at(text, 0, 4) - 1900,
        .tm_mon = number_at(text, 5, 2) - 1,
        .tm_mday = number_at(text, 8, 2),
        .tm_hour = number_at(text, 11, 2),
        .tm_min = number_at(text, 14, 2),
        .tm_sec = number_at(text, 17, 2),
    };
    return dic_time_from_parts(&parts, wall_ms_out);
}

DIC_MUST_USE
static enum dic_code copy_member(const struct dic_json *root, const char *name, bool needed,
                                 char *field_out, size_t field_size, struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, name);
    if (value == NULL || dic_json_is_null(value)) {
        return needed ? dic_fail(err, DIC_E_UPSTREAM, "the reply has no %s", name) : DIC_OK;
    }
    struct dic_str text;
    if (dic_json_get_str(value, name, &text, NULL) != DIC_OK ||
        dic_aws_credentials_copy(text, name, field_out, field_size, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "the reply's %s is no text that can be used", name);
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code read_expiration(const struct dic_json *root, int64_t *expires_ms_out,
                                     struct dic_err *err)
{
    const struct dic_json *value = dic_json_member(root, "Expiration");
    *expires_ms_out = 0;
    if (value == NULL || dic_json_is_null(value)) {
        return DIC_OK;
    }
    struct dic_str text = {"", 0};
    if (dic_json_get_str(value, "Expiration", &text, NULL) != DIC_OK ||
        !dic_aws_credentials_time_parse(text, expires_ms_out)) {
        return dic_fail(err, DIC_E_UPSTREAM, "the reply's Expiration '%.*s' is no time",
                        (int)(text.len < 40 ? text.len : 40), text.ptr);
    }
    return DIC_OK;
}

enum dic_code dic_aws_credentials_reply_parse(struct dic_str text, struct dic_aws_credentials *out,
                                              struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    if (dic_json_parse(text, &root, NULL) != DIC_OK || !dic_json_is_object(root)) {
        return dic_fail(err, DIC_E_UPSTREAM, "the reply of %zu bytes is no JSON object", text.len);
    }
    const struct dic_json *code = dic_json_member(root, "Code");
    struct dic_str word = {"", 0};
    if (code != NULL &&
        (dic_json_get_str(code, "Code", &word, NULL) != DIC_OK || !dic_str_is(word, "Success"))) {
        return dic_fail(err, DIC_E_UPSTREAM, "the reply's Code is '%.*s', not 'Success'",
                        (int)(word.len < 40 ? word.len : 40), word.ptr);
    }
    *out = (struct dic_aws_credentials){0};
    DIC_TRY(copy_member(root, "AccessKeyId", true, out->key_id, sizeof out->key_id, err));
    DIC_TRY(copy_member(root, "SecretAccessKey", true, out->secret, sizeof out->secret, err));
    DIC_TRY(copy_member(root, "Token", false, out->token, sizeof out->token, err));
    return read_expiration(root, &out->expires_ms, err);
}

enum dic_code dic_aws_credentials_ask(const struct dic_aws_credentials_context *context,
                                      const struct dic_aws_credentials_query *query,
                                      struct dic_http_response *response, struct dic_err *err)
{
    struct dic_http_request request = {
        .method = query->method,
        .url = query->url,
        .headers = query->headers,
        .header_count = query->header_count,
        .connect_timeout_ms = query->timeout_ms,
        .timeout_ms = query->timeout_ms,
        .max_response_bytes = DIC_AWS_CREDENTIALS_REPLY_MAX,
    };
    enum dic_code code = DIC_OK;
    for (int i = 0; i < TRIES; i++) {
        code = context->http.ops->send(context->http.impl, &request, response, err);
        bool again = (code == DIC_E_UPSTREAM || code == DIC_E_TIMEOUT) &&
                     (response->sent || !query->may_be_absent);
        if (code == DIC_OK && (response->status == 429 || response->status >= 500)) {
            code = dic_fail(err, DIC_E_UPSTREAM, "HTTP %d", response->status);
            again = true;
        }
        if (!again) {
            return code;
        }
    }
    return code;
}
