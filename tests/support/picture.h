/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding pictures in the test's own process, from a block of exactly their length. */
#ifndef DIC_PICTURE_H
#define DIC_PICTURE_H

#include "base/buf.h"
#include "image_decode.h"

enum { DIC_PICTURE_SIDE_MAX = 64 };

/* What a picture became: values are the pixels themselves, 0 to 255. */
struct dic_picture {
    struct dic_image_report report;
    uint32_t side;
    float values[DIC_PICTURE_SIDE_MAX * DIC_PICTURE_SIDE_MAX * 3];
};

/* As a tensor of side × side RGB pixels in rows; a picture of that size is neither resized nor
 * cropped, so that every pixel can be looked at. */
void dic_picture_decode(struct dic_picture *picture, struct dic_str bytes, uint32_t side);
/* 0xRRGGBB, rounded. */
uint32_t dic_picture_pixel(const struct dic_picture *picture, uint32_t x, uint32_t y);
/* The largest difference in one of the channels. */
uint32_t dic_picture_difference(uint32_t rgb, uint32_t other_rgb);

/* For files that are written in a test. */
void dic_put_u16_le(struct dic_buf *out, uint32_t value);
void dic_put_u32_le(struct dic_buf *out, uint32_t value);
void dic_put_u32_be(struct dic_buf *out, uint32_t value);
/* A TIFF block, little-endian, with this orientation and nothing else. */
void dic_put_exif(struct dic_buf *out, uint32_t orientation);

#endif
