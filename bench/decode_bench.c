/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_bench FILE…            milliseconds a picture on one core, best of five rounds
 * decode_bench --dump OUT FILE  one tensor as raw floats (NCHW RGB, 224×224, bytes 0 … 255), for
 *                               tests/corpus/compare_pillow.py
 */
#include "base/clock.h"
#include "base/mem.h"
#include "image_decode.h"
#include "job/limits.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 5 };

static const struct dic_tensor_spec spec = {
    .width = 224,
    .height = 224,
    .short_side = 256,
    .interpolation = DIC_BICUBIC,
    .channels_first = true,
    .scale = {1, 1, 1},
};

struct file {
    uint8_t *bytes;
    size_t len;
};

static bool read_file(const char *path, struct file *file_out)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        return false;
    }
    uint8_t *bytes = dic_calloc(1, DIC_MAX_IMAGE_BYTES + 1);
    const size_t len = fread(bytes, 1, DIC_MAX_IMAGE_BYTES + 1, stream);
    fclose(stream);
    *file_out = (struct file){dic_realloc(bytes, len + 1), len};
    return true;
}

static bool decode(const char *path, const struct file *file, float *tensor)
{
    struct dic_image_report report;
    dic_image_decode(file->bytes, file->len, &spec, tensor, &report);
    if (report.error != DIC_ROW_OK) {
        fprintf(stderr, "%s: %s: %s\n", path, dic_row_error_word(report.error), report.message);
    }
    return report.error == DIC_ROW_OK;
}

static int dump(const char *out_path, const char *path)
{
    struct file file;
    if (!read_file(path, &file)) {
        return 1;
    }
    float *tensor = dic_calloc(1, dic_tensor_bytes(&spec));
    FILE *out = fopen(out_path, "wb");
    const bool done = out != NULL && decode(path, &file, tensor) &&
                      fwrite(tensor, dic_tensor_bytes(&spec), 1, out) == 1;
    if (out != NULL) {
        fclose(out);
    }
    dic_free(tensor);
    dic_free(file.bytes);
    return done ? 0 : 1;
}

static int measure(int count, char **paths)
{
    struct file *files = dic_calloc((size_t)count, sizeof(*files));
    float *tensor = dic_calloc(1, dic_tensor_bytes(&spec));
    int failed = 0;
    for (int i = 0; i < count; i++) {
        failed += !read_file(paths[i], &files[i]);
    }
    double best_ms = 0;
    for (int round = 0; round < ROUNDS && failed == 0; round++) {
        const int64_t start = dic_clock_mono_ns(dic_clock_system());
        for (int i = 0; i < count; i++) {
            failed += !decode(paths[i], &files[i], tensor);
        }
        const int64_t spent = dic_clock_mono_ns(dic_clock_system()) - start;
        const double ms = (double)spent / 1e6 / count;
        best_ms = round == 0 || ms < best_ms ? ms : best_ms;
    }
    fprintf(stdout, "%d pictures, %.3f ms each\n", count, best_ms);
    for (int i = 0; i < count; i++) {
        dic_free(files[i].bytes);
    }
    dic_free(files);
    dic_free(tensor);
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--dump") == 0) {
        return dump(argv[2], argv[3]);
    }
    if (argc < 2) {
        fprintf(stderr, "usage: decode_bench [--dump OUT] FILE...\n");
        return 2;
    }
    return measure(argc - 1, argv + 1);
}
