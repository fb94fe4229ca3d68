/* SPDX-License-Identifier: Apache-2.0 */
/* With a small PNG writer of its own: stored deflate blocks, every colour type, Adam7. */
#include "picture.h"
#include "test.h"

enum { SIDE = 9, GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6, FILE_BYTES = 200000 };

struct form {
    uint32_t type;
    uint32_t depth;
    bool interlaced;
    bool transparent; /* a tRNS chunk: of grey and RGB the colour 0, of a palette alpha 128 for 1 */
};

static struct dic_buf file;
static struct dic_buf data;
static struct dic_picture picture;

static int set_up(void **state)
{
    (void)state;
    dic_buf_init(&file, FILE_BYTES);
    dic_buf_init(&data, FILE_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&file);
    dic_buf_clean_up(&data);
    return 0;
}

/* ---- the writer ---- */

static uint32_t crc(const char *bytes, size_t len) /* PNG third edition, annex D */
{
    uint32_t sum = 0xFFFFFFFF;
    for (size_t i = 0; i < len; i++) {
        sum ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = (sum & 1) != 0 ? 0xEDB88320 ^ sum >> 1 : sum >> 1;
        }
    }
    return ~sum;
}

static void put_chunk(const char *type, const void *payload, size_t len)
{
    dic_put_u32_be(&file, (uint32_t)len);
    size_t start = file.len;
    dic_buf_append_text(&file, type);
    dic_buf_append(&file, payload, len);
    dic_put_u32_be(&file, crc(file.ptr + start, file.len - start));
}

static void put_ihdr(uint32_t width, uint32_t height, const struct form *form)
{
    struct dic_buf header;
    dic_buf_clear(&file);
    dic_buf_append(&file, "\x89PNG\r\n\x1A\n", 8);
    dic_buf_init(&header, 100);
    dic_put_u32_be(&header, width);
    dic_put_u32_be(&header, height);
    dic_buf_append_byte(&header, (char)form->depth);
    dic_buf_append_byte(&header, (char)form->type);
    dic_buf_append(&header, "\0\0", 2);
    dic_buf_append_byte(&header, form->interlaced ? 1 : 0);
    put_chunk("IHDR", header.ptr, header.len);
    dic_buf_clean_up(&header);
}

static uint32_t channels(uint32_t type)
{
    static const uint32_t counts[] = {
        [GREY] = 1, [RGB] = 3, [PALETTE] = 1, [GREY_ALPHA] = 2, [RGBA] = 4};
    return counts[type];
}

static uint32_t sample(const struct form *form, uint32_t x, uint32_t y, uint32_t channel)
{
    uint32_t value = ((y * SIDE + x) * 4 + channel) * 0x9E3779B1U;
    if (x == 1 && y == 1) {
        value = 0; /* one pixel of the transparent colour */
    }
    return value >> (32 - form->depth);
}

/* The pixels of one pass, as rows with filter 0. */
static void put_pass(const struct form *form, uint32_t x0, uint32_t y0, uint32_t dx, uint32_t dy)
{
    for (uint32_t y = y0; y < SIDE && x0 < SIDE; y += dy) {
        uint32_t byte = 0;
        uint32_t have = 0;
        dic_buf_append_byte(&data, 0);
        for (uint32_t x = x0; x < SIDE; x += dx) {
            for (uint32_t c = 0; c < channels(form->type); c++) {
                uint32_t value = sample(form, x, y, c);
                if (form->depth == 16) {
                    dic_buf_append_byte(&data, (char)(value >> 8));
                    dic_buf_append_byte(&data, (char)value);
                    continue;
                }
                byte = byte << form->depth | value;
                have += form->depth;
                if (have == 8) {
                    dic_buf_append_byte(&data, (char)byte);
                    byte = have = 0;
                }
            }
        }
        if (have > 0) {
            dic_buf_append_byte(&data, (char)(byte << (8 - have)));
        }
    }
}

/* zlib (RFC 1950) with stored blocks (RFC 1951, 3.2.4). */
static void put_idat(size_t piece)
{
    struct dic_buf zlib;
    uint32_t a = 1;
    uint32_t b = 0;
    dic_buf_init(&zlib, FILE_BYTES);
    dic_buf_append(&zlib, "\x78\x01\x01", 3);
    dic_put_u16_le(&zlib, (uint32_t)data.len);
    dic_put_u16_le(&zlib, ~(uint32_t)data.len);
    dic_buf_append_str(&zlib, dic_buf_view(&data));
    for (size_t i = 0; i < data.len; i++) {
        a = (a + (uint8_t)data.ptr[i]) % 65521;
        b = (b + a) % 65521;
    }
    dic_put_u32_be(&zlib, b << 16 | a);
    for (size_t at = 0; at < zlib.len; at += piece) {
        put_chunk("IDAT", zlib.ptr + at, zlib.len - at < piece ? zlib.len - at : piece);
    }
    dic_buf_clean_up(&zlib);
}

static void put_palette_chunks(const struct form *form)
{
    char entries[256 * 3];
    uint32_t count = 1U << form->depth;
    for (uint32_t i = 0; i < count; i++) {
        entries[3 * i] = (char)i;
        entries[3 * i + 1] = (char)(i * 2);
        entries[3 * i + 2] = (char)(255 - i);
    }
    put_chunk("PLTE", entries, (size_t)count * 3);
    if (form->transparent) {
        put_chunk("tRNS", "\xFF\x80", 2);
    }
}

/* before and behind are called between IHDR and IDAT, and behind IDAT; NULL: nothing. */
static void write_form(const struct form *form, void (*before)(void), void (*behind)(void))
{
    static const uint32_t passes[8][4] = {{0, 0, 1, 1}, {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8},
                                          {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    put_ihdr(SIDE, SIDE, form);
    if (before != NULL) {
        before();
    }
    if (form->type == PALETTE) {
        put_palette_chunks(form);
    } else if (form->transparent) {
        put_chunk("tRNS", "\0\0\0\0\0\0", form->type == GREY ? 2 : 6);
    }
    dic_buf_clear(&data);
    for (int i = form->interlaced ? 1 : 0; i < (form->interlaced ? 8 : 1); i++) {
        put_pass(form, passes[i][0], passes[i][1], passes[i][2], passes[i][3]);
    }
    put_idat(50);
    if (behind != NULL) {
        behind();
    }
    put_chunk("IEND", "", 0);
}

/* ---- what is to be seen ---- */

static uint32_t to_8(uint32_t value, uint32_t depth)
{
    return depth == 16 ? value >> 8 : value * 255 / ((1U << depth) - 1);
}

static uint32_t over_white(uint32_t value, uint32_t alpha)
{
    return (uint32_t)((value * alpha + 255 * (255 - alpha)) / 255.0 + 0.5);
}

static uint32_t expected(const struct form *form, uint32_t x, uint32_t y)
{
    uint32_t raw[4] = {0};
    uint32_t rgb[3];
    uint32_t alpha = 255;
    for (uint32_t c = 0; c < channels(form->type); c++) {
        raw[c] = sample(form, x, y, c);
    }
    if (form->type == PALETTE) {
        rgb[0] = raw[0];
        rgb[1] = raw[0] * 2 & 255;
        rgb[2] = 255 - raw[0];
        alpha = form->transparent && raw[0] == 1 ? 128 : 255;
    } else if (form->type == GREY || form->type == GREY_ALPHA) {
        rgb[0] = rgb[1] = rgb[2] = to_8(raw[0], form->depth);
        alpha = form->type == GREY_ALPHA ? to_8(raw[1], form->depth) : 255;
        alpha = form->transparent && raw[0] == 0 ? 0 : alpha;
    } else {
        for (int c = 0; c < 3; c++) {
            rgb[c] = to_8(raw[c], form->depth);
        }
        alpha = form->type == RGBA ? to_8(raw[3], form->depth) : 255;
        alpha = form->transparent && raw[0] == 0 && raw[1] == 0 && raw[2] == 0 ? 0 : alpha;
    }
    return over_white(rgb[0], alpha) << 16 | over_white(rgb[1], alpha) << 8 |
           over_white(rgb[2], alpha);
}

static enum dic_row_error decode(void)
{
    dic_picture_decode(&picture, dic_buf_view(&file), SIDE);
    return picture.report.error;
}

static const struct form forms[] = {
    {GREY, 1, false, false},    {GREY, 2, false, false},       {GREY, 4, false, false},
    {GREY, 8, false, false},    {GREY, 16, false, false},      {GREY, 8, false, true},
    {RGB, 8, false, false},     {RGB, 16, false, false},       {RGB, 8, false, true},
    {PALETTE, 1, false, false}, {PALETTE, 2, false, true},     {PALETTE, 4, false, false},
    {PALETTE, 8, false, true},  {GREY_ALPHA, 8, false, false}, {GREY_ALPHA, 16, false, false},
    {RGBA, 8, false, false},    {RGBA, 16, false, false},      {GREY, 1, true, false},
    {RGB, 8, true, false},      {PALETTE, 4, true, true},      {RGBA, 16, true, false},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

static void every_colour_type_gives_the_pixels_that_are_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        write_form(&forms[i], NULL, NULL);
        assert_int_equal(decode(), DIC_ROW_OK);
        assert_string_equal(picture.report.format, "png");
        for (uint32_t p = 0; p < SIDE * SIDE; p++) {
            uint32_t wanted = expected(&forms[i], p % SIDE, p / SIDE);
            uint32_t got = dic_picture_pixel(&picture, p % SIDE, p / SIDE);
            if (dic_picture_difference(wanted, got) > 1) {
                print_error("form %zu, pixel %u: %06x, not %06x\n", i, p, got, wanted);
                fail();
            }
        }
    }
}

static void every_truncation_is_a_corrupt_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i += 5) {
        write_form(&forms[i], NULL, NULL);
        const size_t last_checksum = 4; /* of the end chunk: libspng may do without it */
        size_t len = file.len - last_checksum;
        for (size_t cut = 4; cut < len; cut++) {
            dic_picture_decode(&picture, dic_str_len(file.ptr, cut), SIDE);
            assert_int_equal(picture.report.error, DIC_ROW_CORRUPT_IMAGE);
            assert_true(picture.report.message[0] != '\0');
        }
    }
}

static void one_wrong_bit_in_what_is_needed_is_seen(void **state)
{
    (void)state;
    write_form(&forms[18], NULL, NULL);
    for (size_t at = 8; at < file.len; at++) {
        file.ptr[at] ^= 4;
        assert_int_not_equal(decode(), DIC_ROW_OK);
        file.ptr[at] ^= 4;
    }
    assert_int_equal(decode(), DIC_ROW_OK);
}

/* ---- other chunks ---- */

static void put_ignored(void)
{
    put_chunk("tEXt", "Comment\0hello", 13);
    put_chunk("zTXt", "x\0\0 this is no compressed text", 30);
    put_chunk("iCCP", "x\0\0 and this no profile", 23);
    put_chunk("fcTL", "an animation's frame follows", 28);
    put_chunk("fdAT", "\0\0\0\1 damaged", 12);
    size_t crc_at = file.len - 4;
    file.ptr[crc_at] ^= 1; /* a bad checksum in what nobody needs */
}

static void chunks_that_are_not_needed_are_not_looked_at(void **state)
{
    (void)state;
    struct dic_picture plain;
    write_form(&forms[6], NULL, NULL);
    decode();
    plain = picture;
    write_form(&forms[6], put_ignored, put_ignored);
    assert_int_equal(decode(), DIC_ROW_OK);
    assert_memory_equal(picture.values, plain.values, sizeof plain.values);
}

static void put_unknown_critical(void)
{
    put_chunk("ABCD", "must be understood", 18);
}

static void an_unknown_chunk_that_must_be_understood_is_refused(void **state)
{
    (void)state;
    write_form(&forms[6], put_unknown_critical, NULL);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

static uint32_t orientation;

static void put_exif_chunk(void)
{
    struct dic_buf exif;
    dic_buf_init(&exif, 100);
    dic_put_exif(&exif, orientation);
    put_chunk("eXIf", exif.ptr, exif.len);
    dic_buf_clean_up(&exif);
}

static void the_picture_is_turned_as_its_exif_chunk_says(void **state)
{
    (void)state;
    const uint32_t last = SIDE - 1;
    for (orientation = 1; orientation <= 8; orientation++) {
        write_form(&forms[6], orientation % 2 == 0 ? put_exif_chunk : NULL,
                   orientation % 2 == 0 ? NULL : put_exif_chunk);
        assert_int_equal(decode(), DIC_ROW_OK);
        for (uint32_t p = 0; p < SIDE * SIDE; p++) {
            uint32_t x = p % SIDE;
            uint32_t y = p / SIDE;
            /* Exif: where row 0 and column 0 of what is stored are seen. */
            const uint32_t seen[9][2] = {
                {0},    {x, y},        {last - x, y},        {last - x, last - y}, {x, last - y},
                {y, x}, {last - y, x}, {last - y, last - x}, {y, last - x},
            };
            assert_int_equal(
                dic_picture_pixel(&picture, seen[orientation][0], seen[orientation][1]),
                expected(&forms[6], x, y));
        }
    }
}

static void a_picture_without_pixels_or_header_is_corrupt(void **state)
{
    (void)state;
    put_ihdr(SIDE, SIDE, &forms[6]);
    put_chunk("IEND", "", 0);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    dic_buf_clear(&file);
    dic_buf_append(&file, "\x89PNG\r\n\x1A\n", 8);
    put_chunk("IDAT", "1234567890123", 13);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    assert_non_null(strstr(picture.report.message, "no IHDR"));
    write_form(&forms[12], NULL, NULL); /* a palette's indices, and no palette */
    char *palette = memmem(file.ptr, file.len, "PLTE", 4);
    assert_non_null(palette);
    memcpy(palette, "pLTE", 4);
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
}

static void sizes_over_the_limits_are_refused_before_anything_else(void **state)
{
    (void)state;
    static const struct {
        uint32_t width;
        uint32_t height;
        bool interlaced;
        enum dic_row_error error;
    } cases[] = {
        {0, 1, false, DIC_ROW_CORRUPT_IMAGE},
        {DIC_MAX_IMAGE_SIDE + 1, 1, false, DIC_ROW_TOO_LARGE},
        {0xFFFFFFFF, 0xFFFFFFFF, false, DIC_ROW_TOO_LARGE},
        {8001, 8000, false, DIC_ROW_TOO_LARGE},
        {8000, 8000, false, DIC_ROW_CORRUPT_IMAGE}, /* allowed, but there is no data */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct form form = {RGB, 8, cases[i].interlaced, false};
        put_ihdr(cases[i].width, cases[i].height, &form);
        put_chunk("IEND", "", 0);
        assert_int_equal(decode(), cases[i].error);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_colour_type_gives_the_pixels_that_are_stored),
        CASE(every_truncation_is_a_corrupt_picture),
        CASE(one_wrong_bit_in_what_is_needed_is_seen),
        CASE(chunks_that_are_not_needed_are_not_looked_at),
        CASE(an_unknown_chunk_that_must_be_understood_is_refused),
        CASE(the_picture_is_turned_as_its_exif_chunk_says),
        CASE(a_picture_without_pixels_or_header_is_corrupt),
        CASE(sizes_over_the_limits_are_refused_before_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
