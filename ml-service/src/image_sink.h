/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where every decoder sends its rows, and what they share: the limits on a header, the geometry
 * (resize, crop, orientation) and the way into the tensor. A decoder checks its header
 * (dic_image_check_size), starts the sink, then pushes each row from top to bottom as RGBX.
 */
#ifndef DIC_ML_IMAGE_SINK_H
#define DIC_ML_IMAGE_SINK_H

#include "base/err.h"
#include "image_decode.h"
#include "resize.h"

struct dic_image_sink {
    const struct dic_tensor_spec *spec;
    float *tensor;
    float table[3][256]; /* byte to tensor value, for each channel of the tensor */
    struct dic_resizer resizer;
    /* Where a pixel of the stored crop goes: origin + x * step_x + y * step_y + c * step_channel */
    ptrdiff_t origin;
    ptrdiff_t step_x;
    ptrdiff_t step_y;
    ptrdiff_t step_channel;
};

struct dic_stored_picture {
    uint32_t width; /* as the header says; the target size is computed from these */
    uint32_t height;
    uint32_t decoded_width; /* of the rows pushed: smaller when the decoder scales */
    uint32_t decoded_height;
    uint32_t orientation; /* as Exif says, 1 to 8 */
};

void dic_image_sink_init(struct dic_image_sink *sink, const struct dic_tensor_spec *spec,
                         float *tensor);
void dic_image_sink_clean_up(struct dic_image_sink *sink); /* idempotent */
void dic_image_sink_start(struct dic_image_sink *sink, const struct dic_stored_picture *picture);
/* The next row, all of it: decoded_width RGBX pixels. */
void dic_image_sink_push(struct dic_image_sink *sink, const uint8_t *rgbx);

/* Size of the resized picture's short side measured on the stored one; decoders that can scale
 * stay at or above it. */
static inline uint32_t dic_image_sink_short_side(const struct dic_image_sink *sink)
{
    return sink->spec->short_side;
}

/* Notes the size in the report; false and a reason when a side is 0 or over a limit. */
DIC_MUST_USE bool dic_image_check_size(uint64_t width, uint64_t height,
                                       struct dic_image_report *report);
/* false and a reason when decoding would take more than DIC_MAX_DECODE_MEMORY. */
DIC_MUST_USE bool dic_image_check_memory(uint64_t bytes, struct dic_image_report *report);
/* Fills in the error, and returns false so that a failure is one statement. */
DIC_PRINTF(3, 4)
bool dic_image_fail(struct dic_image_report *report, enum dic_row_error error, const char *fmt,
                    ...);

/* One sample over white; exact rounding of (sample * alpha + 255 * (255 - alpha)) / 255. */
static inline uint8_t dic_over_white(uint8_t sample, uint8_t alpha)
{
    return (uint8_t)((sample * alpha + 255 * (255 - alpha) + 127) / 255);
}
/* RGBA pixels in place. */
void dic_row_over_white(uint8_t *rgba, size_t pixels);

/* The decoders: false with report->error and message filled in; rows went into the sink. */
typedef bool (*dic_image_decoder)(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                  struct dic_image_report *report);
DIC_MUST_USE bool dic_jpeg_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                  struct dic_image_report *report);
DIC_MUST_USE bool dic_png_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                 struct dic_image_report *report);
DIC_MUST_USE bool dic_webp_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                  struct dic_image_report *report);
DIC_MUST_USE bool dic_gif_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                 struct dic_image_report *report);
DIC_MUST_USE bool dic_bmp_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                                 struct dic_image_report *report);

#endif
