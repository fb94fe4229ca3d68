/* SPDX-License-Identifier: Apache-2.0 */
/* A result row is one line of JSON whatever the key, id, label, message and numbers are. */
#include "base/buf.h"
#include "fuzz.h"
#include "json/json_read.h"
#include "result_row.h"

#include <stdio.h>
#include <string.h>

static void check_member(const struct dic_json *root, const char *name, struct dic_str expected)
{
    struct dic_str text = {0};
    const struct dic_json *value = dic_json_member(root, name);
    FUZZ_CHECK(value != NULL && dic_json_get_str(value, name, &text, NULL) == DIC_OK);
    FUZZ_CHECK(!dic_fuzz_is_utf8(expected) || dic_str_eq(text, expected));
}

static void check_row(struct dic_str line, const struct dic_row_context *row)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    FUZZ_CHECK(line.len > 1 && dic_str_find(line, '\n') == line.len - 1);
    FUZZ_CHECK(dic_fuzz_is_json(line));
    FUZZ_CHECK(dic_json_parse(line, &root, NULL) == DIC_OK);
    check_member(root, "s3_key", row->image.key);
    if (row->image.id.len > 0) {
        check_member(root, "id", row->image.id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct dic_task task;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf out;
    struct dic_str rest = dic_fuzz_view(bytes, len);
    const uint8_t choice = dic_fuzz_byte(&rest);
    float confidence = 0;
    for (size_t i = 0; i < sizeof confidence; i++) {
        ((uint8_t *)&confidence)[i] = dic_fuzz_byte(&rest);
    }
    struct dic_row_context row = {.index = choice, .confidence_threshold = choice & 1 ? 0.5 : 0};
    row.image.key = dic_fuzz_part(&rest);
    row.image.id = dic_fuzz_part(&rest);
    struct dic_str labels[2] = {dic_fuzz_part(&rest), rest};
    const struct dic_model_spec model = {.classes = 2, .labels = labels};
    row.model = &model;
    task = (struct dic_task){.error = (choice >> 1) % DIC_ROW_ERROR_COUNT,
                             .partial = choice & 0x80,
                             .prediction_count = 2,
                             .predictions = {{1, confidence}, {0, confidence / 2}}};
    snprintf(task.message, sizeof task.message, "%.*s", DIC_STR_ARGS(labels[0]));
    dic_buf_init(&out, 16 * len + 4096);
    int64_t label = dic_row_write(&out, &row, &task);
    FUZZ_CHECK(label == -1 || label == 1);
    FUZZ_CHECK(!out.poisoned);
    check_row(dic_buf_view(&out), &row);
    return 0;
}
