/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a client's manifest that is taken is a legal image, and its stored line, which the
 * worker reads, says the same. */
#include "base/buf.h"
#include "chunk_work.h"
#include "fuzz.h"
#include "plan_source.h"

static void check_stored(const struct dic_image *image)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf line;
    static const struct dic_delivery delivery;
    static const struct dic_job_params params;
    struct dic_chunk_work *work = NULL;
    dic_buf_init(&line, DIC_MAX_MANIFEST_LINE_BYTES);
    dic_image_line_write(&line, image);
    FUZZ_CHECK(!line.poisoned && dic_fuzz_is_json(dic_buf_view(&line)));
    const struct dic_chunk chunk = {.images = 1, .lines = dic_buf_view(&line)};
    FUZZ_CHECK(dic_chunk_work_new(&delivery, &params, &chunk, &work, NULL) == DIC_OK);
    FUZZ_CHECK(dic_str_eq(work->images[0].key, image->key));
    FUZZ_CHECK(dic_str_eq(work->images[0].id, image->id));
    dic_chunk_work_destroy(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *json = NULL;
    struct dic_image image = {0};
    struct dic_err err = {0};
    enum dic_code code = dic_manifest_line_parse(dic_fuzz_view(bytes, len), &json, &image, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        FUZZ_CHECK(image.key.len >= 1 && image.key.len <= DIC_MAX_KEY_BYTES);
        FUZZ_CHECK(dic_fuzz_is_utf8(image.key) && dic_str_find(image.key, '\0') == image.key.len);
        FUZZ_CHECK(image.id.len <= DIC_MAX_ROW_ID_BYTES && dic_fuzz_is_utf8(image.id));
        check_stored(&image);
    }
    return 0;
}
