/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"
#include "test.h"

#include "image_sink.h"

enum { SIDE = 5, CORE = 12, INFO = 40, V3 = 56, V5 = 124, RLE8 = 1, MASKS = 3, ALPHA_MASKS = 6 };

/* What a bitmap of SIDE × SIDE pixels is to have; zeroes stand for the plain form. */
struct form {
    uint32_t bits;
    uint32_t header;
    uint32_t compression;
    uint32_t masks[4];
    uint32_t colours; /* of the palette; 0: all that the bits can name */
    bool top_down;
};

static struct dic_buf file;
static struct dic_picture picture;

static int set_up(void **state)
{
    (void)state;
    dic_buf_init(&file, 100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&file);
    return 0;
}

static void put_header(const struct form *form, uint32_t width, uint32_t height, uint32_t pixels_at)
{
    dic_buf_append(&file, "BM\0\0\0\0\0\0\0\0", 10);
    dic_put_u32_le(&file, pixels_at);
    dic_put_u32_le(&file, form->header);
    if (form->header == CORE) {
        dic_put_u16_le(&file, width);
        dic_put_u16_le(&file, height);
        dic_put_u16_le(&file, 1);
        dic_put_u16_le(&file, form->bits);
        return;
    }
    dic_put_u32_le(&file, width);
    dic_put_u32_le(&file, form->top_down ? 0 - height : height);
    dic_put_u16_le(&file, 1);
    dic_put_u16_le(&file, form->bits);
    dic_put_u32_le(&file, form->compression);
    for (int i = 0; i < 3; i++) {
        dic_put_u32_le(&file, 0);
    }
    dic_put_u32_le(&file, form->colours);
    dic_put_u32_le(&file, 0);
    uint32_t masks = form->header > V5                  ? 0
                     : form->header > INFO              ? (form->header - INFO) / 4
                     : form->compression == MASKS       ? 3
                     : form->compression == ALPHA_MASKS ? 4
                                                        : 0;
    for (uint32_t i = 0; i < masks; i++) {
        dic_put_u32_le(&file, i < 4 ? form->masks[i] : 0);
    }
}

static uint32_t headers(const struct form *form)
{
    uint32_t masks = form->header != INFO               ? 0
                     : form->compression == MASKS       ? 12
                     : form->compression == ALPHA_MASKS ? 16
                                                        : 0;
    return 14 + form->header + masks;
}

/* The palette: index i is 0x010203 × (i + 1). */
static uint32_t colour(uint32_t index)
{
    return 0x010203 * (index + 1);
}

static uint32_t palette_size(const struct form *form)
{
    return form->bits > 8 ? 0 : form->colours != 0 ? form->colours : 1U << form->bits;
}

static void put_palette(const struct form *form)
{
    for (uint32_t i = 0; i < palette_size(form); i++) {
        uint32_t rgb = colour(i);
        for (uint32_t shift = 0; shift < 24; shift += 8) {
            dic_buf_append_byte(&file, (char)(rgb >> shift & 255));
        }
        if (form->header != CORE) {
            dic_buf_append_byte(&file, 0);
        }
    }
}

/* What the pixel at x, y holds: an index, or bits for the masks. */
static uint32_t stored(uint32_t bits, uint32_t x, uint32_t y)
{
    uint32_t value = (y * SIDE + x) * 0x9E3779B1U;
    return bits == 32 ? value : value >> (32 - bits);
}

static void put_pixels(const struct form *form)
{
    for (uint32_t row = 0; row < SIDE; row++) {
        uint32_t y = form->top_down ? row : SIDE - 1 - row;
        uint32_t byte = 0;
        uint32_t have = 0;
        size_t start = file.len;
        for (uint32_t x = 0; x < SIDE; x++) {
            uint32_t value = stored(form->bits, x, y);
            if (form->bits >= 8) {
                for (uint32_t shift = 0; shift < form->bits; shift += 8) {
                    dic_buf_append_byte(&file, (char)(value >> shift & 255));
                }
                continue;
            }
            byte = byte << form->bits | value;
            have += form->bits;
            if (have == 8 || x + 1 == SIDE) {
                dic_buf_append_byte(&file, (char)(byte << (8 - have)));
                byte = have = 0;
            }
        }
        while ((file.len - start) % 4 != 0) {
            dic_buf_append_byte(&file, 0);
        }
    }
}

static void write_form(const struct form *form)
{
    uint32_t entry = form->header == CORE ? 3 : 4;
    dic_buf_clear(&file);
    put_header(form, SIDE, SIDE, headers(form) + palette_size(form) * entry);
    put_palette(form);
    put_pixels(form);
}

static enum dic_row_error decode(void)
{
    dic_picture_decode(&picture, dic_buf_view(&file), SIDE);
    return picture.report.error;
}

static uint32_t scaled(uint32_t value, uint32_t mask)
{
    uint32_t shift = 0;
    while ((mask >> shift & 1) == 0) {
        shift++;
    }
    double max = mask >> shift;
    return (uint32_t)((value & mask) / (double)(1U << shift) * 255 / max + 0.5);
}

static uint32_t over_white(uint32_t sample, uint32_t alpha)
{
    return (uint32_t)((sample * alpha + 255 * (255 - alpha)) / 255.0 + 0.5);
}

/* The colour of a pixel as the format's description has it. */
static uint32_t expected(const struct form *form, uint32_t x, uint32_t y)
{
    uint32_t value = stored(form->bits, x, y);
    if (form->bits <= 8) {
        return value < palette_size(form) ? colour(value) : 0;
    }
    if (form->bits == 24) {
        return value;
    }
    uint32_t plain16[4] = {0x7C00, 0x03E0, 0x001F, 0};
    uint32_t plain32[4] = {0xFF0000, 0xFF00, 0xFF, 0};
    const uint32_t *masks = form->compression != 0 ? form->masks
                            : form->bits == 16     ? plain16
                                                   : plain32;
    uint32_t alpha = masks[3] == 0 ? 255 : scaled(value, masks[3]);
    uint32_t rgb = 0;
    for (int c = 0; c < 3; c++) {
        uint32_t sample = masks[c] == 0 ? 0 : scaled(value, masks[c]);
        rgb = rgb << 8 | over_white(sample, alpha);
    }
    return rgb;
}

static const struct form good_forms[] = {
    {.bits = 1, .header = INFO},
    {.bits = 4, .header = INFO},
    {.bits = 8, .header = INFO},
    {.bits = 8, .header = INFO, .colours = 100}, /* indices beyond it are black */
    {.bits = 4, .header = INFO, .colours = 3, .top_down = true},
    {.bits = 1, .header = CORE},
    {.bits = 4, .header = CORE},
    {.bits = 8, .header = CORE},
    {.bits = 24, .header = CORE},
    {.bits = 16, .header = INFO},
    {.bits = 16, .header = INFO, .compression = MASKS, .masks = {0xF800, 0x07E0, 0x001F}},
    {.bits = 16, .header = V3, .compression = MASKS, .masks = {0xF00, 0xF0, 0xF, 0xF000}},
    {.bits = 24, .header = INFO},
    {.bits = 24, .header = INFO, .top_down = true},
    {.bits = 24, .header = V5},
    {.bits = 32, .header = INFO},
    {.bits = 32, .header = INFO, .compression = MASKS, .masks = {0xFF, 0xFF00, 0xFF0000}},
    {.bits = 32, .header = INFO, .compression = MASKS, .masks = {0x3FF00000, 0xFFC00, 0x3FF}},
    {.bits = 32, .header = INFO, .compression = MASKS, .masks = {0xFF, 0, 0xFF0000}},
    {.bits = 32,
     .header = INFO,
     .compression = ALPHA_MASKS,
     .masks = {0xFF000000, 0xFF0000, 0xFF00, 0xFF}},
    {.bits = 32, .header = V5, .compression = MASKS, .masks = {0xFF0000, 0xFF00, 0xFF, 0xFF000000}},
};
enum { GOOD_FORMS = sizeof good_forms / sizeof good_forms[0] };

static void every_form_gives_the_pixels_that_are_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_FORMS; i++) {
        write_form(&good_forms[i]);
        assert_int_equal(decode(), DIC_ROW_OK);
        assert_string_equal(picture.report.format, "bmp");
        assert_int_equal(picture.report.width, SIDE);
        for (uint32_t p = 0; p < SIDE * SIDE; p++) {
            uint32_t wanted = expected(&good_forms[i], p % SIDE, p / SIDE);
            uint32_t got = dic_picture_pixel(&picture, p % SIDE, p / SIDE);
            if (dic_picture_difference(wanted, got) > (good_forms[i].masks[3] != 0 ? 1 : 0)) {
                print_error("form %zu, pixel %u: %06x, not %06x\n", i, p, got, wanted);
                fail();
            }
        }
    }
}

static void every_truncation_is_a_corrupt_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_FORMS; i++) {
        write_form(&good_forms[i]);
        size_t len = file.len;
        for (size_t cut = 2; cut < len; cut++) {
            dic_picture_decode(&picture, dic_str_len(file.ptr, cut), SIDE);
            assert_int_equal(picture.report.error, DIC_ROW_CORRUPT_IMAGE);
        }
    }
}

static void other_forms_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct form form;
        const char *words;
    } cases[] = {
        {{.bits = 8, .header = INFO, .compression = RLE8}, "RLE8"},
        {{.bits = 4, .header = INFO, .compression = 2}, "RLE4"},
        {{.bits = 24, .header = INFO, .compression = 4}, "JPEG"},
        {{.bits = 24, .header = INFO, .compression = 5}, "PNG"},
        {{.bits = 24, .header = INFO, .compression = 7}, "unknown"},
        {{.bits = 24, .header = INFO, .compression = 0xFFFFFFFF}, "unknown"},
        {{.bits = 2, .header = INFO}, "2 bits"},
        {{.bits = 0, .header = INFO}, "0 bits"},
        {{.bits = 64, .header = INFO}, "64 bits"},
        {{.bits = 24, .header = INFO, .compression = MASKS}, "24 bits a pixel and bit fields"},
        {{.bits = 16, .header = INFO, .compression = MASKS, .masks = {0xF0F0, 0xF00, 0xF}},
         "broken channel mask 0000f0f0"},
        {{.bits = 24, .header = 13}, "header of 13 bytes"},
        {{.bits = 24, .header = 39}, "header of 39 bytes"},
        {{.bits = 24, .header = 125}, "header of 125 bytes"},
        {{.bits = 24, .header = 0xFFFFFFFF}, "header of 4294967295 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dic_buf_clear(&file);
        put_header(&cases[i].form, SIDE, SIDE, 200);
        while (file.len < 1000) {
            dic_buf_append_byte(&file, 0);
        }
        assert_int_equal(decode(), DIC_ROW_UNSUPPORTED_FORMAT);
        if (strstr(picture.report.message, cases[i].words) == NULL) {
            print_error("'%s' lacks '%s'\n", picture.report.message, cases[i].words);
            fail();
        }
    }
}

static void a_header_too_short_for_its_masks_is_corrupt(void **state)
{
    (void)state;
    const struct form form = {.bits = 16, .header = 44, .compression = MASKS};
    dic_buf_clear(&file);
    put_header(&form, SIDE, SIDE, 100);
    while (file.len < 1000) {
        dic_buf_append_byte(&file, 0);
    }
    assert_int_equal(decode(), DIC_ROW_CORRUPT_IMAGE);
    assert_non_null(strstr(picture.report.message, "no channel masks"));
}

static void pixels_must_lie_behind_the_headers_and_in_the_file(void **state)
{
    (void)state;
    const struct form form = {.bits = 24, .header = INFO};
    static const uint32_t places[] = {0, 53, 54, 200, 1000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        dic_buf_clear(&file);
        put_header(&form, SIDE, SIDE, places[i]);
        while (file.len < 300) {
            dic_buf_append_byte(&file, 0);
        }
        bool good = places[i] == 54 || places[i] == 200;
        assert_int_equal(decode(), good ? DIC_ROW_OK : DIC_ROW_CORRUPT_IMAGE);
    }
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t width;
        uint32_t height;
        enum dic_row_error error;
    } cases[] = {
        {0, 5, DIC_ROW_CORRUPT_IMAGE},
        {5, 0, DIC_ROW_CORRUPT_IMAGE},
        {0xFFFFFFFF, 5, DIC_ROW_CORRUPT_IMAGE}, /* −1 */
        {5, 0x80000000, DIC_ROW_TOO_LARGE},     /* the most negative height */
        {DIC_MAX_IMAGE_SIDE + 1, 1, DIC_ROW_TOO_LARGE},
        {1, DIC_MAX_IMAGE_SIDE + 1, DIC_ROW_TOO_LARGE},
        {8001, 8000, DIC_ROW_TOO_LARGE},
        {8000, 8000, DIC_ROW_CORRUPT_IMAGE}, /* allowed, but not there */
    };
    const struct form form = {.bits = 24, .header = INFO};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dic_buf_clear(&file);
        put_header(&form, cases[i].width, cases[i].height, 54);
        while (file.len < 300) {
            dic_buf_append_byte(&file, 0);
        }
        assert_int_equal(decode(), cases[i].error);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_form_gives_the_pixels_that_are_stored),
        CASE(every_truncation_is_a_corrupt_picture),
        CASE(other_forms_are_refused_by_name),
        CASE(a_header_too_short_for_its_masks_is_corrupt),
        CASE(pixels_must_lie_behind_the_headers_and_in_the_file),
        CASE(sizes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
