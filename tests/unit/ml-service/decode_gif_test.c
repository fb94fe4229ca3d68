/* SPDX-License-Identifier: Apache-2.0 */
/* With a small GIF writer of its own: codes are written uncompressed, as the format allows. */
#include "picture.h"
#include "test.h"

enum { SIDE = 9, CODE_BITS = 3, CLEAR = 4, END = 5, FILE_BYTES = 10000 };

struct form {
    uint32_t left;
    uint32_t top;
    uint32_t width;
    uint32_t height;
    bool interlaced;
    bool local; /* the palette belongs to the frame */
    bool no_palette;
    int transparent; /* −1: none */
};

static const struct form plain = {.width = SIDE, .height = SIDE, .transparent = -1};

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

static const char palette[] = "\x10\x20\x30\xFF\x00\x80\x00\xC0\x40\x7F\x7F\xFE";

static uint32_t colour(uint32_t index)
{
    const uint8_t *rgb = (const uint8_t *)palette + 3 * (size_t)index;
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

static uint32_t index_at(uint32_t x, uint32_t y)
{
    return (x * 5 + y * 3 + x * y) % 4;
}

struct bits {
    uint8_t block[256];
    size_t len;
    uint32_t pending;
    uint32_t count;
};

static void flush_block(struct bits *bits)
{
    dic_buf_append_byte(&file, (char)bits->len);
    dic_buf_append(&file, bits->block, bits->len);
    bits->len = 0;
}

static void put_code(struct bits *bits, uint32_t code)
{
    bits->pending |= code << bits->count;
    bits->count += CODE_BITS;
    while (bits->count >= 8) {
        bits->block[bits->len++] = (uint8_t)bits->pending;
        bits->pending >>= 8;
        bits->count -= 8;
        if (bits->len == 20) {
            flush_block(bits);
        }
    }
}

/* A clear code before every second pixel keeps the code size at three bits. */
static void put_pixel(struct bits *bits, uint32_t index, size_t number)
{
    if (number % 2 == 0) {
        put_code(bits, CLEAR);
    }
    put_code(bits, index);
}

static void put_data(const struct form *form)
{
    static const uint32_t passes[5][2] = {{0, 1}, {0, 8}, {4, 8}, {2, 4}, {1, 2}};
    struct bits bits = {.len = 0};
    size_t number = 0;
    dic_buf_append_byte(&file, 2); /* the smallest code size */
    for (int pass = form->interlaced ? 1 : 0; pass < (form->interlaced ? 5 : 1); pass++) {
        for (uint32_t y = passes[pass][0]; y < form->height; y += passes[pass][1]) {
            for (uint32_t x = 0; x < form->width; x++) {
                put_pixel(&bits, index_at(x, y), number++);
            }
        }
    }
    put_code(&bits, END);
    put_code(&bits, 0); /* fills the last byte */
    put_code(&bits, 0);
    flush_block(&bits);
    dic_buf_append_byte(&file, 0);
}

static void put_screen(uint32_t width, uint32_t height, bool with_palette)
{
    dic_buf_clear(&file);
    dic_buf_append_text(&file, "GIF89a");
    dic_put_u16_le(&file, width);
    dic_put_u16_le(&file, height);
    dic_buf_append_byte(&file, with_palette ? (char)0x81 : 0); /* four colours */
    dic_buf_append(&file, "\0\0", 2);
    if (with_palette) {
        dic_buf_append(&file, palette, 12);
    }
}

static void put_frame(const struct form *form)
{
    if (form->transparent >= 0) {
        dic_buf_append(&file, "\x21\xF9\x04\x01\0\0", 6);
        dic_buf_append_byte(&file, (char)form->transparent);
        dic_buf_append_byte(&file, 0);
    }
    dic_buf_append_byte(&file, ',');
    dic_put_u16_le(&file, form->left);
    dic_put_u16_le(&file, form->top);
    dic_put_u16_le(&file, form->width);
    dic_put_u16_le(&file, form->height);
    dic_buf_append_byte(&file, (char)((form->interlaced ? 0x40 : 0) | (form->local ? 0x81 : 0)));
    if (form->local) {
        dic_buf_append(&file, palette, 12);
    }
    put_data(form);
}

static void write_form(const struct form *form)
{
    put_screen(SIDE, SIDE, !form->local && !form->no_palette);
    put_frame(form);
    dic_buf_append_byte(&file, ';');
}

static enum dic_row_error decode(void)
{
    dic_picture_decode(&picture, dic_buf_view(&file), SIDE);
    return picture.report.error;
}

static void assert_shows(const struct form *form)
{
    assert_int_equal(decode(), DIC_ROW_OK);
    assert_string_equal(picture.report.format, "gif");
    for (uint32_t p = 0; p < SIDE * SIDE; p++) {
        uint32_t x = p % SIDE;
        uint32_t y = p / SIDE;
        bool inside = x >= form->left && x < form->left + form->width && y >= form->top &&
                      y < form->top + form->height;
        uint32_t index = inside ? index_at(x - form->left, y - form->top) : 0;
        bool white = !inside || (int)index == form->transparent;
        assert_int_equal(dic_picture_pixel(&picture, x, y), white ? 0xFFFFFF : colour(index));
    }
}

static void a_frame_is_shown_on_a_white_canvas(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {.width = SIDE, .height = SIDE, .transparent = -1},
        {.width = SIDE, .height = SIDE, .transparent = 2},
        {.width = SIDE, .height = SIDE, .interlaced = true, .transparent = -1},
        {.width = SIDE, .height = SIDE, .local = true, .transparent = 0},
        {.left = 2, .top = 3, .width = 4, .height = 5, .transparent = -1},
        {.left = 8, .top = 8, .width = 1, .height = 1, .transparent = 1},
        {.left = 1, .width = 8, .height = 9, .interlaced = true, .local = true, .transparent = 3},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        write_form(&forms[i]);
        assert_shows(&forms[i]);
    }
}

static void only_the_first_frame_counts(void **state)
{
    (void)state;
    const struct form second = {.width = 2, .height = 2, .transparent = -1};
    put_screen(SIDE, SIDE, true);
    dic_buf_append(&file, "\x21\xFE\x05hello\0", 9);                    /* a comment, */
    dic_buf_append(&file, "\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19); /* an endless loop */
    put_frame(&plain);
    put_frame(&second);
    assert_shows(&plain); /* and no end either */
    dic_buf_append_text(&file, ",garbage");
    assert_shows(&plain);
}

static void every_truncation_before_the_last_row_is_corrupt(void **state)
{
    (void)state;
    const struct form form = {.width = SIDE, .height = SIDE, .transparent = 1};
    write_form(&form);
    size_t len =
        file.len - 4; /* the end code, the last block's end and the trailer may be missing */
    for (size_t cut = 6; cut < len; cut++) {
        dic_picture_decode(&picture, dic_str_len(file.ptr, cut), SIDE);
        if (picture.report.error != DIC_ROW_CORRUPT_IMAGE) {
            print_error("%zu of %zu\n", cut, file.len);
            fail();
        }
    }
}

static void a_file_without_a_frame_is_corrupt(void **state)
{
    (void)state;
    put_screen(SIDE, SIDE, true);
    dic_buf_append_byte(&file, ';');
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    assert_string_equal(picture.report.message, "GIF: no frame");
    put_screen(SIDE, SIDE, true);
    dic_buf_append_text(&file, "what is this");
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

static void a_frame_that_cannot_be_is_corrupt(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {.left = 1, .width = SIDE, .height = SIDE, .transparent = -1},
        {.top = 1, .width = SIDE, .height = SIDE, .transparent = -1},
        {.left = 65535, .top = 65535, .width = 65535, .height = 1, .transparent = -1},
        {.width = 0, .height = SIDE, .transparent = -1},
        {.width = SIDE, .height = 0, .transparent = -1},
        {.width = SIDE, .height = SIDE, .no_palette = true, .transparent = -1},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct form *form = &forms[i];
        put_screen(SIDE, SIDE, !form->no_palette);
        dic_buf_append_byte(&file, ',');
        dic_put_u16_le(&file, form->left);
        dic_put_u16_le(&file, form->top);
        dic_put_u16_le(&file, form->width);
        dic_put_u16_le(&file, form->height);
        dic_buf_append_byte(&file, 0);
        put_data(&plain);
        assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
        assert_non_null(strstr(picture.report.message, "GIF: "));
    }
}

static void damaged_codes_are_corrupt_or_a_picture_but_no_crash(void **state)
{
    (void)state;
    write_form(&plain);
    for (size_t at = 6; at < file.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            file.ptr[at] = (char)(file.ptr[at] ^ 1 << bit);
            enum dic_row_error error = decode();
            assert_true(error == DIC_ROW_OK || error == DIC_ROW_CORRUPT_IMAGE ||
                        error == DIC_ROW_TOO_LARGE);
            file.ptr[at] = (char)(file.ptr[at] ^ 1 << bit);
        }
    }
}

static void a_canvas_over_the_limits_is_too_large(void **state)
{
    (void)state;
    put_screen(DIC_MAX_IMAGE_SIDE + 1, 1, true);
    assert_int_equal(decode(), DIC_ROW_TOO_LARGE);
    put_screen(0, 1, true);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_is_shown_on_a_white_canvas),
        CASE(only_the_first_frame_counts),
        CASE(every_truncation_before_the_last_row_is_corrupt),
        CASE(a_file_without_a_frame_is_corrupt),
        CASE(a_frame_that_cannot_be_is_corrupt),
        CASE(damaged_codes_are_corrupt_or_a_picture_but_no_crash),
        CASE(a_canvas_over_the_limits_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
