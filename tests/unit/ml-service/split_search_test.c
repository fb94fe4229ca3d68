/* SPDX-License-Identifier: Apache-2.0 */
/* That the search measures, gives way and ends; what it decides is split_test.c's. */
#include "split_search.h"

#include "test.h"

#include "base/clock.h"
#include "base/log.h"
#include "blob_store_memory.h"
#include "capture.h"
#include "fake_stages.h"

#include <unistd.h>

enum { DEADLOCK_S = 100, HOUR_MS = 3600000 };

static const struct dic_split splits[] = {{2, 2}, {1, 1}, {1, 2}};

static struct dic_fake_stages stages;
static struct dic_blob_store images;
static struct dic_pipeline *pipeline;

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S);
    dic_log_set_level(DIC_LOG_INFO);
    dic_fake_stages_init(&stages);
    images = dic_blob_store_memory_new();
    const struct dic_pipeline_options options = {
        .images = images,
        .decoder_count = 2,
        .tensors_per_decoder = 2,
        .classifier = dic_fake_stages_classifier(&stages, 2),
        .fetchers = 2,
        .queue_images = 8,
        .queue_bytes = 10000000,
    };
    dic_pipeline_start(&options, &pipeline);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_pipeline_destroy(pipeline);
    images.ops->destroy(images.impl);
    dic_fake_stages_clean_up(&stages);
    return 0;
}

static struct dic_pipeline_counts counts(void)
{
    struct dic_pipeline_counts out;
    dic_pipeline_counts(pipeline, &out);
    return out;
}

static void await_runs(uint32_t count)
{
    while (stages.lane_runs[0] + stages.lane_runs[1] < count) {
        dic_sleep_ms(1);
    }
}

/* The split is one of those that were to be tried, and nothing is left in the pipeline. */
static void assert_settled(void)
{
    struct dic_pipeline_counts now = counts();
    bool known = false;
    for (int i = 0; i < 3; i++) {
        known = known ||
                (now.active_decoders == splits[i].decoders && now.active_lanes == splits[i].lanes);
    }
    assert_true(known);
    assert_int_equal(now.in_work, 0);
    assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_GET), 0);
}

static void at_the_start_each_split_is_measured_on_the_built_in_photo(void **state)
{
    (void)state;
    dic_capture_begin(STDERR_FILENO);
    struct dic_split_search *search = dic_split_search_start(pipeline, splits, 3, 60);
    while (counts().in_work == 0) {
        dic_sleep_ms(1);
    }
    while (counts().in_work > 0) { /* until it is done with the photo */
        dic_sleep_ms(1);
    }
    dic_split_search_stop(search);
    const char *text = dic_capture_end();
    assert_non_null(strstr(text, "\"event\":\"split_measured\""));
    assert_non_null(strstr(text, "\"images_per_s_2x2\":"));
    assert_non_null(strstr(text, "\"images_per_s_1x1\":"));
    assert_non_null(strstr(text, "\"images_per_s_1x2\":"));
    assert_settled();
}

static void it_can_be_stopped_in_the_middle_of_a_measurement(void **state)
{
    (void)state;
    struct dic_split_search *search = dic_split_search_start(pipeline, splits, 3, HOUR_MS);
    await_runs(20);
    dic_split_search_stop(search);
    assert_settled();
}

static void finish(struct dic_task *task)
{
    atomic_store((atomic_bool *)task->context, true);
}

static void the_photo_gives_way_to_real_work(void **state)
{
    (void)state;
    atomic_bool done = false;
    struct dic_task task = {
        .bytes = DIC_STR_LIT("g3"), .top_k = 1, .done = finish, .context = &done};
    struct dic_split_search *search = dic_split_search_start(pipeline, splits, 3, HOUR_MS);
    await_runs(20);
    dic_pipeline_submit(pipeline, &task);
    while (counts().in_work > 0) { /* it would take an hour otherwise */
        if (atomic_load(&done)) {  /* it was too quick to be noticed: again */
            atomic_store(&done, false);
            dic_pipeline_submit(pipeline, &task);
        }
        dic_sleep_ms(1);
    }
    dic_split_search_stop(search);
    assert_int_equal(task.predictions[0].class_index, 3);
    assert_settled();
}

static void without_a_choice_there_is_nothing_to_search(void **state)
{
    (void)state;
    assert_null(dic_split_search_start(pipeline, &splits[1], 1, HOUR_MS));
    assert_int_equal(counts().active_decoders, 1);
    assert_int_equal(counts().active_lanes, 1);
    dic_split_search_stop(NULL);
}

static void without_time_for_the_photo_it_is_not_decoded(void **state)
{
    (void)state;
    struct dic_split_search *search = dic_split_search_start(pipeline, splits, 3, 0);
    dic_split_search_stop(search);
    assert_int_equal(counts().active_decoders, 2);
    assert_int_equal(stages.decodes_begun, 0);
    assert_settled();
}

/* A task that is submitted again as soon as it is done. */
static atomic_bool enough;
static atomic_uint going;

static void go_round(struct dic_task *task)
{
    if (atomic_load(&enough)) {
        atomic_fetch_sub(&going, 1);
    } else {
        dic_pipeline_submit(pipeline, task);
    }
}

/* Four times a second, when there is enough to do. */
static void while_working_it_tries_the_other_splits(void **state)
{
    (void)state;
    static struct dic_task tasks[40];
    bool tried = false;
    atomic_store(&enough, false);
    atomic_store(&going, 40);
    struct dic_split_search *search = dic_split_search_start(pipeline, splits, 3, 0);
    for (int i = 0; i < 40; i++) {
        tasks[i] = (struct dic_task){.bytes = DIC_STR_LIT("g1"), .top_k = 1, .done = go_round};
        dic_pipeline_submit(pipeline, &tasks[i]);
    }
    while (!tried) {
        struct dic_pipeline_counts now = counts();
        tried = now.active_decoders == 1;
        dic_sleep_ms(1);
    }
    atomic_store(&enough, true);
    while (atomic_load(&going) > 0) {
        dic_sleep_ms(1);
    }
    dic_split_search_stop(search);
    assert_settled();
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(at_the_start_each_split_is_measured_on_the_built_in_photo),
        CASE(it_can_be_stopped_in_the_middle_of_a_measurement),
        CASE(the_photo_gives_way_to_real_work),
        CASE(without_a_choice_there_is_nothing_to_search),
        CASE(without_time_for_the_photo_it_is_not_decoded),
        CASE(while_working_it_tries_the_other_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
