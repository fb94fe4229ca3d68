/* SPDX-License-Identifier: Apache-2.0 */
/* The stored lines of a chunk: as many images as it says, each with its row. */
#include "base/buf.h"
#include "chunk_work.h"
#include "fuzz.h"

static void check_outcome(const struct dic_chunk_work *work)
{
    struct dic_chunk_outcome outcome;
    struct dic_str labels[1] = {DIC_STR_LIT("cat")};
    const struct dic_model_spec model = {.classes = 1, .labels = labels};
    struct dic_str rest = {0};
    struct dic_str line = {0};
    uint32_t rows = 0;
    dic_chunk_outcome_init(&outcome, work, &model);
    rest = dic_buf_view(&outcome.rows);
    while (dic_str_split(&rest, '\n', &line) && line.len > 0) {
        FUZZ_CHECK(dic_fuzz_is_json(line));
        rows++;
    }
    FUZZ_CHECK(rows == work->image_count && outcome.failed == rows && outcome.succeeded == 0);
    dic_chunk_outcome_clean_up(&outcome);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct dic_delivery delivery;
    static const struct dic_job_params params = {.top_k = 1};
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_chunk_work *work = NULL;
    struct dic_err err = {0};
    const struct dic_chunk chunk = {.images = dic_fuzz_byte(&rest), .lines = rest};
    enum dic_code code = dic_chunk_work_new(&delivery, &params, &chunk, &work, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        FUZZ_CHECK(work->image_count == chunk.images);
        dic_chunk_work_set_errors(work, DIC_ROW_FETCH_FAILED, "it did not work");
        check_outcome(work);
        dic_chunk_work_destroy(work);
    }
    return 0;
}
