/* SPDX-License-Identifier: Apache-2.0 */
#include "model_fetch.h"

#include "test.h"

#include "base/log.h"
#include "base/mem.h"
#include "blob_store_memory.h"
#include "capture.h"
#include "model_spec.h"
#include "sleep_clock.h"

#include <stdio.h>
#include <unistd.h>

/* sha256 of "model", "weights" and "cat\ndog\n". */
#define MODEL_SUM "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
#define WEIGHTS_SUM "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
#define LABELS_SUM "f641fdcd8af73b2f6334ab63c13d2eb857cd16f2aa4ea0ba20ba0eb9627918b5"

#define MODEL_JSON(files)                                                                        \
    "{\"name\":\"m\",\"version\":\"2\",\"task\":\"image_classification\",\"files\":{" files "}," \
    "\"sha256\":{\"m.xml\":\"" MODEL_SUM "\",\"m.bin\":\"" WEIGHTS_SUM "\","                     \
    "\"l.txt\":\"" LABELS_SUM "\"},"                                                             \
    "\"input\":{\"name\":\"in\",\"layout\":\"NCHW\",\"height\":8,\"width\":9,\"channels\":3,"    \
    "\"color\":\"RGB\",\"mean\":[1,2.5,3],\"scale\":[4,5,6]},"                                   \
    "\"resize\":{\"short_side\":10,\"interpolation\":\"bicubic\",\"crop\":\"center\"},"          \
    "\"output\":{\"name\":\"out\",\"kind\":\"logits\",\"classes\":2}}"

static const char good[] =
    MODEL_JSON("\"model\":\"m.xml\",\"weights\":\"m.bin\",\"labels\":\"l.txt\"");

enum { FOREVER = 1000000 };

/* The bucket, and what goes wrong with it. */
static struct bucket {
    struct dic_blob_store memory;
    struct dic_blob_store_ops ops; /* the memory's, some replaced by ours below */
    struct dic_model_uri uri;
    struct dic_model_files *files;
    struct fake_clock clock;
    const char *failing_key; /* NULL: any */
    int failing_op;          /* −1: any */
    int failures;            /* of it, so many more */
    struct dic_err failure;
    const char *sized_key; /* head says size_bytes of it */
    int64_t size_bytes;
    int64_t cut_bytes; /* reads of ranges give so many less */
    int64_t call_ms;   /* each call takes so long */
} bucket;

static enum dic_code hook(void *context, enum dic_blob_op op, struct dic_str key,
                          struct dic_err *err)
{
    (void)context;
    fake_clock_advance(&bucket.clock, bucket.call_ms);
    const bool is_it = (bucket.failing_op < 0 || bucket.failing_op == (int)op) &&
                       (bucket.failing_key == NULL || dic_str_is(key, bucket.failing_key));
    if (!is_it || bucket.failures == 0) {
        return DIC_OK;
    }
    bucket.failures--;
    *err = bucket.failure;
    return bucket.failure.code;
}

static enum dic_code head(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                          struct dic_err *err)
{
    DIC_TRY(bucket.memory.ops->head(impl, key, info_out, err));
    if (bucket.sized_key != NULL && dic_str_is(key, bucket.sized_key)) {
        info_out->size_bytes = bucket.size_bytes;
    }
    return DIC_OK;
}

static enum dic_code get_range(void *impl, struct dic_str key, int64_t offset, int64_t len,
                               const char *etag, struct dic_buf *out, struct dic_err *err)
{
    return bucket.memory.ops->get_range(impl, key, offset, len - bucket.cut_bytes, etag, out, err);
}

static void put(const char *key, const void *bytes, size_t len)
{
    assert_ok(bucket.memory.ops->put(bucket.memory.impl, dic_str(key), dic_str_len(bytes, len),
                                     false, NULL));
}

static void put_text(const char *key, const char *text)
{
    put(key, text, strlen(text));
}

static int set_up(void **state)
{
    (void)state;
    bucket = (struct bucket){.memory = dic_blob_store_memory_new(), .failing_op = -1};
    fake_clock_init(&bucket.clock, 0);
    bucket.ops = *bucket.memory.ops;
    bucket.ops.head = head;
    bucket.ops.get_range = get_range;
    dic_blob_store_memory_set_hook(bucket.memory, hook, NULL);
    assert_ok(dic_model_uri_parse("s3://bucket/nets/m", &bucket.uri, NULL));
    assert_ok(dic_model_files_new("s3://bucket/nets/m", &bucket.files, NULL));
    put_text("nets/m/model.json", good);
    put_text("nets/m/m.xml", "model");
    put_text("nets/m/m.bin", "weights");
    put_text("nets/m/l.txt", "cat\ndog\n");
    dic_log_set_level(DIC_LOG_OFF);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_model_files_destroy(bucket.files);
    bucket.memory.ops->destroy(bucket.memory.impl);
    return 0;
}

static enum dic_code fetch(struct dic_err *err)
{
    const struct dic_model_fetch_options options = {
        .store = {&bucket.ops, bucket.memory.impl},
        .uri = &bucket.uri,
        .files = bucket.files,
        .clock = &bucket.clock.clock,
        .sleep_ms = fake_clock_sleep,
        .sleep_context = &bucket.clock,
    };
    return dic_model_fetch(&options, err);
}

static void fetch_well(void)
{
    struct dic_err err = {0};
    if (fetch(&err) != DIC_OK) {
        print_error("%s\n", err.msg);
        fail();
    }
}

static void assert_refused(enum dic_code code, const char *key, const char *words)
{
    struct dic_err err = {0};
    char uri[128];
    const enum dic_code got = fetch(&err);
    snprintf(uri, sizeof uri, "s3://bucket/nets/m/%s: ", key);
    if (got != code || strncmp(err.msg, uri, strlen(uri)) != 0 || strstr(err.msg, words) == NULL) {
        print_error("%d '%s', not %d '%s…%s'\n", got, err.msg, code, uri, words);
        fail();
    }
}

static uint32_t ranges(void)
{
    return dic_blob_store_memory_calls(bucket.memory, DIC_BLOB_GET_RANGE);
}

static void fail_with(enum dic_code code, const char *key, int op, int times)
{
    (void)dic_fail(&bucket.failure, code, "out of order");
    bucket.failing_key = key;
    bucket.failing_op = op;
    bucket.failures = times;
}

/* ---- what comes ---- */

static void a_model_with_weights_is_the_one_in_the_bucket(void **state)
{
    (void)state;
    struct dic_model_spec *spec = NULL;
    fetch_well();
    assert_ok(dic_model_spec_read_files(bucket.files, &spec, NULL));
    assert_string_equal(spec->summary_json,
                        "{\"name\":\"m\",\"version\":\"2\",\"sha256\":\"" WEIGHTS_SUM "\"}");
    assert_string_equal(spec->model_origin, "s3://bucket/nets/m/m.xml");
    assert_view(spec->labels[1], "dog");
    assert_non_null(spec->weights_path);
    dic_model_spec_destroy(spec);
    assert_int_equal(bucket.clock.sleeps, 0);
}

static void a_model_without_weights_is_read_from_the_root_of_a_bucket(void **state)
{
    (void)state;
    struct dic_model_spec *spec = NULL;
    assert_ok(dic_model_uri_parse("s3://bucket", &bucket.uri, NULL));
    put_text("model.json", MODEL_JSON("\"model\":\"m.xml\",\"labels\":\"l.txt\""));
    put_text("m.xml", "model");
    put_text("l.txt", "cat\ndog\n");
    fetch_well();
    assert_ok(dic_model_spec_read_files(bucket.files, &spec, NULL));
    assert_null(spec->weights_path);
    assert_string_equal(spec->sha256, MODEL_SUM);
    dic_model_spec_destroy(spec);
}

static void assert_file_is(enum dic_model_file which, const char *bytes, size_t len)
{
    char *path = dic_model_files_path(bucket.files, which);
    char *text = dic_calloc(len + 1, 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, len + 1, file), len);
    assert_memory_equal(text, bytes, len);
    fclose(file);
    dic_free(text);
    dic_free(path);
}

static void a_large_file_comes_in_pieces_that_fit_together(void **state)
{
    (void)state;
    const size_t most = 2 * (size_t)DIC_MODEL_PIECE_BYTES + 1;
    char *bytes = dic_calloc(most, 1);
    for (size_t i = 0; i < most; i++) {
        bytes[i] = (char)(i * 2654435761U >> 13);
    }
    for (size_t less = 0; less < 3; less++) { /* n+1, n, n−1 of a whole number of pieces */
        const uint32_t before = ranges();
        put("nets/m/m.bin", bytes, most - less);
        dic_model_files_destroy(bucket.files);
        assert_ok(dic_model_files_new("s3://bucket/nets/m", &bucket.files, NULL));
        fetch_well();
        assert_file_is(DIC_MODEL_WEIGHTS, bytes, most - less);
        assert_int_equal(ranges() - before, less == 0 ? 5 : 4);
    }
    dic_free(bytes);
}

static void each_file_is_logged_with_its_etag(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\"event\":\"model_file\",\"bucket\":\"bucket\",\"key\":\"nets/m/model.json\"",
        "\"key\":\"nets/m/m.xml\",\"bytes\":5,\"etag\":\"\\\"2\\\"\"",
        "\"key\":\"nets/m/m.bin\",\"bytes\":7,\"etag\":\"\\\"3\\\"\"",
        "\"key\":\"nets/m/l.txt\",\"bytes\":8,\"etag\":\"\\\"4\\\"\"",
        "\"event\":\"model_fetched\",\"origin\":\"s3://bucket/nets/m\"",
    };
    dic_log_set_level(DIC_LOG_INFO);
    dic_capture_begin(STDERR_FILENO);
    const enum dic_code code = fetch(NULL);
    const char *log = dic_capture_end();
    assert_ok(code);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strstr(log, lines[i]) == NULL) {
            print_error("no %s in\n%s", lines[i], log);
            fail();
        }
    }
}

static void the_origin_is_the_folder_without_its_last_slash(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"s3://bucket", "s3://bucket"},
                                           {"s3://bucket/", "s3://bucket"},
                                           {"s3://bucket/a/b/", "s3://bucket/a/b"}};
    for (size_t i = 0; i < 3; i++) {
        struct dic_model_uri uri;
        assert_ok(dic_model_uri_parse(cases[i][0], &uri, NULL));
        char *origin = dic_model_fetch_origin(&uri);
        assert_string_equal(origin, cases[i][1]);
        dic_free(origin);
    }
}

/* ---- what must not come ---- */

static void an_object_that_is_not_there_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"model.json", "l.txt", "m.xml", "m.bin"};
    for (size_t i = 0; i < 4; i++) {
        char key[64];
        snprintf(key, sizeof key, "nets/m/%s", names[i]);
        fail_with(DIC_E_NOT_FOUND, key, -1, FOREVER);
        assert_refused(DIC_E_NOT_FOUND, names[i], "out of order");
        fail_with(DIC_E_DENIED, key, -1, FOREVER);
        assert_refused(DIC_E_DENIED, names[i], "out of order");
    }
    assert_int_equal(bucket.clock.sleeps, 0);
    assert_int_equal(ranges(), 0);
}

static void names_that_lead_out_of_the_folder_are_refused_before_they_are_read(void **state)
{
    (void)state;
    static const char *const names[] = {"../m.xml", "/m.xml", "a/m.xml", "..", ".m.xml", "m.xml/"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[2000];
        snprintf(text, sizeof text, MODEL_JSON("\"model\":\"%s\",\"labels\":\"l.txt\""), names[i]);
        put_text("nets/m/model.json", text);
        assert_refused(DIC_E_INVALID, "model.json", "files.model must be the name of a file");
    }
    assert_int_equal(dic_blob_store_memory_calls(bucket.memory, DIC_BLOB_HEAD), 0);
}

static void a_name_has_at_most_200_bytes(void **state)
{
    (void)state;
    for (size_t len = 199; len <= 201; len++) {
        char name[256] = "";
        char text[2000];
        struct dic_err err = {0};
        memset(name, 'n', len);
        snprintf(text, sizeof text, MODEL_JSON("\"model\":\"%s\",\"labels\":\"l.txt\""), name);
        put_text("nets/m/model.json", text);
        assert_code(fetch(&err), len <= 200 ? DIC_E_NOT_FOUND : DIC_E_INVALID);
        assert_non_null(strstr(err.msg, len <= 200 ? "nnn: " : "must have 1 to 200 bytes"));
    }
}

static void every_truncation_of_the_json_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof good - 1; len++) {
        put("nets/m/model.json", good, len);
        assert_refused(DIC_E_MALFORMED, "model.json", "not valid JSON");
    }
}

static void model_json_has_a_ceiling(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        static char text[DIC_MODEL_JSON_BYTES + 1];
        memset(text, ' ', sizeof text);
        memcpy(text, good, sizeof good - 1);
        put("nets/m/model.json", text, DIC_MODEL_JSON_BYTES - 1 + over);
        if (over < 2) {
            fetch_well();
        } else {
            assert_refused(DIC_E_TOO_LARGE, "model.json", "65537 bytes, the limit is 65536");
        }
    }
}

/* Up to the limit the reads begin; those of an object that is not so long then fail. */
static void assert_size_is(bool good_size, const char *name, int64_t size, const char *words)
{
    char key[64];
    const uint32_t before = ranges();
    snprintf(key, sizeof key, "nets/m/%s", name);
    bucket.sized_key = key;
    bucket.size_bytes = size;
    fail_with(DIC_E_DENIED, NULL, DIC_BLOB_GET_RANGE, FOREVER);
    if (good_size) {
        assert_refused(DIC_E_DENIED, "l.txt", "out of order");
        assert_int_equal(ranges(), before + 1);
    } else {
        assert_refused(DIC_E_TOO_LARGE, name, words);
        assert_int_equal(ranges(), before);
    }
}

static void the_labels_have_a_ceiling(void **state)
{
    (void)state;
    for (int64_t over = -1; over <= 1; over++) {
        assert_size_is(over <= 0, "l.txt", DIC_MODEL_LABELS_BYTES + over,
                       "the labels have 67108865 bytes, the limit is 67108864");
    }
}

static void all_files_together_have_a_ceiling(void **state)
{
    (void)state;
    const int64_t others = (int64_t)(sizeof good - 1) + 8 + 5;
    for (int64_t over = -1; over <= 1; over++) {
        assert_size_is(over <= 0, "m.bin", DIC_MODEL_TOTAL_BYTES - others + over,
                       "the model has more than 2147483648");
    }
    assert_size_is(false, "m.xml", INT64_MAX, "the model has more than 2147483648");
}

static void an_empty_object_is_refused(void **state)
{
    (void)state;
    put("nets/m/m.bin", "", 0);
    assert_refused(DIC_E_INVALID, "m.bin", "the object is empty");
    assert_int_equal(ranges(), 0);
}

static void an_object_that_changes_while_it_is_read_is_refused(void **state)
{
    (void)state;
    fail_with(DIC_E_CONFLICT, "nets/m/m.xml", DIC_BLOB_GET_RANGE, 1);
    assert_refused(DIC_E_CONFLICT, "m.xml", "out of order");
    assert_int_equal(bucket.clock.sleeps, 0);
}

/* head answers before, the range is read after: the ETag of the first must be asked for. */
static enum dic_code head_then_overwrite(void *impl, struct dic_str key,
                                         struct dic_blob_info *info_out, struct dic_err *err)
{
    DIC_TRY(bucket.memory.ops->head(impl, key, info_out, err));
    return bucket.memory.ops->put(impl, key, DIC_STR_LIT("others!!"), false, err);
}

static void the_version_whose_size_was_seen_is_the_one_that_is_read(void **state)
{
    (void)state;
    bucket.ops.head = head_then_overwrite;
    assert_refused(DIC_E_CONFLICT, "l.txt", "has changed");
}

static void a_file_with_another_checksum_is_refused_with_its_uri(void **state)
{
    (void)state;
    struct dic_model_spec *spec = NULL;
    struct dic_err err = {0};
    put_text("nets/m/m.bin", "weight5");
    fetch_well();
    assert_code(dic_model_spec_read_files(bucket.files, &spec, &err), DIC_E_INVALID);
    assert_non_null(strstr(err.msg, "s3://bucket/nets/m/model.json: sha256 of 'm.bin' is 9a12"));
    assert_null(spec);
}

static void a_long_key_is_shown_by_its_end(void **state)
{
    (void)state;
    char uri[1000] = "s3://bucket/";
    struct dic_err err = {0};
    memset(uri + 12, 'f', 900);
    assert_ok(dic_model_uri_parse(uri, &bucket.uri, NULL));
    assert_code(fetch(&err), DIC_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "s3://bucket/...fff"));
    assert_non_null(strstr(err.msg, "f/model.json: there is no object with this key"));
}

/* ---- what may work later ---- */

static void a_passing_fault_of_each_read_is_waited_out(void **state)
{
    (void)state;
    static const enum dic_code codes[] = {DIC_E_UPSTREAM, DIC_E_TIMEOUT, DIC_E_BUSY};
    static const int ops[] = {DIC_BLOB_GET, DIC_BLOB_HEAD, DIC_BLOB_GET_RANGE};
    for (size_t i = 0; i < 9; i++) {
        bucket.clock.sleeps = 0;
        fail_with(codes[i % 3], NULL, ops[i / 3], 3);
        fetch_well();
        assert_int_equal(bucket.failures, 0);
        assert_int_equal(bucket.clock.sleeps, 3);
        assert_int_equal(bucket.clock.slept_ms[0], 500);
        assert_int_equal(bucket.clock.slept_ms[1], 1000);
        assert_int_equal(bucket.clock.slept_ms[2], 2000);
    }
    assert_file_is(DIC_MODEL_WEIGHTS, "weights", 7);
}

static void a_fault_that_stays_ends_it_within_a_minute(void **state)
{
    (void)state;
    const int64_t begun = bucket.clock.mono_ms;
    fail_with(DIC_E_UPSTREAM, "nets/m/m.bin", DIC_BLOB_GET_RANGE, FOREVER);
    assert_refused(DIC_E_UPSTREAM, "m.bin", "out of order");
    const int64_t took = bucket.clock.mono_ms - begun;
    assert_in_range(took, 50 * 1000, 60 * 1000);
    for (size_t i = 0; i < bucket.clock.sleeps; i++) {
        assert_in_range(bucket.clock.slept_ms[i], 500, 8000);
    }
}

static void a_fault_that_will_stay_is_not_tried_again(void **state)
{
    (void)state;
    fail_with(DIC_E_UPSTREAM, NULL, DIC_BLOB_GET, FOREVER);
    bucket.failure.retryable = false; /* no such bucket, another region */
    assert_refused(DIC_E_UPSTREAM, "model.json", "out of order");
    assert_int_equal(bucket.failures, FOREVER - 1);
}

static void a_read_that_comes_short_is_never_taken(void **state)
{
    (void)state;
    for (bucket.cut_bytes = 1; bucket.cut_bytes <= 5; bucket.cut_bytes++) {
        assert_refused(DIC_E_UPSTREAM, "l.txt", "bytes came from 0 on, where 8 were expected");
    }
}

static void progress_renews_the_patience_but_not_the_time_in_all(void **state)
{
    (void)state;
    const size_t len = 30 * (size_t)DIC_MODEL_PIECE_BYTES;
    char *bytes = dic_calloc(len, 1);
    put("nets/m/m.bin", bytes, len);
    dic_free(bytes);
    bucket.call_ms = 15 * 1000; /* 36 calls: longer than patience, shorter than the time */
    fetch_well();
    bucket.call_ms = 25 * 1000;
    assert_refused(DIC_E_TIMEOUT, "m.bin", "the model was not read in 600 s");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_model_with_weights_is_the_one_in_the_bucket),
        TEST(a_model_without_weights_is_read_from_the_root_of_a_bucket),
        TEST(a_large_file_comes_in_pieces_that_fit_together),
        TEST(each_file_is_logged_with_its_etag),
        TEST(the_origin_is_the_folder_without_its_last_slash),
        TEST(an_object_that_is_not_there_is_named),
        TEST(names_that_lead_out_of_the_folder_are_refused_before_they_are_read),
        TEST(a_name_has_at_most_200_bytes),
        TEST(every_truncation_of_the_json_is_refused),
        TEST(model_json_has_a_ceiling),
        TEST(the_labels_have_a_ceiling),
        TEST(all_files_together_have_a_ceiling),
        TEST(an_empty_object_is_refused),
        TEST(an_object_that_changes_while_it_is_read_is_refused),
        TEST(the_version_whose_size_was_seen_is_the_one_that_is_read),
        TEST(a_file_with_another_checksum_is_refused_with_its_uri),
        TEST(a_long_key_is_shown_by_its_end),
        TEST(a_passing_fault_of_each_read_is_waited_out),
        TEST(a_fault_that_stays_ends_it_within_a_minute),
        TEST(a_fault_that_will_stay_is_not_tried_again),
        TEST(a_read_that_comes_short_is_never_taken),
        TEST(progress_renews_the_patience_but_not_the_time_in_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
