/* SPDX-License-Identifier: Apache-2.0 */
#include "top_k.h"

#include "test.h"

#include <math.h>
#include <stdlib.h>

enum { MANY = 1000 };

static void the_best_come_first_and_equal_ones_by_index(void **state)
{
    (void)state;
    static const float scores[] = {0.1F, 0.3F, 0.1F, 0.3F, 0.2F, 0.1F};
    static const uint32_t order[] = {1, 3, 4, 0, 2, 5};
    for (uint32_t k = 0; k <= 6; k++) {
        struct dic_prediction out[DIC_MAX_TOP_K];
        assert_int_equal(dic_top_k(scores, 6, k, out), k);
        for (uint32_t i = 0; i < k; i++) {
            assert_int_equal(out[i].class_index, order[i]);
            assert_true(out[i].confidence == scores[order[i]]);
        }
    }
}

static void asked_for_more_than_there_are_all_are_given(void **state)
{
    (void)state;
    static const float scores[] = {0.5F, 0.5F};
    struct dic_prediction out[DIC_MAX_TOP_K];
    assert_int_equal(dic_top_k(scores, 2, 3, out), 2);
    assert_int_equal(dic_top_k(scores, 2, DIC_MAX_TOP_K, out), 2);
    assert_int_equal(out[1].class_index, 1);
    assert_int_equal(dic_top_k(scores, 0, 5, out), 0);
    assert_int_equal(dic_top_k(scores, 1, 5, out), 1);
}

/* As a sort would have it; few distinct values, so that most are equal to others. */
static const float *sorted_scores;

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    if (sorted_scores[left] != sorted_scores[right]) {
        return sorted_scores[left] > sorted_scores[right] ? -1 : 1;
    }
    return left < right ? -1 : 1;
}

static void it_is_the_head_of_a_sort(void **state)
{
    (void)state;
    static const uint32_t ks[] = {1, 5, 99, 100};
    uint32_t seed = 7;
    for (int round = 0; round < 200; round++) {
        float scores[MANY];
        uint32_t order[MANY];
        for (uint32_t i = 0; i < MANY; i++) {
            seed = seed * 1664525 + 1013904223;
            scores[i] = (float)(seed >> 16) / (float)(round % 2 == 0 ? 65536 : 65536 * 64);
            scores[i] = round % 2 == 0 ? scores[i] : floorf(scores[i] * 1000) / 1000;
            order[i] = i;
        }
        sorted_scores = scores;
        qsort(order, MANY, sizeof order[0], compare);
        struct dic_prediction out[DIC_MAX_TOP_K];
        uint32_t k = ks[round % 4];
        assert_int_equal(dic_top_k(scores, MANY, k, out), k);
        for (uint32_t i = 0; i < k; i++) {
            assert_int_equal(out[i].class_index, order[i]);
        }
    }
}

static void negative_scores_are_ordered_too(void **state)
{
    (void)state;
    static const float scores[] = {-3.0F, -1.0F, -2.0F};
    struct dic_prediction out[2];
    assert_int_equal(dic_top_k(scores, 3, 2, out), 2);
    assert_int_equal(out[0].class_index, 1);
    assert_int_equal(out[1].class_index, 2);
}

static void what_is_no_number_is_found_wherever_it_stands(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t b = 0; b < 3; b++) {
        for (uint32_t at = 0; at < 9; at++) {
            float scores[9] = {0};
            assert_true(dic_scores_finite(scores, 9));
            scores[at] = bad[b];
            assert_false(dic_scores_finite(scores, 9));
            assert_true(dic_scores_finite(scores, at)); /* not looked at */
        }
    }
    assert_true(dic_scores_finite(NULL, 0));
}

static void softmax_gives_probabilities(void **state)
{
    (void)state;
    float logits[] = {1.0F, 2.0F, 3.0F, 2.0F};
    double sum = 0;
    dic_softmax(logits, 4);
    for (int i = 0; i < 4; i++) {
        static const double powers[] = {1, 2, 3, 2};
        double expected = exp(powers[i]) / (exp(1) + 2 * exp(2) + exp(3));
        assert_true(fabs((double)logits[i] - expected) < 1e-6);
        sum += (double)logits[i];
    }
    assert_true(fabs(sum - 1) < 1e-6);
}

static void softmax_of_extreme_logits_does_not_overflow(void **state)
{
    (void)state;
    float logits[] = {3e38F, -3e38F, 3e38F};
    float single[] = {-1000.0F};
    dic_softmax(logits, 3);
    assert_true(logits[0] == 0.5F && logits[1] == 0.0F && logits[2] == 0.5F);
    dic_softmax(single, 1);
    assert_true(single[0] == 1.0F);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_come_first_and_equal_ones_by_index),
        cmocka_unit_test(asked_for_more_than_there_are_all_are_given),
        cmocka_unit_test(it_is_the_head_of_a_sort),
        cmocka_unit_test(negative_scores_are_ordered_too),
        cmocka_unit_test(what_is_no_number_is_found_wherever_it_stands),
        cmocka_unit_test(softmax_gives_probabilities),
        cmocka_unit_test(softmax_of_extreme_logits_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
