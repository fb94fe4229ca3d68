/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a model's input and how a picture becomes it; from model.json. Plain data. */
#ifndef DIC_ML_TENSOR_SPEC_H
#define DIC_ML_TENSOR_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dic_interpolation { DIC_BILINEAR, DIC_BICUBIC };

struct dic_tensor_spec {
    uint32_t width; /* of the tensor, 1 to 1024 */
    uint32_t height;
    uint32_t short_side; /* the picture's short side after resizing, ≥ width and height */
    enum dic_interpolation interpolation; /* antialiased, as Pillow's */
    bool channels_first;                  /* NCHW, otherwise NHWC */
    bool bgr;                             /* channel order, otherwise RGB */
    float mean[3]; /* value = (pixel 0…255 − mean) / scale, in the tensor's channel order */
    float scale[3];
};

static inline size_t dic_tensor_bytes(const struct dic_tensor_spec *spec)
{
    return (size_t)spec->width * spec->height * 3 * sizeof(float);
}

#endif
