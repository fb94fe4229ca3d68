/* SPDX-License-Identifier: Apache-2.0 */
/* A place to go on with planning is the same when it is written and read again. */
#include "base/buf.h"
#include "fuzz.h"
#include "segment_builder.h"

#include <string.h>

static void check_same(const struct dic_resume *a, const struct dic_resume *b)
{
    FUZZ_CHECK(a->image == b->image && a->offset == b->offset && a->line == b->line);
    FUZZ_CHECK(a->chunk == b->chunk && a->row == b->row);
    FUZZ_CHECK(strcmp(a->etag, b->etag) == 0 && dic_str_eq(a->after, b->after));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory_again;
    struct dic_resume resume = {0};
    struct dic_resume again = {0};
    struct dic_err err = {0};
    dic_buf_init(&text, 64 * 1024);
    dic_buf_init(&memory, 4 * DIC_MAX_KEY_BYTES);
    dic_buf_init(&memory_again, 4 * DIC_MAX_KEY_BYTES);
    enum dic_code code = dic_resume_parse(dic_fuzz_view(bytes, len), &resume, &memory, &err);
    dic_fuzz_check_err(code, &err);
    if (code != DIC_OK) {
        return 0;
    }
    FUZZ_CHECK(resume.image >= 0 && resume.offset >= 0 && resume.line >= 0);
    FUZZ_CHECK(resume.chunk >= 0 && resume.row >= 0);
    dic_resume_write(&resume, &text);
    FUZZ_CHECK(!text.poisoned && dic_fuzz_is_json(dic_buf_view(&text)));
    FUZZ_CHECK(dic_resume_parse(dic_buf_view(&text), &again, &memory_again, &err) == DIC_OK);
    check_same(&resume, &again);
    return 0;
}
