/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Antialiased separable resizing of a stream of rows, as Pillow's: the filter's support grows with
 * the downscale factor, and each pass rounds to 8 bits. Only the crop is computed; memory is a few
 * rows of it. Rows come in from top to bottom and go out the same way. One thread at a time.
 */
#ifndef DIC_ML_RESIZE_H
#define DIC_ML_RESIZE_H

#include "tensor_spec.h"

#include <stdint.h>

/* One axis: in_size pixels become out_size, of which [crop_at, crop_at + crop_size) are wanted. */
struct dic_resize_axis {
    uint32_t in_size;
    uint64_t out_size; /* 1×16384 enlarged to a short side of 256 has four million */
    uint64_t crop_at;
    uint32_t crop_size;
};

struct dic_resize_plan {
    struct dic_resize_axis x;
    struct dic_resize_axis y;
    enum dic_interpolation interpolation;
};

/* Gets row y (0 … crop height − 1) of the crop: crop width RGBX pixels, valid for the call. */
typedef void (*dic_row_function)(void *user, uint32_t y, const uint8_t *rgbx);

/* For each wanted output pixel: which input pixels it is made of, and their weights. */
struct dic_resize_taps {
    uint32_t stride; /* weights of output pixel i start at weights[i * stride] */
    uint32_t *first;
    uint32_t *count;
    float *weights;
    uint32_t need_from; /* input pixels outside [need_from, need_to) are never looked at */
    uint32_t need_to;
};

struct dic_resizer {
    struct dic_resize_plan plan;
    struct dic_resize_taps x;
    struct dic_resize_taps y;
    dic_row_function emit;
    void *user;
    uint32_t rows_in;
    uint32_t rows_out;
    uint32_t ring_rows;
    void *source_row; /* the needed part of the row in hand, as floats */
    void *ring;       /* ring_rows rows of crop width, already resized along x */
    void **window;    /* the rows of one output row, in order */
    uint8_t *emit_row;
};

void dic_resizer_init(struct dic_resizer *resizer, const struct dic_resize_plan *plan,
                      dic_row_function emit, void *user);
void dic_resizer_clean_up(struct dic_resizer *resizer); /* idempotent; zeroed is fine too */

/* The next row; rgbx points to column x_from of it, which must be ≤ x.need_from, and reaches at
 * least to column x.need_to. */
void dic_resizer_push(struct dic_resizer *resizer, const uint8_t *rgbx, uint32_t x_from);
/* The next `rows` rows are none of [y.need_from, y.need_to). */
void dic_resizer_skip(struct dic_resizer *resizer, uint32_t rows);

#endif
