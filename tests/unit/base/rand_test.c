/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include "test.h"

#include "job/job.h"

enum { IDS = 1000 };

static void ids_are_of_their_form_and_all_different(void **state)
{
    (void)state;
    static char ids[IDS][DIC_ID_SIZE];
    for (int i = 0; i < IDS; i++) {
        dic_rand_id(ids[i]);
        assert_int_equal(strlen(ids[i]), DIC_ID_LEN);
        assert_true(dic_job_id_valid(dic_str(ids[i])));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
        }
    }
}

/* Each of 32 letters at each of 26 places: a place that were stuck would show. */
static void every_place_of_an_id_takes_every_letter(void **state)
{
    (void)state;
    bool seen[DIC_ID_LEN][256] = {{false}};
    int missing = DIC_ID_LEN * 32;
    for (int i = 0; i < 100000 && missing > 0; i++) {
        char id[DIC_ID_SIZE];
        dic_rand_id(id);
        for (int place = 0; place < DIC_ID_LEN; place++) {
            missing -= !seen[place][(unsigned char)id[place]];
            seen[place][(unsigned char)id[place]] = true;
        }
    }
    assert_int_equal(missing, 0);
}

static void exactly_so_many_bytes_are_written(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 300; len += 37) {
        unsigned char bytes[302] = {0};
        bool any = len == 0;
        for (int tries = 0; tries < 20 && !any; tries++) {
            dic_rand_bytes(bytes + 1, len);
            for (size_t i = 1; i <= len; i++) {
                any = any || bytes[i] != 0;
            }
        }
        assert_true(any);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[len + 1], 0);
    }
}

static void every_bit_of_a_number_is_random(void **state)
{
    (void)state;
    uint64_t ones = 0;
    uint64_t zeroes = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t value = dic_rand_u64();
        ones |= value;
        zeroes |= ~value;
    }
    assert_true(ones == UINT64_MAX && zeroes == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_of_their_form_and_all_different),
        cmocka_unit_test(every_place_of_an_id_takes_every_letter),
        cmocka_unit_test(exactly_so_many_bytes_are_written),
        cmocka_unit_test(every_bit_of_a_number_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
