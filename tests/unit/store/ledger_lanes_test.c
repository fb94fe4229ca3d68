/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "store/job_store_ledger.h"
#include "store/ledger_lanes.h"

#include <stdatomic.h>

enum { COUNT = 200 };

struct work {
    struct dic_ledger_lanes *lanes;
    atomic_uint done[COUNT];
    atomic_uint begun;
    uint32_t order[COUNT]; /* of one lane */
    uint32_t fails_at;     /* COUNT: nowhere */
};

static enum dic_code note(void *context, uint32_t index, struct dic_err *err)
{
    struct work *work = context;
    atomic_fetch_add(&work->done[index], 1);
    atomic_fetch_add(&work->begun, 1);
    return index == work->fails_at ? dic_fail(err, DIC_E_TOO_LARGE, "index %u", index) : DIC_OK;
}

static enum dic_code note_order(void *context, uint32_t index, struct dic_err *err)
{
    struct work *work = context;
    work->order[atomic_load(&work->begun)] = index;
    return note(context, index, err);
}

static enum dic_code run_inside(void *context, uint32_t index, struct dic_err *err)
{
    struct work *work = context;
    (void)index;
    return dic_ledger_lanes_run(work->lanes, COUNT, note, work, err);
}

static void everything_is_done_once(void **state)
{
    (void)state;
    static const uint32_t lanes[] = {1, 2, DIC_LEDGER_LANES, DIC_LEDGER_LANES_MAX + 1};
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        struct work work = {.lanes = dic_ledger_lanes_new(lanes[i]), .fails_at = COUNT};
        assert_ok(dic_ledger_lanes_run(work.lanes, 0, note, &work, NULL));
        assert_ok(dic_ledger_lanes_run(work.lanes, COUNT, note, &work, NULL));
        for (int k = 0; k < COUNT; k++) {
            assert_int_equal(atomic_load(&work.done[k]), 1);
        }
        dic_ledger_lanes_destroy(work.lanes);
    }
}

static void one_lane_goes_in_order_and_ends_at_the_first_error(void **state)
{
    (void)state;
    struct work work = {.lanes = dic_ledger_lanes_new(1), .fails_at = 7};
    struct dic_err err = {0};
    assert_code(dic_ledger_lanes_run(work.lanes, COUNT, note_order, &work, &err), DIC_E_TOO_LARGE);
    assert_string_equal(err.msg, "index 7");
    assert_int_equal(atomic_load(&work.begun), 8);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(work.order[i], i);
    }
    dic_ledger_lanes_destroy(work.lanes);
}

static void the_first_error_is_the_result_of_many_lanes(void **state)
{
    (void)state;
    struct work work = {.lanes = dic_ledger_lanes_new(DIC_LEDGER_LANES), .fails_at = 0};
    struct dic_err err = {0};
    assert_code(dic_ledger_lanes_run(work.lanes, COUNT, note, &work, &err), DIC_E_TOO_LARGE);
    assert_string_equal(err.msg, "index 0");
    assert_code(dic_ledger_lanes_run(work.lanes, COUNT, note, &work, NULL), DIC_E_TOO_LARGE);
    dic_ledger_lanes_destroy(work.lanes);
}

/* More threads are asked for than there are: then the callers' own do the rest. */
static void runs_inside_runs_do_not_wait_for_each_other(void **state)
{
    (void)state;
    enum { OUTER = 20 };
    struct work work = {.lanes = dic_ledger_lanes_new(DIC_LEDGER_LANES), .fails_at = COUNT};
    assert_ok(dic_ledger_lanes_run(work.lanes, OUTER, run_inside, &work, NULL));
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(atomic_load(&work.done[i]), OUTER);
    }
    dic_ledger_lanes_destroy(work.lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_done_once),
        cmocka_unit_test(one_lane_goes_in_order_and_ends_at_the_first_error),
        cmocka_unit_test(the_first_error_is_the_result_of_many_lanes),
        cmocka_unit_test(runs_inside_runs_do_not_wait_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
