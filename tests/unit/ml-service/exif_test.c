/* SPDX-License-Identifier: Apache-2.0 */
#include "exif.h"

#include "test.h"

#include <stdlib.h>

enum { MAX = 4096, TAG_ORIENTATION = 0x0112, SHORT = 3, LONG = 4, ASCII = 2 };

/* Bytes in the order that the TIFF header announces. */
struct tiff {
    uint8_t bytes[MAX];
    size_t len;
    bool little;
};

static void put_u16(struct tiff *tiff, uint32_t value)
{
    uint8_t low = (uint8_t)value;
    uint8_t high = (uint8_t)(value >> 8);
    tiff->bytes[tiff->len++] = tiff->little ? low : high;
    tiff->bytes[tiff->len++] = tiff->little ? high : low;
}

static void put_u32(struct tiff *tiff, uint32_t value)
{
    put_u16(tiff, tiff->little ? value & 0xFFFF : value >> 16);
    put_u16(tiff, tiff->little ? value >> 16 : value & 0xFFFF);
}

static void begin(struct tiff *tiff, bool little, bool prefix, uint32_t ifd, uint32_t entries)
{
    *tiff = (struct tiff){.little = little};
    if (prefix) {
        memcpy(tiff->bytes, "Exif\0\0", 6);
        tiff->len = 6;
    }
    memcpy(tiff->bytes + tiff->len, little ? "II*\0" : "MM\0*", 4);
    tiff->len += 4;
    put_u32(tiff, ifd);
    if (ifd == 8) {
        put_u16(tiff, entries);
    }
}

static void put_entry(struct tiff *tiff, uint32_t tag, uint32_t type, uint32_t count,
                      uint32_t value)
{
    put_u16(tiff, tag);
    put_u16(tiff, type);
    put_u32(tiff, count);
    if (type == SHORT) {
        put_u16(tiff, value);
        put_u16(tiff, 0);
    } else {
        put_u32(tiff, value);
    }
}

/* From a block of exactly this length, so that a read past its end is seen. */
static uint32_t with_exact(uint32_t (*read)(const uint8_t *, size_t), const uint8_t *bytes,
                           size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    uint32_t orientation = read(copy, len);
    free(copy);
    return orientation;
}

static uint32_t orientation_of(const struct tiff *tiff)
{
    return with_exact(dic_exif_orientation, tiff->bytes, tiff->len);
}

static void all_orientations_are_read_in_both_byte_orders(void **state)
{
    (void)state;
    for (uint32_t orientation = 1; orientation <= 8; orientation++) {
        for (int form = 0; form < 8; form++) {
            struct tiff tiff;
            begin(&tiff, form & 1, form & 2, 8, 1);
            put_entry(&tiff, TAG_ORIENTATION, form & 4 ? SHORT : LONG, 1, orientation);
            assert_int_equal(orientation_of(&tiff), orientation);
        }
    }
}

static void the_tag_is_found_among_others(void **state)
{
    (void)state;
    struct tiff tiff;
    begin(&tiff, false, true, 8, 42);
    for (uint32_t i = 0; i < 41; i++) {
        put_entry(&tiff, 0x0100 + (i == 0x12 ? 0x99 : i), ASCII, 9, 3);
    }
    put_entry(&tiff, TAG_ORIENTATION, SHORT, 1, 6);
    assert_int_equal(orientation_of(&tiff), 6);
}

static void other_values_and_types_are_upright(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 9, 255, 65535};
    struct tiff tiff;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        begin(&tiff, i & 1, false, 8, 1);
        put_entry(&tiff, TAG_ORIENTATION, SHORT, 1, values[i]);
        assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
    }
    begin(&tiff, true, false, 8, 1);
    put_entry(&tiff, TAG_ORIENTATION, LONG, 1, 0x00060006);
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
    begin(&tiff, true, false, 8, 1);
    put_entry(&tiff, TAG_ORIENTATION, ASCII, 1, 6);
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
    begin(&tiff, true, false, 8, 1);
    put_entry(&tiff, 0x0111, SHORT, 1, 6);
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
    begin(&tiff, true, false, 8, 0);
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
}

static void a_directory_that_lies_nowhere_is_upright(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, 1, 7, 9, 10, 1000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (int little = 0; little < 2; little++) {
            struct tiff tiff;
            begin(&tiff, little, false, places[i], 0);
            put_u16(&tiff, 0);
            assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
        }
    }
}

static void a_count_of_entries_beyond_the_end_ends_with_the_bytes(void **state)
{
    (void)state;
    struct tiff tiff;
    begin(&tiff, true, false, 8, 65535);
    put_entry(&tiff, 0x0100, SHORT, 0xFFFFFFFF, 1);
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
    put_entry(&tiff, TAG_ORIENTATION, SHORT, 0xFFFFFFFF, 8);
    assert_int_equal(orientation_of(&tiff), 8);
}

static void directories_that_point_in_a_circle_are_read_once(void **state)
{
    (void)state;
    struct tiff tiff;
    begin(&tiff, false, false, 8, 1);
    put_entry(&tiff, 0x8769, LONG, 1, 8); /* the Exif directory is the first one */
    put_u32(&tiff, 8);                    /* and so is the next one */
    assert_int_equal(orientation_of(&tiff), DIC_UPRIGHT);
}

static void every_truncation_is_upright_or_the_orientation(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct tiff tiff;
        begin(&tiff, form & 1, form & 2, 8, 2);
        put_entry(&tiff, 0x0100, SHORT, 1, 1);
        put_entry(&tiff, TAG_ORIENTATION, SHORT, 1, 5);
        for (size_t len = 0; len < tiff.len; len++) {
            assert_int_equal(with_exact(dic_exif_orientation, tiff.bytes, len), DIC_UPRIGHT);
        }
        assert_int_equal(orientation_of(&tiff), 5);
    }
}

static void what_is_no_tiff_is_upright(void **state)
{
    (void)state;
    static const char *const texts[] = {"II\0*aaaaaaaa", "MM*\0aaaaaaaa", "IM*\0aaaaaaaa",
                                        "Exif\0\0IIII\0\0\0\0", "abcdefghijkl"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(with_exact(dic_exif_orientation, (const uint8_t *)texts[i], 12),
                         DIC_UPRIGHT);
    }
}

/* ---- in a JPEG ---- */

struct jpeg {
    uint8_t bytes[MAX];
    size_t len;
};

static void put(struct jpeg *jpeg, const void *bytes, size_t len)
{
    memcpy(jpeg->bytes + jpeg->len, bytes, len);
    jpeg->len += len;
}

static void put_segment(struct jpeg *jpeg, uint8_t marker, const void *payload, size_t len)
{
    const uint8_t head[4] = {0xFF, marker, (uint8_t)((len + 2) >> 8), (uint8_t)(len + 2)};
    put(jpeg, head, 4);
    put(jpeg, payload, len);
}

static void put_exif(struct jpeg *jpeg, uint32_t orientation)
{
    struct tiff tiff;
    begin(&tiff, true, true, 8, 1);
    put_entry(&tiff, TAG_ORIENTATION, SHORT, 1, orientation);
    put_segment(jpeg, 0xE1, tiff.bytes, tiff.len);
}

static struct jpeg soi(void)
{
    struct jpeg jpeg = {.len = 0};
    put(&jpeg, "\xFF\xD8", 2);
    return jpeg;
}

static uint32_t jpeg_orientation(const struct jpeg *jpeg)
{
    return with_exact(dic_exif_jpeg_orientation, jpeg->bytes, jpeg->len);
}

static void a_jpegs_first_exif_segment_counts(void **state)
{
    (void)state;
    struct jpeg jpeg = soi();
    put_segment(&jpeg, 0xE0, "JFIF\0\1\1", 7);
    put_segment(&jpeg, 0xE1, "http://ns.adobe.com/xap/1.0/", 29); /* APP1 too, but not Exif */
    put_segment(&jpeg, 0xFE, "a comment", 9);
    put_exif(&jpeg, 6);
    put_exif(&jpeg, 3);
    assert_int_equal(jpeg_orientation(&jpeg), 6);
}

static void filling_and_stray_bytes_between_segments_are_passed_over(void **state)
{
    (void)state;
    struct jpeg jpeg = soi();
    put(&jpeg, "\xFF\xFF\xFF", 3); /* fill bytes */
    put_segment(&jpeg, 0xE0, "JFIF", 4);
    put(&jpeg, "stray\0", 6);
    put(&jpeg, "\xFF\xD0\xFF\0", 4); /* a restart marker and a stuffed byte: no segments */
    put_exif(&jpeg, 8);
    assert_int_equal(jpeg_orientation(&jpeg), 8);
}

static void what_comes_after_the_first_scan_or_the_end_does_not_count(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct jpeg jpeg = soi();
        put_segment(&jpeg, end ? 0xD9 : 0xDA, "\1\1\0\0\x3F\0", 6);
        put_exif(&jpeg, 8);
        assert_int_equal(jpeg_orientation(&jpeg), DIC_UPRIGHT);
    }
}

static void a_segment_that_cannot_be_ends_the_search(void **state)
{
    (void)state;
    static const uint8_t lengths[][2] = {{0, 0}, {0, 1}, {0xFF, 0xFF}};
    for (size_t i = 0; i < 3; i++) {
        struct jpeg jpeg = soi();
        put(&jpeg, "\xFF\xE0", 2);
        put(&jpeg, lengths[i], 2);
        put_exif(&jpeg, 8);
        assert_int_equal(jpeg_orientation(&jpeg), DIC_UPRIGHT);
    }
}

static void every_truncation_of_a_jpeg_is_upright(void **state)
{
    (void)state;
    struct jpeg jpeg = soi();
    put_segment(&jpeg, 0xE0, "JFIF\0\1\1", 7);
    put_exif(&jpeg, 7);
    for (size_t len = 0; len < jpeg.len; len++) {
        assert_int_equal(with_exact(dic_exif_jpeg_orientation, jpeg.bytes, len), DIC_UPRIGHT);
    }
    assert_int_equal(jpeg_orientation(&jpeg), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_orientations_are_read_in_both_byte_orders),
        cmocka_unit_test(the_tag_is_found_among_others),
        cmocka_unit_test(other_values_and_types_are_upright),
        cmocka_unit_test(a_directory_that_lies_nowhere_is_upright),
        cmocka_unit_test(a_count_of_entries_beyond_the_end_ends_with_the_bytes),
        cmocka_unit_test(directories_that_point_in_a_circle_are_read_once),
        cmocka_unit_test(every_truncation_is_upright_or_the_orientation),
        cmocka_unit_test(what_is_no_tiff_is_upright),
        cmocka_unit_test(a_jpegs_first_exif_segment_counts),
        cmocka_unit_test(filling_and_stray_bytes_between_segments_are_passed_over),
        cmocka_unit_test(what_comes_after_the_first_scan_or_the_end_does_not_count),
        cmocka_unit_test(a_segment_that_cannot_be_ends_the_search),
        cmocka_unit_test(every_truncation_of_a_jpeg_is_upright),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
