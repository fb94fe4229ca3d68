/* SPDX-License-Identifier: Apache-2.0 */
#include "resize.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* One RGBX pixel in one register of the smallest CPU we build for. */
typedef float pixel_f32 __attribute__((vector_size(16)));
typedef int32_t pixel_i32 __attribute__((vector_size(16)));
typedef uint16_t half_u16 __attribute__((vector_size(16)));
typedef uint8_t four_pixels_u8 __attribute__((vector_size(16)));

enum { PIXELS_PER_LOAD = 4 };

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = −0.5. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    }
    if (x < 2.0) {
        return (((x - 5) * x + 8) * x - 4) * a;
    }
    return 0.0;
}

struct filter {
    double (*weight)(double x);
    double support;
};

static const struct filter filters[] = {
    [DIC_BILINEAR] = {bilinear, 1.0},
    [DIC_BICUBIC] = {bicubic, 2.0},
};

/* The weights of one output pixel; the same arithmetic as Pillow's precompute_coeffs. */
static void one_pixel(const struct dic_resize_axis *axis, const struct filter *filter,
                      struct dic_resize_taps *taps, uint32_t i)
{
    const double scale = (double)axis->in_size / (double)axis->out_size;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    const double support = filter->support * stretch;
    const double center = ((double)(axis->crop_at + i) + 0.5) * scale;
    const double from = center - support + 0.5;
    const double to = center + support + 0.5;
    const uint32_t first = from < 0 ? 0 : (uint32_t)from;
    const uint32_t end = to > axis->in_size ? axis->in_size : (uint32_t)to;
    float *weights = taps->weights + (size_t)i * taps->stride;
    double sum = 0;
    for (uint32_t k = first; k < end; k++) {
        sum += filter->weight((k - center + 0.5) / stretch);
    }
    for (uint32_t k = first; k < end; k++) {
        weights[k - first] = (float)(filter->weight((k - center + 0.5) / stretch) / sum);
    }
    taps->first[i] = first;
    taps->count[i] = end - first;
}

static void taps_init(struct dic_resize_taps *taps, const struct dic_resize_axis *axis,
                      const struct filter *filter)
{
    const double scale = (double)axis->in_size / (double)axis->out_size;
    taps->stride = (uint32_t)ceil(filter->support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    taps->first = dic_calloc(axis->crop_size, sizeof(*taps->first));
    taps->count = dic_calloc(axis->crop_size, sizeof(*taps->count));
    taps->weights = dic_calloc((size_t)axis->crop_size * taps->stride, sizeof(*taps->weights));
    for (uint32_t i = 0; i < axis->crop_size; i++) {
        one_pixel(axis, filter, taps, i);
    }
    const uint32_t last = axis->crop_size - 1;
    taps->need_from = taps->first[0];
    taps->need_to = taps->first[last] + taps->count[last];
}

static void taps_clean_up(struct dic_resize_taps *taps)
{
    dic_free(taps->first);
    dic_free(taps->count);
    dic_free(taps->weights);
    memset(taps, 0, sizeof(*taps));
}

void dic_resizer_init(struct dic_resizer *resizer, const struct dic_resize_plan *plan,
                      dic_row_function emit, void *user)
{
    assert(plan->x.in_size > 0 && plan->y.in_size > 0);
    assert(plan->x.crop_size > 0 && plan->x.crop_at + plan->x.crop_size <= plan->x.out_size);
    assert(plan->y.crop_size > 0 && plan->y.crop_at + plan->y.crop_size <= plan->y.out_size);
    memset(resizer, 0, sizeof(*resizer));
    resizer->plan = *plan;
    resizer->emit = emit;
    resizer->user = user;
    taps_init(&resizer->x, &plan->x, &filters[plan->interpolation]);
    taps_init(&resizer->y, &plan->y, &filters[plan->interpolation]);
    const size_t width = resizer->x.need_to - resizer->x.need_from;
    resizer->ring_rows = resizer->y.stride;
    resizer->source_row = dic_calloc(width + PIXELS_PER_LOAD, sizeof(pixel_f32));
    resizer->ring = dic_calloc((size_t)resizer->ring_rows * plan->x.crop_size, sizeof(pixel_f32));
    resizer->window = dic_calloc(resizer->y.stride, sizeof(*resizer->window));
    resizer->emit_row = dic_calloc(plan->x.crop_size, 4);
}

void dic_resizer_clean_up(struct dic_resizer *resizer)
{
    taps_clean_up(&resizer->x);
    taps_clean_up(&resizer->y);
    dic_free(resizer->source_row);
    dic_free(resizer->ring);
    dic_free(resizer->window);
    dic_free(resizer->emit_row);
    memset(resizer, 0, sizeof(*resizer));
}

/* Bytes to floats, four pixels at a time: interleaving with zeroes twice widens 8 to 32 bits (on
 * little-endian machines, the only ones we build for). Compilers turn a plain loop or
 * __builtin_convertvector from bytes into scalar code at -O2. */
static void widen_four(const uint8_t *rgbx, pixel_f32 *out)
{
    const four_pixels_u8 zero8 = {0};
    const half_u16 zero16 = {0};
    four_pixels_u8 bytes;
    memcpy(&bytes, rgbx, sizeof(bytes));
    const half_u16 low = (half_u16)__builtin_shufflevector(bytes, zero8, 0, 16, 1, 17, 2, 18, 3, 19,
                                                           4, 20, 5, 21, 6, 22, 7, 23);
    const half_u16 high = (half_u16)__builtin_shufflevector(bytes, zero8, 8, 24, 9, 25, 10, 26, 11,
                                                            27, 12, 28, 13, 29, 14, 30, 15, 31);
    const half_u16 halves[2] = {low, high};
    for (int i = 0; i < 2; i++) {
        const pixel_i32 even =
            (pixel_i32)__builtin_shufflevector(halves[i], zero16, 0, 8, 1, 9, 2, 10, 3, 11);
        const pixel_i32 odd =
            (pixel_i32)__builtin_shufflevector(halves[i], zero16, 4, 12, 5, 13, 6, 14, 7, 15);
        out[2 * i] = __builtin_convertvector(even, pixel_f32);
        out[2 * i + 1] = __builtin_convertvector(odd, pixel_f32);
    }
}

static void widen(const uint8_t *rgbx, size_t pixels, pixel_f32 *out)
{
    size_t i = 0;
    for (; i + PIXELS_PER_LOAD <= pixels; i += PIXELS_PER_LOAD) {
        widen_four(rgbx + 4 * i, out + i);
    }
    if (i < pixels) {
        uint8_t rest[4 * PIXELS_PER_LOAD] = {0};
        memcpy(rest, rgbx + 4 * i, 4 * (pixels - i));
        widen_four(rest, out + i);
    }
}

/* To the nearest of 0 … 255. */
static pixel_i32 round_to_byte(pixel_f32 value)
{
    const pixel_f32 low = {0};
    const pixel_f32 high = {255, 255, 255, 255};
    value += 0.5F;
    const pixel_i32 above_low = value > low;
    value = (pixel_f32)((pixel_i32)value & above_low);
    const pixel_i32 below_high = value < high;
    value = (pixel_f32)(((pixel_i32)value & below_high) | ((pixel_i32)high & ~below_high));
    return __builtin_convertvector(value, pixel_i32);
}

static pixel_f32 *ring_row(const struct dic_resizer *resizer, uint32_t y)
{
    return (pixel_f32 *)resizer->ring +
           (size_t)(y % resizer->ring_rows) * resizer->plan.x.crop_size;
}

static void resize_along_x(struct dic_resizer *resizer, pixel_f32 *out)
{
    const struct dic_resize_taps *taps = &resizer->x;
    const pixel_f32 *source = resizer->source_row;
    for (uint32_t i = 0; i < resizer->plan.x.crop_size; i++) {
        const pixel_f32 *in = source + (taps->first[i] - taps->need_from);
        const float *weights = taps->weights + (size_t)i * taps->stride;
        pixel_f32 sum = {0};
        for (uint32_t k = 0; k < taps->count[i]; k++) {
            sum += in[k] * weights[k];
        }
        out[i] = __builtin_convertvector(round_to_byte(sum), pixel_f32);
    }
}

static void resize_along_y(struct dic_resizer *resizer, uint32_t row)
{
    const struct dic_resize_taps *taps = &resizer->y;
    const float *weights = taps->weights + (size_t)row * taps->stride;
    const uint32_t count = taps->count[row];
    for (uint32_t k = 0; k < count; k++) {
        resizer->window[k] = ring_row(resizer, taps->first[row] + k);
    }
    uint8_t *out = resizer->emit_row;
    for (uint32_t i = 0; i < resizer->plan.x.crop_size; i++) {
        pixel_f32 sum = {0};
        for (uint32_t k = 0; k < count; k++) {
            sum += ((const pixel_f32 *)resizer->window[k])[i] * weights[k];
        }
        const pixel_i32 pixel = round_to_byte(sum);
        out[4 * i] = (uint8_t)pixel[0];
        out[4 * i + 1] = (uint8_t)pixel[1];
        out[4 * i + 2] = (uint8_t)pixel[2];
    }
    resizer->emit(resizer->user, row, out);
}

void dic_resizer_push(struct dic_resizer *resizer, const uint8_t *rgbx, uint32_t x_from)
{
    assert(x_from <= resizer->x.need_from);
    const uint32_t y = resizer->rows_in++;
    if (y < resizer->y.need_from || y >= resizer->y.need_to) {
        return;
    }
    widen(rgbx + 4 * (size_t)(resizer->x.need_from - x_from),
          resizer->x.need_to - resizer->x.need_from, resizer->source_row);
    resize_along_x(resizer, ring_row(resizer, y));
    while (resizer->rows_out < resizer->plan.y.crop_size &&
           resizer->y.first[resizer->rows_out] + resizer->y.count[resizer->rows_out] == y + 1) {
        resize_along_y(resizer, resizer->rows_out++);
    }
}

void dic_resizer_skip(struct dic_resizer *resizer, uint32_t rows)
{
    assert(resizer->rows_in + rows <= resizer->y.need_from ||
           resizer->rows_in >= resizer->y.need_to);
    resizer->rows_in += rows;
}
