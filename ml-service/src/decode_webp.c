/* SPDX-License-Identifier: Apache-2.0 */
/* WebP through libwebp: still pictures, and the first frame of animations. */
#include "base/mem.h"
#include "exif.h"
#include "image_sink.h"

#include <inttypes.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t webp_orientation(const uint8_t *bytes, size_t len)
{
    size_t at = RIFF_HEADER;
    while (at < len && len - at > CHUNK_HEADER) {
        const size_t left = len - at - CHUNK_HEADER;
        const size_t size = read_u32(bytes + at + 4);
        if (size > left) {
            break;
        }
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            return dic_exif_orientation(bytes + at + CHUNK_HEADER, size);
        }
        at += CHUNK_HEADER + size + size % 2;
    }
    return DIC_UPRIGHT;
}

/* Where the picture's one frame lies on its canvas. */
struct frame {
    const uint8_t *bytes;
    size_t len;
    uint32_t x;
    uint32_t y;
    uint32_t width;
    uint32_t height;
};

static bool webp_fail(struct dic_image_report *report, VP8StatusCode status)
{
    static const char *const reasons[] = {
        [VP8_STATUS_OK] = "ok",
        [VP8_STATUS_OUT_OF_MEMORY] = "out of memory",
        [VP8_STATUS_INVALID_PARAM] = "invalid parameter",
        [VP8_STATUS_BITSTREAM_ERROR] = "damaged bitstream",
        [VP8_STATUS_UNSUPPORTED_FEATURE] = "unsupported feature",
        [VP8_STATUS_SUSPENDED] = "data ends early",
        [VP8_STATUS_USER_ABORT] = "stopped",
        [VP8_STATUS_NOT_ENOUGH_DATA] = "data ends early",
    };
    enum dic_row_error error = DIC_ROW_CORRUPT_IMAGE;
    if (status == VP8_STATUS_UNSUPPORTED_FEATURE) {
        error = DIC_ROW_UNSUPPORTED_FORMAT;
    } else if (status == VP8_STATUS_OUT_OF_MEMORY) {
        error = DIC_ROW_TOO_LARGE;
    }
    return dic_image_fail(report, error, "WebP: %s", reasons[status]);
}

static void free_demuxer(WebPDemuxer **demuxer)
{
    WebPDemuxDelete(*demuxer);
}

static void release_iterator(WebPIterator *iterator)
{
    WebPDemuxReleaseIterator(iterator);
}

/* The fragment points into the file, so it outlives the demuxer. */
static bool first_frame(const uint8_t *bytes, size_t len, struct frame *frame_out,
                        struct dic_image_report *report)
{
    const WebPData data = {bytes, len};
    DIC_CLEANUP(free_demuxer) WebPDemuxer *demuxer = WebPDemux(&data);
    if (demuxer == NULL) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: damaged animation");
    }
    DIC_CLEANUP(release_iterator) WebPIterator iterator = {0};
    if (!WebPDemuxGetFrame(demuxer, 1, &iterator) || !iterator.complete) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: animation without a frame");
    }
    *frame_out = (struct frame){
        iterator.fragment.bytes,     iterator.fragment.size,   (uint32_t)iterator.x_offset,
        (uint32_t)iterator.y_offset, (uint32_t)iterator.width, (uint32_t)iterator.height,
    };
    if ((uint64_t)frame_out->x + frame_out->width > report->width ||
        (uint64_t)frame_out->y + frame_out->height > report->height) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: frame outside its canvas");
    }
    return true;
}

/* 4 bytes a pixel for us; as many again inside the lossless decoder, one for an alpha plane. */
static uint64_t memory_needed(const WebPBitstreamFeatures *frame)
{
    const uint64_t pixels = (uint64_t)frame->width * (uint64_t)frame->height;
    const bool lossless = frame->format == 2;
    return pixels * (lossless ? 8 : frame->has_alpha ? 5 : 4);
}

/* libwebp 1.5.0 (Debian 13) says of a damaged alpha plane beside a lossy picture that memory was
 * lacking. There was enough: that was checked before. */
static VP8StatusCode true_status(VP8StatusCode status, const WebPBitstreamFeatures *frame)
{
    const bool lossy_with_alpha = frame->format == 1 && frame->has_alpha;
    return status == VP8_STATUS_OUT_OF_MEMORY && lossy_with_alpha ? VP8_STATUS_BITSTREAM_ERROR
                                                                  : status;
}

/* Decodes the frame into an RGBA buffer that the caller frees; NULL with a reason on failure. */
static uint8_t *decode_frame(const struct frame *frame, struct dic_image_report *report)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) {
        dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: library of another version");
        return NULL;
    }
    VP8StatusCode status = WebPGetFeatures(frame->bytes, frame->len, &config.input);
    if (status != VP8_STATUS_OK) {
        webp_fail(report, status);
        return NULL;
    }
    if ((uint32_t)config.input.width != frame->width ||
        (uint32_t)config.input.height != frame->height) {
        dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: sizes disagree");
        return NULL;
    }
    if (!dic_image_check_memory(memory_needed(&config.input), report)) {
        return NULL;
    }
    DIC_CLEANUP(dic_free_cleanup) uint8_t *pixels = dic_calloc(frame->height, 4 * frame->width);
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)(4 * frame->width);
    config.output.u.RGBA.size = (size_t)4 * frame->width * frame->height;
    status = true_status(WebPDecode(frame->bytes, frame->len, &config), &config.input);
    WebPFreeDecBuffer(&config.output);
    if (status != VP8_STATUS_OK) {
        webp_fail(report, status);
        return NULL;
    }
    uint8_t *result = pixels;
    pixels = NULL;
    return result;
}

static void push_canvas(struct dic_image_sink *sink, const struct dic_image_report *canvas,
                        const struct frame *frame, uint8_t *pixels)
{
    const size_t row_bytes = (size_t)4 * canvas->width;
    DIC_CLEANUP(dic_free_cleanup) uint8_t *row = dic_calloc(1, row_bytes);
    for (uint32_t y = 0; y < canvas->height; y++) {
        memset(row, 255, row_bytes);
        if (y >= frame->y && y - frame->y < frame->height) {
            uint8_t *from = pixels + (size_t)4 * frame->width * (y - frame->y);
            dic_row_over_white(from, frame->width);
            memcpy(row + (size_t)4 * frame->x, from, (size_t)4 * frame->width);
        }
        dic_image_sink_push(sink, row);
    }
}

bool dic_webp_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                     struct dic_image_report *report)
{
    WebPBitstreamFeatures features;
    const VP8StatusCode status = WebPGetFeatures(bytes, len, &features);
    if (status != VP8_STATUS_OK) {
        return webp_fail(report, status);
    }
    if (!dic_image_check_size((uint64_t)features.width, (uint64_t)features.height, report)) {
        return false;
    }
    const uint64_t riff_bytes = (uint64_t)read_u32(bytes + 4) + 8;
    if (riff_bytes > len) {
        return dic_image_fail(report, DIC_ROW_CORRUPT_IMAGE, "WebP: %zu bytes of %" PRIu64, len,
                              riff_bytes);
    }
    struct frame frame = {bytes, len, 0, 0, report->width, report->height};
    if (features.has_animation && !first_frame(bytes, len, &frame, report)) {
        return false;
    }
    DIC_CLEANUP(dic_free_cleanup) uint8_t *pixels = decode_frame(&frame, report);
    if (pixels == NULL) {
        return false;
    }
    const struct dic_stored_picture picture = {
        report->width, report->height, report->width, report->height, webp_orientation(bytes, len),
    };
    dic_image_sink_start(sink, &picture);
    push_canvas(sink, report, &frame, pixels);
    return true;
}
