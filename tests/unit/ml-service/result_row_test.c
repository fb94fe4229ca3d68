/* SPDX-License-Identifier: Apache-2.0 */
#include "result_row.h"

#include "test.h"

#include "json/json_read.h"

#include <stdio.h>

static struct dic_str labels[] = {{"tabby", 5}, {"say \"cheese\"", 12}, {"caf\xC3\xA9", 5}};
static const struct dic_model_spec model = {.classes = 3, .labels = labels};
static struct dic_buf out;

static int set_up(void **state)
{
    (void)state;
    dic_buf_init(&out, 100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&out);
    return 0;
}

static struct dic_task task_of(uint32_t count)
{
    struct dic_task task = {.prediction_count = count};
    for (uint32_t i = 0; i < count; i++) {
        task.predictions[i] = (struct dic_prediction){(i + 1) % 3, 0.75F / (float)(1U << i)};
    }
    return task;
}

static int64_t write_row(const struct dic_task *task, double threshold)
{
    const struct dic_row_context context = {.index = 41,
                                            .image = {.key = {"a.jpg", 5}},
                                            .confidence_threshold = threshold,
                                            .model = &model};
    dic_buf_clear(&out);
    return dic_row_write(&out, &context, task);
}

static void a_row_has_the_predictions_and_the_first_ones_label(void **state)
{
    (void)state;
    struct dic_task task = task_of(2);
    assert_int_equal(write_row(&task, 0), 1);
    assert_view(dic_buf_view(&out),
                "{\"index\":41,\"s3_key\":\"a.jpg\",\"label\":\"say \\\"cheese\\\"\","
                "\"confidence\":0.750000,\"predictions\":["
                "{\"label\":\"say \\\"cheese\\\"\",\"class_index\":1,\"confidence\":0.750000},"
                "{\"label\":\"caf\xC3\xA9\",\"class_index\":2,\"confidence\":0.375000}]}\n");
}

static void the_threshold_keeps_what_reaches_it(void **state)
{
    (void)state;
    static const struct {
        double threshold;
        const char *predictions;
        int64_t class_index;
    } cases[] = {
        {0.375, "1,2", 1}, {0.3750001, "1", 1}, {0.75, "1", 1}, {0.7500001, "", -1}, {1, "", -1},
    };
    struct dic_task task = task_of(2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_json *row = NULL;
        char seen[16] = "";
        assert_int_equal(write_row(&task, cases[i].threshold), cases[i].class_index);
        assert_ok(dic_json_parse(dic_buf_view(&out), &row, NULL));
        const struct dic_json *list = dic_json_member(row, "predictions");
        for (size_t p = 0; p < dic_json_size(list); p++) {
            int64_t index = 0;
            assert_ok(dic_json_get_int(dic_json_member(dic_json_at(list, p), "class_index"), "c", 0,
                                       2, &index, NULL));
            size_t used = strlen(seen);
            snprintf(seen + used, sizeof seen - used, "%s%d", p == 0 ? "" : ",", (int)index);
        }
        assert_string_equal(seen, cases[i].predictions);
        dic_json_destroy(row);
    }
}

static void without_a_prediction_the_label_is_unknown(void **state)
{
    (void)state;
    struct dic_task task = task_of(1);
    assert_int_equal(write_row(&task, 0.9), -1);
    assert_view(dic_buf_view(&out), "{\"index\":41,\"s3_key\":\"a.jpg\",\"label\":\"unknown\","
                                    "\"confidence\":null,\"predictions\":[]}\n");
}

static void a_partial_picture_says_so(void **state)
{
    (void)state;
    struct dic_task task = task_of(1);
    task.partial = true;
    write_row(&task, 0);
    assert_non_null(strstr(out.ptr, ",\"partial\":true,\"predictions\":"));
    task.partial = false;
    write_row(&task, 0);
    assert_null(strstr(out.ptr, "partial"));
}

static void every_error_is_a_row_with_its_word_and_whether_a_retry_may_help(void **state)
{
    (void)state;
    for (int error = DIC_ROW_OK + 1; error < DIC_ROW_ERROR_COUNT; error++) {
        char expected[300];
        struct dic_task task = task_of(2);
        task.error = (enum dic_row_error)error;
        snprintf(task.message, sizeof task.message, "why \"%d\"", error);
        assert_int_equal(write_row(&task, 0), -1);
        snprintf(expected, sizeof expected,
                 "{\"index\":41,\"s3_key\":\"a.jpg\",\"error\":{\"code\":\"%s\","
                 "\"message\":\"why \\\"%d\\\"\",\"retryable\":%s}}\n",
                 dic_row_error_word(task.error), error,
                 dic_row_error_retryable(task.error) ? "true" : "false");
        assert_view(dic_buf_view(&out), expected);
    }
}

static void a_clients_id_is_handed_back(void **state)
{
    (void)state;
    struct dic_task task = task_of(1);
    const struct dic_row_context context = {.image = {.key = {"k\n", 2}, .id = {"no. \"7\"", 7}},
                                            .model = &model};
    dic_row_write(&out, &context, &task);
    assert_non_null(strstr(out.ptr, "{\"index\":0,\"s3_key\":\"k\\n\",\"id\":\"no. \\\"7\\\"\","));
    assert_ptr_equal(strchr(out.ptr, '\n'), out.ptr + out.len - 1); /* one line */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_row_has_the_predictions_and_the_first_ones_label),
        CASE(the_threshold_keeps_what_reaches_it),
        CASE(without_a_prediction_the_label_is_unknown),
        CASE(a_partial_picture_says_so),
        CASE(every_error_is_a_row_with_its_word_and_whether_a_retry_may_help),
        CASE(a_clients_id_is_handed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
