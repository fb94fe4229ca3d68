/* SPDX-License-Identifier: Apache-2.0 */
/* Against a straightforward reference in double precision: for each output pixel a sum over all
 * input pixels, without windows, tables or rings. */
#include "resize.h"

#include "test.h"

#include <math.h>
#include <stdlib.h>

struct picture {
    uint32_t width;
    uint32_t height;
    uint8_t *rgbx;
};

static struct picture new_picture(uint32_t width, uint32_t height)
{
    struct picture picture = {width, height, calloc((size_t)width * height, 4)};
    assert_non_null(picture.rgbx);
    return picture;
}

/* Smooth parts, edges and noise; reaches 0 and 255. */
static struct picture test_picture(uint32_t width, uint32_t height)
{
    struct picture picture = new_picture(width, height);
    uint32_t seed = width * 31 + height;
    for (uint32_t i = 0; i < width * height; i++) {
        uint32_t x = i % width;
        uint32_t y = i / width;
        seed = seed * 1664525 + 1013904223;
        picture.rgbx[4 * (size_t)i] = (uint8_t)(x * 255 / (width > 1 ? width - 1 : 1));
        picture.rgbx[4 * (size_t)i + 1] = (x / 3 + y / 2) % 2 == 0 ? 255 : 0;
        picture.rgbx[4 * (size_t)i + 2] = (uint8_t)(seed >> 24);
        picture.rgbx[4 * (size_t)i + 3] = 77; /* is of no interest */
    }
    return picture;
}

/* ---- the reference ---- */

static double kernel(enum dic_interpolation interpolation, double x)
{
    x = fabs(x);
    if (interpolation == DIC_BILINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    if (x < 1) { /* Keys 1981, equation 15 with a = −1/2 */
        return 1.5 * x * x * x - 2.5 * x * x + 1;
    }
    return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

static uint8_t to_byte(double value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)floor(value + 0.5);
}

/* Output pixel `at` of a line of in_size pixels of one channel, resized to out_size. */
static uint8_t reference_pixel(enum dic_interpolation interpolation, const uint8_t *line,
                               size_t stride, uint32_t in_size, uint64_t out_size, uint64_t at)
{
    double scale = (double)in_size / (double)out_size;
    double stretch = scale > 1 ? scale : 1;
    double center = ((double)at + 0.5) * scale;
    double sum = 0;
    double weights = 0;
    for (uint32_t k = 0; k < in_size; k++) {
        double weight = kernel(interpolation, (k + 0.5 - center) / stretch);
        sum += weight * line[k * stride];
        weights += weight;
    }
    return to_byte(sum / weights);
}

static struct picture reference(const struct picture *in, const struct dic_resize_plan *plan)
{
    struct picture middle = new_picture(plan->x.crop_size, in->height);
    struct picture out = new_picture(plan->x.crop_size, plan->y.crop_size);
    for (uint32_t y = 0; y < in->height; y++) {
        for (uint32_t x = 0; x < middle.width * 3; x++) {
            middle.rgbx[4 * ((size_t)y * middle.width + x / 3) + x % 3] =
                reference_pixel(plan->interpolation, in->rgbx + 4 * (size_t)y * in->width + x % 3,
                                4, in->width, plan->x.out_size, plan->x.crop_at + x / 3);
        }
    }
    for (uint32_t y = 0; y < out.height; y++) {
        for (uint32_t x = 0; x < out.width * 3; x++) {
            out.rgbx[4 * ((size_t)y * out.width + x / 3) + x % 3] = reference_pixel(
                plan->interpolation, middle.rgbx + 4 * (size_t)(x / 3) + x % 3,
                4 * (size_t)middle.width, in->height, plan->y.out_size, plan->y.crop_at + y);
        }
    }
    free(middle.rgbx);
    return out;
}

/* ---- what is tested ---- */

struct sink {
    struct picture out;
    uint32_t next_row;
};

static void take_row(void *user, uint32_t y, const uint8_t *rgbx)
{
    struct sink *sink = user;
    assert_int_equal(y, sink->next_row++); /* from top to bottom, each once */
    memcpy(sink->out.rgbx + 4 * (size_t)y * sink->out.width, rgbx, 4 * (size_t)sink->out.width);
}

/* Rows as decoders give them: whole, or only the columns that are needed, in blocks of exactly that
 * size, with the rows that are not needed left out. */
static struct picture resized(const struct picture *in, const struct dic_resize_plan *plan,
                              bool only_needed)
{
    struct dic_resizer resizer;
    struct sink sink = {.out = new_picture(plan->x.crop_size, plan->y.crop_size)};
    dic_resizer_init(&resizer, plan, take_row, &sink);
    uint32_t from = only_needed ? resizer.x.need_from : 0;
    uint32_t to = only_needed ? resizer.x.need_to : in->width;
    for (uint32_t y = 0; y < in->height; y++) {
        if (only_needed && (y < resizer.y.need_from || y >= resizer.y.need_to)) {
            dic_resizer_skip(&resizer, 1);
            continue;
        }
        size_t bytes = 4 * (size_t)(to - from);
        uint8_t *row = malloc(bytes);
        assert_non_null(row);
        memcpy(row, in->rgbx + 4 * ((size_t)y * in->width + from), bytes);
        dic_resizer_push(&resizer, row, from);
        free(row);
    }
    assert_int_equal(sink.next_row, plan->y.crop_size);
    dic_resizer_clean_up(&resizer);
    dic_resizer_clean_up(&resizer);
    return sink.out;
}

/* Single precision may round a value that lies at a half the other way. In the two regular channels
 * such values are frequent, in the third one they are not. */
static void assert_same(const struct picture *a, const struct picture *b)
{
    size_t values = 0;
    size_t different = 0;
    for (size_t i = 0; i < 4 * (size_t)a->width * a->height; i++) {
        if (i % 4 == 3) {
            continue;
        }
        int difference = abs(a->rgbx[i] - b->rgbx[i]);
        if (difference > 1) {
            print_error("value %zu: %d, not %d\n", i, a->rgbx[i], b->rgbx[i]);
            fail();
        }
        values += i % 4 == 2;
        different += i % 4 == 2 && difference != 0;
    }
    assert_true(different * 20 <= values);
}

static void check(uint32_t width, uint32_t height, const struct dic_resize_plan *plan)
{
    struct picture in = test_picture(width, height);
    struct picture expected = reference(&in, plan);
    struct picture whole = resized(&in, plan, false);
    struct picture part = resized(&in, plan, true);
    assert_same(&whole, &expected);
    assert_memory_equal(whole.rgbx, part.rgbx, 4 * (size_t)whole.width * whole.height);
    free(in.rgbx);
    free(expected.rgbx);
    free(whole.rgbx);
    free(part.rgbx);
}

static struct dic_resize_axis axis(uint32_t in, uint64_t out, uint64_t at, uint32_t crop)
{
    return (struct dic_resize_axis){in, out, at, crop};
}

static const enum dic_interpolation both[] = {DIC_BILINEAR, DIC_BICUBIC};

static void odd_sizes_are_as_the_reference_makes_them(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 63; size += 2) {
        for (int i = 0; i < 2; i++) {
            const struct dic_resize_plan plan = {axis(size, 21, 3, 16), axis(64 - size, 17, 2, 13),
                                                 both[i]};
            check(size, 64 - size, &plan);
        }
    }
}

static void every_target_size_is_as_the_reference_makes_it(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 40; size++) {
        const struct dic_resize_plan plan = {axis(13, size, 0, size),
                                             axis(11, 41 - size, 0, 41 - size), both[size % 2]};
        check(13, 11, &plan);
    }
}

static void the_same_size_is_the_same_picture(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct dic_resize_plan plan = {axis(9, 9, 0, 9), axis(7, 7, 0, 7), both[i]};
        struct picture in = test_picture(9, 7);
        struct picture out = resized(&in, &plan, false);
        for (size_t p = 0; p < 4 * 9 * 7; p++) {
            assert_true(p % 4 == 3 || out.rgbx[p] == in.rgbx[p]);
        }
        free(in.rgbx);
        free(out.rgbx);
    }
}

/* The short side becomes 8, the long one 131,072; the middle is wanted. */
static void the_longest_and_thinnest_pictures_can_be_resized(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct dic_resize_axis thin = axis(1, 8, 0, 8);
        const struct dic_resize_axis enlarged = axis(16384, 131072, 65532, 8);
        const struct dic_resize_axis reduced = axis(16384, 16, 4, 8);
        const struct dic_resize_plan plans[] = {{thin, enlarged, both[i]},
                                                {thin, reduced, both[i]},
                                                {enlarged, thin, both[i]},
                                                {reduced, thin, both[i]}};
        for (size_t p = 0; p < 4; p++) {
            check(plans[p].x.in_size, plans[p].y.in_size, &plans[p]);
        }
    }
}

static void a_single_pixel_fills_everything(void **state)
{
    (void)state;
    const struct dic_resize_plan plan = {axis(1, 5, 1, 3), axis(1, 5, 0, 5), DIC_BICUBIC};
    struct picture in = new_picture(1, 1);
    memcpy(in.rgbx, "\x0A\xFF\x7F", 3);
    struct picture out = resized(&in, &plan, false);
    for (size_t i = 0; i < 15; i++) {
        assert_memory_equal(out.rgbx + 4 * i, "\x0A\xFF\x7F", 3);
    }
    free(in.rgbx);
    free(out.rgbx);
}

/* Bicubic weights are negative here and there: values beyond 0 and 255 are cut, not wrapped. */
static void overshooting_is_cut(void **state)
{
    (void)state;
    const struct dic_resize_plan plan = {axis(8, 32, 0, 32), axis(1, 1, 0, 1), DIC_BICUBIC};
    struct picture in = new_picture(8, 1);
    for (size_t x = 4; x < 8; x++) {
        memset(in.rgbx + 4 * x, 255, 3);
    }
    struct picture out = resized(&in, &plan, false);
    for (size_t x = 0; x < 32; x++) {
        uint8_t value = out.rgbx[4 * x];
        assert_true(x < 14 ? value == 0 : x >= 18 ? value == 255 : true);
    }
    free(in.rgbx);
    free(out.rgbx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_sizes_are_as_the_reference_makes_them),
        cmocka_unit_test(every_target_size_is_as_the_reference_makes_it),
        cmocka_unit_test(the_same_size_is_the_same_picture),
        cmocka_unit_test(the_longest_and_thinnest_pictures_can_be_resized),
        cmocka_unit_test(a_single_pixel_fills_everything),
        cmocka_unit_test(overshooting_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
