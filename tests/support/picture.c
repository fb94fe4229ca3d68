/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dic_picture_decode(struct dic_picture *picture, struct dic_str bytes, uint32_t side)
{
    const struct dic_tensor_spec spec = {
        .width = side,
        .height = side,
        .short_side = side,
        .interpolation = DIC_BILINEAR,
        .scale = {1, 1, 1},
    };
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    if (copy == NULL || side > DIC_PICTURE_SIDE_MAX) {
        abort();
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    memset(picture, 0, sizeof *picture);
    picture->side = side;
    dic_image_decode(copy, bytes.len, &spec, picture->values, &picture->report);
    free(copy);
}

uint32_t dic_picture_pixel(const struct dic_picture *picture, uint32_t x, uint32_t y)
{
    const float *rgb = picture->values + 3 * ((size_t)y * picture->side + x);
    uint32_t pixel = 0;
    for (int c = 0; c < 3; c++) {
        pixel = pixel << 8 | (uint32_t)lroundf(rgb[c]);
    }
    return pixel;
}

uint32_t dic_picture_difference(uint32_t rgb, uint32_t other_rgb)
{
    uint32_t most = 0;
    for (uint32_t shift = 0; shift < 24; shift += 8) {
        int difference = (int)(rgb >> shift & 255) - (int)(other_rgb >> shift & 255);
        uint32_t size = (uint32_t)abs(difference);
        most = size > most ? size : most;
    }
    return most;
}

void dic_put_u16_le(struct dic_buf *out, uint32_t value)
{
    dic_buf_append_byte(out, (char)(value & 255));
    dic_buf_append_byte(out, (char)(value >> 8 & 255));
}

void dic_put_u32_le(struct dic_buf *out, uint32_t value)
{
    dic_put_u16_le(out, value);
    dic_put_u16_le(out, value >> 16);
}

void dic_put_u32_be(struct dic_buf *out, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        dic_buf_append_byte(out, (char)(value >> shift & 255));
    }
}

void dic_put_exif(struct dic_buf *out, uint32_t orientation)
{
    dic_buf_append(out, "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18);
    dic_put_u32_le(out, orientation);
    dic_put_u32_le(out, 0);
}
