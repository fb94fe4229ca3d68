/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one Exif tag a classifier needs: orientation (CIPA DC-008, 0x0112). Bounded readers of
 * untrusted bytes: only IFD0 is looked at, once, so loops and huge counts lead nowhere; whatever is
 * damaged counts as upright.
 */
#ifndef DIC_ML_EXIF_H
#define DIC_ML_EXIF_H

#include <stddef.h>
#include <stdint.h>

enum { DIC_UPRIGHT = 1 }; /* orientations are 1 to 8 */

/* tiff: "II*\0" or "MM\0*" onwards, with or without "Exif\0\0" before it. */
uint32_t dic_exif_orientation(const uint8_t *tiff, size_t len);
/* A whole JPEG file: the first Exif APP1 before the first scan. */
uint32_t dic_exif_jpeg_orientation(const uint8_t *jpeg, size_t len);

#endif
