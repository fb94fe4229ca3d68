/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG through libspng. It gets to see only the chunks that make the picture (IHDR, PLTE, tRNS,
 * IDAT, IEND): compressed text and colour profiles, the classic bombs, are stepped over unread, and
 * so are APNG's further frames and a bad checksum in something nobody needs. What it does see must
 * have good checksums.
 */
#include "base/mem.h"
#include "exif.h"
#include "image_sink.h"

#include <string.h>

#include <spng.h>

enum { SIGNATURE = 8, CHUNK_FRAME = 12, SEEN_CHUNK_LIMIT = 1 << 20 };

struct chunk_reader {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    size_t chunk_end; /* at == chunk_end: the next thing is a chunk's header */
};

/* Length of the whole chunk at `at`, or what is left of the file when that is less. */
static size_t chunk_size(const uint8_t *bytes, size_t len, size_t at)
{
    const size_t left = len - at;
    if (left < CHUNK_FRAME) {
        return left;
    }
    const uint8_t *p = bytes + at;
    const size_t payload =
        (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | (size_t)p[3];
    return payload > left - CHUNK_FRAME ? left : payload + CHUNK_FRAME;
}

/* A lower-case first letter marks what may be ignored; transparency may not, here. */
static bool is_needed(const uint8_t *type)
{
    return (type[0] & 0x20) == 0 || memcmp(type, "tRNS", 4) == 0;
}

static void next_needed_chunk(struct chunk_reader *reader)
{
    while (reader->at < reader->len) {
        const size_t size = chunk_size(reader->bytes, reader->len, reader->at);
        if (size < CHUNK_FRAME || is_needed(reader->bytes + reader->at + 4)) {
            reader->chunk_end = reader->at + size;
            return;
        }
        reader->at += size;
    }
}

static int read_needed(spng_ctx *ctx, void *user, void *out, size_t length)
{
    (void)ctx;
    struct chunk_reader *reader = user;
    uint8_t *to = out;
    while (length > 0) {
        if (reader->at == reader->chunk_end) {
            next_needed_chunk(reader);
        }
        if (reader->at >= reader->len) {
            return SPNG_IO_EOF;
        }
        const size_t ready = reader->chunk_end - reader->at;
        const size_t take = ready < length ? ready : length;
        memcpy(to, reader->bytes + reader->at, take);
        to += take;
        length -= take;
        reader->at += take;
    }
    return 0;
}

/* eXIf may stand anywhere before IEND (PNG third edition, 11.3.3.5). */
static uint32_t png_orientation(const uint8_t *bytes, size_t len)
{
    size_t at = SIGNATURE;
    while (at < len && len - at >= CHUNK_FRAME) {
        const size_t size = chunk_size(bytes, len, at);
        if (memcmp(bytes + at + 4, "eXIf", 4) == 0) {
            return dic_exif_orientation(bytes + at + 8, size - CHUNK_FRAME);
        }
        at += size;
    }
    return DIC_UPRIGHT;
}

static bool png_fail(struct dic_image_report *report, int code)
{
    return dic_image_fail(report, code == SPNG_EMEM ? DIC_ROW_TOO_LARGE : DIC_ROW_CORRUPT_IMAGE,
                          "%s", spng_strerror(code));
}

static void free_context(spng_ctx **ctx)
{
    spng_ctx_free(*ctx);
}

/* Adam7 brings the rows in no useful order, so the whole picture is kept: 4 bytes a pixel. */
static bool read_interlaced(spng_ctx *ctx, const struct spng_ihdr *header,
                            struct dic_image_sink *sink, struct dic_image_report *report)
{
    const size_t row_bytes = (size_t)header->width * 4;
    const size_t size = row_bytes * header->height;
    if (!dic_image_check_memory(size, report)) {
        return false;
    }
    DIC_CLEANUP(dic_free_cleanup) uint8_t *pixels = dic_calloc(header->height, row_bytes);
    const int code = spng_decode_image(ctx, pixels, size, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (code != SPNG_OK) {
        return png_fail(report, code);
    }
    for (uint32_t y = 0; y < header->height; y++) {
        dic_row_over_white(pixels + y * row_bytes, header->width);
        dic_image_sink_push(sink, pixels + y * row_bytes);
    }
    return true;
}

static bool read_rows(spng_ctx *ctx, const struct spng_ihdr *header, struct dic_image_sink *sink,
                      struct dic_image_report *report)
{
    const size_t row_bytes = (size_t)header->width * 4;
    DIC_CLEANUP(dic_free_cleanup) uint8_t *row = dic_calloc(1, row_bytes);
    int code =
        spng_decode_image(ctx, NULL, 0, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
    for (uint32_t y = 0; y < header->height && code == SPNG_OK; y++) {
        code = spng_decode_row(ctx, row, row_bytes);
        if (code == SPNG_OK || code == SPNG_EOI) {
            dic_row_over_white(row, header->width);
            dic_image_sink_push(sink, row);
        }
    }
    return code == SPNG_EOI || png_fail(report, code);
}

static bool open_context(spng_ctx *ctx, struct chunk_reader *reader, struct spng_ihdr *header_out,
                         struct dic_image_report *report)
{
    int code = spng_set_png_stream(ctx, read_needed, reader);
    if (code == SPNG_OK) {
        code = spng_set_chunk_limits(ctx, SEEN_CHUNK_LIMIT, SEEN_CHUNK_LIMIT);
    }
    if (code == SPNG_OK) {
        code = spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_ERROR);
    }
    if (code == SPNG_OK) {
        code = spng_get_ihdr(ctx, header_out);
    }
    return code == SPNG_OK || png_fail(report, code);
}

/* The sizes in IHDR, before libspng (which refuses some, less helpfully) sees them. */
static bool check_header(const uint8_t *bytes, size_t len, struct dic_image_report *report)
{
    const size_t size_at = SIGNATURE + 8;
    if (len < size_at + 8 || memcmp(bytes + SIGNATURE + 4, "IHDR", 4) != 0) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "no IHDR chunk at the start");
    }
    uint32_t size[2] = {0, 0};
    for (size_t i = 0; i < 8; i++) {
        size[i / 4] = size[i / 4] << 8 | bytes[size_at + i];
    }
    return dic_image_check_size(size[0], size[1], report);
}

bool dic_png_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                    struct dic_image_report *report)
{
    if (!check_header(bytes, len, report)) {
        return false;
    }
    DIC_CLEANUP(free_context) spng_ctx *ctx = spng_ctx_new(0);
    if (ctx == NULL) {
        return png_fail(report, SPNG_EMEM);
    }
    struct chunk_reader reader = {bytes, len, 0, SIGNATURE};
    struct spng_ihdr header;
    if (!open_context(ctx, &reader, &header, report)) {
        return false;
    }
    const struct dic_stored_picture picture = {
        header.width, header.height, header.width, header.height, png_orientation(bytes, len),
    };
    dic_image_sink_start(sink, &picture);
    const bool interlaced = header.interlace_method != SPNG_INTERLACE_NONE;
    if (!(interlaced ? read_interlaced : read_rows)(ctx, &header, sink, report)) {
        return false;
    }
    const int code =
        spng_decode_chunks(ctx); /* to IEND: a file cut off after the rows is damaged */
    return code == SPNG_OK || png_fail(report, code);
}
