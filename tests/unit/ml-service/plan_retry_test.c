/* SPDX-License-Identifier: Apache-2.0 */
/* Images from another job: those whose rows are errors. */
#include "plan_source.h"

#include "test.h"

#include "fake_jobs.h"
#include "source_run.h"

#include <stdio.h>

enum { LINES_BYTES = 1024 * 1024, MAX_CHUNKS = 100 };

static const struct dic_source_cut whole = {.first = 32 * 500, .chunk_images = 500};

static struct dic_fake_jobs *jobs;
static struct dic_job job;
static struct dic_buf lines;
static struct dic_buf texts[MAX_CHUNKS];
static struct dic_rows rows[MAX_CHUNKS];
static char parent[DIC_ID_SIZE];

static int set_up(void **state)
{
    const struct dic_job_params params = {.source = DIC_SOURCE_KEYS};
    (void)state;
    jobs = dic_fake_jobs_new();
    dic_fake_jobs_add(jobs, &params, dic_str(""), parent);
    dic_buf_init(&lines, LINES_BYTES);
    for (int i = 0; i < MAX_CHUNKS; i++) {
        dic_buf_init(&texts[i], LINES_BYTES);
        rows[i] = (struct dic_rows){.chunk = (uint32_t)i};
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < MAX_CHUNKS; i++) {
        dic_buf_clean_up(&texts[i]);
    }
    dic_buf_clean_up(&lines);
    dic_fake_jobs_destroy(jobs);
    return 0;
}

static void add_good(uint32_t chunk, int number)
{
    dic_buf_printf(&texts[chunk],
                   "{\"index\":%d,\"s3_key\":\"g%d\",\"label\":\"cat\",\"confidence\":0.5}\n",
                   number, number);
    rows[chunk].images++;
    rows[chunk].rows = dic_buf_view(&texts[chunk]);
}

static void add_bad(uint32_t chunk, const char *members)
{
    dic_buf_printf(&texts[chunk], "{\"index\":1,%s,\"error\":{\"code\":\"EMPTY\"}}\n", members);
    rows[chunk].images++;
    rows[chunk].failed++;
    rows[chunk].rows = dic_buf_view(&texts[chunk]);
}

static enum dic_code plan(const char *spec_text, const struct dic_source_cut *cut,
                          struct dic_err *err)
{
    struct dic_json *spec = NULL;
    assert_ok(dic_json_parse(dic_str(spec_text), &spec, NULL));
    const struct dic_plan_source source = {
        .jobs = dic_fake_jobs_port(jobs), .job = &job, .spec = spec};
    dic_buf_clear(&lines);
    enum dic_code code = dic_source_run(dic_fill_from_retry, &source, cut, &lines, err);
    dic_json_destroy(spec);
    return code;
}

static enum dic_code plan_parent(const struct dic_source_cut *cut, struct dic_err *err)
{
    char spec[80];
    snprintf(spec, sizeof spec, "{\"retry_of\":\"%s\"}", parent);
    return plan(spec, cut, err);
}

static void the_failed_rows_are_taken_with_their_ids(void **state)
{
    (void)state;
    add_good(0, 1);
    add_bad(0, "\"s3_key\":\"b\\\"1\"");
    add_good(1, 2);
    add_good(1, 3);
    add_bad(2, "\"s3_key\":\"b2\",\"id\":\"no. 7\"");
    add_bad(2, "\"s3_key\":\"b3\"");
    dic_fake_jobs_set_rows(jobs, parent, rows, 3);
    assert_ok(plan_parent(&whole, NULL));
    assert_view(dic_buf_view(&lines), "\"b\\\"1\"\n{\"k\":\"b2\",\"id\":\"no. 7\"}\n\"b3\"\n");
}

static void a_parent_without_failures_gives_nothing(void **state)
{
    (void)state;
    assert_ok(plan_parent(&whole, NULL)); /* no rows at all */
    assert_int_equal(lines.len, 0);
    add_good(0, 1);
    dic_fake_jobs_set_rows(jobs, parent, rows, 1);
    assert_ok(plan_parent(&whole, NULL));
    assert_int_equal(lines.len, 0);
}

/* 70 failures in 100 chunks: some chunks have none, some one, some three. */
static void failures_cut_anywhere_are_the_same_list(void **state)
{
    (void)state;
    struct dic_buf expected;
    int number = 0;
    dic_buf_init(&expected, LINES_BYTES);
    for (uint32_t chunk = 0; chunk < MAX_CHUNKS; chunk++) {
        static const int failures[] = {0, 1, 3, 0, 0, 0, 2, 1, 0, 0};
        add_good(chunk, (int)chunk);
        for (int i = 0; i < failures[chunk % 10]; i++, number++) {
            char members[32];
            snprintf(members, sizeof members, "\"s3_key\":\"b%d\"", number);
            add_bad(chunk, members);
            add_good(chunk, 1000 + number);
            dic_buf_printf(&expected, "\"b%d\"\n", number);
        }
    }
    dic_fake_jobs_set_rows(jobs, parent, rows, MAX_CHUNKS);
    for (uint32_t first = 1; first <= 32; first++) {
        const struct dic_source_cut cut = {.first = first, .chunk_images = 1};
        assert_ok(plan_parent(&cut, NULL));
        assert_view(dic_buf_view(&lines), expected.ptr);
    }
    dic_buf_clean_up(&expected);
}

static void broken_records_are_told_as_such(void **state)
{
    (void)state;
    assert_code(plan("{}", &whole, NULL), DIC_E_INTERNAL);
    assert_code(plan("{\"retry_of\":\"../x\"}", &whole, NULL), DIC_E_INTERNAL);
    assert_code(plan("{\"retry_of\":5}", &whole, NULL), DIC_E_INVALID);
    assert_code(plan("{\"retry_of\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\"}", &whole, NULL),
                DIC_E_NOT_FOUND);
    add_bad(0, "\"key\":\"b1\"");
    dic_fake_jobs_set_rows(jobs, parent, rows, 1);
    assert_code(plan_parent(&whole, NULL), DIC_E_INTERNAL);
}

static void every_truncation_of_a_stored_row_is_refused(void **state)
{
    (void)state;
    add_bad(0, "\"s3_key\":\"b1\",\"id\":\"i\"");
    dic_fake_jobs_set_rows(jobs, parent, rows, 1);
    size_t whole_len = rows[0].rows.len - 1; /* without its newline */
    for (size_t len = 1; len < whole_len; len++) {
        rows[0].rows.len = len;
        assert_code(plan_parent(&whole, NULL), DIC_E_MALFORMED);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_failed_rows_are_taken_with_their_ids),
        CASE(a_parent_without_failures_gives_nothing),
        CASE(failures_cut_anywhere_are_the_same_list),
        CASE(broken_records_are_told_as_such),
        CASE(every_truncation_of_a_stored_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
