/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures are encoded by libjpeg; their headers are damaged here. */
#include "picture.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

enum { SIDE = 64, FILE_BYTES = 1 << 20, APP1 = JPEG_APP0 + 1 };

enum colours { GREY, YCC, PLAIN_RGB, CMYK, YCCK, TWO_CHANNELS };
enum order { BASELINE, PROGRESSIVE, SEPARATE }; /* SEPARATE: a scan for each component */

struct form {
    enum colours colours;
    enum order order;
    bool arithmetic;
    bool adobe; /* CMYK: the marker that says that it is stored inverted */
    uint32_t orientation;
};

static struct dic_buf file;
static struct dic_picture picture;

static int set_up(void **state)
{
    (void)state;
    dic_buf_init(&file, FILE_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&file);
    return 0;
}

/* Smooth, so that coding changes little: what is compared is colour and place. */
static uint32_t colour_at(uint32_t x, uint32_t y)
{
    return (40 + x * 2) << 16 | (220 - y * 2) << 8 | (60 + x + y);
}

static void fill_row(const struct form *form, uint32_t y, JSAMPLE *row)
{
    for (uint32_t x = 0; x < SIDE; x++) {
        uint32_t rgb = colour_at(x, y);
        uint8_t red = (uint8_t)(rgb >> 16);
        uint8_t green = (uint8_t)(rgb >> 8);
        uint8_t blue = (uint8_t)rgb;
        if (form->colours == GREY || form->colours == TWO_CHANNELS) {
            *row++ = green;
            if (form->colours == TWO_CHANNELS) {
                *row++ = 0;
            }
        } else if (form->colours == YCC || form->colours == PLAIN_RGB) {
            *row++ = red;
            *row++ = green;
            *row++ = blue;
        } else { /* ink without black; Adobe stores what is not there */
            uint8_t flip = form->adobe ? 0 : 255;
            *row++ = red ^ flip;
            *row++ = green ^ flip;
            *row++ = blue ^ flip;
            *row++ = 255 ^ flip;
        }
    }
}

static void set_colours(struct jpeg_compress_struct *cinfo, const struct form *form)
{
    static const struct {
        int components;
        J_COLOR_SPACE in;
        J_COLOR_SPACE stored;
    } spaces[] = {
        [GREY] = {1, JCS_GRAYSCALE, JCS_GRAYSCALE}, [YCC] = {3, JCS_RGB, JCS_YCbCr},
        [PLAIN_RGB] = {3, JCS_RGB, JCS_RGB},        [CMYK] = {4, JCS_CMYK, JCS_CMYK},
        [YCCK] = {4, JCS_CMYK, JCS_YCCK},           [TWO_CHANNELS] = {2, JCS_UNKNOWN, JCS_UNKNOWN},
    };
    cinfo->input_components = spaces[form->colours].components;
    cinfo->in_color_space = spaces[form->colours].in;
    jpeg_set_defaults(cinfo);
    jpeg_set_colorspace(cinfo, spaces[form->colours].stored);
    jpeg_set_quality(cinfo, 95, TRUE);
    cinfo->write_Adobe_marker = form->adobe || form->colours == PLAIN_RGB || form->colours == YCCK;
    for (int i = 0; i < cinfo->num_components; i++) {
        cinfo->comp_info[i].h_samp_factor = cinfo->comp_info[i].v_samp_factor = 1;
    }
}

static void put_orientation(struct jpeg_compress_struct *cinfo, uint32_t orientation)
{
    struct dic_buf exif;
    dic_buf_init(&exif, 100);
    dic_buf_append(&exif, "Exif\0\0", 6);
    dic_put_exif(&exif, orientation);
    jpeg_write_marker(cinfo, APP1, (const JOCTET *)exif.ptr, (unsigned)exif.len);
    dic_buf_clean_up(&exif);
}

static void encode(const struct form *form)
{
    static const jpeg_scan_info separate[3] = {
        {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long len = 0;
    JSAMPLE row[SIDE * 4];
    JSAMPROW rows[1] = {row};
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &bytes, &len);
    cinfo.image_width = SIDE;
    cinfo.image_height = SIDE;
    set_colours(&cinfo, form);
    cinfo.arith_code = form->arithmetic;
    if (form->order == PROGRESSIVE) {
        jpeg_simple_progression(&cinfo);
    } else if (form->order == SEPARATE) {
        cinfo.scan_info = separate;
        cinfo.num_scans = 3;
    }
    jpeg_start_compress(&cinfo, TRUE);
    if (form->orientation != 0) {
        put_orientation(&cinfo, form->orientation);
    }
    while (cinfo.next_scanline < cinfo.image_height) {
        fill_row(form, cinfo.next_scanline, row);
        jpeg_write_scanlines(&cinfo, rows, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    dic_buf_clear(&file);
    dic_buf_append(&file, bytes, len);
    free(bytes);
}

static enum dic_row_error decode(void)
{
    dic_picture_decode(&picture, dic_buf_view(&file), SIDE);
    return picture.report.error;
}

/* The first place of a marker; those of the frame are C0 (baseline), C2 (progressive), C9 … */
static size_t find_marker(uint8_t marker)
{
    for (size_t at = 2; at + 1 < file.len; at++) {
        if ((uint8_t)file.ptr[at] == 0xFF && (uint8_t)file.ptr[at + 1] == marker) {
            return at;
        }
    }
    fail();
    return 0;
}

static size_t frame_at(const struct form *form)
{
    static const uint8_t markers[2][3] = {{0xC0, 0xC2, 0xC0}, {0xC9, 0xCA, 0xC9}};
    return find_marker(markers[form->arithmetic ? 1 : 0][form->order]);
}

static const struct form forms[] = {
    {.colours = GREY},
    {.colours = YCC},
    {.colours = YCC, .order = PROGRESSIVE},
    {.colours = YCC, .order = SEPARATE},
    {.colours = PLAIN_RGB},
    {.colours = CMYK},
    {.colours = CMYK, .adobe = true},
    {.colours = YCCK, .adobe = true},
    {.colours = GREY, .order = PROGRESSIVE},
    {.colours = YCC, .arithmetic = true},
    {.colours = YCC, .arithmetic = true, .order = PROGRESSIVE},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

static void every_colour_space_and_order_gives_the_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        encode(&forms[i]);
        assert_int_equal(decode(), DIC_ROW_OK);
        assert_false(picture.report.partial);
        assert_string_equal(picture.report.format, "jpeg");
        for (uint32_t p = 0; p < SIDE * SIDE; p++) {
            uint32_t wanted = colour_at(p % SIDE, p / SIDE);
            if (forms[i].colours == GREY) {
                wanted = (wanted >> 8 & 255) * 0x010101;
            }
            uint32_t got = dic_picture_pixel(&picture, p % SIDE, p / SIDE);
            if (dic_picture_difference(wanted, got) > 8) {
                print_error("form %zu, pixel %u: %06x, not %06x\n", i, p, got, wanted);
                fail();
            }
        }
    }
}

static void a_picture_is_turned_as_its_exif_segment_says(void **state)
{
    (void)state;
    const uint32_t last = SIDE - 1;
    for (uint32_t orientation = 1; orientation <= 8; orientation++) {
        const struct form form = {.colours = YCC, .orientation = orientation};
        encode(&form);
        assert_int_equal(decode(), DIC_ROW_OK);
        const uint32_t x = 9;
        const uint32_t y = 50;
        const uint32_t seen[9][2] = {
            {0},    {x, y},        {last - x, y},        {last - x, last - y}, {x, last - y},
            {y, x}, {last - y, x}, {last - y, last - x}, {y, last - x},
        };
        uint32_t got = dic_picture_pixel(&picture, seen[orientation][0], seen[orientation][1]);
        assert_true(dic_picture_difference(got, colour_at(x, y)) <= 8);
    }
}

/* Decoded at half and at a quarter of its size, where that still covers what is wanted. */
static void a_large_picture_is_decoded_small(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC};
    encode(&form);
    for (uint32_t side = SIDE / 8; side <= SIDE; side += 7) {
        dic_picture_decode(&picture, dic_buf_view(&file), side);
        assert_int_equal(picture.report.error, DIC_ROW_OK);
        assert_int_equal(picture.report.width, SIDE);
        for (uint32_t y = 1; y + 1 < side; y++) {
            uint32_t at = (y * 2 + 1) * SIDE / (side * 2);
            uint32_t got = dic_picture_pixel(&picture, y, y);
            assert_true(dic_picture_difference(got, colour_at(at, at)) <= 20);
        }
    }
}

/* ---- damage ---- */

static void a_truncation_leaves_a_partial_picture_or_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        encode(&forms[i]);
        size_t len = file.len - 2; /* without its end marker it is partial already */
        bool partial_before = false;
        for (size_t cut = 2; cut < len; cut += cut < 700 ? 1 : 13) {
            dic_picture_decode(&picture, dic_str_len(file.ptr, cut), SIDE);
            bool partial = picture.report.error == DIC_ROW_OK;
            if (partial) {
                assert_true(picture.report.partial);
            } else {
                assert_int_equal(picture.report.error, DIC_ROW_CORRUPT_IMAGE);
                assert_true(picture.report.message[0] != '\0');
                /* More bytes are never worse, but for a cut within the header of a later scan. */
                assert_true(!partial_before || forms[i].order == PROGRESSIVE);
            }
            partial_before = partial;
        }
        assert_true(partial_before);
    }
}

static void of_a_partial_picture_the_upper_half_is_there(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC};
    encode(&form);
    size_t scan = find_marker(0xDA);
    size_t cut = scan + (file.len - scan) * 3 / 4;
    dic_picture_decode(&picture, dic_str_len(file.ptr, cut), SIDE);
    assert_int_equal(picture.report.error, DIC_ROW_OK);
    assert_true(picture.report.partial);
    for (uint32_t y = 0; y < SIDE / 2; y++) {
        uint32_t got = dic_picture_pixel(&picture, 20, y);
        assert_true(dic_picture_difference(got, colour_at(20, y)) <= 8);
    }
}

static void damage_behind_the_last_row_is_partial(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC};
    encode(&form);
    dic_buf_append(&file, "\xFF\xD9", 2);
    assert_int_equal(decode(), DIC_ROW_OK); /* a second end is of no interest */
    file.len -= 4;                          /* no end at all */
    assert_int_equal(decode(), DIC_ROW_OK);
    assert_true(picture.report.partial);
    dic_buf_append(&file, "\xFF\xC4\0\x02", 4); /* a table that cannot be, in its place */
    assert_int_equal(decode(), DIC_ROW_OK);
    assert_true(picture.report.partial);
    assert_string_equal(picture.report.message, "");
}

static void one_wrong_byte_is_never_a_crash(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        encode(&forms[i]);
        for (size_t at = 2; at < file.len; at += at < 700 ? 1 : 13) {
            file.ptr[at] = (char)~file.ptr[at];
            assert_true(decode() < DIC_ROW_ERROR_COUNT);
            file.ptr[at] = (char)~file.ptr[at];
        }
    }
}

static void kinds_that_are_not_read_are_unsupported(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC};
    encode(&form);
    size_t frame = frame_at(&form);
    static const uint8_t markers[] = {0xC3, 0xC5, 0xC7, 0xCD, 0xCF}; /* lossless, differential */
    for (size_t i = 0; i < sizeof markers; i++) {
        file.ptr[frame + 1] = (char)markers[i];
        assert_int_equal(decode(), DIC_ROW_UNSUPPORTED_FORMAT);
    }
    file.ptr[frame + 1] = (char)0xC1; /* extended sequential is read, */
    assert_int_equal(decode(), DIC_ROW_OK);
    file.ptr[frame + 4] = 12; /* but not with 12 bits a sample */
    assert_int_equal(decode(), DIC_ROW_UNSUPPORTED_FORMAT);
    const struct form two = {.colours = TWO_CHANNELS};
    encode(&two);
    assert_int_equal(decode(), DIC_ROW_UNSUPPORTED_FORMAT);
    assert_non_null(strstr(picture.report.message, "2 components of unknown meaning"));
}

static void a_file_with_headers_only_is_corrupt(void **state)
{
    (void)state;
    dic_buf_append(&file, "\xFF\xD8", 2);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    dic_buf_append(&file, "\xFF\xD9", 2);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    dic_buf_clear(&file);
    dic_buf_append_text(&file, "\xFF\xD8 and then a text that is no segment");
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

/* ---- limits ---- */

static void set_size(const struct form *form, uint32_t width, uint32_t height)
{
    size_t frame = frame_at(form);
    file.ptr[frame + 5] = (char)(height >> 8);
    file.ptr[frame + 6] = (char)height;
    file.ptr[frame + 7] = (char)(width >> 8);
    file.ptr[frame + 8] = (char)width;
}

static void fill_up(size_t len)
{
    while (file.len < len) {
        dic_buf_append(&file, "no pixels", 9);
    }
}

static void sizes_are_checked_before_memory_is_taken(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC};
    encode(&form);
    set_size(&form, DIC_MAX_IMAGE_SIDE + 1, 1);
    assert_int_equal(decode(), DIC_ROW_TOO_LARGE);
    set_size(&form, 8001, 8000);
    assert_int_equal(decode(), DIC_ROW_TOO_LARGE);
    set_size(&form, 8000, 8000); /* allowed, but not with so few bytes */
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    assert_non_null(strstr(picture.report.message, "cannot hold 8000 x 8000 pixels"));
    set_size(&form, 0, 5);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

static void a_picture_that_must_be_kept_whole_has_a_limit_of_memory(void **state)
{
    (void)state;
    const struct form form = {.colours = YCC, .order = PROGRESSIVE};
    encode(&form);
    set_size(&form, 8000, 8000);
    fill_up(200000); /* bits for half of its blocks */
    assert_int_equal(decode(), DIC_ROW_TOO_LARGE);
    assert_non_null(strstr(picture.report.message, "takes"));
}

/* The last scan of a progressive picture again and again. */
static void more_scans_than_allowed_are_too_many(void **state)
{
    (void)state;
    const struct form form = {.colours = GREY, .order = PROGRESSIVE};
    encode(&form);
    size_t last = 0;
    int scans = 0;
    for (size_t at = 2; at + 1 < file.len; at++) {
        if ((uint8_t)file.ptr[at] == 0xFF && (uint8_t)file.ptr[at + 1] == 0xDA) {
            last = at;
            scans++;
        }
    }
    size_t scan_len = file.len - 2 - last;
    char *scan = malloc(scan_len);
    assert_non_null(scan);
    memcpy(scan, file.ptr + last, scan_len);
    for (int wanted = DIC_MAX_JPEG_SCANS - 1; wanted <= DIC_MAX_JPEG_SCANS + 1; wanted++) {
        for (; scans < wanted; scans++) {
            file.len -= 2;
            dic_buf_append(&file, scan, scan_len);
            dic_buf_append(&file, "\xFF\xD9", 2);
        }
        assert_int_equal(decode(), wanted <= DIC_MAX_JPEG_SCANS ? DIC_ROW_OK : DIC_ROW_TOO_LARGE);
    }
    assert_non_null(strstr(picture.report.message, "more than 100 scans"));
    free(scan);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_colour_space_and_order_gives_the_picture),
        CASE(a_picture_is_turned_as_its_exif_segment_says),
        CASE(a_large_picture_is_decoded_small),
        CASE(a_truncation_leaves_a_partial_picture_or_none),
        CASE(of_a_partial_picture_the_upper_half_is_there),
        CASE(damage_behind_the_last_row_is_partial),
        CASE(one_wrong_byte_is_never_a_crash),
        CASE(kinds_that_are_not_read_are_unsupported),
        CASE(a_file_with_headers_only_is_corrupt),
        CASE(sizes_are_checked_before_memory_is_taken),
        CASE(a_picture_that_must_be_kept_whole_has_a_limit_of_memory),
        CASE(more_scans_than_allowed_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
