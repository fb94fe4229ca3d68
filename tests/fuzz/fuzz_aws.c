/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_aws.h"

#include "aws_environment.h"

#include <string.h>

enum { MOST_REQUESTS = 1000 }; /* a few tries of a hundred pages */

/* Header names come in lower case, and no line without a colon: the client sees to that. */
static void append_headers(struct dic_str *rest, struct dic_buf *out)
{
    struct dic_str line = {0};
    while (dic_str_split(rest, '\n', &line) && line.len > 0) {
        size_t colon = dic_str_find(line, ':');
        if (colon == line.len) {
            continue;
        }
        for (size_t i = 0; i < colon; i++) {
            char c = line.ptr[i];
            dic_buf_append_byte(out, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
        }
        dic_buf_append_text(out, ": ");
        dic_buf_append_str(out, dic_str_trim(dic_str_skip(line, colon + 1)));
        dic_buf_append_byte(out, '\n');
    }
}

void dic_fuzz_answer(struct dic_str text, struct dic_http_response *response)
{
    struct dic_str line = {0};
    uint64_t status = 0;
    if (!dic_str_split(&text, '\n', &line) || dic_parse_u64(line, 100, 999, &status, NULL)) {
        status = 200;
    }
    response->status = (int)status;
    append_headers(&text, &response->headers);
    dic_buf_append_str(&response->body, text);
}

static void check_request(const struct dic_http_request *request)
{
    for (size_t i = 0; i < request->url.len; i++) {
        unsigned char byte = (unsigned char)request->url.ptr[i];
        FUZZ_CHECK(byte > 0x20 && byte < 0x7F);
    }
    FUZZ_CHECK(request->header_count <= DIC_HTTP_MAX_HEADERS);
    FUZZ_CHECK(request->max_response_bytes > 0);
}

static enum dic_code answer(void *impl, const struct dic_http_request *request,
                            struct dic_http_response *response, struct dic_err *err)
{
    struct dic_fuzz_aws *fuzz = impl;
    check_request(request);
    FUZZ_CHECK(++fuzz->requests < MOST_REQUESTS);
    dic_buf_clear(&response->headers);
    dic_buf_clear(&response->body);
    response->status = 0;
    response->body.ceiling = request->max_response_bytes;
    response->sent = fuzz->answers.len > 0;
    if (!response->sent) {
        return dic_fail(err, DIC_E_UPSTREAM, "no further answer");
    }
    dic_fuzz_answer(dic_fuzz_part(&fuzz->answers), response);
    if (response->headers.poisoned || response->body.poisoned) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the answer is too large");
    }
    return DIC_OK;
}

static void nothing(void *impl)
{
    (void)impl; /* nobody waits, and nothing is owned */
}

static int64_t wall_ms(void *impl)
{
    return ((const struct dic_fuzz_aws *)impl)->now_ms;
}

static int64_t mono_ns(void *impl)
{
    return wall_ms(impl) * 1000000;
}

void dic_fuzz_aws_sleep(void *impl, int64_t ms)
{
    struct dic_fuzz_aws *fuzz = impl;
    FUZZ_CHECK(ms >= 0 && ms <= 24 * 3600 * 1000);
    fuzz->now_ms += ms;
}

void dic_fuzz_http_open(struct dic_fuzz_aws *fuzz, struct dic_str answers)
{
    static const struct dic_http_client_ops ops = {answer, nothing, nothing};
    *fuzz = (struct dic_fuzz_aws){
        .http = {&ops, fuzz},
        .clock = {wall_ms, mono_ns, fuzz},
        .environment = test_aws_environment(),
        .answers = answers,
        .now_ms = 1700000000000,
    };
}

void dic_fuzz_aws_open(struct dic_fuzz_aws *fuzz, struct dic_str answers)
{
    dic_fuzz_http_open(fuzz, answers);
    const struct dic_aws_options options = {
        .environment = &fuzz->environment,
        .http = fuzz->http,
        .clock = &fuzz->clock,
        .sleep_ms = dic_fuzz_aws_sleep,
        .sleep_context = fuzz,
    };
    FUZZ_CHECK(dic_aws_new(&options, &fuzz->aws, NULL) == DIC_OK);
}

void dic_fuzz_aws_close(struct dic_fuzz_aws *fuzz)
{
    dic_aws_destroy(fuzz->aws);
}
