/* SPDX-License-Identifier: Apache-2.0 */
/* What dic_json_parse takes is JSON, and what was read and written again reads the same. */
#include "fuzz.h"
#include "json/json_read.h"
#include "json/json_write.h"

#include <stdio.h>

static void write_value(struct dic_json_writer *out, const struct dic_json *value);

static enum dic_code write_member(void *context, struct dic_str name, const struct dic_json *value,
                                  struct dic_err *err)
{
    (void)err; /* nothing fails here */
    dic_json_put_name(context, name);
    write_value(context, value);
    return DIC_OK;
}

static void write_scalar(struct dic_json_writer *out, const struct dic_json *value)
{
    struct dic_str text = {0};
    int64_t whole = 0;
    double real = 0;
    bool truth = false;
    if (dic_json_get_str(value, "v", &text, NULL) == DIC_OK) {
        FUZZ_CHECK(dic_json_is_string(value) && dic_fuzz_is_utf8(text) && dic_utf8_valid(text));
        dic_json_put_str(out, NULL, text);
    } else if (dic_json_get_int(value, "v", INT64_MIN, INT64_MAX, &whole, NULL) == DIC_OK) {
        FUZZ_CHECK(dic_json_get_int(value, "v", whole, whole, &whole, NULL) == DIC_OK);
        dic_json_put_int(out, NULL, whole);
    } else if (dic_json_get_real(value, "v", -1e308, 1e308, &real, NULL) == DIC_OK) {
        char digits[32]; /* 17 digits tell every double from its neighbours */
        snprintf(digits, sizeof digits, "%.17g", real);
        dic_json_put_raw(out, NULL, dic_str(digits));
    } else if (dic_json_get_bool(value, "v", &truth, NULL) == DIC_OK) {
        dic_json_put_bool(out, NULL, truth);
    } else {
        dic_json_put_null(out, NULL);
    }
}

static void write_value(struct dic_json_writer *out, const struct dic_json *value)
{
    if (dic_json_is_object(value)) {
        dic_json_begin_object(out, NULL);
        FUZZ_CHECK(dic_json_each(value, write_member, out, NULL) == DIC_OK);
        dic_json_end_object(out);
    } else if (dic_json_is_array(value)) {
        dic_json_begin_array(out, NULL);
        for (size_t i = 0; i < dic_json_size(value); i++) {
            write_value(out, dic_json_at(value, i));
        }
        dic_json_end_array(out);
    } else {
        write_scalar(out, value);
    }
}

static void write_document(struct dic_str text, struct dic_buf *out)
{
    struct dic_err err = {0};
    struct dic_json *root = NULL;
    enum dic_code code = dic_json_parse(text, &root, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK((code == DIC_OK) == (root != NULL));
    if (code == DIC_OK) {
        struct dic_json_writer writer = dic_json_writer(out);
        FUZZ_CHECK(dic_fuzz_is_json(text));
        write_value(&writer, root);
        FUZZ_CHECK(!out->poisoned && dic_fuzz_is_json(dic_buf_view(out)));
    }
    dic_json_destroy(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf once;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf twice;
    dic_buf_init(&once, 1000 * len + 1000);
    dic_buf_init(&twice, 1000 * len + 1000);
    write_document(dic_fuzz_view(bytes, len), &once);
    if (once.len > 0) {
        write_document(dic_buf_view(&once), &twice);
        FUZZ_CHECK(dic_str_eq(dic_buf_view(&once), dic_buf_view(&twice)));
    }
    return 0;
}
