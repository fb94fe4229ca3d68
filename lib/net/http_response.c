/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

void dic_http_response_init(struct dic_http_response *response)
{
    *response = (struct dic_http_response){0};
    dic_buf_init(&response->headers, DIC_HTTP_MAX_HEADER_BYTES);
    dic_buf_init(&response->body, 0); /* each send sets its own ceiling */
}

void dic_http_response_clean_up(struct dic_http_response *response)
{
    dic_buf_clean_up(&response->headers);
    dic_buf_clean_up(&response->body);
}

struct dic_str dic_http_response_header(const struct dic_http_response *response, const char *name)
{
    struct dic_str rest = dic_buf_view(&response->headers);
    struct dic_str line;
    while (dic_str_split(&rest, '\n', &line)) {
        size_t colon = dic_str_find(line, ':');
        if (colon < line.len && dic_str_is(dic_str_len(line.ptr, colon), name)) {
            return dic_str_trim(dic_str_skip(line, colon + 1));
        }
    }
    return dic_str_len(NULL, 0);
}
