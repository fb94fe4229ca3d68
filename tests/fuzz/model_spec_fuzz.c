/* SPDX-License-Identifier: Apache-2.0 */
/* A model.json that is taken describes a tensor within the bounds and a label for every class. An
 * input is model.json, a byte 0xFF, the labels; "LABELS" in it stands for the sum of the labels. */
#include "aws/hash.h"
#include "base/buf.h"
#include "fuzz.h"
#include "model_spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static const char *const files[] = {"m.xml", "m.bin", "l.txt", "model.json"};

static void put_file(const char *name, struct dic_str text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(text.ptr, 1, text.len, file) == text.len);
    FUZZ_CHECK(fclose(file) == 0);
}

static void remove_folder(void)
{
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/dic-fuzz-XXXXXX", parent);
    FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
    put_file("m.xml", DIC_STR_LIT("model"));
    put_file("m.bin", DIC_STR_LIT("weights"));
}

static void put_model(struct dic_str json, struct dic_str labels)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf out;
    char sum[DIC_SHA256_HEX_SIZE];
    const struct dic_str mark = DIC_STR_LIT("LABELS");
    dic_buf_init(&out, 64 * 1024 + 64 * json.len);
    dic_sha256_hex(labels, sum);
    for (size_t i = 0; i < json.len; i++) {
        if (dic_str_starts_with(dic_str_skip(json, i), mark)) {
            dic_buf_append_text(&out, sum);
            i += mark.len - 1;
        } else {
            dic_buf_append_byte(&out, json.ptr[i]);
        }
    }
    put_file("l.txt", labels);
    put_file("model.json", out.len == 0 ? DIC_STR_LIT("") : dic_buf_view(&out));
}

static void check_spec(const struct dic_model_spec *spec)
{
    const struct dic_tensor_spec *tensor = &spec->tensor;
    FUZZ_CHECK(tensor->width >= 1 && tensor->width <= 1024);
    FUZZ_CHECK(tensor->height >= 1 && tensor->height <= 1024);
    FUZZ_CHECK(tensor->short_side >= tensor->width && tensor->short_side >= tensor->height);
    for (int i = 0; i < 3; i++) {
        FUZZ_CHECK(isfinite(tensor->mean[i]) && tensor->scale[i] > 0 && isfinite(tensor->scale[i]));
    }
    FUZZ_CHECK(spec->classes >= 1 && strlen(spec->sha256) == 64);
    for (uint32_t i = 0; i < spec->classes; i++) {
        FUZZ_CHECK(spec->labels[i].len >= 1 && spec->labels[i].len <= 256);
        FUZZ_CHECK(dic_fuzz_is_utf8(spec->labels[i]));
    }
    FUZZ_CHECK(dic_fuzz_is_json(dic_str(spec->summary_json)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_model_spec *spec = NULL;
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    if (folder[0] == '\0') {
        make_folder();
    }
    const struct dic_str json = dic_fuzz_part(&rest);
    put_model(json, rest.len == 0 ? DIC_STR_LIT("") : rest);
    enum dic_code code = dic_model_spec_read(folder, &spec, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        check_spec(spec);
    }
    dic_model_spec_destroy(spec);
    return 0;
}
