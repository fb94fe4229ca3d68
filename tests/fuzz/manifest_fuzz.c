/* SPDX-License-Identifier: Apache-2.0 */
/* A whole manifest gives the same images however planning is cut into segments, and wherever a
 * piece of it ends. */
#include "base/buf.h"
#include "blob_store_memory.h"
#include "fake_jobs.h"
#include "fuzz.h"
#include "source_run.h"

#include <string.h>

enum {
    PIECE_BYTES = 1024 * 1024,
    BLANK_LINE = 8000,
    MANIFEST_BYTES = 2 * PIECE_BYTES,
    SHIFT_EVERY = 128, /* it takes 50 milliseconds */
};

static struct dic_plan_source source;

static void set_up(void)
{
    static struct dic_job job;
    struct dic_json *spec = NULL;
    FUZZ_CHECK(dic_json_parse(dic_str("{\"manifest_s3_key\":\"m\"}"), &spec, NULL) == DIC_OK);
    source = (struct dic_plan_source){dic_fake_jobs_port(dic_fake_jobs_new()),
                                      dic_blob_store_memory_new(), &job, spec, NULL};
}

static enum dic_code run(struct dic_str manifest, uint32_t chunk_images, struct dic_buf *lines,
                         struct dic_err *err)
{
    const struct dic_source_cut cut = {.first = 32 * chunk_images, .chunk_images = chunk_images};
    const struct dic_blob_store *images = &source.images;
    FUZZ_CHECK(images->ops->put(images->impl, dic_str("m"), manifest, false, NULL) == DIC_OK);
    enum dic_code code = dic_source_run(dic_fill_from_manifest, &source, &cut, lines, err);
    dic_fuzz_check_err(code, err);
    return code;
}

/* Blank lines in front, so that the first piece ends `at` bytes into the manifest. */
static void append_shifted(struct dic_str manifest, size_t at, struct dic_buf *out)
{
    size_t blanks = PIECE_BYTES - at;
    FUZZ_CHECK(dic_buf_reserve(out, blanks));
    memset(out->ptr, ' ', blanks);
    out->len = blanks;
    for (size_t i = BLANK_LINE - 1; i < blanks; i += BLANK_LINE) {
        out->ptr[i] = '\n';
    }
    out->ptr[blanks - 1] = '\n';
    dic_buf_append_str(out, manifest);
}

/* What decides for which inputs the long way is taken, however they are changed. */
static uint32_t sum(struct dic_str text)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        sum += (uint32_t)(uint8_t)text.ptr[i] * (uint32_t)(i + 1);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf whole;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf other;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf shifted;
    const struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    if (source.job == NULL) {
        set_up();
    }
    dic_buf_init(&whole, MANIFEST_BYTES);
    dic_buf_init(&other, MANIFEST_BYTES);
    dic_buf_init(&shifted, MANIFEST_BYTES);
    enum dic_code code = run(rest, 500, &whole, &err);
    FUZZ_CHECK(run(rest, 1, &other, &err) == code);
    if (code == DIC_OK) {
        FUZZ_CHECK(dic_str_eq(dic_buf_view(&whole), dic_buf_view(&other)));
    }
    const uint32_t choice = sum(rest);
    if (choice % SHIFT_EVERY == 0 && rest.len > 0) {
        dic_buf_clear(&other);
        append_shifted(rest, choice / SHIFT_EVERY % rest.len, &shifted);
        FUZZ_CHECK(run(dic_buf_view(&shifted), 500, &other, &err) == code);
        FUZZ_CHECK(code != DIC_OK || dic_str_eq(dic_buf_view(&whole), dic_buf_view(&other)));
    }
    return 0;
}
