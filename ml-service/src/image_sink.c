/* SPDX-License-Identifier: Apache-2.0 */
#include "image_sink.h"

#include "job/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool dic_image_fail(struct dic_image_report *report, enum dic_row_error error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(report->message, sizeof(report->message), fmt, args);
    va_end(args);
    report->error = error;
    return false;
}

bool dic_image_check_size(uint64_t width, uint64_t height, struct dic_image_report *report)
{
    report->width = width > UINT32_MAX ? UINT32_MAX : (uint32_t)width;
    report->height = height > UINT32_MAX ? UINT32_MAX : (uint32_t)height;
    if (width == 0 || height == 0) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE,
                              "picture of %" PRIu64 " x %" PRIu64 " pixels", width, height);
    }
    const uint64_t side = width > height ? width : height;
    if (side > DIC_MAX_IMAGE_SIDE) {
        return dic_image_fail(report, DIC_ROW_TOO_LARGE,
                              "picture of %" PRIu64 " x %" PRIu64 " pixels, limit %d a side", width,
                              height, DIC_MAX_IMAGE_SIDE);
    }
    if (width * height > DIC_MAX_IMAGE_PIXELS) {
        return dic_image_fail(report, DIC_ROW_TOO_LARGE,
                              "picture of %" PRIu64 " x %" PRIu64 " is %" PRIu64
                              " pixels, limit %d",
                              width, height, width * height, DIC_MAX_IMAGE_PIXELS);
    }
    return true;
}

bool dic_image_check_memory(uint64_t bytes, struct dic_image_report *report)
{
    if (bytes <= DIC_MAX_DECODE_MEMORY) {
        return true;
    }
    return dic_image_fail(report, DIC_ROW_TOO_LARGE,
                          "decoding %" PRIu32 " x %" PRIu32 " pixels takes %" PRIu64
                          " bytes, limit %d",
                          report->width, report->height, bytes, DIC_MAX_DECODE_MEMORY);
}

void dic_row_over_white(uint8_t *rgba, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *pixel = rgba + 4 * i;
        const uint8_t alpha = pixel[3];
        if (alpha == 255) {
            continue;
        }
        for (size_t c = 0; c < 3; c++) {
            pixel[c] = dic_over_white(pixel[c], alpha);
        }
    }
}

void dic_image_sink_init(struct dic_image_sink *sink, const struct dic_tensor_spec *spec,
                         float *tensor)
{
    assert(spec->width > 0 && spec->width <= spec->short_side);
    assert(spec->height > 0 && spec->height <= spec->short_side);
    memset(sink, 0, sizeof(*sink));
    sink->spec = spec;
    sink->tensor = tensor;
    for (size_t c = 0; c < 3; c++) {
        for (size_t value = 0; value < 256; value++) {
            sink->table[c][value] = ((float)value - spec->mean[c]) / spec->scale[c];
        }
    }
}

void dic_image_sink_clean_up(struct dic_image_sink *sink)
{
    dic_resizer_clean_up(&sink->resizer);
}

static void write_row(void *user, uint32_t y, const uint8_t *rgbx)
{
    const struct dic_image_sink *sink = user;
    const uint32_t width = sink->resizer.plan.x.crop_size;
    for (uint32_t c = 0; c < 3; c++) {
        const float *table = sink->table[c];
        const uint8_t *in = rgbx + (sink->spec->bgr ? 2 - c : c);
        float *out = sink->tensor + sink->origin + (ptrdiff_t)y * sink->step_y +
                     (ptrdiff_t)c * sink->step_channel;
        for (uint32_t x = 0; x < width; x++) {
            out[(ptrdiff_t)x * sink->step_x] = table[in[4 * (size_t)x]];
        }
    }
}

/* How a stored picture is turned to stand upright. */
struct turn {
    bool swap;   /* columns become rows */
    bool flip_x; /* then, in the upright picture, left and right are exchanged */
    bool flip_y;
};

static const struct turn turns[9] = {
    [1] = {false, false, false}, [2] = {false, true, false}, [3] = {false, true, true},
    [4] = {false, false, true},  [5] = {true, false, false}, [6] = {true, true, false},
    [7] = {true, true, true},    [8] = {true, false, true},
};

/* torchvision's rule: the short side becomes short_side, the long one is truncated. */
static uint64_t resized(uint32_t side, uint32_t other, uint32_t short_side)
{
    return side <= other ? short_side : (uint64_t)short_side * side / other;
}

/* torchvision's CenterCrop: int(round(margin / 2)), and Python rounds halves to even. */
static uint64_t crop_offset(uint64_t size, uint32_t crop)
{
    const uint64_t half = (size - crop) / 2;
    return (size - crop) % 2 == 0 ? half : half + half % 2;
}

/* Offsets are defined on the upright picture; along a flipped axis they count from the far end. */
static struct dic_resize_axis stored_axis(uint32_t in_size, uint64_t out_size, uint32_t crop,
                                          bool flipped)
{
    const uint64_t at = crop_offset(out_size, crop);
    return (struct dic_resize_axis){in_size, out_size, flipped ? out_size - crop - at : at, crop};
}

static void set_steps(struct dic_image_sink *sink, const struct turn *turn)
{
    const struct dic_tensor_spec *spec = sink->spec;
    const ptrdiff_t width = (ptrdiff_t)spec->width;
    const ptrdiff_t height = (ptrdiff_t)spec->height;
    const ptrdiff_t pixel = spec->channels_first ? 1 : 3;
    const ptrdiff_t right = turn->flip_x ? -pixel : pixel;
    const ptrdiff_t down = (turn->flip_y ? -pixel : pixel) * width;
    sink->origin = (turn->flip_x ? (width - 1) * pixel : 0) +
                   (turn->flip_y ? (height - 1) * width * pixel : 0);
    sink->step_x = turn->swap ? down : right;
    sink->step_y = turn->swap ? right : down;
    sink->step_channel = spec->channels_first ? width * height : 1;
}

void dic_image_sink_start(struct dic_image_sink *sink, const struct dic_stored_picture *picture)
{
    assert(picture->orientation >= 1 && picture->orientation <= 8);
    const struct dic_tensor_spec *spec = sink->spec;
    const struct turn *turn = &turns[picture->orientation];
    const uint64_t out_width = resized(picture->width, picture->height, spec->short_side);
    const uint64_t out_height = resized(picture->height, picture->width, spec->short_side);
    const struct dic_resize_plan plan = {
        .x = stored_axis(picture->decoded_width, out_width, turn->swap ? spec->height : spec->width,
                         turn->swap ? turn->flip_y : turn->flip_x),
        .y = stored_axis(picture->decoded_height, out_height,
                         turn->swap ? spec->width : spec->height,
                         turn->swap ? turn->flip_x : turn->flip_y),
        .interpolation = spec->interpolation,
    };
    set_steps(sink, turn);
    dic_resizer_init(&sink->resizer, &plan, write_row, sink);
}

void dic_image_sink_push(struct dic_image_sink *sink, const uint8_t *rgbx)
{
    dic_resizer_push(&sink->resizer, rgbx, 0);
}
