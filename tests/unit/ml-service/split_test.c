/* SPDX-License-Identifier: Apache-2.0 */
#include "split.h"

#include "test.h"

static void candidates_start_with_all_cpus_for_both_and_have_no_doubles(void **state)
{
    (void)state;
    for (uint32_t cpus = 1; cpus <= 64; cpus++) {
        struct dic_split splits[DIC_SPLITS_MAX];
        const uint32_t count = dic_split_candidates(cpus, 0, 0, splits);
        assert_in_range(count, 1, DIC_SPLITS_MAX);
        assert_int_equal(splits[0].decoders, cpus);
        assert_int_equal(splits[0].lanes, cpus);
        for (uint32_t i = 0; i < count; i++) {
            assert_in_range(splits[i].decoders, 1, cpus);
            assert_in_range(splits[i].lanes, 1, cpus);
            for (uint32_t j = 0; j < i; j++) {
                assert_false(splits[i].decoders == splits[j].decoders &&
                             splits[i].lanes == splits[j].lanes);
            }
        }
    }
}

static void one_cpu_has_nothing_to_choose(void **state)
{
    struct dic_split splits[DIC_SPLITS_MAX];
    (void)state;
    assert_int_equal(dic_split_candidates(1, 0, 0, splits), 1);
}

static void a_fixed_number_stays_in_every_candidate(void **state)
{
    struct dic_split splits[DIC_SPLITS_MAX];
    (void)state;
    uint32_t count = dic_split_candidates(8, 3, 0, splits);
    assert_true(count > 1);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(splits[i].decoders, 3);
    }
    assert_int_equal(dic_split_candidates(8, 3, 5, splits), 1);
    assert_int_equal(splits[0].lanes, 5);
}

static const struct dic_split three[] = {{2, 2}, {1, 1}, {1, 2}};

/* Runs epochs on a machine where split i makes rates[i] images/s; noise is added turn by turn. */
static uint32_t epochs_away(struct dic_split_tuner *tuner, const double *rates, uint32_t epochs,
                            double noise)
{
    struct dic_split now = three[tuner->holder];
    uint32_t away = 0;
    uint32_t seed = 1;
    for (uint32_t i = 0; i < epochs; i++) {
        const uint32_t index = now.decoders == 2 ? 0 : now.lanes == 1 ? 1 : 2;
        seed = seed * 1664525 + 1013904223;
        const double swing = ((double)(seed >> 16) / 65536 - 0.5) * 2 * noise;
        away += index != tuner->holder;
        now = dic_split_tuner_next(tuner, rates[index] * (1 + swing));
    }
    return away;
}

static void the_fastest_split_is_found_from_any_start(void **state)
{
    (void)state;
    for (uint32_t best = 0; best < 3; best++) {
        for (uint32_t start = 0; start < 3; start++) {
            double rates[] = {100, 100, 100};
            struct dic_split_tuner tuner;
            rates[best] = 110;
            dic_split_tuner_init(&tuner, three, 3, start);
            (void)epochs_away(&tuner, rates, 200, 0.01);
            assert_int_equal(tuner.holder, best);
        }
    }
}

static void a_lead_within_the_margin_changes_nothing(void **state)
{
    const double rates[] = {100, 102, 99};
    struct dic_split_tuner tuner;
    (void)state;
    dic_split_tuner_init(&tuner, three, 3, 0);
    (void)epochs_away(&tuner, rates, 1000, 0);
    assert_int_equal(tuner.holder, 0);
}

static void a_lost_lead_is_noticed_after_the_machine_changed(void **state)
{
    const double before[] = {100, 120, 90};
    const double after[] = {100, 70, 130};
    struct dic_split_tuner tuner;
    (void)state;
    dic_split_tuner_init(&tuner, three, 3, 0);
    (void)epochs_away(&tuner, before, 500, 0.05);
    assert_int_equal(tuner.holder, 1);
    (void)epochs_away(&tuner, after, 2 * DIC_SPLIT_REST_MAX, 0.05);
    assert_int_equal(tuner.holder, 2);
}

static void trying_takes_little_of_a_long_run(void **state)
{
    const double rates[] = {100, 50, 95};
    struct dic_split_tuner tuner;
    (void)state;
    dic_split_tuner_init(&tuner, three, 3, 0);
    const uint32_t away = epochs_away(&tuner, rates, 20000, 0.05);
    assert_int_equal(tuner.holder, 0);
    assert_in_range(away, 1, 200); /* 1 % */
}

static void skipped_epochs_put_the_holder_back_and_count_for_nothing(void **state)
{
    struct dic_split_tuner tuner;
    (void)state;
    dic_split_tuner_init(&tuner, three, 3, 0);
    struct dic_split split = dic_split_tuner_next(&tuner, 100);
    assert_int_equal(split.decoders, 1); /* the challenger's turn */
    split = dic_split_tuner_skip(&tuner);
    assert_int_equal(split.decoders, 2);
    assert_int_equal(tuner.turns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_start_with_all_cpus_for_both_and_have_no_doubles),
        cmocka_unit_test(one_cpu_has_nothing_to_choose),
        cmocka_unit_test(a_fixed_number_stays_in_every_candidate),
        cmocka_unit_test(the_fastest_split_is_found_from_any_start),
        cmocka_unit_test(a_lead_within_the_margin_changes_nothing),
        cmocka_unit_test(a_lost_lead_is_noticed_after_the_machine_changed),
        cmocka_unit_test(trying_takes_little_of_a_long_run),
        cmocka_unit_test(skipped_epochs_put_the_holder_back_and_count_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
