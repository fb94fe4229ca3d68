/* SPDX-License-Identifier: Apache-2.0 */
/* Images from text: the request's own keys, and a client's manifest. */
#include "plan_source.h"

#include "test.h"

#include "blob_store_memory.h"
#include "fake_jobs.h"
#include "source_run.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIECE_BYTES = 1024 * 1024, TEXT_BYTES = 4 * PIECE_BYTES };

static const struct dic_source_cut whole = {.first = 32 * 500, .chunk_images = 500};

static struct dic_blob_store images;
static struct dic_fake_jobs *jobs;
static struct dic_json *spec;
static struct dic_job job;
static struct dic_plan_source source;
static struct dic_buf lines;
static struct dic_buf text;

static int set_up(void **state)
{
    (void)state;
    images = dic_blob_store_memory_new();
    jobs = dic_fake_jobs_new();
    job = (struct dic_job){0};
    assert_ok(dic_json_parse(dic_str("{\"manifest_s3_key\":\"lists/m.jsonl\"}"), &spec, NULL));
    source = (struct dic_plan_source){dic_fake_jobs_port(jobs), images, &job, spec, NULL};
    dic_buf_init(&lines, TEXT_BYTES);
    dic_buf_init(&text, TEXT_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&lines);
    dic_buf_clean_up(&text);
    dic_json_destroy(spec);
    dic_fake_jobs_destroy(jobs);
    images.ops->destroy(images.impl);
    return 0;
}

static void put_manifest(struct dic_str manifest)
{
    assert_ok(images.ops->put(images.impl, dic_str("lists/m.jsonl"), manifest, false, NULL));
}

static enum dic_code plan_manifest(const char *manifest, struct dic_err *err)
{
    put_manifest(dic_str(manifest));
    dic_buf_clear(&lines);
    return dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, err);
}

static void assert_manifest_gives(const char *manifest, const char *expected)
{
    struct dic_err err = {0};
    if (plan_manifest(manifest, &err) != DIC_OK) {
        print_error("%s\n", err.msg);
        fail();
    }
    assert_view(dic_buf_view(&lines), expected);
}

/* ---- lines ---- */

static void a_line_is_a_key_or_an_object_that_names_one(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *expected;
    } cases[] = {
        {"\"a/b.jpg\"", "\"a/b.jpg\"\n"},
        {"  \"a\"\t", "\"a\"\n"},
        {"{\"s3_key\":\"k\"}", "\"k\"\n"},
        {"{\"s3_key\":\"k\",\"id\":\"7\"}", "{\"k\":\"k\",\"id\":\"7\"}\n"},
        {"{\"s3_key\":\"k\",\"more\":[1]}", "\"k\"\n"},
        {"{\"source-ref\":\"s3://bucket/a/b c.png\"}", "\"a/b c.png\"\n"},
        {"{\"source-ref\":\"s3://b/k\",\"id\":\"x\"}", "{\"k\":\"k\",\"id\":\"x\"}\n"},
        {"\"\\u00e9\"", "\"\xC3\xA9\"\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_manifest_gives(cases[i].line, cases[i].expected);
    }
}

static void a_bad_line_is_refused_with_its_number_and_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *why;
    } cases[] = {
        {"a/b.jpg", "not valid JSON"},
        {"\"a\" \"b\"", "not valid JSON"},
        {"17", "must be a string or an object, not an integer"},
        {"[\"a\"]", "not an array"},
        {"null", "not null"},
        {"{}", "exactly one of s3_key, source-ref"},
        {"{\"s3_key\":\"a\",\"source-ref\":\"s3://b/c\"}", "exactly one of"},
        {"{\"s3_key\":3}", "s3_key must be a string, not an integer"},
        {"{\"source-ref\":true}", "source-ref must be a string"},
        {"{\"source-ref\":\"https://b/c\"}", "not of the form s3://bucket/key"},
        {"{\"source-ref\":\"s3:///c\"}", "not of the form s3://bucket/key"},
        {"{\"source-ref\":\"s3://b\"}", "not of the form s3://bucket/key"},
        {"{\"source-ref\":\"s3://b/\"}", "a key has 1 to 1024"},
        {"{\"s3_key\":\"a\",\"id\":\"\"}", "id has 0 bytes, allowed are 1 to 256"},
        {"{\"s3_key\":\"a\",\"id\":5}", "id must be a string"},
        {"\"\"", "a key has 1 to 1024"},
        {"\"a\\u0000b\"", "U+0000"},
        {"\"a\xFF\"", "not valid JSON"},
        {"{\"s3_key\":\"a\",\"s3_key\":\"b\"}", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_err err = {0};
        char manifest[200];
        snprintf(manifest, sizeof manifest, "\"first\"\n\n%s\n\"last\"\n", cases[i].line);
        assert_code(plan_manifest(manifest, &err), DIC_E_INVALID);
        assert_string_equal(err.field, "manifest_s3_key");
        if (strstr(err.msg, "manifest line 3: ") == NULL || strstr(err.msg, cases[i].why) == NULL) {
            print_error("%s: %s\n", cases[i].line, err.msg);
            fail();
        }
    }
}

static void every_truncation_of_a_line_is_refused(void **state)
{
    (void)state;
    static const char line[] = "{\"source-ref\":\"s3://b/k\\u00e9\",\"id\":\"x\"}";
    for (size_t len = 1; len < sizeof line - 1; len++) {
        char cut[sizeof line];
        snprintf(cut, sizeof cut, "%.*s", (int)len, line);
        assert_code(plan_manifest(cut, NULL), DIC_E_INVALID);
    }
}

/* A JSON string of so many bytes, its quotes included. */
static void append_string(struct dic_buf *out, size_t len)
{
    dic_buf_append_byte(out, '"');
    for (size_t i = 2; i < len; i++) {
        dic_buf_append_byte(out, 'k');
    }
    dic_buf_append_byte(out, '"');
}

static enum dic_code plan_text(struct dic_err *err)
{
    put_manifest(dic_buf_view(&text));
    dic_buf_clear(&lines);
    return dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, err);
}

static void keys_and_ids_have_limits(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        dic_buf_clear(&text);
        append_string(&text, DIC_MAX_KEY_BYTES - 1 + over + 2);
        assert_code(plan_text(NULL), over < 2 ? DIC_OK : DIC_E_INVALID);
        dic_buf_clear(&text);
        dic_buf_append_text(&text, "{\"s3_key\":\"k\",\"id\":");
        append_string(&text, DIC_MAX_ROW_ID_BYTES - 1 + over + 2);
        dic_buf_append_text(&text, "}");
        assert_code(plan_text(NULL), over < 2 ? DIC_OK : DIC_E_INVALID);
    }
}

/* With and without its newline, and when it goes on behind the piece that is read at a time. */
static void a_line_has_a_limit(void **state)
{
    (void)state;
    for (int newline = 0; newline < 2; newline++) {
        for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
            struct dic_err err = {0};
            dic_buf_clear(&text);
            dic_buf_append_text(&text, "\"k\"\n{\"s3_key\":\"k\",\"x\":");
            append_string(&text, DIC_MAX_MANIFEST_LINE_BYTES - 1 + over - 19);
            dic_buf_append_text(&text, newline ? "}\n" : "}");
            assert_code(plan_text(&err), over < 2 ? DIC_OK : DIC_E_INVALID);
            if (over == 2) {
                assert_string_equal(err.msg, "manifest line 2 is longer than 8192 bytes");
            }
        }
    }
    dic_buf_clear(&text);
    append_string(&text, 2 * PIECE_BYTES);
    assert_code(plan_text(NULL), DIC_E_INVALID);
}

static void line_ends_and_blank_lines_may_be_of_any_system(void **state)
{
    (void)state;
    assert_manifest_gives("\"a\"\n\"b\"\n", "\"a\"\n\"b\"\n");
    assert_manifest_gives("\"a\"\n\"b\"", "\"a\"\n\"b\"\n");
    assert_manifest_gives("\"a\"\r\n\"b\"\r\n", "\"a\"\n\"b\"\n");
    assert_manifest_gives("\"a\"\r\n\"b\"\r", "\"a\"\n\"b\"\n");
    assert_manifest_gives("\n\r\n \t \n\"a\"\n\n\n", "\"a\"\n");
}

static void a_manifest_may_name_nothing(void **state)
{
    (void)state;
    assert_manifest_gives("", "");
    assert_manifest_gives("\n", "");
    assert_manifest_gives(" \r\n\t", "");
}

/* ---- the object ---- */

static void a_manifest_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_code(dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, NULL),
                DIC_E_NOT_FOUND);
}

static void put_other(void *context, uint32_t segment)
{
    (void)context;
    if (segment == 1) {
        put_manifest(dic_str("\"other\"\n"));
    }
}

static void a_manifest_that_changes_while_it_is_read_is_refused(void **state)
{
    (void)state;
    struct dic_err err = {0};
    const struct dic_source_cut cut = {.first = 1, .chunk_images = 1, .between = put_other};
    for (int i = 0; i < 100; i++) {
        dic_buf_append_text(&text, "\"k\"\n");
    }
    put_manifest(dic_buf_view(&text));
    assert_code(dic_source_run(dic_fill_from_manifest, &source, &cut, &lines, &err),
                DIC_E_CONFLICT);
    assert_string_equal(err.msg, "the manifest changed while the job was being planned");
    assert_string_equal(err.field, "manifest_s3_key");
}

static enum dic_code fail_reads(void *context, enum dic_blob_op op, struct dic_str key,
                                struct dic_err *err)
{
    (void)context;
    (void)key;
    return op == DIC_BLOB_GET_RANGE ? dic_fail(err, DIC_E_UPSTREAM, "no reads today") : DIC_OK;
}

static void a_store_that_fails_is_no_fault_of_the_manifest(void **state)
{
    (void)state;
    struct dic_err err = {0};
    put_manifest(dic_str("\"k\"\n"));
    dic_blob_store_memory_set_hook(images, fail_reads, NULL);
    assert_code(dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, &err),
                DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "no reads today");
}

static void a_stored_job_without_its_manifests_key_is_broken(void **state)
{
    (void)state;
    struct dic_json *empty = NULL;
    assert_ok(dic_json_parse(dic_str("{}"), &empty, NULL));
    source.spec = empty;
    assert_code(dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, NULL),
                DIC_E_INTERNAL);
    dic_json_destroy(empty);
}

/* ---- cuts ---- */

/* Lines of different lengths, some blank: positions in bytes, lines and images differ. */
static void write_lines(struct dic_buf *manifest, struct dic_buf *expected, int count)
{
    for (int i = 0; i < count; i++) {
        dic_buf_printf(manifest, "%s\"k%0*d\"%s\n", i % 7 == 0 ? "\n" : "", 1 + i % 5, i,
                       i % 3 == 0 ? "\r" : "");
        dic_buf_printf(expected, "\"k%0*d\"\n", 1 + i % 5, i);
    }
}

static void a_manifest_cut_anywhere_is_the_same_list(void **state)
{
    (void)state;
    enum { LINES = 70 };
    struct dic_buf expected;
    dic_buf_init(&expected, TEXT_BYTES);
    write_lines(&text, &expected, LINES);
    put_manifest(dic_buf_view(&text));
    for (uint32_t first = 1; first <= 64; first++) {
        const struct dic_source_cut cut = {.first = first, .chunk_images = 2};
        dic_buf_clear(&lines);
        assert_ok(dic_source_run(dic_fill_from_manifest, &source, &cut, &lines, NULL));
        assert_view(dic_buf_view(&lines), expected.ptr);
    }
    dic_buf_clean_up(&expected);
}

static void the_requests_keys_cut_anywhere_are_the_same_list(void **state)
{
    (void)state;
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS};
    for (int i = 0; i < 70; i++) {
        dic_buf_printf(&text, "\"key %0*d\"\n", 1 + i % 9, i);
    }
    dic_fake_jobs_add(jobs, &params, dic_buf_view(&text), job.id);
    for (uint32_t first = 1; first <= 64; first++) {
        const struct dic_source_cut cut = {.first = first, .chunk_images = 2};
        dic_buf_clear(&lines);
        assert_ok(dic_source_run(dic_fill_from_keys, &source, &cut, &lines, NULL));
        assert_view(dic_buf_view(&lines), text.ptr);
    }
}

/* The text is read in pieces of 1 MiB; here a line ends one byte before such a piece does, with it,
 * and one byte after it. */
static void a_line_may_end_anywhere_around_a_pieces_end(void **state)
{
    (void)state;
    for (size_t end = PIECE_BYTES - 2; end <= PIECE_BYTES + 2; end++) {
        dic_buf_clear(&text);
        while (text.len + 2000 < end) {
            append_string(&text, 999);
            dic_buf_append_byte(&text, '\n');
        }
        append_string(&text, (end - text.len) / 2 - 1);
        dic_buf_append_byte(&text, '\n');
        append_string(&text, end - text.len - 1);
        dic_buf_append_byte(&text, '\n');
        assert_int_equal(text.len, end);
        put_manifest(dic_buf_view(&text)); /* nothing after it, */
        dic_buf_clear(&lines);
        assert_ok(dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, NULL));
        assert_true(dic_str_eq(dic_buf_view(&lines), dic_buf_view(&text)));
        dic_buf_append_text(&text, "\"last\"\n"); /* and one line more */
        put_manifest(dic_buf_view(&text));
        dic_buf_clear(&lines);
        assert_ok(dic_source_run(dic_fill_from_manifest, &source, &whole, &lines, NULL));
        assert_true(dic_str_eq(dic_buf_view(&lines), dic_buf_view(&text)));
    }
}

static void a_bad_line_behind_a_cut_has_its_number_in_the_file(void **state)
{
    (void)state;
    struct dic_err err = {0};
    const struct dic_source_cut cut = {.first = 3, .chunk_images = 1};
    for (int i = 0; i < 50; i++) {
        dic_buf_append_text(&text, "\"k\"\n");
    }
    dic_buf_append_text(&text, "\n{\"s3_key\":}\n");
    put_manifest(dic_buf_view(&text));
    assert_code(dic_source_run(dic_fill_from_manifest, &source, &cut, &lines, &err), DIC_E_INVALID);
    assert_non_null(strstr(err.msg, "manifest line 52: not valid JSON"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_line_is_a_key_or_an_object_that_names_one),
        CASE(a_bad_line_is_refused_with_its_number_and_the_reason),
        CASE(every_truncation_of_a_line_is_refused),
        CASE(keys_and_ids_have_limits),
        CASE(a_line_has_a_limit),
        CASE(line_ends_and_blank_lines_may_be_of_any_system),
        CASE(a_manifest_may_name_nothing),
        CASE(a_manifest_that_is_not_there_is_not_found),
        CASE(a_manifest_that_changes_while_it_is_read_is_refused),
        CASE(a_store_that_fails_is_no_fault_of_the_manifest),
        CASE(a_stored_job_without_its_manifests_key_is_broken),
        CASE(a_manifest_cut_anywhere_is_the_same_list),
        CASE(the_requests_keys_cut_anywhere_are_the_same_list),
        CASE(a_line_may_end_anywhere_around_a_pieces_end),
        CASE(a_bad_line_behind_a_cut_has_its_number_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
