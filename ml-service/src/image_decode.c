/* SPDX-License-Identifier: Apache-2.0 */
#include "image_decode.h"

#include "image_sink.h"
#include "job/limits.h"

#include <stdio.h>
#include <string.h>

/* What the first bytes of a file say it is. */
struct format {
    size_t at;
    const char *magic;
    size_t magic_len;
    const char *name; /* as in the report; NULL: not for us */
    dic_image_decoder decode;
    const char *seen; /* for people */
};

#define MAGIC(at, text) (at), (text), sizeof(text) - 1

/* The first that matches counts. JPEG and PNG match on a part of their magic: a file that begins
 * like one but goes on otherwise is a damaged one. */
static const struct format formats[] = {
    {MAGIC(0, "\xFF\xD8"), "jpeg", dic_jpeg_decode, "JPEG"},
    {MAGIC(0, "\x89PNG"), "png", dic_png_decode, "PNG"},
    {MAGIC(8, "WEBP"), "webp", dic_webp_decode, "WebP"},
    {MAGIC(0, "GIF87a"), "gif", dic_gif_decode, "GIF"},
    {MAGIC(0, "GIF89a"), "gif", dic_gif_decode, "GIF"},
    {MAGIC(0, "BM"), "bmp", dic_bmp_decode, "BMP"},
    {MAGIC(0, "II*\0"), NULL, NULL, "a TIFF picture"},
    {MAGIC(0, "MM\0*"), NULL, NULL, "a TIFF picture"},
    {MAGIC(4, "ftypavif"), NULL, NULL, "an AVIF picture"},
    {MAGIC(4, "ftyphei"), NULL, NULL, "a HEIC picture"},
    {MAGIC(4, "ftypmif1"), NULL, NULL, "a HEIF picture"},
    {MAGIC(4, "ftyp"), NULL, NULL, "an MP4 or QuickTime file"},
    {MAGIC(0, "\0\0\0\x0CJXL "), NULL, NULL, "a JPEG XL picture"},
    {MAGIC(0, "\xFF\x0A"), NULL, NULL, "a JPEG XL picture"},
    {MAGIC(0, "\0\0\0\x0CjP  "), NULL, NULL, "a JPEG 2000 picture"},
    {MAGIC(0, "\xFF\x4F\xFF\x51"), NULL, NULL, "a JPEG 2000 picture"},
    {MAGIC(0, "\0\0\1\0"), NULL, NULL, "a Windows icon"},
    {MAGIC(0, "8BPS"), NULL, NULL, "a Photoshop file"},
    {MAGIC(0, "\x8AMNG"), NULL, NULL, "an MNG animation"},
    {MAGIC(0, "%PDF"), NULL, NULL, "a PDF document"},
    {MAGIC(0, "PK\3\4"), NULL, NULL, "a ZIP archive"},
    {MAGIC(0, "\x1F\x8B"), NULL, NULL, "gzip data"},
    {MAGIC(0, "<"), NULL, NULL, "XML, SVG or HTML"},
    {MAGIC(0, "{"), NULL, NULL, "JSON"},
};

static const struct format *recognise(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        const struct format *format = &formats[i];
        if (len >= format->at + format->magic_len &&
            memcmp(bytes + format->at, format->magic, format->magic_len) == 0) {
            return format;
        }
    }
    return NULL;
}

static void fail_unsupported(const struct format *format, const uint8_t *bytes, size_t len,
                             struct dic_image_report *report)
{
    if (format != NULL) {
        dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT,
                       "%s, not a JPEG, PNG, WebP, GIF or BMP picture", format->seen);
        return;
    }
    char hex[3 * 8 + 1] = "";
    for (size_t i = 0; i < len && i < 8; i++) {
        snprintf(hex + 3 * i, sizeof(hex) - 3 * i, " %02x", bytes[i]);
    }
    dic_image_fail(report, DIC_ROW_UNSUPPORTED_FORMAT,
                   "not a JPEG, PNG, WebP, GIF or BMP picture: begins with%s", hex);
}

void dic_image_decode(const uint8_t *bytes, size_t len, const struct dic_tensor_spec *spec,
                      float *tensor_out, struct dic_image_report *report_out)
{
    memset(report_out, 0, sizeof(*report_out));
    if (len == 0) {
        dic_image_fail(report_out, DIC_ROW_EMPTY, "object of 0 bytes");
        return;
    }
    if (len > DIC_MAX_IMAGE_BYTES) {
        dic_image_fail(report_out, DIC_ROW_TOO_LARGE, "file of %zu bytes, limit %d", len,
                       DIC_MAX_IMAGE_BYTES);
        return;
    }
    const struct format *format = recognise(bytes, len);
    if (format == NULL || format->decode == NULL) {
        fail_unsupported(format, bytes, len, report_out);
        return;
    }
    snprintf(report_out->format, sizeof(report_out->format), "%s", format->name);
    DIC_CLEANUP(dic_image_sink_clean_up) struct dic_image_sink sink;
    dic_image_sink_init(&sink, spec, tensor_out);
    if (!format->decode(bytes, len, &sink, report_out) && report_out->error == DIC_ROW_OK) {
        dic_image_fail(report_out, DIC_ROW_CORRUPT_IMAGE, "unreadable %s", format->seen);
    }
}
