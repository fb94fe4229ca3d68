/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int set_up(void **state)
{
    char path[128];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dic-cgroup-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cpu", folder);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (text == NULL) {
        unlink(path);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void a_quota_of_version_2_is_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t cpus;
    } cases[] = {
        {"max 100000\n", 0},
        {"100000 100000\n", 1},
        {"99999 100000\n", 1},
        {"100001 100000\n", 2},
        {"1 100000\n", 1},
        {"400000 100000\n", 4},
        {"150000 50000\n", 3},
        {"9223372036854775807 1\n", 2147483647},
        {"0 100000\n", 0},
        {"-1 100000\n", 0},
        {"100000 0\n", 0},
        {"100000\n", 0},
        {"", 0},
        {"nonsense", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put("cpu.max", cases[i].text);
        assert_int_equal(dic_cpu_quota(folder), cases[i].cpus);
    }
}

static void a_quota_of_version_1_counts_where_there_is_no_other(void **state)
{
    (void)state;
    assert_int_equal(dic_cpu_quota(folder), 0);
    put("cpu/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(dic_cpu_quota(folder), 0); /* of which period? */
    put("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(dic_cpu_quota(folder), 3);
    put("cpu/cpu.cfs_quota_us", "-1\n"); /* none */
    assert_int_equal(dic_cpu_quota(folder), 0);
    put("cpu/cpu.cfs_quota_us", "250000\n");
    put("cpu.max", "100000 100000\n");
    assert_int_equal(dic_cpu_quota(folder), 1);
}

static void a_folder_that_is_not_there_has_no_quota(void **state)
{
    (void)state;
    assert_int_equal(dic_cpu_quota("/no/such/folder"), 0);
}

static void the_count_is_that_of_the_affinity_at_most(void **state)
{
    cpu_set_t before;
    cpu_set_t one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(dic_cpu_count(), 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(dic_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_quota_of_version_2_is_rounded_up),
        CASE(a_quota_of_version_1_counts_where_there_is_no_other),
        CASE(a_folder_that_is_not_there_has_no_quota),
        CASE(the_count_is_that_of_the_affinity_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
