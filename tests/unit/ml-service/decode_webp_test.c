/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures are encoded by libwebp; what is around them (RIFF, animations, Exif) is written here. */
#include "picture.h"
#include "test.h"

#include <webp/encode.h>

enum { SIDE = 16, FILE_BYTES = 100000, ANIMATED = 0x02, WITH_EXIF = 0x08, WITH_ALPHA = 0x10 };

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

/* Alpha is 255 in the left half, 64 in the right one. */
static uint32_t rgba_at(uint32_t x, uint32_t y)
{
    return (x * 16) << 24 | (y * 16) << 16 | ((x ^ y) * 8) << 8 | (x < SIDE / 2 ? 255 : 64);
}

static void fill(uint8_t *rgba, uint32_t width, uint32_t height)
{
    for (uint32_t i = 0; i < width * height; i++) {
        uint32_t value = rgba_at(i % width, i / width);
        for (int c = 0; c < 4; c++) {
            rgba[4 * i + (uint32_t)c] = (uint8_t)(value >> (24 - 8 * c));
        }
    }
}

/* A whole WebP file; the caller frees it with WebPFree. */
static struct dic_str encoded(uint32_t width, uint32_t height, bool lossless, bool alpha)
{
    static uint8_t rgba[SIDE * SIDE * 4];
    uint8_t *bytes = NULL;
    size_t len = 0;
    fill(rgba, width, height);
    for (size_t i = 0; !alpha && i < sizeof rgba; i += 4) {
        rgba[i + 3] = 255;
    }
    int stride = (int)(4 * width);
    len = lossless ? WebPEncodeLosslessRGBA(rgba, (int)width, (int)height, stride, &bytes)
                   : WebPEncodeRGBA(rgba, (int)width, (int)height, stride, 100, &bytes);
    assert_true(len > 0);
    return dic_str_len((const char *)bytes, len);
}

static void free_encoded(struct dic_str bytes)
{
    uint8_t *memory = NULL;
    memcpy(&memory, &bytes.ptr, sizeof memory);
    WebPFree(memory);
}

static void put_chunk(const char *name, struct dic_str payload)
{
    dic_buf_append_text(&file, name);
    dic_put_u32_le(&file, (uint32_t)payload.len);
    dic_buf_append_str(&file, payload);
    if (payload.len % 2 == 1) {
        dic_buf_append_byte(&file, 0);
    }
}

static void begin_file(uint32_t flags, uint32_t width, uint32_t height)
{
    struct dic_buf header;
    dic_buf_clear(&file);
    dic_buf_append_text(&file, "RIFF????WEBP");
    dic_buf_init(&header, 100);
    dic_put_u32_le(&header, flags);
    dic_put_u16_le(&header, width - 1); /* 24 bits each */
    dic_buf_append_byte(&header, 0);
    dic_put_u16_le(&header, height - 1);
    dic_buf_append_byte(&header, 0);
    put_chunk("VP8X", dic_buf_view(&header));
    dic_buf_clean_up(&header);
}

static void end_file(void)
{
    uint32_t len = (uint32_t)file.len - 8;
    for (int i = 0; i < 4; i++) {
        file.ptr[4 + i] = (char)(len >> 8 * i & 255);
    }
}

static void put_frame(uint32_t x, uint32_t y, uint32_t width, uint32_t height, struct dic_str webp)
{
    struct dic_buf frame;
    dic_buf_init(&frame, FILE_BYTES);
    dic_put_u16_le(&frame, x / 2);
    dic_buf_append_byte(&frame, 0);
    dic_put_u16_le(&frame, y / 2);
    dic_buf_append_byte(&frame, 0);
    dic_put_u16_le(&frame, width - 1);
    dic_buf_append_byte(&frame, 0);
    dic_put_u16_le(&frame, height - 1);
    dic_buf_append_byte(&frame, 0);
    dic_buf_append(&frame, "\x64\0\0\0", 4);            /* 100 ms */
    dic_buf_append_str(&frame, dic_str_skip(webp, 12)); /* its chunks without the RIFF header */
    put_chunk("ANMF", dic_buf_view(&frame));
    dic_buf_clean_up(&frame);
}

static enum dic_row_error decode(void)
{
    dic_picture_decode(&picture, dic_buf_view(&file), SIDE);
    return picture.report.error;
}

static uint32_t over_white(uint32_t rgba)
{
    uint32_t rgb = 0;
    for (int shift = 24; shift >= 8; shift -= 8) {
        uint32_t value = rgba >> shift & 255;
        uint32_t alpha = rgba & 255;
        rgb = rgb << 8 | (uint32_t)((value * alpha + 255 * (255 - alpha)) / 255.0 + 0.5);
    }
    return rgb;
}

static void still_pictures_are_shown_over_white(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        bool lossless = form & 1;
        bool alpha = form & 2;
        struct dic_str webp = encoded(SIDE, SIDE, lossless, alpha);
        dic_buf_clear(&file);
        dic_buf_append_str(&file, webp);
        free_encoded(webp);
        assert_int_equal(decode(), DIC_ROW_OK);
        assert_string_equal(picture.report.format, "webp");
        for (uint32_t p = 0; p < SIDE * SIDE; p++) {
            uint32_t rgba = rgba_at(p % SIDE, p / SIDE) | (alpha ? 0 : 255);
            uint32_t got = dic_picture_pixel(&picture, p % SIDE, p / SIDE);
            assert_true(dic_picture_difference(got, over_white(rgba)) <= (lossless ? 0 : 60));
        }
    }
}

static void of_an_animation_the_first_frame_is_shown_where_it_lies(void **state)
{
    (void)state;
    struct dic_str small = encoded(8, 6, true, true);
    begin_file(ANIMATED | WITH_ALPHA, SIDE, SIDE);
    put_chunk("ANIM", dic_str_len("\0\0\0\0\0\0", 6));
    put_frame(4, 2, 8, 6, small);
    put_frame(0, 0, 8, 6, small);
    end_file();
    free_encoded(small);
    assert_int_equal(decode(), DIC_ROW_OK);
    for (uint32_t p = 0; p < SIDE * SIDE; p++) {
        uint32_t x = p % SIDE;
        uint32_t y = p / SIDE;
        bool inside = x >= 4 && x < 12 && y >= 2 && y < 8;
        assert_int_equal(dic_picture_pixel(&picture, x, y),
                         inside ? over_white(rgba_at(x - 4, y - 2)) : 0xFFFFFF);
    }
}

static void an_animation_without_a_good_frame_is_corrupt(void **state)
{
    (void)state;
    struct dic_str small = encoded(8, 6, true, false);
    begin_file(ANIMATED, SIDE, SIDE);
    put_chunk("ANIM", dic_str_len("\0\0\0\0\0\0", 6));
    end_file();
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    static const uint32_t places[][4] = {{10, 2, 8, 6}, {4, 12, 8, 6}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        begin_file(ANIMATED, SIDE, SIDE);
        put_chunk("ANIM", dic_str_len("\0\0\0\0\0\0", 6));
        put_frame(places[i][0], places[i][1], places[i][2], places[i][3], small);
        end_file();
        assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
        assert_true(picture.report.message[0] != '\0');
    }
    free_encoded(small);
}

static void a_picture_is_turned_as_its_exif_chunk_says(void **state)
{
    (void)state;
    const uint32_t last = SIDE - 1;
    for (uint32_t orientation = 1; orientation <= 8; orientation++) {
        struct dic_str webp = encoded(SIDE, SIDE, true, false);
        struct dic_buf exif;
        dic_buf_init(&exif, 100);
        dic_put_exif(&exif, orientation);
        begin_file(WITH_EXIF, SIDE, SIDE);
        dic_buf_append_str(&file, dic_str_skip(webp, 12));
        put_chunk("odd ", dic_str("x")); /* an odd length, and a name nobody knows */
        put_chunk("EXIF", dic_buf_view(&exif));
        end_file();
        free_encoded(webp);
        dic_buf_clean_up(&exif);
        assert_int_equal(decode(), DIC_ROW_OK);
        const uint32_t x = 3;
        const uint32_t y = 5;
        const uint32_t seen[9][2] = {
            {0},    {x, y},        {last - x, y},        {last - x, last - y}, {x, last - y},
            {y, x}, {last - y, x}, {last - y, last - x}, {y, last - x},
        };
        assert_int_equal(dic_picture_pixel(&picture, seen[orientation][0], seen[orientation][1]),
                         over_white(rgba_at(x, y) | 255));
    }
}

static void every_truncation_is_corrupt(void **state)
{
    (void)state;
    for (int lossless = 0; lossless < 2; lossless++) {
        struct dic_str webp = encoded(SIDE, SIDE, lossless, true);
        for (size_t cut = 12; cut < webp.len; cut++) {
            dic_picture_decode(&picture, dic_str_len(webp.ptr, cut), SIDE);
            assert_int_equal(picture.report.error, DIC_ROW_CORRUPT_IMAGE);
            assert_true(picture.report.message[0] != '\0');
        }
        free_encoded(webp);
    }
}

static void one_wrong_bit_is_never_a_crash(void **state)
{
    (void)state;
    struct dic_str webp = encoded(SIDE, SIDE, true, true);
    dic_buf_append_str(&file, webp);
    free_encoded(webp);
    for (size_t at = 12; at < file.len; at++) {
        file.ptr[at] ^= 0x10;
        assert_true(decode() < DIC_ROW_ERROR_COUNT);
        file.ptr[at] ^= 0x10;
    }
}

static void a_picture_that_says_it_is_longer_is_corrupt(void **state)
{
    (void)state;
    struct dic_str webp = encoded(SIDE, SIDE, true, false);
    dic_buf_append_str(&file, webp);
    free_encoded(webp);
    dic_buf_append_text(&file, "what follows the picture is of no interest");
    assert_int_equal(decode(), DIC_ROW_OK);
    begin_file(0, SIDE, SIDE);
    end_file();
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE); /* only the header of one */
}

static void a_canvas_over_the_limits_is_too_large(void **state)
{
    (void)state;
    struct dic_str small = encoded(8, 6, true, false);
    begin_file(ANIMATED, DIC_MAX_IMAGE_SIDE + 1, 6);
    put_chunk("ANIM", dic_str_len("\0\0\0\0\0\0", 6));
    put_frame(0, 0, 8, 6, small);
    end_file();
    free_encoded(small);
    assert_int_equal(decode(), DIC_ROW_TOO_LARGE);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(still_pictures_are_shown_over_white),
        CASE(of_an_animation_the_first_frame_is_shown_where_it_lies),
        CASE(an_animation_without_a_good_frame_is_corrupt),
        CASE(a_picture_is_turned_as_its_exif_chunk_says),
        CASE(every_truncation_is_corrupt),
        CASE(one_wrong_bit_is_never_a_crash),
        CASE(a_picture_that_says_it_is_longer_is_corrupt),
        CASE(a_canvas_over_the_limits_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
