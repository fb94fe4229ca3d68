/* SPDX-License-Identifier: Apache-2.0 */
#include "exif.h"

#include <stdbool.h>
#include <string.h>

enum {
    TAG_ORIENTATION = 0x0112,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    TIFF_HEADER = 8,
    IFD_ENTRY = 12,
    PREFIX = 6, /* "Exif\0\0" */
    JPEG_SOI = 0xD8,
    JPEG_EOI = 0xD9,
    JPEG_SOS = 0xDA,
    JPEG_APP1 = 0xE1,
};

struct tiff {
    const uint8_t *bytes;
    size_t len;
    bool little_endian;
};

/* The caller has checked that at + 2 or 4 lies within. */
static uint32_t read_u16(const struct tiff *tiff, size_t at)
{
    const uint8_t *p = tiff->bytes + at;
    return tiff->little_endian ? (uint32_t)p[0] | (uint32_t)p[1] << 8
                               : (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static uint32_t read_u32(const struct tiff *tiff, size_t at)
{
    const uint32_t first = read_u16(tiff, at);
    const uint32_t second = read_u16(tiff, at + 2);
    return tiff->little_endian ? first | second << 16 : first << 16 | second;
}

static uint32_t entry_orientation(const struct tiff *tiff, size_t at)
{
    const uint32_t type = read_u16(tiff, at + 2);
    uint32_t value = 0;
    if (type == TYPE_SHORT) {
        value = read_u16(tiff, at + 8);
    } else if (type == TYPE_LONG) {
        value = read_u32(tiff, at + 8);
    }
    return value >= 1 && value <= 8 ? value : DIC_UPRIGHT;
}

uint32_t dic_exif_orientation(const uint8_t *bytes, size_t len)
{
    if (len >= PREFIX && memcmp(bytes, "Exif\0\0", PREFIX) == 0) {
        bytes += PREFIX;
        len -= PREFIX;
    }
    if (len < TIFF_HEADER + 2 ||
        (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0)) {
        return DIC_UPRIGHT;
    }
    const struct tiff tiff = {bytes, len, bytes[0] == 'I'};
    const size_t ifd = read_u32(&tiff, 4);
    if (ifd < TIFF_HEADER || ifd > len - 2) {
        return DIC_UPRIGHT;
    }
    const uint32_t entries = read_u16(&tiff, ifd);
    size_t at = ifd + 2;
    for (uint32_t i = 0; i < entries && len - at >= IFD_ENTRY; i++, at += IFD_ENTRY) {
        if (read_u16(&tiff, at) == TAG_ORIENTATION) {
            return entry_orientation(&tiff, at);
        }
    }
    return DIC_UPRIGHT;
}

static bool is_exif(const uint8_t *payload, size_t len)
{
    return len >= PREFIX && memcmp(payload, "Exif\0\0", PREFIX) == 0;
}

uint32_t dic_exif_jpeg_orientation(const uint8_t *jpeg, size_t len)
{
    size_t at = 2; /* after SOI */
    while (at < len && len - at >= 4) {
        if (jpeg[at] != 0xFF) {
            at++; /* stray bytes between segments: libjpeg skips them too */
            continue;
        }
        const uint8_t marker = jpeg[at + 1];
        if (marker == JPEG_SOS || marker == JPEG_EOI) {
            break;
        }
        if (marker == 0xFF || marker == 0 || (marker >= 0xD0 && marker <= JPEG_SOI)) {
            at += marker == 0xFF ? 1 : 2; /* fill byte, or a marker without a segment */
            continue;
        }
        const size_t segment = (size_t)jpeg[at + 2] << 8 | jpeg[at + 3];
        if (segment < 2 || segment > len - at - 2) {
            break;
        }
        if (marker == JPEG_APP1 && is_exif(jpeg + at + 4, segment - 2)) {
            return dic_exif_orientation(jpeg + at + 4, segment - 2);
        }
        at += 2 + segment;
    }
    return DIC_UPRIGHT;
}
