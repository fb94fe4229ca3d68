/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline.h"

#include "test.h"

#include "blob_store_memory.h"
#include "fake_stages.h"
#include "gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MANY = 400, DEADLOCK_S = 100 };

static struct dic_fake_stages stages;
static struct dic_blob_store images;
static struct dic_pipeline *pipeline;
static struct dic_gate done; /* passed by each task when it is done */

static int set_up(void **state)
{
    (void)state;
    alarm(DEADLOCK_S); /* a hang is a failure, not an endless test */
    dic_fake_stages_init(&stages);
    dic_gate_init(&done, DIC_GATE_OPEN);
    images = dic_blob_store_memory_new();
    pipeline = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_pipeline_destroy(pipeline);
    images.ops->destroy(images.impl);
    dic_gate_clean_up(&done);
    dic_fake_stages_clean_up(&stages);
    return 0;
}

static struct dic_pipeline_options small(void)
{
    return (struct dic_pipeline_options){
        .images = images,
        .decoder_count = 1,
        .tensors_per_decoder = 1,
        .classifier = dic_fake_stages_classifier(&stages, 1),
        .fetchers = 1,
        .queue_images = 2,
        .queue_bytes = 1000,
    };
}

static void start(struct dic_pipeline_options options)
{
    dic_pipeline_start(&options, &pipeline);
}

static void note_done(struct dic_task *task)
{
    atomic_fetch_add((atomic_uint *)task->context, 1);
    dic_gate_pass(&done);
}

/* A task and how often it was done. */
struct job {
    struct dic_task task;
    atomic_uint calls;
};

static void submit_key(struct job *job, const char *key)
{
    job->task.key = dic_str(key);
    job->task.top_k = 3;
    job->task.done = note_done;
    job->task.context = &job->calls;
    dic_pipeline_submit(pipeline, &job->task);
}

static void submit_bytes(struct job *job, const char *bytes)
{
    job->task.bytes = dic_str(bytes);
    submit_key(job, "no such key");
}

static void put(const char *key, const char *bytes)
{
    assert_ok(images.ops->put(images.impl, dic_str(key), dic_str(bytes), false, NULL));
}

static void finish_all(void)
{
    dic_pipeline_destroy(pipeline);
    pipeline = NULL;
}

/* ---- one picture ---- */

static void a_picture_is_fetched_decoded_and_classified(void **state)
{
    (void)state;
    struct job job = {0};
    put("photos/one", "g7");
    start(small());
    submit_key(&job, "photos/one");
    dic_gate_await_passed(&done, 1);
    assert_int_equal(job.task.error, DIC_ROW_OK);
    assert_int_equal(job.task.prediction_count, 3);
    assert_int_equal(job.task.predictions[0].class_index, 7);
    assert_true(job.task.predictions[0].confidence == 0.4375F);
    assert_int_equal(job.task.predictions[1].class_index, 0); /* equal ones by index */
    assert_int_equal(job.task.predictions[2].class_index, 1);
    assert_int_equal(job.task.size_bytes, 2);
    assert_true(job.task.fetch_ns >= 0 && job.task.decode_ns >= 0 && job.task.infer_ns >= 0);
    assert_false(job.task.partial);
    assert_false(job.task.abandoned);
}

static void a_picture_whose_bytes_are_given_is_not_fetched(void **state)
{
    (void)state;
    struct job job = {0};
    start(small());
    submit_bytes(&job, "g4");
    finish_all();
    assert_int_equal(job.task.predictions[0].class_index, 4);
    assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_GET), 0);
}

static void a_partial_picture_is_classified_and_says_so(void **state)
{
    (void)state;
    struct job job = {0};
    start(small());
    submit_bytes(&job, "p2");
    finish_all();
    assert_true(job.task.partial);
    assert_int_equal(job.task.error, DIC_ROW_OK);
    assert_int_equal(job.task.predictions[0].class_index, 2);
}

static void a_task_may_be_submitted_again(void **state)
{
    (void)state;
    struct job job = {0};
    start(small());
    submit_bytes(&job, "c");
    dic_gate_await_passed(&done, 1);
    assert_int_equal(job.task.error, DIC_ROW_CORRUPT_IMAGE);
    submit_bytes(&job, "p5");
    dic_gate_await_passed(&done, 2);
    assert_int_equal(job.task.error, DIC_ROW_OK);
    assert_string_equal(job.task.message, "");
    assert_int_equal(job.task.predictions[0].class_index, 5);
}

/* ---- failures ---- */

static enum dic_code fail_with(void *context, enum dic_blob_op op, struct dic_str key,
                               struct dic_err *err)
{
    (void)op;
    (void)key;
    return dic_fail(err, *(enum dic_code *)context, "because");
}

static void what_the_store_says_becomes_the_rows_error(void **state)
{
    (void)state;
    static const struct {
        enum dic_code code;
        enum dic_row_error error;
    } cases[] = {
        {DIC_E_NOT_FOUND, DIC_ROW_NOT_FOUND},      {DIC_E_INVALID, DIC_ROW_INVALID_KEY},
        {DIC_E_DENIED, DIC_ROW_ACCESS_DENIED},     {DIC_E_TOO_LARGE, DIC_ROW_TOO_LARGE},
        {DIC_E_UPSTREAM, DIC_ROW_FETCH_FAILED},    {DIC_E_TIMEOUT, DIC_ROW_FETCH_FAILED},
        {DIC_E_UNSUPPORTED, DIC_ROW_FETCH_FAILED},
    };
    enum dic_code code = DIC_OK;
    dic_blob_store_memory_set_hook(images, fail_with, &code);
    start(small());
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job job = {0};
        code = cases[i].code;
        submit_key(&job, "k");
        dic_gate_await_passed(&done, i + 1);
        assert_int_equal(job.task.error, cases[i].error);
        assert_string_equal(job.task.message, "because");
        assert_int_equal(job.task.prediction_count, 0);
    }
}

static void each_stage_can_fail_a_picture_with_its_own_words(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum dic_row_error error;
        const char *message;
    } cases[] = {
        {"", DIC_ROW_EMPTY, "0 bytes"},
        {"c", DIC_ROW_CORRUPT_IMAGE, "not a picture"},
        {"i", DIC_ROW_INFERENCE_FAILED, "the model has no idea"},
        {"n", DIC_ROW_INFERENCE_FAILED, "not all numbers"},
    };
    start(small());
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job job = {0};
        put("k", cases[i].bytes);
        submit_key(&job, "k");
        dic_gate_await_passed(&done, i + 1);
        assert_int_equal(job.task.error, cases[i].error);
        assert_non_null(strstr(job.task.message, cases[i].message));
        assert_int_equal(job.task.prediction_count, 0);
    }
    struct dic_pipeline_counts counts;
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.done, 4);
    assert_int_equal(counts.failed, 4);
    assert_int_equal(counts.in_work, 0);
}

/* With one place in every stage, a place that a failure kept would end everything. */
static void a_failed_picture_gives_its_places_back(void **state)
{
    (void)state;
    static const char *const pictures[] = {"g1", "c", "i", "n", "p3"};
    static struct job jobs[MANY];
    struct dic_pipeline_options options = small();
    memset(jobs, 0, sizeof jobs);
    options.queue_images = 1;
    start(options);
    for (size_t i = 0; i < MANY; i++) {
        submit_bytes(&jobs[i], pictures[i % 5]);
    }
    finish_all();
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(jobs[i].calls, 1);
        assert_int_equal(jobs[i].task.error == DIC_ROW_OK, i % 5 == 0 || i % 5 == 4);
    }
}

/* ---- abandoning ---- */

static void abandoned_work_is_skipped_at_every_stage(void **state)
{
    (void)state;
    struct job jobs[6] = {0};
    atomic_bool abandon = false;
    stages.decode.tickets = 1;
    stages.infer.tickets = 0;
    for (int i = 0; i < 6; i++) {
        jobs[i].task.abandon = &abandon;
    }
    put("k", "g1");
    struct dic_pipeline_options options = small();
    options.tensors_per_decoder = 2;
    start(options);
    for (int i = 0; i < 6; i++) {
        submit_key(&jobs[i], "k");
    }
    dic_gate_await_waiting(&stages.infer, 1);  /* the first is inferred, */
    dic_gate_await_waiting(&stages.decode, 1); /* the second decoded, the others wait */
    atomic_store(&abandon, true);
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    dic_gate_await_passed(&done, 6);
    assert_false(jobs[0].task.abandoned); /* was in work */
    assert_int_equal(jobs[0].task.prediction_count, 3);
    for (int i = 1; i < 6; i++) {
        assert_true(jobs[i].task.abandoned);
        assert_int_equal(jobs[i].task.prediction_count, 0);
    }
    assert_int_equal(stages.decodes_begun, 2);
    assert_int_equal(stages.lane_runs[0], 1);
    struct dic_pipeline_counts counts;
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.done, 1); /* what was skipped is not done */
    assert_int_equal(counts.failed, 0);
    assert_int_equal(counts.in_work, 0);
}

static void what_is_abandoned_before_its_turn_is_not_even_fetched(void **state)
{
    (void)state;
    struct job job = {0};
    atomic_bool abandon = true;
    job.task.abandon = &abandon;
    put("k", "g1");
    start(small());
    submit_key(&job, "k");
    finish_all();
    assert_true(job.task.abandoned);
    assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_GET), 0);
}

/* ---- bounds ---- */

struct bound {
    atomic_uint fetched;
    atomic_uint most_waiting; /* fetched, and no decoder has begun with it */
};

static enum dic_code count_waiting(void *context, enum dic_blob_op op, struct dic_str key,
                                   struct dic_err *err)
{
    struct bound *bound = context;
    (void)op;
    (void)key;
    (void)err;
    unsigned waiting = atomic_fetch_add(&bound->fetched, 1) + 1 - stages.decodes_begun;
    unsigned most = atomic_load(&bound->most_waiting);
    while (waiting > most && !atomic_compare_exchange_weak(&bound->most_waiting, &most, waiting)) {
    }
    return DIC_OK;
}

/* One more than the queue has is in the fetcher's hands, and one with the decoder that has taken it
 * but not begun. */
static void no_more_pictures_are_fetched_than_may_wait(void **state)
{
    (void)state;
    struct job jobs[40] = {0};
    struct bound bound = {0};
    struct dic_pipeline_options options = small();
    dic_blob_store_memory_set_hook(images, count_waiting, &bound);
    put("k", "g1");
    atomic_store(&bound.fetched, 0);
    atomic_store(&bound.most_waiting, 0);
    stages.decode.tickets = 0;
    options.queue_images = 3;
    start(options);
    for (int i = 0; i < 40; i++) {
        submit_key(&jobs[i], "k");
    }
    dic_gate_await_waiting(&stages.decode, 1);
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_gate_await_passed(&done, 40);
    assert_in_range(bound.most_waiting, 1, 3 + 1 + 1);
}

static enum dic_code count_waiting_bytes(void *context, enum dic_blob_op op, struct dic_str key,
                                         struct dic_err *err)
{
    struct bound *bound = context;
    (void)op;
    (void)key;
    (void)err;
    unsigned waiting = atomic_fetch_add(&bound->fetched, 100) + 100 - stages.decoded_bytes;
    unsigned most = atomic_load(&bound->most_waiting);
    while (waiting > most && !atomic_compare_exchange_weak(&bound->most_waiting, &most, waiting)) {
    }
    return DIC_OK;
}

static void no_more_bytes_are_fetched_than_may_wait(void **state)
{
    (void)state;
    char picture[101];
    struct job jobs[40] = {0};
    struct bound bound = {0};
    struct dic_pipeline_options options = small();
    memset(picture, 'g', 100);
    picture[100] = '\0';
    put("k", picture);
    dic_blob_store_memory_set_hook(images, count_waiting_bytes, &bound);
    stages.decode.tickets = 0;
    options.queue_images = 30;
    options.queue_bytes = 250; /* two fit */
    start(options);
    for (int i = 0; i < 40; i++) {
        submit_key(&jobs[i], "k");
    }
    dic_gate_await_waiting(&stages.decode, 1);
    dic_gate_let(&stages.decode, DIC_GATE_OPEN);
    dic_gate_await_passed(&done, 40);
    assert_in_range(bound.most_waiting, 100, 200 + 100 + 100);
}

static void a_picture_larger_than_the_whole_budget_passes_alone(void **state)
{
    (void)state;
    struct job jobs[9] = {0};
    struct dic_pipeline_options options = small();
    options.queue_bytes = 1;
    options.fetchers = 3;
    start(options);
    for (int i = 0; i < 9; i++) {
        submit_bytes(&jobs[i], "g2 and more than one byte");
    }
    finish_all();
    for (int i = 0; i < 9; i++) {
        assert_int_equal(jobs[i].task.predictions[0].class_index, 2);
    }
}

static void a_large_picture_s_buffer_is_not_kept(void **state)
{
    (void)state;
    enum { LARGE = 3 * 1024 * 1024 };
    struct job jobs[4] = {0};
    struct dic_pipeline_options options = small();
    char *large = malloc(LARGE + 1);
    assert_non_null(large);
    memset(large, 'g', LARGE);
    large[LARGE] = '\0';
    options.queue_bytes = 2L * LARGE;
    start(options);
    for (int i = 0; i < 4; i++) {
        submit_bytes(&jobs[i], large);
    }
    finish_all();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(jobs[i].task.size_bytes, LARGE);
        assert_int_equal(jobs[i].task.error, DIC_ROW_OK);
    }
    free(large);
}

/* ---- many at a time ---- */

static struct dic_pipeline_options wide(void)
{
    struct dic_pipeline_options options = small();
    options.decoder_count = 4;
    options.tensors_per_decoder = 2;
    options.classifier = dic_fake_stages_classifier(&stages, 3);
    options.fetchers = 4;
    options.queue_images = 4;
    return options;
}

static void assert_all_right(const struct job *jobs)
{
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(jobs[i].calls, 1);
        assert_int_equal(jobs[i].task.error, DIC_ROW_OK);
        assert_int_equal(jobs[i].task.predictions[0].class_index, i % 10);
    }
    assert_int_equal(stages.clashes, 0);
}

static void submit_many(struct job *jobs)
{
    static const char *const pictures[] = {"g0", "g1", "g2", "g3", "g4",
                                           "g5", "g6", "g7", "g8", "g9"};
    memset(jobs, 0, MANY * sizeof *jobs);
    for (uint32_t i = 0; i < MANY; i++) {
        submit_bytes(&jobs[i], pictures[i % 10]);
    }
}

static struct job many_jobs[MANY];

static void many_pictures_come_out_each_with_its_own_answer(void **state)
{
    (void)state;
    start(wide());
    submit_many(many_jobs);
    finish_all();
    assert_all_right(many_jobs);
}

static void the_split_may_change_while_pictures_are_on_their_way(void **state)
{
    (void)state;
    start(wide());
    submit_many(many_jobs);
    for (uint32_t i = 0; i < 200; i++) {
        struct dic_pipeline_counts counts;
        dic_pipeline_set_split(pipeline, 1 + i * 7 % 4, 1 + i * 5 % 3);
        dic_pipeline_counts(pipeline, &counts);
        assert_int_equal(counts.active_decoders, 1 + i * 7 % 4);
        assert_int_equal(counts.active_lanes, 1 + i * 5 % 3);
    }
    finish_all();
    assert_all_right(many_jobs);
}

static void of_the_lanes_only_the_active_ones_work(void **state)
{
    (void)state;
    struct dic_pipeline_options options = wide();
    options.active_decoders = 1;
    options.active_lanes = 1;
    start(options);
    submit_many(many_jobs);
    dic_gate_await_passed(&done, MANY);
    assert_int_equal(stages.lane_runs[0], MANY);
    assert_all_right(many_jobs);
}

static void a_split_outside_of_what_exists_is_brought_inside(void **state)
{
    (void)state;
    struct dic_pipeline_counts counts;
    start(wide());
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.active_decoders, 4); /* 0 said all */
    assert_int_equal(counts.active_lanes, 3);
    dic_pipeline_set_split(pipeline, 0, 0);
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.active_decoders, 1);
    assert_int_equal(counts.active_lanes, 1);
    dic_pipeline_set_split(pipeline, 99, 99);
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.active_decoders, 4);
    assert_int_equal(counts.active_lanes, 3);
}

static void counts_add_up(void **state)
{
    (void)state;
    struct job jobs[3] = {0};
    struct dic_pipeline_counts counts;
    put("four", "g1..");
    stages.infer.tickets = 2;
    start(wide());
    for (int i = 0; i < 3; i++) {
        submit_key(&jobs[i], "four");
    }
    dic_gate_await_passed(&done, 2);
    dic_gate_await_waiting(&stages.infer, 1);
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.in_work, 1);
    assert_int_equal(counts.done, 2);
    assert_int_equal(counts.fetched_bytes, 12);
    dic_gate_let(&stages.infer, 1);
    dic_gate_await_passed(&done, 3);
    dic_pipeline_counts(pipeline, &counts);
    assert_int_equal(counts.in_work, 0);
    assert_int_equal(counts.done, 3);
    assert_true(counts.infer_ns >= (uint64_t)jobs[0].task.infer_ns);
}

/* ---- the end ---- */

static void destroy_finishes_what_was_submitted_even_if_most_threads_sleep(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        struct dic_pipeline_options options = wide();
        options.tensors_per_decoder = 1 + round % 2;
        options.active_decoders = 1 + round % 4;
        options.active_lanes = 1 + round % 3;
        start(options);
        submit_many(many_jobs);
        finish_all();
        assert_all_right(many_jobs);
    }
}

/* Each thread is held where it has the last work of its stage in hand when the end comes. */
static void destroy_wakes_threads_that_wait_for_work_that_others_took(void **state)
{
    (void)state;
    struct job jobs[4] = {0};
    struct dic_pipeline_options options = wide();
    options.decoder_count = 2;
    options.tensors_per_decoder = 1;
    options.active_decoders = 1;
    options.active_lanes = 1;
    stages.infer.tickets = 0;
    start(options);
    for (int i = 0; i < 4; i++) {
        submit_bytes(&jobs[i], "g3");
    }
    dic_gate_await_waiting(&stages.infer, 1);
    dic_gate_let(&stages.infer, DIC_GATE_OPEN);
    finish_all();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(jobs[i].calls, 1);
    }
}

static void nothing_and_an_idle_pipeline_can_be_destroyed(void **state)
{
    (void)state;
    dic_pipeline_destroy(NULL);
    start(wide());
    finish_all();
}

static void numbers_out_of_range_are_brought_into_it(void **state)
{
    (void)state;
    struct job job = {0};
    struct dic_pipeline_options options = small();
    options.fetchers = 0;
    options.queue_images = 0;
    options.active_decoders = 77;
    options.active_lanes = 77;
    start(options);
    submit_bytes(&job, "g6");
    finish_all();
    assert_int_equal(job.task.predictions[0].class_index, 6);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_picture_is_fetched_decoded_and_classified),
        CASE(a_picture_whose_bytes_are_given_is_not_fetched),
        CASE(a_partial_picture_is_classified_and_says_so),
        CASE(a_task_may_be_submitted_again),
        CASE(what_the_store_says_becomes_the_rows_error),
        CASE(each_stage_can_fail_a_picture_with_its_own_words),
        CASE(a_failed_picture_gives_its_places_back),
        CASE(abandoned_work_is_skipped_at_every_stage),
        CASE(what_is_abandoned_before_its_turn_is_not_even_fetched),
        CASE(no_more_pictures_are_fetched_than_may_wait),
        CASE(no_more_bytes_are_fetched_than_may_wait),
        CASE(a_picture_larger_than_the_whole_budget_passes_alone),
        CASE(a_large_picture_s_buffer_is_not_kept),
        CASE(many_pictures_come_out_each_with_its_own_answer),
        CASE(the_split_may_change_while_pictures_are_on_their_way),
        CASE(of_the_lanes_only_the_active_ones_work),
        CASE(a_split_outside_of_what_exists_is_brought_inside),
        CASE(counts_add_up),
        CASE(destroy_finishes_what_was_submitted_even_if_most_threads_sleep),
        CASE(destroy_wakes_threads_that_wait_for_work_that_others_took),
        CASE(nothing_and_an_idle_pipeline_can_be_destroyed),
        CASE(numbers_out_of_range_are_brought_into_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
