/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders in this process, where sanitizers and Valgrind see every access. */
#include "test.h"

#include "image_decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 224, MAX_FILE = 1 << 20 };

static const struct dic_tensor_spec spec = {.width = SIDE,
                                            .height = SIDE,
                                            .short_side = 256,
                                            .interpolation = DIC_BICUBIC,
                                            .channels_first = true,
                                            .mean = {127, 127, 127},
                                            .scale = {128, 128, 128}};
static float tensor[3 * SIDE * SIDE];
static uint8_t file_bytes[MAX_FILE];

/* A copy of exactly len bytes on the heap, so that a read past the end is seen. */
static struct dic_image_report decode(const uint8_t *bytes, size_t len)
{
    struct dic_image_report report = {0};
    uint8_t *copy = malloc(len + 1);
    assert_non_null(copy);
    copy = realloc(copy, len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    dic_image_decode(copy, len, &spec, tensor, &report);
    free(copy);
    return report;
}

static size_t read_sample(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/local/samples/%s", DIC_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(file_bytes, 1, sizeof file_bytes, file);
    fclose(file);
    return len;
}

static void assert_tensor_in_range(void)
{
    for (size_t i = 0; i < sizeof tensor / sizeof tensor[0]; i++) {
        assert_true(isfinite(tensor[i]) && tensor[i] >= -127.0F / 128 && tensor[i] <= 1);
    }
}

static const char *const samples[] = {"image.jpg", "cat.jpg", "cat.png", "coffee.webp",
                                      "rocket.jpg"};

static void the_sample_photos_become_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        size_t len = read_sample(samples[i]);
        struct dic_image_report report = decode(file_bytes, len);
        assert_int_equal(report.error, DIC_ROW_OK);
        assert_false(report.partial);
        assert_true(report.width >= 224 && report.height >= 150);
        assert_tensor_in_range();
    }
}

static void a_truncated_photo_is_partial_or_an_error_and_never_a_crash(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        size_t len = read_sample(samples[i]);
        for (size_t cut = 0; cut + 100 < len; cut += 997) {
            struct dic_image_report report = decode(file_bytes, cut);
            assert_true(report.error != DIC_ROW_OK || report.partial);
            assert_true(report.error == DIC_ROW_OK || report.message[0] != '\0');
        }
    }
}

static void a_photo_with_one_wrong_byte_is_never_a_crash(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        size_t len = read_sample(samples[i]);
        for (size_t at = 0; at < len; at += at < 700 ? 7 : 4999) {
            file_bytes[at] ^= 0xFF;
            struct dic_image_report report = decode(file_bytes, len);
            assert_true(report.error < DIC_ROW_ERROR_COUNT);
            file_bytes[at] ^= 0xFF;
        }
    }
}

/* A white pixel, and a 2×2 bitmap of 24 bits. */
static const uint8_t small_gif[] =
    "GIF89a\1\0\1\0\x80\0\0\xFF\xFF\xFF\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
static const uint8_t small_bmp[] = {'B', 'M', 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0,  0,
                                    2,   0,   0,  0, 2, 0, 0, 0, 1, 0, 24, 0, 0, 0, 0,  0, 16, 0,
                                    0,   0,   0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0,  0, 0,  0,
                                    9,   9,   9,  9, 9, 9, 0, 0, 9, 9, 9,  9, 9, 9, 0,  0};

static void every_truncation_of_a_small_picture_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(decode(small_gif, sizeof small_gif - 1).error, DIC_ROW_OK);
    assert_int_equal(decode(small_bmp, sizeof small_bmp).error, DIC_ROW_OK);
    for (size_t len = 0; len < sizeof small_gif - 4; len++) {
        assert_true(decode(small_gif, len).error != DIC_ROW_OK);
    }
    for (size_t len = 0; len + 2 < sizeof small_bmp; len++) {
        assert_true(decode(small_bmp, len).error != DIC_ROW_OK);
    }
}

static void what_is_no_picture_is_named(void **state)
{
    (void)state;
    assert_int_equal(decode((const uint8_t *)"", 0).error, DIC_ROW_EMPTY);
    assert_int_equal(decode((const uint8_t *)"%PDF-1.7 and so on", 18).error,
                     DIC_ROW_UNSUPPORTED_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_photos_become_tensors),
        cmocka_unit_test(a_truncated_photo_is_partial_or_an_error_and_never_a_crash),
        cmocka_unit_test(a_photo_with_one_wrong_byte_is_never_a_crash),
        cmocka_unit_test(every_truncation_of_a_small_picture_is_an_error),
        cmocka_unit_test(what_is_no_picture_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
