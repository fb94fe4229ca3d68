/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_builder.h"
#include "store/blob_store.h"

#include "test.h"

#include <stdio.h>

static struct dic_segment_builder builder;
static const struct dic_image image = {.key = {"k", 1}};

static int clean_up(void **state)
{
    (void)state;
    dic_segment_builder_clean_up(&builder);
    return 0;
}

/* How many of `images` with this size fit into a segment. */
static uint32_t add(uint32_t images, uint32_t chunk_images, int64_t size_bytes)
{
    uint32_t added = 0;
    dic_segment_builder_clean_up(&builder);
    dic_segment_builder_init(&builder, chunk_images, 0);
    while (added < images && dic_segment_builder_add(&builder, &image, size_bytes)) {
        added++;
    }
    dic_segment_builder_finish(&builder);
    return added;
}

static void a_chunk_is_full_at_its_number_of_images(void **state)
{
    (void)state;
    static const struct {
        uint32_t images;
        uint32_t chunks;
        uint32_t in_last;
    } cases[] = {{0, 0, 0}, {1, 1, 1}, {6, 1, 6}, {7, 1, 7}, {8, 2, 1}, {14, 2, 7}, {15, 3, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(add(cases[i].images, 7, 0), cases[i].images);
        assert_int_equal(builder.chunk_count, cases[i].chunks);
        for (uint32_t c = 0; c < builder.chunk_count; c++) {
            bool last = c + 1 == builder.chunk_count;
            assert_int_equal(builder.chunks[c].images, last ? cases[i].in_last : 7);
            assert_int_equal(builder.chunks[c].first_image, c * 7);
        }
    }
}

static void a_segment_is_full_after_its_chunks(void **state)
{
    (void)state;
    const uint32_t full = DIC_SEGMENT_CHUNKS * 3;
    assert_int_equal(add(full - 1, 3, 0), full - 1);
    assert_int_equal(add(full, 3, 0), full);
    assert_int_equal(add(full + 1, 3, 0), full);
    assert_int_equal(builder.chunk_count, DIC_SEGMENT_CHUNKS);
    assert_int_equal(builder.next_image, full);
    assert_false(dic_segment_builder_add(&builder, &image, 0)); /* and stays so */
    assert_int_equal(builder.next_image, full);
}

static void a_chunk_is_full_at_its_bytes(void **state)
{
    (void)state;
    const int64_t third = DIC_MAX_CHUNK_BYTES / 4;
    assert_int_equal(add(9, 100, third), 9);
    assert_int_equal(builder.chunk_count, 3); /* four in each fill it to the byte */
    assert_int_equal(builder.chunks[0].images, 4);
    add(9, 100, third + 1);
    assert_int_equal(builder.chunks[0].images, 3);
    add(2, 100, (int64_t)DIC_MAX_CHUNK_BYTES * 5); /* one that is larger has a chunk alone */
    assert_int_equal(builder.chunk_count, 2);
    assert_int_equal(builder.chunks[0].images, 1);
    add(40, 100, DIC_MAX_CHUNK_BYTES);
    assert_int_equal(builder.chunk_count, DIC_SEGMENT_CHUNKS);
}

static void each_chunk_has_the_lines_of_its_images(void **state)
{
    (void)state;
    const struct dic_image images[] = {
        {.key = DIC_STR_LIT("a")},
        {.key = DIC_STR_LIT("quote\" and \xC3\xA9"), .id = DIC_STR_LIT("no. 2")},
        {.key = DIC_STR_LIT("new\nline")},
    };
    dic_segment_builder_clean_up(&builder);
    dic_segment_builder_init(&builder, 2, 40);
    for (size_t i = 0; i < 3; i++) {
        assert_true(dic_segment_builder_add(&builder, &images[i], 0));
    }
    dic_segment_builder_finish(&builder);
    assert_int_equal(builder.chunk_count, 2);
    assert_view(builder.chunks[0].lines,
                "\"a\"\n{\"k\":\"quote\\\" and \xC3\xA9\",\"id\":\"no. 2\"}\n");
    assert_view(builder.chunks[1].lines, "\"new\\nline\"\n");
    assert_int_equal(builder.chunks[0].first_image, 40);
    assert_int_equal(builder.chunks[1].first_image, 42);
    assert_int_equal(builder.next_image, 43);
}

static void a_segment_of_the_longest_keys_and_ids_fits(void **state)
{
    (void)state;
    char key[DIC_MAX_KEY_BYTES];
    char id[DIC_MAX_ROW_ID_BYTES];
    memset(key, 1, sizeof key); /* six bytes each in JSON */
    memset(id, 1, sizeof id);
    const struct dic_image longest = {dic_str_len(key, sizeof key), dic_str_len(id, sizeof id)};
    dic_segment_builder_clean_up(&builder);
    dic_segment_builder_init(&builder, DIC_MAX_CHUNK_IMAGES, 0);
    assert_true(dic_segment_builder_add(&builder, &longest, 0));
    assert_int_equal(builder.lines.len, 6 * (DIC_MAX_KEY_BYTES + DIC_MAX_ROW_ID_BYTES) + 17);
    assert_true(builder.lines.ceiling >=
                builder.lines.len * DIC_SEGMENT_CHUNKS * DIC_MAX_CHUNK_IMAGES);
}

/* ---- resume positions ---- */

static const struct dic_resume sample = {.image = 1,
                                         .offset = INT64_MAX,
                                         .line = 3,
                                         .chunk = 4,
                                         .row = 5,
                                         .etag = "\"abc-1\"",
                                         .after = {"any \x01 key \" \xF0\x9F\x98\x80", 16}};

static void a_resume_position_survives_the_store(void **state)
{
    (void)state;
    struct dic_resume read = {0};
    struct dic_buf text;
    struct dic_buf memory;
    dic_buf_init(&text, 10000);
    dic_buf_init(&memory, 10000);
    dic_resume_write(&sample, &text);
    assert_ok(dic_resume_parse(dic_buf_view(&text), &read, &memory, NULL));
    assert_int_equal(read.image, sample.image);
    assert_true(read.offset == sample.offset);
    assert_int_equal(read.line, sample.line);
    assert_int_equal(read.chunk, sample.chunk);
    assert_int_equal(read.row, sample.row);
    assert_string_equal(read.etag, sample.etag);
    assert_true(dic_str_eq(read.after, sample.after));
    dic_buf_clean_up(&text);
    dic_buf_clean_up(&memory);
}

static void no_text_is_the_start(void **state)
{
    (void)state;
    struct dic_resume read = sample;
    struct dic_buf memory;
    dic_buf_init(&memory, 10);
    assert_ok(dic_resume_parse(dic_str(""), &read, &memory, NULL));
    assert_int_equal(read.image, 0);
    assert_int_equal(read.offset, 0);
    assert_string_equal(read.etag, "");
    assert_int_equal(read.after.len, 0);
    dic_buf_clean_up(&memory);
}

static void every_truncation_of_a_position_is_refused(void **state)
{
    (void)state;
    struct dic_buf text;
    struct dic_buf memory;
    dic_buf_init(&text, 10000);
    dic_buf_init(&memory, 10000);
    dic_resume_write(&sample, &text);
    for (size_t len = 1; len < text.len; len++) {
        struct dic_resume read;
        assert_code(dic_resume_parse(dic_str_len(text.ptr, len), &read, &memory, NULL),
                    DIC_E_MALFORMED);
    }
    dic_buf_clean_up(&text);
    dic_buf_clean_up(&memory);
}

static void a_position_without_one_of_its_members_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"image", "offset", "line", "chunk", "row", "etag", "after"};
    struct dic_buf text;
    struct dic_buf memory;
    dic_buf_init(&text, 10000);
    dic_buf_init(&memory, 10000);
    dic_resume_write(&sample, &text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct dic_resume read;
        struct dic_err err = {0};
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
        char *at = strstr(text.ptr, quoted);
        assert_non_null(at);
        at[1] ^= 1; /* another name */
        assert_code(dic_resume_parse(dic_buf_view(&text), &read, &memory, &err), DIC_E_INTERNAL);
        assert_non_null(strstr(err.msg, names[i]));
        at[1] ^= 1;
    }
    dic_buf_clean_up(&text);
    dic_buf_clean_up(&memory);
}

static void a_last_key_over_its_memory_is_refused(void **state)
{
    (void)state;
    struct dic_resume read;
    struct dic_buf text;
    struct dic_buf memory;
    dic_buf_init(&text, 10000);
    dic_buf_init(&memory, 5);
    dic_resume_write(&sample, &text);
    assert_code(dic_resume_parse(dic_buf_view(&text), &read, &memory, NULL), DIC_E_TOO_LARGE);
    dic_buf_clean_up(&text);
    dic_buf_clean_up(&memory);
}

static enum dic_code parse_etag(const char *etag, struct dic_resume *read)
{
    struct dic_buf text;
    struct dic_buf memory;
    dic_buf_init(&text, 4096);
    dic_buf_init(&memory, DIC_MAX_KEY_BYTES);
    dic_buf_printf(&text,
                   "{\"image\":0,\"offset\":0,\"line\":0,\"chunk\":0,\"row\":0,"
                   "\"etag\":\"%s\",\"after\":\"\"}",
                   etag);
    enum dic_code code = dic_resume_parse(dic_buf_view(&text), read, &memory, NULL);
    dic_buf_clean_up(&text);
    dic_buf_clean_up(&memory);
    return code;
}

static void an_etag_that_would_be_cut_is_refused(void **state)
{
    (void)state;
    struct dic_resume read;
    char etag[DIC_ETAG_SIZE + 1];
    memset(etag, 'e', sizeof etag);
    etag[DIC_ETAG_SIZE] = '\0';
    assert_code(parse_etag(etag, &read), DIC_E_INTERNAL);
    etag[DIC_ETAG_SIZE - 1] = '\0';
    assert_ok(parse_etag(etag, &read));
    assert_string_equal(read.etag, etag);
    assert_code(parse_etag("a\\u0000b", &read), DIC_E_INTERNAL);
}

#define CASE(test) cmocka_unit_test_teardown(test, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_chunk_is_full_at_its_number_of_images),
        CASE(a_segment_is_full_after_its_chunks),
        CASE(a_chunk_is_full_at_its_bytes),
        CASE(each_chunk_has_the_lines_of_its_images),
        CASE(a_segment_of_the_longest_keys_and_ids_fits),
        CASE(an_etag_that_would_be_cut_is_refused),
        CASE(a_resume_position_survives_the_store),
        CASE(no_text_is_the_start),
        CASE(every_truncation_of_a_position_is_refused),
        CASE(a_position_without_one_of_its_members_is_refused),
        CASE(a_last_key_over_its_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
