/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that all decoders share, and the way from a picture to the model's tensor. */
#include "image_sink.h"

#include "test.h"

#include <math.h>
#include <stdio.h>

static struct dic_image_report report;

static void sizes_have_limits(void **state)
{
    (void)state;
    static const struct {
        uint64_t width;
        uint64_t height;
        enum dic_row_error error;
    } cases[] = {
        {0, 1, DIC_ROW_CORRUPT_IMAGE},
        {1, 0, DIC_ROW_CORRUPT_IMAGE},
        {1, 1, DIC_ROW_OK},
        {16383, 1, DIC_ROW_OK},
        {16384, 1, DIC_ROW_OK},
        {16385, 1, DIC_ROW_TOO_LARGE},
        {1, 16384, DIC_ROW_OK},
        {1, 16385, DIC_ROW_TOO_LARGE},
        {7999, 8000, DIC_ROW_OK},
        {8000, 8000, DIC_ROW_OK}, /* 64,000,000 pixels */
        {8000, 8001, DIC_ROW_TOO_LARGE},
        {UINT64_MAX, UINT64_MAX, DIC_ROW_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        report = (struct dic_image_report){0};
        bool good = dic_image_check_size(cases[i].width, cases[i].height, &report);
        assert_int_equal(good, cases[i].error == DIC_ROW_OK);
        assert_int_equal(report.error, cases[i].error);
        assert_int_equal(report.message[0] != '\0', !good);
        if (cases[i].width <= UINT32_MAX) {
            assert_int_equal(report.width, cases[i].width);
        }
    }
}

static void decoding_has_a_limit_of_memory(void **state)
{
    (void)state;
    const uint64_t limit = DIC_MAX_DECODE_MEMORY;
    report = (struct dic_image_report){.width = 3, .height = 4};
    assert_true(dic_image_check_memory(limit - 1, &report));
    assert_true(dic_image_check_memory(limit, &report));
    assert_int_equal(report.error, DIC_ROW_OK);
    assert_false(dic_image_check_memory(limit + 1, &report));
    assert_int_equal(report.error, DIC_ROW_TOO_LARGE);
    assert_string_equal(report.message,
                        "decoding 3 x 4 pixels takes 268435457 bytes, limit 268435456");
}

static void alpha_over_white_is_rounded_to_the_nearest(void **state)
{
    (void)state;
    for (uint32_t alpha = 0; alpha < 256; alpha++) {
        for (uint32_t sample = 0; sample < 256; sample++) {
            double exact = (sample * alpha + 255.0 * (255 - alpha)) / 255.0;
            uint8_t rgba[4] = {(uint8_t)sample, (uint8_t)sample, 255, (uint8_t)alpha};
            dic_row_over_white(rgba, 1);
            assert_true(fabs(rgba[0] - exact) <= 0.5);
            assert_int_equal(rgba[0], rgba[1]);
            assert_int_equal(rgba[2], 255);
        }
    }
}

/* ---- geometry ---- */

enum { SIDE = 4, VALUES = SIDE * SIDE * 3 };

/* The red of pixel x, y is 10 × y + x; green and blue are constant. */
static void push_picture(const struct dic_tensor_spec *spec,
                         const struct dic_stored_picture *stored, float *tensor)
{
    struct dic_image_sink sink;
    uint8_t row[64 * 4];
    dic_image_sink_init(&sink, spec, tensor);
    dic_image_sink_start(&sink, stored);
    for (uint32_t y = 0; y < stored->decoded_height; y++) {
        for (uint32_t x = 0; x < stored->decoded_width; x++) {
            const uint8_t pixel[4] = {(uint8_t)(10 * y + x), 100, 200, 0};
            memcpy(row + 4 * (size_t)x, pixel, 4);
        }
        dic_image_sink_push(&sink, row);
    }
    dic_image_sink_clean_up(&sink);
    dic_image_sink_clean_up(&sink);
}

static struct dic_stored_picture of_size(uint32_t width, uint32_t height)
{
    return (struct dic_stored_picture){width, height, width, height, 1};
}

static void layouts_and_channel_orders_are_as_the_model_wants_them(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct dic_tensor_spec spec = {.width = SIDE,
                                       .height = SIDE,
                                       .short_side = SIDE,
                                       .channels_first = form & 1,
                                       .bgr = form & 2,
                                       .scale = {1, 1, 1}};
        const struct dic_stored_picture stored = of_size(SIDE, SIDE);
        float tensor[VALUES] = {0};
        push_picture(&spec, &stored, tensor);
        for (uint32_t i = 0; i < SIDE * SIDE; i++) {
            const float rgb[3] = {(float)(10 * (i / SIDE) + i % SIDE), 100, 200};
            for (uint32_t c = 0; c < 3; c++) {
                size_t at = spec.channels_first ? c * SIDE * SIDE + i : (size_t)i * 3 + c;
                assert_true(tensor[at] == rgb[spec.bgr ? 2 - c : c]);
            }
        }
    }
}

static void values_are_normalised_channel_by_channel_of_the_tensor(void **state)
{
    (void)state;
    const struct dic_tensor_spec spec = {.width = SIDE,
                                         .height = SIDE,
                                         .short_side = SIDE,
                                         .bgr = true,
                                         .mean = {200, 50, 1},
                                         .scale = {3, 2, 4}};
    const struct dic_stored_picture stored = of_size(SIDE, SIDE);
    float tensor[VALUES] = {0};
    push_picture(&spec, &stored, tensor);
    assert_true(tensor[3] == 0.0F);  /* blue */
    assert_true(tensor[4] == 25.0F); /* green */
    assert_true(tensor[5] == 0.0F);  /* red of x 1 */
    assert_true(tensor[3 * SIDE + 2] == 2.25F);
}

/* Where the crop of a picture begins, in tenths for rows and ones for columns. */
static uint32_t first_red(uint32_t width, uint32_t height, uint32_t short_side)
{
    const struct dic_tensor_spec spec = {
        .width = 2, .height = 2, .short_side = short_side, .scale = {1, 1, 1}};
    const struct dic_stored_picture stored = of_size(width, height);
    float tensor[12] = {0};
    push_picture(&spec, &stored, tensor);
    return (uint32_t)lroundf(tensor[0]);
}

/* torchvision rounds the offset of a centred crop, and a half to the even number. */
static void the_crop_is_where_torchvision_puts_it(void **state)
{
    (void)state;
    assert_int_equal(first_red(2, 2, 2), 0);
    assert_int_equal(first_red(3, 2, 2), 0); /* 0.5 → 0 */
    assert_int_equal(first_red(4, 2, 2), 1);
    assert_int_equal(first_red(5, 2, 2), 2); /* 1.5 → 2 */
    assert_int_equal(first_red(7, 2, 2), 2); /* 2.5 → 2 */
    assert_int_equal(first_red(9, 2, 2), 4); /* 3.5 → 4 */
    assert_int_equal(first_red(2, 5, 2), 20);
    assert_int_equal(first_red(2, 7, 2), 20);
    assert_int_equal(first_red(5, 5, 5), 22);
    assert_int_equal(first_red(7, 5, 5), 22);
}

static void a_picture_of_any_shape_fills_the_tensor(void **state)
{
    (void)state;
    for (uint32_t width = 1; width <= 20; width++) {
        for (uint32_t orientation = 1; orientation <= 8; orientation++) {
            const struct dic_tensor_spec spec = {.width = 3,
                                                 .height = 5,
                                                 .short_side = 6,
                                                 .interpolation = DIC_BICUBIC,
                                                 .scale = {1, 1, 1}};
            struct dic_stored_picture stored = of_size(width, 21 - width);
            float tensor[45];
            stored.orientation = orientation;
            for (size_t i = 0; i < 45; i++) {
                tensor[i] = -1;
            }
            push_picture(&spec, &stored, tensor);
            for (size_t i = 0; i < 45; i++) {
                assert_true(tensor[i] >= 0 && (i % 3 != 1 || tensor[i] == 100) &&
                            (i % 3 != 2 || tensor[i] == 200));
            }
        }
    }
}

/* A decoder that scales pushes fewer rows; the target is computed from the size in the header. */
static void a_picture_decoded_small_has_the_target_of_the_whole_one(void **state)
{
    (void)state;
    const struct dic_tensor_spec spec = {
        .width = 2, .height = 2, .short_side = 2, .scale = {1, 1, 1}};
    const struct dic_stored_picture stored = {19, 8, 5, 2, 1}; /* → 4 × 2 */
    float tensor[12] = {0};
    push_picture(&spec, &stored, tensor);
    assert_true(tensor[0] > 0.5F && tensor[0] < 2 && tensor[3] > tensor[0] && tensor[6] > 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(decoding_has_a_limit_of_memory),
        cmocka_unit_test(alpha_over_white_is_rounded_to_the_nearest),
        cmocka_unit_test(layouts_and_channel_orders_are_as_the_model_wants_them),
        cmocka_unit_test(values_are_normalised_channel_by_channel_of_the_tensor),
        cmocka_unit_test(the_crop_is_where_torchvision_puts_it),
        cmocka_unit_test(a_picture_of_any_shape_fills_the_tensor),
        cmocka_unit_test(a_picture_decoded_small_has_the_target_of_the_whole_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
