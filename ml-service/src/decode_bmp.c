/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows bitmaps: 1, 4, 8, 16, 24 and 32 bits, either row order, channel masks. Run-length coded
 * ones are refused by name. The pixels must all be there before the first is read, so reading needs
 * no further checks.
 */
#include "base/mem.h"
#include "image_sink.h"

#include <inttypes.h>
#include <string.h>

enum {
    FILE_HEADER = 14,
    CORE_HEADER = 12, /* OS/2 1.x */
    INFO_HEADER = 40,
    MASKS_IN_HEADER = 52, /* headers this long hold the three colour masks, */
    ALPHA_IN_HEADER = 56, /* and these the alpha mask too */
    MAX_HEADER = 124,     /* BITMAPV5HEADER */
};

enum compression { BI_RGB, BI_RLE8, BI_RLE4, BI_BITFIELDS, BI_JPEG, BI_PNG, BI_ALPHABITFIELDS };

/* One channel of a 16- or 32-bit pixel. */
struct channel {
    uint32_t mask;
    uint32_t shift;
    uint32_t max; /* value when all bits of the mask are set; 0: there is no such channel */
};

struct bmp {
    const uint8_t *bytes;
    size_t len;
    uint32_t header_bytes;
    int64_t width;
    int64_t height; /* negative: top row first */
    uint32_t bits;
    uint32_t compression;
    uint32_t colours;
    size_t pixels_at;
    size_t row_bytes;
    struct channel channels[4]; /* red, green, blue, alpha */
    uint8_t palette[256][4];
};

static uint32_t read_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t read_u32(const uint8_t *p)
{
    return read_u16(p) | read_u16(p + 2) << 16;
}

static bool read_header(struct bmp *bmp, struct dic_image_report *report)
{
    if (bmp->len < FILE_HEADER + 4) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "BMP: data ends in the header");
    }
    bmp->pixels_at = read_u32(bmp->bytes + 10);
    bmp->header_bytes = read_u32(bmp->bytes + FILE_HEADER);
    if (bmp->header_bytes != CORE_HEADER &&
        (bmp->header_bytes < INFO_HEADER || bmp->header_bytes > MAX_HEADER)) {
        return dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT,
                              "BMP with a header of %" PRIu32 " bytes", bmp->header_bytes);
    }
    if (bmp->len - FILE_HEADER < bmp->header_bytes) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "BMP: data ends in the header");
    }
    const uint8_t *header = bmp->bytes + FILE_HEADER;
    if (bmp->header_bytes == CORE_HEADER) {
        bmp->width = read_u16(header + 4);
        bmp->height = read_u16(header + 6);
        bmp->bits = read_u16(header + 10);
        return true;
    }
    bmp->width = (int32_t)read_u32(header + 4);
    bmp->height = (int32_t)read_u32(header + 8);
    bmp->bits = read_u16(header + 14);
    bmp->compression = read_u32(header + 16);
    bmp->colours = read_u32(header + 32);
    return true;
}

static bool check_variant(const struct bmp *bmp, struct dic_image_report *report)
{
    static const char *const names[] = {
        "uncompressed", "RLE8", "RLE4", "bit fields", "JPEG", "PNG", "alpha bit fields"};
    const bool masks = bmp->compression == BI_BITFIELDS || bmp->compression == BI_ALPHABITFIELDS;
    if (bmp->compression != BI_RGB && !masks) {
        return dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT, "BMP with %s compression",
                              bmp->compression <= BI_ALPHABITFIELDS ? names[bmp->compression]
                                                                    : "unknown");
    }
    const bool deep = bmp->bits == 16 || bmp->bits == 32;
    const bool plain = bmp->bits == 1 || bmp->bits == 4 || bmp->bits == 8 || bmp->bits == 24;
    if (!deep && (masks || !plain)) {
        return dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT,
                              "BMP with %" PRIu32 " bits a pixel%s", bmp->bits,
                              masks ? " and bit fields" : "");
    }
    return true;
}

static bool set_channel(struct channel *channel, uint32_t mask, struct dic_image_report *report)
{
    *channel = (struct channel){.mask = mask};
    if (mask == 0) {
        return true;
    }
    channel->shift = (uint32_t)__builtin_ctz(mask);
    channel->max = mask >> channel->shift;
    if ((channel->max & (channel->max + 1)) != 0) {
        return dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT,
                              "BMP with a broken channel mask %08" PRIx32, mask);
    }
    return true;
}

/* Where palette or pixels may begin at the earliest. */
static size_t headers_end(const struct bmp *bmp)
{
    size_t masks = 0;
    if (bmp->header_bytes == INFO_HEADER) {
        masks = bmp->compression == BI_BITFIELDS ? 12 : 0;
        masks = bmp->compression == BI_ALPHABITFIELDS ? 16 : masks;
    }
    return FILE_HEADER + bmp->header_bytes + masks;
}

static bool read_channels(struct bmp *bmp, struct dic_image_report *report)
{
    uint32_t masks[4] = {0x00FF0000, 0x0000FF00, 0x000000FF, 0};
    if (bmp->bits == 16) {
        memcpy(masks, (const uint32_t[]){0x7C00, 0x03E0, 0x001F, 0}, sizeof(masks));
    }
    if (bmp->compression != BI_RGB) {
        const uint8_t *at = bmp->bytes + FILE_HEADER + INFO_HEADER;
        if (headers_end(bmp) > bmp->len ||
            (bmp->header_bytes > INFO_HEADER && bmp->header_bytes < MASKS_IN_HEADER)) {
            return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "BMP: no channel masks");
        }
        const bool alpha =
            bmp->compression == BI_ALPHABITFIELDS || bmp->header_bytes >= ALPHA_IN_HEADER;
        for (size_t i = 0; i < 4; i++) {
            masks[i] = i < 3 || alpha ? read_u32(at + 4 * i) : 0;
        }
    }
    for (size_t i = 0; i < 4; i++) {
        if (!set_channel(&bmp->channels[i], masks[i], report)) {
            return false;
        }
    }
    return true;
}

/* Indices beyond the palette are black, as in Windows. */
static bool read_palette(struct bmp *bmp, struct dic_image_report *report)
{
    const uint32_t most = 1U << bmp->bits;
    const uint32_t count = bmp->colours == 0 || bmp->colours > most ? most : bmp->colours;
    const size_t entry = bmp->header_bytes == CORE_HEADER ? 3 : 4;
    const size_t at = headers_end(bmp);
    if (at > bmp->len || bmp->len - at < count * entry) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "BMP: data ends in the palette");
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *bgr = bmp->bytes + at + i * entry;
        bmp->palette[i][0] = bgr[2];
        bmp->palette[i][1] = bgr[1];
        bmp->palette[i][2] = bgr[0];
    }
    return true;
}

static bool check_pixels(struct bmp *bmp, struct dic_image_report *report)
{
    const uint64_t rows = (uint64_t)(bmp->height < 0 ? -bmp->height : bmp->height);
    bmp->row_bytes = ((size_t)bmp->width * bmp->bits + 31) / 32 * 4;
    const uint64_t needed = rows * bmp->row_bytes;
    if (bmp->pixels_at < headers_end(bmp) || bmp->pixels_at > bmp->len ||
        bmp->len - bmp->pixels_at < needed) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE,
                              "BMP: %" PRIu64 " bytes of pixels at %zu, but the file has %zu",
                              needed, bmp->pixels_at, bmp->len);
    }
    return true;
}

static uint8_t channel_value(const struct channel *channel, uint32_t pixel)
{
    if (channel->max == 0) {
        return 0;
    }
    const uint64_t value = (pixel & channel->mask) >> channel->shift;
    return (uint8_t)((value * 255 + channel->max / 2) / channel->max);
}

static void row_of_indices(const struct bmp *bmp, const uint8_t *in, uint8_t *out)
{
    const uint32_t per_byte = 8 / bmp->bits;
    const uint32_t mask = (1U << bmp->bits) - 1;
    for (uint32_t x = 0; x < (uint32_t)bmp->width; x++) {
        const uint32_t shift = 8 - bmp->bits * (x % per_byte + 1);
        memcpy(out + 4 * (size_t)x, bmp->palette[(uint32_t)in[x / per_byte] >> shift & mask], 4);
    }
}

static void row_of_bytes(const struct bmp *bmp, const uint8_t *in, uint8_t *out)
{
    for (size_t x = 0; x < (size_t)bmp->width; x++) {
        out[4 * x] = in[3 * x + 2];
        out[4 * x + 1] = in[3 * x + 1];
        out[4 * x + 2] = in[3 * x];
    }
}

static void row_of_masks(const struct bmp *bmp, const uint8_t *in, uint8_t *out)
{
    for (size_t x = 0; x < (size_t)bmp->width; x++) {
        const uint32_t pixel = bmp->bits == 16 ? read_u16(in + 2 * x) : read_u32(in + 4 * x);
        for (size_t c = 0; c < 3; c++) {
            out[4 * x + c] = channel_value(&bmp->channels[c], pixel);
        }
        const struct channel *alpha = &bmp->channels[3];
        out[4 * x + 3] = alpha->max == 0 ? 255 : channel_value(alpha, pixel);
    }
    dic_row_over_white(out, (size_t)bmp->width);
}

static void push_rows(const struct bmp *bmp, struct dic_image_sink *sink)
{
    const size_t rows = (size_t)(bmp->height < 0 ? -bmp->height : bmp->height);
    DIC_CLEANUP(dic_free_cleanup) uint8_t *row = dic_calloc((size_t)bmp->width, 4);
    for (size_t y = 0; y < rows; y++) {
        const size_t stored = bmp->height < 0 ? y : rows - 1 - y;
        const uint8_t *in = bmp->bytes + bmp->pixels_at + stored * bmp->row_bytes;
        if (bmp->bits <= 8) {
            row_of_indices(bmp, in, row);
        } else if (bmp->bits == 24) {
            row_of_bytes(bmp, in, row);
        } else {
            row_of_masks(bmp, in, row);
        }
        dic_image_sink_push(sink, row);
    }
}

bool dic_bmp_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                    struct dic_image_report *report)
{
    struct bmp bmp = {.bytes = bytes, .len = len};
    if (!read_header(&bmp, report)) {
        return false;
    }
    const int64_t height = bmp.height < 0 ? -bmp.height : bmp.height;
    if (!dic_image_check_size(bmp.width < 0 ? 0 : (uint64_t)bmp.width, (uint64_t)height, report) ||
        !check_variant(&bmp, report) || !check_pixels(&bmp, report) ||
        !(bmp.bits <= 8 ? read_palette : read_channels)(&bmp, report)) {
        return false;
    }
    const struct dic_stored_picture picture = {
        report->width, report->height, report->width, report->height, 1,
    };
    dic_image_sink_start(sink, &picture);
    push_rows(&bmp, sink);
    return true;
}
