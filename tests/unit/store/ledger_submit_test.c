/* SPDX-License-Identifier: Apache-2.0 */
/* Submits that somebody else has begun, perhaps with another CHUNK_IMAGES. */
#include "test.h"

#include "ledger_rig.h"
#include "store/ledger_impl.h"

#include <stdio.h>

/* The one operation that fails, as its process dies there. */
struct death {
    const char *op;
    const char *prefix; /* of the key */
    bool has_happened;
};

static enum dic_table_fault die_once(void *context, const char *op, struct dic_str pk)
{
    struct death *death = context;
    if (death->has_happened || strcmp(op, death->op) != 0 ||
        !dic_str_starts_with(pk, dic_str(death->prefix))) {
        return DIC_TABLE_GO_ON;
    }
    death->has_happened = true;
    return DIC_TABLE_FAIL;
}

static int set_up(void **state)
{
    *state = dic_ledger_rig_new(0);
    return 0;
}

static int tear_down(void **state)
{
    dic_ledger_rig_destroy(*state);
    return 0;
}

static struct dic_chunk chunk_of(struct dic_ledger_rig *rig, const char *id, uint32_t chunk,
                                 struct dic_buf *memory)
{
    struct dic_chunk out = {0};
    dic_buf_clear(memory);
    assert_ok(rig->jobs.ops->get_chunk(rig->jobs.impl, id, chunk, &out, memory, NULL));
    return out;
}

/* A list of 70 images. The first backend, which cuts chunks of `first`, dies before the job is
 * there; then one that cuts chunks of `second` gets the same request. */
static void submit_with_two_cuts(struct dic_ledger_rig *rig, uint32_t first, uint32_t second,
                                 char id_out[DIC_ID_SIZE])
{
    enum { IMAGES = 70 };
    struct death death = {"put", "M#", false};
    rig->decide = die_once;
    rig->context = &death;
    assert_code(dic_ledger_rig_submit(rig, IMAGES, first, "key", id_out, NULL), DIC_E_UPSTREAM);
    assert_true(death.has_happened);
    rig->decide = NULL;
    assert_ok(dic_ledger_rig_submit(rig, IMAGES, second, "key", id_out, NULL));
}

static void a_list_is_cut_as_its_first_backend_began_to(void **state)
{
    struct dic_ledger_rig *rig = *state;
    static const uint32_t seconds[] = {5, 50, 2, 500}; /* 2: more than a segment holds */
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    char id[DIC_ID_SIZE];
    dic_buf_init(&memory, 10000);
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        tear_down(state);
        set_up(state);
        rig = *state;
        submit_with_two_cuts(rig, 20, seconds[i], id);
        assert_int_equal(dic_ledger_rig_get(rig, id).planned_chunks, 4);
        assert_int_equal(dic_ledger_rig_get(rig, id).totals.images, 70);
        assert_int_equal(dic_ledger_rig_take(rig, NULL, 4), 4);
        assert_int_equal(chunk_of(rig, id, 0, &memory).images, 20);
        struct dic_chunk last = chunk_of(rig, id, 3, &memory);
        assert_int_equal(last.images, 10);
        assert_int_equal(last.first_image, 60);
        assert_view(last.lines,
                    "\"image-60\"\n\"image-61\"\n\"image-62\"\n\"image-63\"\n\"image-64\"\n"
                    "\"image-65\"\n\"image-66\"\n\"image-67\"\n\"image-68\"\n\"image-69\"\n");
    }
}

static void a_list_that_was_too_long_for_its_first_backend_is_left_to_a_planner(void **state)
{
    struct dic_ledger_rig *rig = *state;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf keys;
    char id[DIC_ID_SIZE];
    dic_buf_init(&keys, 100);
    submit_with_two_cuts(rig, 2, 20, id); /* 35 chunks, 32 go into a segment */
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_ACCEPTED);
    assert_int_equal(dic_ledger_rig_take(rig, NULL, 0), 1);
    assert_ok(rig->jobs.ops->get_keys(rig->jobs.impl, id, 0, 22, &keys, NULL));
    assert_view(dic_buf_view(&keys), "\"image-0\"\n\"image-1\"\n\"i");
}

static void a_cut_at_the_edge_of_a_segment_is_one_segment(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct death death = {"put", "M#", false};
    char id[DIC_ID_SIZE];
    rig->decide = die_once;
    rig->context = &death;
    const uint32_t images = DIC_SEGMENT_CHUNKS * 2;
    assert_code(dic_ledger_rig_submit(rig, images, 2, "full", id, NULL), DIC_E_UPSTREAM);
    assert_ok(dic_ledger_rig_submit(rig, images, 1, "full", id, NULL));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_RUNNING);
    assert_int_equal(dic_ledger_rig_get(rig, id).planned_chunks, DIC_SEGMENT_CHUNKS);
    death.has_happened = false;
    assert_code(dic_ledger_rig_submit(rig, images + 1, 2, "over", id, NULL), DIC_E_UPSTREAM);
    assert_ok(dic_ledger_rig_submit(rig, images + 1, 500, "over", id, NULL));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_ACCEPTED);
}

static enum dic_code submit_prefix(struct dic_ledger_rig *rig, uint32_t chunk_images,
                                   const char *retry_of, char id_out[DIC_ID_SIZE])
{
    const struct dic_new_job job = {
        .params = {.source = DIC_SOURCE_PREFIX, .top_k = 1, .max_failures = -1},
        .created_ms = DIC_FAKE_CLOCK_START_MS,
        .idempotency_key = DIC_STR_LIT("key"),
        .request_hash = DIC_STR_LIT("hash"),
        .retry_of = dic_str(retry_of),
        .chunk_images = chunk_images};
    enum dic_create_result result;
    bool sent = false;
    return rig->jobs.ops->create(rig->jobs.impl, &job, id_out, &result, &sent, NULL);
}

static void a_job_without_a_list_is_helped_whatever_the_cut(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct death death = {"put", "M#", false};
    char id[DIC_ID_SIZE];
    rig->decide = die_once;
    rig->context = &death;
    assert_code(submit_prefix(rig, 100, "", id), DIC_E_UPSTREAM);
    assert_ok(submit_prefix(rig, 500, "", id));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_ACCEPTED);
}

static void a_retry_is_helped_whatever_the_cut(void **state)
{
    struct dic_ledger_rig *rig = *state;
    struct death death = {"put", "M#", false};
    char id[DIC_ID_SIZE];
    char parent[DIC_ID_SIZE];
    assert_ok(dic_ledger_rig_submit(rig, 1, 1, "", parent, NULL));
    assert_int_equal(dic_ledger_rig_book(rig, parent, 0, 1, 1), DIC_BOOKED);
    rig->decide = die_once;
    rig->context = &death;
    assert_code(submit_prefix(rig, 100, parent, id), DIC_E_UPSTREAM);
    assert_ok(submit_prefix(rig, 500, parent, id));
    assert_int_equal(dic_ledger_rig_get(rig, id).state, DIC_JOB_ACCEPTED);
}

/* As no version of ours writes it. */
static void a_cut_that_no_chunk_can_have_is_told_with_its_setting(void **state)
{
    struct dic_ledger_rig *rig = *state;
    static const int64_t cuts[] = {-1, DIC_MAX_CHUNK_IMAGES + 1, INT64_MAX};
    char id[DIC_ID_SIZE];
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        const struct dic_change changes[] = {
            dic_set_text("job", DIC_STR_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaa")),
            dic_set_text("req", DIC_STR_LIT("3")),
            dic_set_number("cut", cuts[i]),
            dic_set_number("exp", INT64_MAX),
        };
        const struct dic_table_write write = {DIC_STR_LIT("I#default#key"), changes, 4, NULL, 0};
        struct dic_err err = {0};
        bool applied = false;
        assert_ok(rig->table.ops->put(rig->table.impl, &write, &applied, NULL, NULL));
        assert_code(dic_ledger_rig_submit(rig, 3, 1, "key", id, &err), DIC_E_INTERNAL);
        assert_non_null(strstr(err.msg, "CHUNK_IMAGES"));
        assert_non_null(strstr(err.msg, "1 to 500"));
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_list_is_cut_as_its_first_backend_began_to),
        CASE(a_list_that_was_too_long_for_its_first_backend_is_left_to_a_planner),
        CASE(a_cut_at_the_edge_of_a_segment_is_one_segment),
        CASE(a_job_without_a_list_is_helped_whatever_the_cut),
        CASE(a_retry_is_helped_whatever_the_cut),
        CASE(a_cut_that_no_chunk_can_have_is_told_with_its_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
