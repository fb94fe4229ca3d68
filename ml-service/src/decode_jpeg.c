/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG through libjpeg-turbo. Its errors leave through longjmp, and only within this file: the
 * functions below jpeg_run hold nothing that needs a clean-up.
 */
#include "base/mem.h"
#include "exif.h"
#include "image_sink.h"
#include "job/limits.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct jpeg_work {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const uint8_t *bytes;
    size_t len;
    struct dic_image_sink *sink;
    struct dic_image_report *report;
    uint8_t *row;      /* as libjpeg writes it: RGBX or CMYK */
    uint32_t row_from; /* column of its first pixel */
    bool all_rows;     /* nothing that happens now can change the tensor */
};

_Noreturn static void leave(struct jpeg_work *work)
{
    longjmp(work->escape, 1);
}

static enum dic_row_error row_error_of(int libjpeg_code)
{
    switch (libjpeg_code) {
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOTIMPL:
#if JPEG_LIB_VERSION < 70 /* not in the ABI of libjpeg 8, which Ubuntu has */
    case JERR_ARITH_NOTIMPL:
#endif
        return DIC_ROW_UNSUPPORTED_FORMAT;
    case JERR_IMAGE_TOO_BIG:
    case JERR_NO_BACKING_STORE:
    case JERR_OUT_OF_MEMORY:
        return DIC_ROW_TOO_LARGE;
    default:
        return DIC_ROW_CORRUPT_IMAGE;
    }
}

_Noreturn static void on_error(j_common_ptr common)
{
    struct jpeg_work *work = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    dic_image_fail(work->report, row_error_of(common->err->msg_code), "%s", text);
    leave(work);
}

/*
 * How many of the MCU rows are in hand when data turns out damaged. A later scan of a progressive
 * picture only refines rows that have all come; one of a sequential picture brings a component.
 */
static uint32_t complete_rows(const struct jpeg_decompress_struct *cinfo)
{
    const int scans_for_all =
        cinfo->progressive_mode || cinfo->comps_in_scan > 1 ? 1 : cinfo->num_components;
    if (cinfo->input_scan_number > scans_for_all) {
        return cinfo->total_iMCU_rows;
    }
    return cinfo->input_scan_number == scans_for_all ? cinfo->input_iMCU_row : 0;
}

static bool is_damage(int libjpeg_code)
{
    return libjpeg_code == JWRN_JPEG_EOF || libjpeg_code == JWRN_HIT_MARKER ||
           libjpeg_code == JWRN_HUFF_BAD_CODE || libjpeg_code == JWRN_ARITH_BAD_CODE ||
           libjpeg_code == JWRN_MUST_RESYNC;
}

/*
 * Warnings. libjpeg fills what is missing with grey; a picture whose upper half came through is
 * classified and marked partial, any other is corrupt (and left at once: a header that promises
 * millions of rows costs nothing).
 */
static void on_message(j_common_ptr common, int level)
{
    struct jpeg_work *work = common->client_data;
    if (level >= 0 || !is_damage(common->err->msg_code)) {
        return;
    }
    const uint32_t rows = complete_rows(&work->cinfo);
    const uint32_t total = work->cinfo.total_iMCU_rows;
    if (!work->report->partial && !work->all_rows && (total == 0 || rows < total - total / 2)) {
        dic_image_fail(work->report, DIC_ROW_CORRUPT_IMAGE,
                       "data ends or is damaged after %" PRIu32 " of %" PRIu32 " block rows", rows,
                       total);
        leave(work);
    }
    work->report->partial = true;
}

static void on_progress(j_common_ptr common)
{
    struct jpeg_work *work = common->client_data;
    if (work->cinfo.input_scan_number > DIC_MAX_JPEG_SCANS) {
        dic_image_fail(work->report, DIC_ROW_TOO_LARGE, "more than %d scans", DIC_MAX_JPEG_SCANS);
        leave(work);
    }
}

/*
 * Before anything as large as the picture is allocated. A Huffman-coded block takes a bit at the
 * very least, so a file with fewer than half of its blocks' bits can only fail later and dearer.
 */
static bool check_header(struct jpeg_work *work)
{
    struct jpeg_decompress_struct *cinfo = &work->cinfo;
    if (!dic_image_check_size(cinfo->image_width, cinfo->image_height, work->report)) {
        return false;
    }
    uint64_t blocks = 0;
    for (int i = 0; i < cinfo->num_components; i++) {
        const jpeg_component_info *component = &cinfo->comp_info[i];
        blocks += (uint64_t)component->width_in_blocks * component->height_in_blocks;
    }
    if (!cinfo->arith_code && (uint64_t)work->len * 8 < blocks / 2) {
        return dic_image_fail(work->report, DIC_ROW_CORRUPT_IMAGE,
                              "%zu bytes cannot hold %" PRIu32 " x %" PRIu32 " pixels", work->len,
                              work->report->width, work->report->height);
    }
    return !jpeg_has_multiple_scans(cinfo) ||
           dic_image_check_memory(blocks * DCTSIZE2 * sizeof(JCOEF), work->report);
}

/* Chooses the smallest power of two (see bench/decode_bench.c) that covers the short side. */
static int dct_scale(const struct jpeg_work *work)
{
    const uint32_t width = work->cinfo.image_width;
    const uint32_t height = work->cinfo.image_height;
    const uint32_t side = width < height ? width : height;
    const uint32_t wanted = dic_image_sink_short_side(work->sink);
    int scale = DCTSIZE;
    while (scale > 1 && (uint64_t)side * (uint32_t)(scale / 2) >= (uint64_t)wanted * DCTSIZE) {
        scale /= 2;
    }
    return scale;
}

static bool set_colours(struct jpeg_work *work)
{
    struct jpeg_decompress_struct *cinfo = &work->cinfo;
    switch (cinfo->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        cinfo->out_color_space = JCS_EXT_RGBX;
        return true;
    case JCS_CMYK:
    case JCS_YCCK:
        cinfo->out_color_space = JCS_CMYK;
        return true;
    default:
        return dic_image_fail(work->report, DIC_ROW_UNSUPPORTED_FORMAT,
                              "JPEG with %d components of unknown meaning", cinfo->num_components);
    }
}

/* Adobe's programs store CMYK inverted, and say who they are. */
static void cmyk_to_rgbx(uint8_t *row, size_t pixels, bool inverted)
{
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *pixel = row + 4 * i;
        const uint32_t black = inverted ? pixel[3] : 255U - pixel[3];
        for (size_t c = 0; c < 3; c++) {
            const uint32_t ink = inverted ? pixel[c] : 255U - pixel[c];
            pixel[c] = (uint8_t)((ink * black + 127) / 255);
        }
    }
}

static void start_sink(struct jpeg_work *work)
{
    const struct jpeg_decompress_struct *cinfo = &work->cinfo;
    const struct dic_stored_picture picture = {
        .width = cinfo->image_width,
        .height = cinfo->image_height,
        .decoded_width = cinfo->output_width,
        .decoded_height = cinfo->output_height,
        .orientation = dic_exif_jpeg_orientation(work->bytes, work->len),
    };
    dic_image_sink_start(work->sink, &picture);
}

/* Columns outside the crop are entropy-decoded only. */
static void crop_columns(struct jpeg_work *work)
{
    const struct dic_resize_taps *x = &work->sink->resizer.x;
    /* Upsampling at the cut lacks a neighbour, so a pixel more on either side keeps the result. */
    const uint32_t margin = 2;
    JDIMENSION from = x->need_from > margin ? x->need_from - margin : 0;
    JDIMENSION to = x->need_to + margin;
    to = to > work->cinfo.output_width ? work->cinfo.output_width : to;
    JDIMENSION width = to - from;
    jpeg_crop_scanline(&work->cinfo, &from, &width);
    work->row_from = from;
}

static void read_rows(struct jpeg_work *work)
{
    struct jpeg_decompress_struct *cinfo = &work->cinfo;
    struct dic_resizer *resizer = &work->sink->resizer;
    const bool cmyk = cinfo->out_color_space == JCS_CMYK;
    while (cinfo->output_scanline < cinfo->output_height) {
        jpeg_read_scanlines(cinfo, &work->row, 1);
        if (cmyk) {
            cmyk_to_rgbx(work->row, cinfo->output_width, cinfo->saw_Adobe_marker);
        }
        dic_resizer_push(resizer, work->row, work->row_from);
    }
    work->all_rows = true;
}

static bool read_picture(struct jpeg_work *work)
{
    struct jpeg_decompress_struct *cinfo = &work->cinfo;
    jpeg_mem_src(cinfo, work->bytes, work->len);
    jpeg_read_header(cinfo, TRUE);
    if (!check_header(work) || !set_colours(work)) {
        return false;
    }
    cinfo->scale_num = (unsigned)dct_scale(work);
    cinfo->scale_denom = DCTSIZE;
    cinfo->dct_method = JDCT_ISLOW;
    jpeg_calc_output_dimensions(cinfo);
    start_sink(work);
    work->row = dic_calloc(cinfo->output_width, 4);
    jpeg_start_decompress(cinfo);
    crop_columns(work);
    read_rows(work);
    jpeg_finish_decompress(cinfo);
    return true;
}

/* A function of its own, since locals that change between setjmp and longjmp are lost. */
static bool jpeg_run(struct jpeg_work *work)
{
    if (setjmp(work->escape) != 0) {
        if (!work->all_rows) {
            return false;
        }
        work->report->partial = true; /* damaged after the last row */
        work->report->error = DIC_ROW_OK;
        work->report->message[0] = '\0';
        return true;
    }
    jpeg_create_decompress(&work->cinfo);
    /* libjpeg never keeps to this for small objects, but it does for whole-picture arrays. */
    work->cinfo.mem->max_memory_to_use = DIC_MAX_DECODE_MEMORY;
    work->cinfo.client_data = work;
    work->progress.progress_monitor = on_progress;
    work->cinfo.progress = &work->progress;
    return read_picture(work);
}

static void clean_up(struct jpeg_work *work)
{
    jpeg_destroy_decompress(&work->cinfo);
    dic_free(work->row);
}

bool dic_jpeg_decode(const uint8_t *bytes, size_t len, struct dic_image_sink *sink,
                     struct dic_image_report *report)
{
    DIC_CLEANUP(clean_up) struct jpeg_work work = {0};
    work.bytes = bytes;
    work.len = len;
    work.sink = sink;
    work.report = report;
    work.cinfo.err = jpeg_std_error(&work.errors);
    work.cinfo.client_data = &work; /* an error may come from jpeg_create_decompress itself */
    work.errors.error_exit = on_error;
    work.errors.emit_message = on_message;
    return jpeg_run(&work);
}
