/* SPDX-License-Identifier: Apache-2.0 */
/* GIF through giflib: the first frame, on a white canvas. What follows it is never read. */
#include "base/mem.h"
#include "image_sink.h"

#include <string.h>

#include <gif_lib.h>

struct cursor {
    const uint8_t *bytes;
    size_t len;
    size_t at;
};

static int read_bytes(GifFileType *gif, GifByteType *out, int wanted)
{
    struct cursor *cursor = gif->UserData;
    const size_t left = cursor->len - cursor->at;
    const size_t take = (size_t)wanted < left ? (size_t)wanted : left;
    memcpy(out, cursor->bytes + cursor->at, take);
    cursor->at += take;
    return (int)take;
}

static void close_gif(GifFileType **gif)
{
    if (*gif != NULL) {
        DGifCloseFile(*gif, NULL);
    }
}

static bool gif_fail(struct dic_image_report *report, int code)
{
    const char *reason = GifErrorString(code);
    return dic_image_fail(
        report, code == D_GIF_ERR_NOT_ENOUGH_MEM ? DIC_ROW_TOO_LARGE : DIC_ROW_CORRUPT_IMAGE,
        "GIF: %s", reason == NULL ? "data ends early" : reason);
}

/* Takes what matters of an extension, the transparent colour, and passes over the rest. */
static bool read_extension(GifFileType *gif, int *transparent_out)
{
    int kind = 0;
    GifByteType *block = NULL;
    if (DGifGetExtension(gif, &kind, &block) == GIF_ERROR) {
        return false;
    }
    while (block != NULL) {
        GraphicsControlBlock control;
        if (kind == GRAPHICS_EXT_FUNC_CODE &&
            DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
            *transparent_out = control.TransparentColor;
        }
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) {
            return false;
        }
    }
    return true;
}

/* Stops at the first frame's data. */
static bool find_frame(GifFileType *gif, int *transparent_out, struct dic_image_report *report)
{
    for (;;) {
        GifRecordType type = UNDEFINED_RECORD_TYPE;
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) {
            return gif_fail(report, gif->Error);
        }
        if (type == TERMINATE_RECORD_TYPE) {
            return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "GIF: no frame");
        }
        if (type == EXTENSION_RECORD_TYPE && !read_extension(gif, transparent_out)) {
            return gif_fail(report, gif->Error);
        }
        if (type == IMAGE_DESC_RECORD_TYPE) {
            return DGifGetImageDesc(gif) == GIF_OK || gif_fail(report, gif->Error);
        }
    }
}

static bool check_frame(const GifFileType *gif, struct dic_image_report *report)
{
    const GifImageDesc *frame = &gif->Image;
    if (frame->Width <= 0 || frame->Height <= 0) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "GIF: frame of %d x %d pixels",
                              frame->Width, frame->Height);
    }
    if (frame->Left + frame->Width > gif->SWidth || frame->Top + frame->Height > gif->SHeight) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE,
                              "GIF: frame %dx%d+%d+%d outside its canvas of %d x %d", frame->Width,
                              frame->Height, frame->Left, frame->Top, gif->SWidth, gif->SHeight);
    }
    return true;
}

/* RGBX of every index; transparent, and beyond the palette (as browsers do), is white. */
static bool build_palette(const GifFileType *gif, int transparent, uint8_t palette[256][4],
                          struct dic_image_report *report)
{
    const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
    if (map == NULL) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "GIF: no palette");
    }
    memset(palette, 255, 256 * 4);
    for (int i = 0; i < map->ColorCount && i < 256; i++) {
        if (i != transparent) {
            palette[i][0] = map->Colors[i].Red;
            palette[i][1] = map->Colors[i].Green;
            palette[i][2] = map->Colors[i].Blue;
        }
    }
    return true;
}

/* All rows of the frame, a byte a pixel, in the order they are shown. */
static bool read_frame(GifFileType *gif, uint8_t *indices, struct dic_image_report *report)
{
    static const struct {
        int first;
        int step;
    } passes[] = {{0, 1}, {0, 8}, {4, 8}, {2, 4}, {1, 2}}; /* not interlaced; GIF89a appendix E */
    const int from_pass = gif->Image.Interlace ? 1 : 0;
    const int to_pass = gif->Image.Interlace ? 5 : 1;
    for (int pass = from_pass; pass < to_pass; pass++) {
        for (int y = passes[pass].first; y < gif->Image.Height; y += passes[pass].step) {
            uint8_t *row = indices + (size_t)y * (size_t)gif->Image.Width;
            if (DGifGetLine(gif, row, gif->Image.Width) == GIF_ERROR) {
                return gif_fail(report, gif->Error);
            }
        }
    }
    return true;
}

static void push_canvas(struct dic_image_sink *sink, const GifFileType *gif, const uint8_t *indices,
                        uint8_t palette[256][4])
{
    const GifImageDesc *frame = &gif->Image;
    const size_t row_bytes = (size_t)4 * (size_t)gif->SWidth;
    DIC_CLEANUP(dic_free_cleanup) uint8_t *row = dic_calloc(1, row_bytes);
    for (int y = 0; y < gif->SHeight; y++) {
        memset(row, 255, row_bytes);
        if (y >= frame->Top && y < frame->Top + frame->Height) {
            const uint8_t *from = indices + (size_t)(y - frame->Top) * (size_t)frame->Width;
            uint8_t *to = row + (size_t)4 * (size_t)frame->Left;
            for (size_t x = 0; x < (size_t)frame->Width; x++) {
                memcpy(to + 4 * x, palette[from[x]], 4);
            }
        }
        dic_image_sink_push(sink, row);
    }
}

/* giflib reports these itself, but in its own words and after allocating. */
static bool check_screen(const uint8_t *bytes, size_t len, struct dic_image_report *report)
{
    const size_t screen = 6; /* after "GIF89a" */
    if (len < screen + 7) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "GIF: data ends in the header");
    }
    return dic_image_check_size((uint64_t)bytes[screen] | (uint64_t)bytes[screen + 1] << 8,
                                (uint64_t)bytes[screen + 2] | (uint64_t)bytes[screen + 3] << 8,
                                report);
}

bool dic_gif_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                    struct dic_image_report *report)
{
    if (!check_screen(bytes, len, report)) {
        return false;
    }
    struct cursor cursor = {bytes, len, 0};
    int code = 0;
    DIC_CLEANUP(close_gif) GifFileType *gif = DGifOpen(&cursor, read_bytes, &code);
    if (gif == NULL) {
        return gif_fail(report, code);
    }
    int transparent = NO_TRANSPARENT_COLOR;
    uint8_t palette[256][4];
    if (!find_frame(gif, &transparent, report) || !check_frame(gif, report) ||
        !build_palette(gif, transparent, palette, report)) {
        return false;
    }
    const size_t width = (size_t)gif->Image.Width;
    DIC_CLEANUP(dic_free_cleanup)
    uint8_t *indices = dic_calloc((size_t)gif->Image.Height, width);
    if (!read_frame(gif, indices, report)) {
        return false;
    }
    const struct dic_stored_picture picture = {
        report->width, report->height, report->width, report->height, 1,
    };
    dic_image_sink_start(sink, &picture);
    push_canvas(sink, gif, indices, palette);
    return true;
}
