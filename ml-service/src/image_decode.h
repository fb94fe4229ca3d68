/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a picture to a model's input tensor: recognise the format by content, check the
 * header against limits.h before memory is touched, decode at the smallest sufficient size, turn as
 * EXIF says, put alpha over white, resize, crop the centre, normalise. Pure function of its input;
 * runs inside a decoder process, where it may be killed at any time.
 */
#ifndef DIC_ML_IMAGE_DECODE_H
#define DIC_ML_IMAGE_DECODE_H

#include "job/job.h"
#include "tensor_spec.h"

#include <stddef.h>
#include <stdint.h>

struct dic_image_report {
    enum dic_row_error error; /* DIC_ROW_OK, EMPTY, TOO_LARGE, UNSUPPORTED_FORMAT, CORRUPT_IMAGE */
    char message[160];        /* why, for people: one line */
    char format[8];           /* "jpeg", "png", "webp", "gif", "bmp" or "" */
    uint32_t width;           /* as stored, before orientation; 0 when unknown */
    uint32_t height;
    bool partial; /* the file ended early or was damaged, and the rest of the picture was filled */
};

/* tensor_out has dic_tensor_bytes(spec) bytes; its content is undefined on an error. */
void dic_image_decode(const uint8_t *bytes, size_t len, const struct dic_tensor_spec *spec,
                      float *tensor_out, struct dic_image_report *report_out);

#endif
