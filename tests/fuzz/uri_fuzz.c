/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: what is taken holds no NUL, decodes to no more bytes, and finds one route. */
#include "aws/uri.h"
#include "fuzz.h"
#include "http.h"
#include "uri.h"

#include <string.h>

static void check_query(struct dic_str text)
{
    DIC_CLEANUP(dic_query_clean_up) struct dic_query query;
    struct dic_err err = {0};
    enum dic_code code = dic_query_parse(text, &query, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(query.count <= DIC_MAX_QUERY_PARAMETERS);
    for (size_t i = 0; code == DIC_OK && i < query.count; i++) {
        struct dic_str value = query.parameters[i].value;
        struct dic_str found = dic_query_find(&query, query.parameters[i].name);
        FUZZ_CHECK(found.ptr == value.ptr && found.len == value.len);
        FUZZ_CHECK(value.len == 0 || memchr(value.ptr, '\0', value.len) == NULL);
    }
}

static void check_path(struct dic_str text, enum dic_method method)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf path;
    const struct dic_route *route = NULL;
    struct dic_str arg = {0};
    unsigned methods = 0;
    struct dic_err err = {0};
    dic_buf_init(&path, text.len + 1);
    enum dic_code code = dic_uri_decode(text, false, &path, &err);
    dic_fuzz_check_err(code, &err);
    if (code != DIC_OK) {
        return;
    }
    FUZZ_CHECK(path.len <= text.len && dic_str_find(dic_buf_view(&path), '\0') == path.len);
    code = dic_route_find(method, dic_buf_view(&path), &route, &arg, &methods, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        FUZZ_CHECK(route != NULL && route->handler != NULL);
        FUZZ_CHECK((strchr(route->path, '{') != NULL) == (arg.len > 0));
        FUZZ_CHECK(dic_str_find(arg, '/') == arg.len);
    } else {
        FUZZ_CHECK((code == DIC_E_UNSUPPORTED) == (methods != 0));
        FUZZ_CHECK((methods & (unsigned)method) == 0);
    }
}

/* AWS's way: whatever is encoded decodes to the same, and is plain. */
static void check_aws(struct dic_str text, bool keep_slash)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf encoded;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf decoded;
    dic_buf_init(&encoded, 3 * text.len + 1);
    dic_buf_init(&decoded, text.len + 1);
    dic_aws_uri_encode(&encoded, text, keep_slash);
    dic_aws_uri_decode(&decoded, dic_buf_view(&encoded));
    FUZZ_CHECK(dic_str_eq(dic_buf_view(&decoded), text));
    for (size_t i = 0; i < encoded.len; i++) {
        FUZZ_CHECK(encoded.ptr[i] > ' ' && encoded.ptr[i] < 0x7F);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const enum dic_method methods[] = {DIC_GET, DIC_HEAD, DIC_POST, DIC_PUT};
    struct dic_str text = dic_fuzz_view(bytes, len);
    size_t mark = dic_str_find(text, '?');
    check_path(dic_str_len(text.ptr, mark), methods[len % 4]);
    check_query(dic_str_skip(text, mark + 1));
    check_aws(text, len % 2 == 0);
    return 0;
}
