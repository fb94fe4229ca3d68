/* SPDX-License-Identifier: Apache-2.0 */
/* What is visited of an XML document is nested, in UTF-8 and within the ceilings. */
#include "aws/xml_read.h"
#include "fuzz.h"

#include <string.h>

struct walk {
    char path[DIC_XML_MAX_PATH + 1]; /* of the open elements */
    size_t len;
    size_t depth;
};

static enum dic_code begin(void *context, struct dic_str path, struct dic_err *err)
{
    struct walk *walk = context;
    (void)err; /* nothing fails here */
    FUZZ_CHECK(path.len <= DIC_XML_MAX_PATH && path.len > walk->len);
    FUZZ_CHECK(memcmp(path.ptr, walk->path, walk->len) == 0);
    FUZZ_CHECK(walk->len == 0 || path.ptr[walk->len] == '/');
    memcpy(walk->path, path.ptr, path.len);
    walk->len = path.len;
    FUZZ_CHECK(++walk->depth <= DIC_XML_MAX_DEPTH);
    return DIC_OK;
}

static enum dic_code end(void *context, struct dic_str path, struct dic_str text,
                         struct dic_err *err)
{
    struct walk *walk = context;
    (void)err; /* nothing fails here */
    FUZZ_CHECK(dic_str_eq(path, dic_str_len(walk->path, walk->len)));
    FUZZ_CHECK(text.len <= DIC_XML_MAX_TEXT && dic_fuzz_is_utf8(text));
    FUZZ_CHECK(walk->depth-- > 0);
    while (walk->len > 0 && walk->path[--walk->len] != '/') {
    }
    return DIC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct walk walk = {0};
    const struct dic_xml_visitor visitor = {&walk, begin, end};
    struct dic_err err = {0};
    enum dic_code code = dic_xml_read(dic_fuzz_view(bytes, len), &visitor, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(code == DIC_OK || code == DIC_E_MALFORMED || code == DIC_E_TOO_LARGE);
    FUZZ_CHECK(code != DIC_OK || (walk.depth == 0 && walk.len == 0));
    return 0;
}
