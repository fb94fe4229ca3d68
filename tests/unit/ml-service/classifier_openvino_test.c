/* SPDX-License-Identifier: Apache-2.0 */
/* The real inference library, on the model that is delivered and on tiny ones written here. Not in
 * sanitizer builds, which the library does not bear. */
#include "classifier_openvino.h"

#include "test.h"

#include "base/mem.h"
#include "base/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIDE = 2, VALUES = 3 * SIDE * SIDE, LANES = 3, PICTURE = 3 * 224 * 224, CLASSES = 1000 };

static char folder[64];
static char path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dic-inference-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.xml", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* OpenVINO IR, version 11: input → ReLU → output. */
static void write_model(const char *type, const char *precision, const char *shape,
                        const char *dims)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "<?xml version=\"1.0\"?><net name=\"relu\" version=\"11\"><layers>"
            "<layer id=\"0\" name=\"in\" type=\"Parameter\" version=\"opset1\">"
            "<data shape=\"%s\" element_type=\"%s\"/><output>"
            "<port id=\"0\" precision=\"%s\" names=\"in\">%s</port></output></layer>"
            "<layer id=\"1\" name=\"relu\" type=\"ReLU\" version=\"opset1\">"
            "<input><port id=\"0\" precision=\"%s\">%s</port></input>"
            "<output><port id=\"1\" precision=\"%s\" names=\"out\">%s</port></output></layer>"
            "<layer id=\"2\" name=\"result\" type=\"Result\" version=\"opset1\">"
            "<input><port id=\"0\" precision=\"%s\">%s</port></input></layer></layers><edges>"
            "<edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" to-port=\"0\"/>"
            "<edge from-layer=\"1\" from-port=\"1\" to-layer=\"2\" to-port=\"0\"/>"
            "</edges></net>",
            shape, type, precision, dims, precision, dims, precision, dims, precision, dims);
    assert_int_equal(fclose(file), 0);
}

static void write_static_model(void)
{
    write_model("f32", "FP32", "1,3,2,2", "<dim>1</dim><dim>3</dim><dim>2</dim><dim>2</dim>");
}

static char in_name[] = "in";
static char out_name[] = "out";

static struct dic_model_spec tiny(void)
{
    return (struct dic_model_spec){.model_path = path,
                                   .model_origin = path,
                                   .input_name = in_name,
                                   .output_name = out_name,
                                   .classes = VALUES,
                                   .tensor = {.width = SIDE,
                                              .height = SIDE,
                                              .short_side = SIDE,
                                              .channels_first = true,
                                              .scale = {1, 1, 1}}};
}

static struct dic_classifier open_model(const struct dic_model_spec *spec, uint32_t lanes)
{
    struct dic_classifier classifier = {0};
    struct dic_err err = {0};
    if (dic_classifier_openvino_new(spec, lanes, &classifier, &err) != DIC_OK) {
        print_error("%s\n", err.msg);
        fail();
    }
    assert_int_equal(classifier.lanes, lanes);
    assert_int_equal(classifier.classes, spec->classes);
    return classifier;
}

static void assert_refused(const struct dic_model_spec *spec, const char *field, const char *words)
{
    struct dic_classifier classifier = {0};
    struct dic_err err = {0};
    assert_code(dic_classifier_openvino_new(spec, 1, &classifier, &err), DIC_E_INVALID);
    if (strcmp(err.field, field) != 0 || strstr(err.msg, words) == NULL ||
        strstr(err.msg, spec->model_origin) == NULL) {
        print_error("%s: '%s', not %s: '%s'\n", err.field, err.msg, field, words);
        fail();
    }
}

/* ---- what a model gives ---- */

static void a_models_output_is_handed_out_as_it_is(void **state)
{
    (void)state;
    struct dic_model_spec spec = tiny();
    write_static_model();
    struct dic_classifier classifier = open_model(&spec, 2);
    for (uint32_t lane = 0; lane < 2; lane++) {
        for (int round = 0; round < 3; round++) {
            float tensor[VALUES];
            float scores[VALUES];
            for (int i = 0; i < VALUES; i++) {
                tensor[i] = (float)(i * (round + 1) - 5);
            }
            assert_ok(classifier.ops->infer(classifier.impl, lane, tensor, scores, NULL));
            for (int i = 0; i < VALUES; i++) {
                assert_true(scores[i] == (tensor[i] > 0 ? tensor[i] : 0));
            }
        }
    }
    classifier.ops->destroy(classifier.impl);
    classifier.ops->destroy(NULL);
}

static void logits_become_probabilities(void **state)
{
    (void)state;
    struct dic_model_spec spec = tiny();
    float tensor[VALUES] = {0, 1, 2, 3};
    float scores[VALUES];
    float sum = 0;
    write_static_model();
    spec.logits = true;
    struct dic_classifier classifier = open_model(&spec, 1);
    assert_ok(classifier.ops->infer(classifier.impl, 0, tensor, scores, NULL));
    for (int i = 0; i < VALUES; i++) {
        sum += scores[i];
    }
    assert_true(fabsf(sum - 1) < 1e-5F);
    assert_true(fabsf(scores[3] / scores[2] - expf(1)) < 1e-4F);
    classifier.ops->destroy(classifier.impl);
}

static void a_model_of_any_size_takes_the_one_of_model_json(void **state)
{
    (void)state;
    struct dic_model_spec spec = tiny();
    float tensor[VALUES] = {7};
    float scores[VALUES] = {0};
    write_model("f32", "FP32", "?,3,?,?", "<dim>-1</dim><dim>3</dim><dim>-1</dim><dim>-1</dim>");
    struct dic_classifier classifier = open_model(&spec, 1);
    assert_ok(classifier.ops->infer(classifier.impl, 0, tensor, scores, NULL));
    assert_true(scores[0] == 7.0F && scores[VALUES - 1] == 0.0F);
    classifier.ops->destroy(classifier.impl);
}

struct runner {
    const struct dic_classifier *classifier;
    pthread_t thread;
    uint32_t lane;
    const float *tensor;
    float scores[CLASSES];
    enum dic_code code;
};

static void *infer_often(void *arg)
{
    struct runner *runner = arg;
    for (int i = 0; i < 5 && runner->code == DIC_OK; i++) {
        runner->code = runner->classifier->ops->infer(runner->classifier->impl, runner->lane,
                                                      runner->tensor, runner->scores, NULL);
    }
    return NULL;
}

static void the_delivered_model_gives_the_same_probabilities_on_every_lane(void **state)
{
    (void)state;
    static float tensor[PICTURE];
    static struct runner runners[LANES];
    struct dic_model_spec *spec = NULL;
    assert_ok(
        dic_model_spec_read(DIC_SOURCE_DIR "/ml-service/model/efficientnet-lite0", &spec, NULL));
    for (size_t i = 0; i < PICTURE; i++) {
        tensor[i] = (float)(i % 255) / 128 - 1;
    }
    struct dic_classifier classifier = open_model(spec, LANES);
    for (uint32_t i = 0; i < LANES; i++) { /* all but the first are compiled at their first use */
        runners[i] = (struct runner){.classifier = &classifier, .lane = i, .tensor = tensor};
        dic_thread_start(&runners[i].thread, "lane", infer_often, &runners[i]);
    }
    for (uint32_t i = 0; i < LANES; i++) {
        double sum = 0;
        dic_thread_join(runners[i].thread);
        assert_ok(runners[i].code);
        for (int c = 0; c < CLASSES; c++) {
            assert_true(runners[i].scores[c] >= 0);
            sum += (double)runners[i].scores[c];
        }
        assert_true(fabs(sum - 1) < 1e-3);
        assert_memory_equal(runners[i].scores, runners[0].scores, sizeof runners[0].scores);
    }
    classifier.ops->destroy(classifier.impl);
    dic_model_spec_destroy(spec);
}

/* ---- models in memory ---- */

static void copy_file(const char *name, const struct dic_model_files *files,
                      enum dic_model_file which)
{
    char from[300];
    char piece[64 * 1024];
    size_t got = 0;
    int64_t at = 0;
    snprintf(from, sizeof from, DIC_SOURCE_DIR "/ml-service/model/efficientnet-lite0/%s", name);
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0) {
        assert_ok(dic_model_files_write(files, which, at, dic_str_len(piece, got), NULL));
        at += (int64_t)got;
    }
    fclose(file);
}

static void infer_once(const struct dic_classifier *classifier, uint32_t lane, float *scores)
{
    static float tensor[PICTURE];
    for (size_t i = 0; i < PICTURE; i++) {
        tensor[i] = (float)(i % 255) / 128 - 1;
    }
    assert_ok(classifier->ops->infer(classifier->impl, lane, tensor, scores, NULL));
}

/* The second lane is compiled when the files are closed already, as in a worker. */
static void a_model_in_memory_infers_as_the_one_of_the_folder_also_when_its_files_are_closed(
    void **state)
{
    (void)state;
    static float scores[3][CLASSES];
    struct dic_model_spec *spec = NULL;
    struct dic_model_files *files = NULL;
    assert_ok(
        dic_model_spec_read(DIC_SOURCE_DIR "/ml-service/model/efficientnet-lite0", &spec, NULL));
    struct dic_classifier classifier = open_model(spec, 1);
    infer_once(&classifier, 0, scores[0]);
    classifier.ops->destroy(classifier.impl);
    dic_model_spec_destroy(spec);

    assert_ok(dic_model_files_new("s3://bucket/net", &files, NULL));
    copy_file("model.json", files, DIC_MODEL_JSON);
    copy_file("labels.txt", files, DIC_MODEL_LABELS);
    copy_file("model.xml", files, DIC_MODEL_NETWORK);
    copy_file("model.bin", files, DIC_MODEL_WEIGHTS);
    assert_ok(dic_model_spec_read_files(files, &spec, NULL));
    classifier = open_model(spec, 2);
    dic_model_files_destroy(files);
    infer_once(&classifier, 0, scores[1]);
    infer_once(&classifier, 1, scores[2]);
    assert_memory_equal(scores[1], scores[0], sizeof scores[0]);
    assert_memory_equal(scores[2], scores[0], sizeof scores[0]);
    classifier.ops->destroy(classifier.impl);
    dic_model_spec_destroy(spec);
}

/* ONNX (protobuf): input "in" → Relu → output "out", 32-bit floats of 1×3×2×2, opset 13. */
static const char relu_onnx[] =
    "\x08\x08"
    "\x3a\x51"
    "\x0a\x0f\x0a\x02\x69\x6e\x12\x03\x6f\x75\x74\x22\x04\x52\x65\x6c\x75"
    "\x12\x01\x67"
    "\x5a\x1c\x0a\x02\x69\x6e\x12\x16\x0a\x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a\x02"
    "\x08\x03\x0a\x02\x08\x02\x0a\x02\x08\x02"
    "\x62\x1d\x0a\x03\x6f\x75\x74\x12\x16\x0a\x14\x08\x01\x12\x10\x0a\x02\x08\x01\x0a"
    "\x02\x08\x03\x0a\x02\x08\x02\x0a\x02\x08\x02"
    "\x42\x04\x0a\x00\x10\x0d";

static void an_onnx_model_in_memory_needs_no_name_that_says_so(void **state)
{
    (void)state;
    struct dic_model_files *files = NULL;
    struct dic_model_spec spec = tiny();
    float tensor[VALUES] = {-1, 2};
    float scores[VALUES];
    assert_ok(dic_model_files_new("s3://bucket/net", &files, NULL));
    assert_ok(dic_model_files_write(files, DIC_MODEL_NETWORK, 0,
                                    dic_str_len(relu_onnx, sizeof relu_onnx - 1), NULL));
    spec.model_path = dic_model_files_path(files, DIC_MODEL_NETWORK);
    struct dic_classifier classifier = open_model(&spec, 1);
    dic_model_files_destroy(files);
    dic_free(spec.model_path);
    assert_ok(classifier.ops->infer(classifier.impl, 0, tensor, scores, NULL));
    assert_true(scores[0] == 0.0F && scores[1] == 2.0F);
    classifier.ops->destroy(classifier.impl);
}

/* ---- what a model must be like ---- */

static void a_model_that_is_not_as_model_json_says_is_refused_by_field(void **state)
{
    (void)state;
    char other[] = "other";
    struct dic_model_spec spec = tiny();
    write_static_model();
    spec.input_name = other;
    assert_refused(&spec, "input.name", "the model has no input 'other'");
    spec = tiny();
    spec.output_name = other;
    assert_refused(&spec, "output.name", "the model has no output 'other'");
    spec = tiny();
    spec.classes = VALUES + 1;
    assert_refused(&spec, "output.classes",
                   "the model has the shape [1,3,2,2], expected is 13 classes of 32-bit floats");
    spec = tiny();
    spec.tensor.height = 3;
    assert_refused(&spec, "input", "has the shape [1,3,2,2], expected is [1,3,3,2] (NCHW)");
    spec = tiny();
    spec.tensor.channels_first = false;
    assert_refused(&spec, "input", "expected is [1,2,2,3] (NHWC)");
}

static void a_model_of_other_numbers_is_refused(void **state)
{
    (void)state;
    struct dic_model_spec spec = tiny();
    write_model("f16", "FP16", "1,3,2,2", "<dim>1</dim><dim>3</dim><dim>2</dim><dim>2</dim>");
    assert_refused(&spec, "input", "is not of 32-bit floats");
}

static void a_file_that_is_no_model_is_refused(void **state)
{
    (void)state;
    struct dic_model_spec spec = tiny();
    assert_refused(&spec, "files.model", "is not a model that can be read"); /* not there */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("<net", file);
    assert_int_equal(fclose(file), 0);
    assert_refused(&spec, "files.model", "is not a model that can be read");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_models_output_is_handed_out_as_it_is),
        CASE(logits_become_probabilities),
        CASE(a_model_of_any_size_takes_the_one_of_model_json),
        CASE(the_delivered_model_gives_the_same_probabilities_on_every_lane),
        CASE(a_model_in_memory_infers_as_the_one_of_the_folder_also_when_its_files_are_closed),
        CASE(an_onnx_model_in_memory_needs_no_name_that_says_so),
        CASE(a_model_that_is_not_as_model_json_says_is_refused_by_field),
        CASE(a_model_of_other_numbers_is_refused),
        CASE(a_file_that_is_no_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
