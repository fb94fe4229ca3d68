/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "json/json_write.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_AFTER_S = 1 };

void dic_response_header(struct dic_response *response, const char *name, const char *value)
{
    if (response->header_count < DIC_MAX_RESPONSE_HEADERS) {
        struct dic_response_header *header = &response->headers[response->header_count++];
        snprintf(header->name, sizeof header->name, "%s", name);
        snprintf(header->value, sizeof header->value, "%s", value);
    }
}

void dic_response_error(struct dic_response *response, const struct dic_request *request,
                        const struct dic_err *err, int status)
{
    const struct dic_outcome *outcome = dic_outcome(err->code);
    response->status = status != 0 ? status : outcome->http_status;
    response->content_type = "application/json";
    response->err = *err;
    dic_buf_clear(&response->body);
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_json_begin_object(&writer, NULL);
    dic_json_begin_object(&writer, "error");
    dic_json_put_text(&writer, "code", outcome->word);
    dic_json_put_text(&writer, "message", err->msg);
    if (err->field[0] != '\0') {
        dic_json_put_text(&writer, "field", err->field);
    }
    dic_json_put_text(&writer, "request_id", request->request_id);
    dic_json_end_object(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
    if (outcome->retryable || response->status == 429 || response->status == 503) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", RETRY_AFTER_S);
        dic_response_header(response, "Retry-After", seconds);
    }
}
