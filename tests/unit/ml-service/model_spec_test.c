/* SPDX-License-Identifier: Apache-2.0 */
#include "model_spec.h"

#include "test.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* sha256 of "model", "weights" and "cat\ndog\n". */
#define MODEL_SUM "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
#define WEIGHTS_SUM "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
#define LABELS_SUM "f641fdcd8af73b2f6334ab63c13d2eb857cd16f2aa4ea0ba20ba0eb9627918b5"

static const char good[] =
    "{\"name\":\"m\",\"version\":\"2\",\"task\":\"image_classification\","
    "\"files\":{\"model\":\"m.xml\",\"weights\":\"m.bin\",\"labels\":\"l.txt\"},"
    "\"sha256\":{\"m.xml\":\"" MODEL_SUM "\",\"m.bin\":\"" WEIGHTS_SUM "\","
    "\"l.txt\":\"" LABELS_SUM "\"},"
    "\"input\":{\"name\":\"in\",\"layout\":\"NCHW\",\"height\":8,\"width\":9,\"channels\":3,"
    "\"color\":\"RGB\",\"mean\":[1,2.5,3],\"scale\":[4,5,6]},"
    "\"resize\":{\"short_side\":10,\"interpolation\":\"bicubic\",\"crop\":\"center\"},"
    "\"output\":{\"name\":\"out\",\"kind\":\"logits\",\"classes\":2}}";

static char folder[64];

static void write_file(const char *name, const void *bytes, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dic-model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_text("m.xml", "model");
    write_text("m.bin", "weights");
    write_text("l.txt", "cat\ndog\n");
    write_text("model.json", good);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static enum dic_code read_spec(struct dic_err *err)
{
    struct dic_model_spec *spec = NULL;
    enum dic_code code = dic_model_spec_read(folder, &spec, err);
    assert_int_equal(spec != NULL, code == DIC_OK);
    dic_model_spec_destroy(spec);
    return code;
}

/* model.json with one part replaced. */
static void write_changed(const char *old_part, const char *new_part)
{
    struct dic_buf text;
    const char *at = strstr(good, old_part);
    assert_non_null(at);
    dic_buf_init(&text, 200000);
    dic_buf_append(&text, good, (size_t)(at - good));
    dic_buf_append_text(&text, new_part);
    dic_buf_append_text(&text, at + strlen(old_part));
    write_text("model.json", text.ptr);
    dic_buf_clean_up(&text);
}

static void assert_refused(const char *field, const char *words)
{
    struct dic_err err = {0};
    assert_code(read_spec(&err), DIC_E_INVALID);
    if (strcmp(err.field, field) != 0 || strstr(err.msg, words) == NULL ||
        strstr(err.msg, folder) == NULL) {
        print_error("%s: '%s', not %s: '%s'\n", err.field, err.msg, field, words);
        fail();
    }
}

static void a_good_model_is_read(void **state)
{
    (void)state;
    struct dic_model_spec *spec = NULL;
    struct dic_err err = {0};
    char path[128];
    if (dic_model_spec_read(folder, &spec, &err) != DIC_OK) {
        print_error("%s\n", err.msg);
        fail();
    }
    assert_string_equal(spec->name, "m");
    assert_string_equal(spec->version, "2");
    snprintf(path, sizeof path, "%s/m.xml", folder);
    assert_string_equal(spec->model_path, path);
    snprintf(path, sizeof path, "%s/m.bin", folder);
    assert_string_equal(spec->weights_path, path);
    assert_string_equal(spec->input_name, "in");
    assert_string_equal(spec->output_name, "out");
    assert_string_equal(spec->sha256, WEIGHTS_SUM);
    assert_true(spec->logits && spec->tensor.channels_first && !spec->tensor.bgr);
    assert_int_equal(spec->tensor.height, 8);
    assert_int_equal(spec->tensor.width, 9);
    assert_int_equal(spec->tensor.short_side, 10);
    assert_int_equal(spec->tensor.interpolation, DIC_BICUBIC);
    assert_true(spec->tensor.mean[1] == 2.5F && spec->tensor.scale[2] == 6.0F);
    assert_int_equal(spec->classes, 2);
    assert_view(spec->labels[0], "cat");
    assert_view(spec->labels[1], "dog");
    assert_string_equal(spec->summary_json,
                        "{\"name\":\"m\",\"version\":\"2\",\"sha256\":\"" WEIGHTS_SUM "\"}");
    dic_model_spec_destroy(spec);
    dic_model_spec_destroy(NULL);
}

static void the_other_words_are_understood(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"NCHW", "NHWC"}, {"RGB", "BGR"}, {"bicubic", "bilinear"}, {"logits", "probabilities"}};
    for (size_t i = 0; i < 4; i++) {
        struct dic_model_spec *spec = NULL;
        write_changed(changes[i][0], changes[i][1]);
        assert_ok(dic_model_spec_read(folder, &spec, NULL));
        assert_int_equal(spec->tensor.channels_first, i != 0);
        assert_int_equal(spec->tensor.bgr, i == 1);
        assert_int_equal(spec->tensor.interpolation, i == 2 ? DIC_BILINEAR : DIC_BICUBIC);
        assert_int_equal(spec->logits, i != 3);
        dic_model_spec_destroy(spec);
    }
}

static void a_model_in_one_file_has_no_weights(void **state)
{
    (void)state;
    struct dic_model_spec *spec = NULL;
    write_changed("\"weights\":\"m.bin\",", "");
    assert_ok(dic_model_spec_read(folder, &spec, NULL));
    assert_null(spec->weights_path);
    assert_string_equal(spec->sha256, MODEL_SUM);
    dic_model_spec_destroy(spec);
}

static void every_wrong_member_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *old_part;
        const char *new_part;
        const char *field;
        const char *words;
    } cases[] = {
        {"\"name\":\"m\",", "", "name", "is missing"},
        {"\"name\":\"m\"", "\"name\":\"\"", "name", "1 to 200 bytes"},
        {"\"name\":\"m\"", "\"name\":\"a\\u0000b\"", "name", "without U+0000"},
        {"\"name\":\"m\"", "\"name\":7", "name", "must be a string, not an integer"},
        {"\"version\":\"2\"", "\"version\":null", "version", "must be a string, not null"},
        {"image_classification", "detection", "task", "is 'detection', allowed are"},
        {"\"task\":\"image_classification\",", "", "task", "is missing"},
        {"\"input\":{\"name\":\"in\",", "\"input\":{", "input.name", "is missing"},
        {"\"input\":{", "\"input\":7,\"x\":{", "input.name", "is missing"},
        {"\"NCHW\"", "\"HWCN\"", "input.layout", "is 'HWCN', allowed are NHWC and NCHW"},
        {"\"height\":8", "\"height\":0", "input.height", "is 0, allowed are 1 to 1024"},
        {"\"height\":8", "\"height\":1025", "input.height", "is 1025, allowed are 1 to 1024"},
        {"\"height\":8,", "", "input.height", "is missing"},
        {"\"width\":9", "\"width\":0", "input.width", "is 0, allowed are 1 to 1024"},
        {"\"width\":9", "\"width\":9.5", "input.width", "must be"},
        {"\"channels\":3", "\"channels\":1", "input.channels", "is 1, allowed are 3 to 3"},
        {"\"RGB\"", "\"RBG\"", "input.color", "is 'RBG', allowed are RGB and BGR"},
        {"[1,2.5,3]", "[1,2.5]", "input.mean", "must be an array of 3 numbers"},
        {"[1,2.5,3]", "[1,2.5,3,4]", "input.mean", "must be an array of 3 numbers"},
        {"[1,2.5,3]", "\"1,2,3\"", "input.mean", "must be an array of 3 numbers"},
        {"[1,2.5,3]", "[1,\"2\",3]", "input.mean", "must be"},
        {"[1,2.5,3]", "[1,1e7,3]", "input.mean", "allowed are"},
        {"[4,5,6]", "[4,0,6]", "input.scale", "allowed are"},
        {"[4,5,6]", "[4,-1,6]", "input.scale", "allowed are"},
        {"\"short_side\":10", "\"short_side\":8", "resize.short_side",
         "is 8, allowed are 9 to 4096"},
        {"\"short_side\":10", "\"short_side\":4097", "resize.short_side", "allowed are 9 to 4096"},
        {"\"bicubic\"", "\"nearest\"", "resize.interpolation", "is 'nearest'"},
        {"\"center\"", "\"top\"", "resize.crop", "is 'top'"},
        {"\"output\":{\"name\":\"out\",", "\"output\":{", "output.name", "is missing"},
        {"\"logits\"", "\"scores\"", "output.kind", "allowed are probabilities and logits"},
        {"\"classes\":2", "\"classes\":0", "output.classes", "is 0, allowed are 1 to 1000000"},
        {"\"classes\":2", "\"classes\":1000001", "output.classes", "allowed are 1 to 1000000"},
        {"\"model\":\"m.xml\",", "", "files.model", "is missing"},
        {"\"m.xml\",\"weights", "\"../m.xml\",\"weights", "files.model",
         "must be the name of a file in the model's folder"},
        {"\"m.xml\",\"weights", "\".m.xml\",\"weights", "files.model",
         "must be the name of a file"},
        {"\"m.xml\",\"weights", "\"/etc/passwd\",\"weights", "files.model", "must be the name"},
        {"\"m.bin\",\"labels", "\"a/b\",\"labels", "files.weights", "must be the name of a file"},
        {"\"m.bin\",\"labels", "5,\"labels", "files.weights", "must be a string"},
        {"\"labels\":\"l.txt\"", "\"labels\":\"..\"", "files.labels", "must be the name of a file"},
        {",\"labels\":\"l.txt\"", "", "files.labels", "is missing"},
        {"\"sha256\":{", "\"sha512\":{", "sha256", "is missing"},
        {"\"l.txt\":\"" LABELS_SUM, "\"k.txt\":\"" LABELS_SUM, "sha256",
         "has no checksum of 'l.txt'"},
        {"\"m.bin\":\"9", "\"m.bin\":\"8", "sha256", "of 'm.bin' is 8"},
        {"\"m.xml\":\"" MODEL_SUM "\"", "\"m.xml\":7", "sha256", "must be a string"},
        {"\"m.xml\":\"" MODEL_SUM "\"", "\"m.xml\":\"\"", "sha256", "the file's is " MODEL_SUM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_changed(cases[i].old_part, cases[i].new_part);
        assert_refused(cases[i].field, cases[i].words);
    }
}

static void numbers_at_their_bounds_are_taken(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"height\":8", "\"height\":1"},
        {"\"short_side\":10", "\"short_side\":9"},
        {"\"short_side\":10", "\"short_side\":4096"},
        {"[4,5,6]", "[1e-6,5,1e6]"},
        {"[1,2.5,3]", "[-1e6,1e6,0]"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        write_changed(changes[i][0], changes[i][1]);
        assert_ok(read_spec(NULL));
    }
}

static void every_truncation_of_the_json_is_refused_with_its_file(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof good - 1; len++) {
        struct dic_err err = {0};
        write_file("model.json", good, len);
        assert_code(read_spec(&err), DIC_E_MALFORMED);
        assert_non_null(strstr(err.msg, "/model.json: not valid JSON"));
    }
}

static void a_document_that_is_no_object_or_too_long_is_refused(void **state)
{
    (void)state;
    static char text[64 * 1024 + 2];
    write_text("model.json", "[]");
    assert_refused("name", "is missing");
    write_text("model.json", "\"name\"");
    assert_refused("name", "is missing");
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        size_t len = 64 * 1024 - 1 + over;
        memset(text, ' ', sizeof text);
        memcpy(text, good, sizeof good - 1);
        write_file("model.json", text, len);
        assert_code(read_spec(NULL), over < 2 ? DIC_OK : DIC_E_TOO_LARGE);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"model.json", "m.xml", "m.bin", "l.txt"};
    for (size_t i = 0; i < 4; i++) {
        struct dic_err err = {0};
        char path[128];
        char away[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        snprintf(away, sizeof away, "%s/away", folder);
        assert_int_equal(rename(path, away), 0);
        assert_code(read_spec(&err), DIC_E_NOT_FOUND);
        assert_non_null(strstr(err.msg, path));
        assert_int_equal(mkdir(path, 0700), 0); /* something that cannot be read */
        assert_code(read_spec(&err), DIC_E_UPSTREAM);
        assert_non_null(strstr(err.msg, path));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rename(away, path), 0);
    }
    assert_ok(read_spec(NULL));
}

/* ---- labels ---- */

/* The checksum is of a file written before; the tool that makes it is not ours. */
static void write_labels(const char *text, size_t len)
{
    char command[200];
    char sum[80] = "";
    write_file("l.txt", text, len);
    snprintf(command, sizeof command, "sha256sum %s/l.txt", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%64s", sum), 1);
    assert_int_equal(pclose(pipe), 0);
    write_changed(LABELS_SUM, sum);
}

static void the_labels_must_be_as_many_as_the_classes(void **state)
{
    (void)state;
    write_labels("cat\n", 4);
    assert_refused("output.classes", "has 1 labels, output.classes is 2");
    write_labels("cat\ndog\nant\n", 12);
    assert_refused("output.classes", "has more labels than the 2");
    write_labels("", 0);
    assert_refused("output.classes", "has 0 labels");
    write_labels("cat\ndog", 7); /* the last one without its newline */
    assert_ok(read_spec(NULL));
}

static void a_label_has_bounds_and_is_utf8(void **state)
{
    (void)state;
    for (size_t over = 0; over < 3; over++) { /* n−1, n, n+1 */
        char text[300];
        size_t len = 255 + over;
        memset(text, 'a', len);
        memcpy(text + len, "\nb\n", 3);
        write_labels(text, len + 3);
        if (over < 2) {
            assert_ok(read_spec(NULL));
        } else {
            assert_refused("files.labels", "line 1 is not a label of 1 to 256 bytes");
        }
    }
    write_labels("\ncat\n", 5);
    assert_refused("files.labels", "line 1 is not a label");
    write_labels("cat\nd\xFFg\n", 8);
    assert_refused("files.labels", "line 2 is not a label");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_good_model_is_read),
        CASE(the_other_words_are_understood),
        CASE(a_model_in_one_file_has_no_weights),
        CASE(every_wrong_member_is_named),
        CASE(numbers_at_their_bounds_are_taken),
        CASE(every_truncation_of_the_json_is_refused_with_its_file),
        CASE(a_document_that_is_no_object_or_too_long_is_refused),
        CASE(a_file_that_is_not_there_is_named),
        CASE(the_labels_must_be_as_many_as_the_classes),
        CASE(a_label_has_bounds_and_is_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
