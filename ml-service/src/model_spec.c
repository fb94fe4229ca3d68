/* SPDX-License-Identifier: Apache-2.0 */
#include "model_spec.h"

#include "base/buf.h"
#include "base/mem.h"
#include "json/json_read.h"
#include "json/json_write.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_CLASSES = 1000000,
    MAX_LABEL_BYTES = 256,
    MAX_TENSOR_SIDE = 1024,
    MAX_SHORT_SIDE = 4096,
    SHA256_BYTES = 32,
    SHA256_TEXT = 64,
    READ_BYTES = 64 * 1024,
};

/* What the checks below share: where model.json is, for messages, and its members. */
struct reader {
    const char *folder;                  /* or what stands for it in messages */
    const struct dic_model_files *files; /* NULL: those of the folder */
    const struct dic_json *root;
    struct dic_model_spec *spec;
};

static enum dic_code bad(const struct reader *reader, const char *field, const char *why,
                         struct dic_err *err)
{
    return dic_fail_field(err, DIC_E_INVALID, field, "%s/model.json: %s %s", reader->folder, field,
                          why);
}

static char *join(const char *folder, struct dic_str name)
{
    struct dic_buf path;
    size_t len = 0;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/%.*s", folder, DIC_STR_ARGS(name));
    return dic_buf_detach(&path, &len);
}

/* A file of the model: where it is opened, and what a person knows it as. */
struct file {
    char *path;
    char *shown;
};

static void free_file(struct file *file)
{
    dic_free(file->path);
    dic_free(file->shown);
}

static struct file file_named(const struct reader *reader, enum dic_model_file which,
                              struct dic_str name)
{
    return (struct file){
        .path = reader->files != NULL ? dic_model_files_path(reader->files, which)
                                      : join(reader->folder, name),
        .shown = join(reader->folder, name),
    };
}

static void close_file(FILE **file)
{
    if (*file != NULL) {
        fclose(*file);
    }
}

static enum dic_code open_file(const struct file *from, FILE **out, struct dic_err *err)
{
    *out = fopen(from->path, "rb");
    return *out != NULL
               ? DIC_OK
               : dic_fail(err, DIC_E_NOT_FOUND, "cannot open %s: %s", from->shown, strerror(errno));
}

static enum dic_code read_file(const struct file *from, size_t max_bytes, struct dic_buf *out,
                               struct dic_err *err)
{
    DIC_CLEANUP(close_file) FILE *file = NULL;
    DIC_TRY(open_file(from, &file, err));
    char piece[READ_BYTES];
    size_t got = 0;
    while ((got = fread(piece, 1, sizeof piece, file)) > 0) {
        dic_buf_append(out, piece, got);
        if (out->poisoned) {
            return dic_fail(err, DIC_E_TOO_LARGE, "%s is over %zu bytes", from->shown, max_bytes);
        }
    }
    if (ferror(file)) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot read %s: %s", from->shown, strerror(errno));
    }
    return DIC_OK;
}

/* ---- members ---- */

/* field is "a" or "a.b". */
static enum dic_code member(const struct reader *reader, const char *field,
                            const struct dic_json **out, struct dic_err *err)
{
    struct dic_str rest = dic_str(field);
    struct dic_str part = {0};
    const struct dic_json *value = reader->root;
    while (dic_str_split(&rest, '.', &part)) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", DIC_STR_ARGS(part));
        value = dic_json_is_object(value) ? dic_json_member(value, name) : NULL;
        if (value == NULL) {
            return bad(reader, field, "is missing", err);
        }
    }
    *out = value;
    return DIC_OK;
}

static enum dic_code with_file(const struct reader *reader, enum dic_code code, struct dic_err *err)
{
    if (code == DIC_OK) {
        return code;
    }
    const struct dic_err before = *err; /* what is filled in must not be read meanwhile */
    return dic_fail_field(err, code, before.field, "%.200s/model.json: %.100s", reader->folder,
                          before.msg);
}

static enum dic_code text_member(const struct reader *reader, const char *field,
                                 struct dic_str *out, struct dic_err *err)
{
    const struct dic_json *value = NULL;
    DIC_TRY(member(reader, field, &value, err));
    DIC_TRY(with_file(reader, dic_json_get_str(value, field, out, err), err));
    if (out->len < 1 || out->len > DIC_MODEL_NAME_BYTES || dic_str_find(*out, '\0') != out->len) {
        return bad(reader, field, "must have 1 to 200 bytes without U+0000", err);
    }
    return DIC_OK;
}

static enum dic_code copied_text(const struct reader *reader, const char *field, char **out,
                                 struct dic_err *err)
{
    struct dic_str text = {0};
    DIC_TRY(text_member(reader, field, &text, err));
    *out = dic_strdup_len(text.ptr, text.len);
    return DIC_OK;
}

static enum dic_code number_member(const struct reader *reader, const char *field, int64_t min,
                                   int64_t max, uint32_t *out, struct dic_err *err)
{
    const struct dic_json *value = NULL;
    int64_t number = 0;
    DIC_TRY(member(reader, field, &value, err));
    DIC_TRY(with_file(reader, dic_json_get_int(value, field, min, max, &number, err), err));
    *out = (uint32_t)number;
    return DIC_OK;
}

/* One of two words; *second_out tells which. */
static enum dic_code choice_member(const struct reader *reader, const char *field,
                                   const char *first, const char *second, bool *second_out,
                                   struct dic_err *err)
{
    struct dic_str text = {0};
    char why[160];
    DIC_TRY(text_member(reader, field, &text, err));
    *second_out = dic_str_is(text, second);
    if (!*second_out && !dic_str_is(text, first)) {
        snprintf(why, sizeof why, "is '%.*s', allowed are %s and %s",
                 (int)(text.len < 40 ? text.len : 40), text.ptr, first, second);
        return bad(reader, field, why, err);
    }
    return DIC_OK;
}

static enum dic_code three_reals(const struct reader *reader, const char *field, double min,
                                 float out[3], struct dic_err *err)
{
    const struct dic_json *value = NULL;
    DIC_TRY(member(reader, field, &value, err));
    if (!dic_json_is_array(value) || dic_json_size(value) != 3) {
        return bad(reader, field, "must be an array of 3 numbers", err);
    }
    for (size_t i = 0; i < 3; i++) {
        double number = 0;
        enum dic_code code =
            dic_json_get_real(dic_json_at(value, i), field, min, 1e6, &number, err);
        DIC_TRY(with_file(reader, code, err));
        out[i] = (float)number;
    }
    return DIC_OK;
}

/* ---- parts of model.json ---- */

static enum dic_code read_input(const struct reader *reader, struct dic_err *err)
{
    struct dic_tensor_spec *tensor = &reader->spec->tensor;
    bool second = false;
    uint32_t channels = 0;
    DIC_TRY(copied_text(reader, "input.name", &reader->spec->input_name, err));
    DIC_TRY(choice_member(reader, "input.layout", "NHWC", "NCHW", &tensor->channels_first, err));
    DIC_TRY(number_member(reader, "input.height", 1, MAX_TENSOR_SIDE, &tensor->height, err));
    DIC_TRY(number_member(reader, "input.width", 1, MAX_TENSOR_SIDE, &tensor->width, err));
    DIC_TRY(number_member(reader, "input.channels", 3, 3, &channels, err));
    DIC_TRY(choice_member(reader, "input.color", "RGB", "BGR", &tensor->bgr, err));
    DIC_TRY(three_reals(reader, "input.mean", -1e6, tensor->mean, err));
    DIC_TRY(three_reals(reader, "input.scale", 1e-6, tensor->scale, err));
    uint32_t side = tensor->height > tensor->width ? tensor->height : tensor->width;
    DIC_TRY(
        number_member(reader, "resize.short_side", side, MAX_SHORT_SIDE, &tensor->short_side, err));
    DIC_TRY(choice_member(reader, "resize.interpolation", "bilinear", "bicubic", &second, err));
    tensor->interpolation = second ? DIC_BICUBIC : DIC_BILINEAR;
    return choice_member(reader, "resize.crop", "center", "center", &second, err);
}

static enum dic_code read_output(const struct reader *reader, struct dic_err *err)
{
    DIC_TRY(copied_text(reader, "output.name", &reader->spec->output_name, err));
    DIC_TRY(choice_member(reader, "output.kind", "probabilities", "logits", &reader->spec->logits,
                          err));
    return number_member(reader, "output.classes", 1, MAX_CLASSES, &reader->spec->classes, err);
}

/* A file name inside the model's own folder. */
static enum dic_code name_member(const struct reader *reader, const char *field,
                                 struct dic_str *name_out, struct dic_err *err)
{
    DIC_TRY(text_member(reader, field, name_out, err));
    if (dic_str_find(*name_out, '/') != name_out->len || name_out->ptr[0] == '.') {
        return bad(reader, field, "must be the name of a file in the model's folder", err);
    }
    return DIC_OK;
}

static bool has_weights(const struct reader *reader)
{
    const struct dic_json *files = dic_json_member(reader->root, "files");
    return dic_json_member(files, "weights") != NULL;
}

static enum dic_code hash_file(const struct file *from, char text_out[SHA256_TEXT + 1],
                               struct dic_err *err)
{
    DIC_CLEANUP(close_file) FILE *file = NULL;
    DIC_TRY(open_file(from, &file, err));
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char digest[SHA256_BYTES];
    char piece[READ_BYTES];
    size_t got = 0;
    bool good = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    while (good && (got = fread(piece, 1, sizeof piece, file)) > 0) {
        good = EVP_DigestUpdate(hash, piece, got) == 1;
    }
    good = good && !ferror(file) && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (!good) {
        return dic_fail(err, DIC_E_UPSTREAM, "cannot read %s", from->shown);
    }
    for (int i = 0; i < SHA256_BYTES; i++) {
        snprintf(text_out + 2 * i, 3, "%02x", digest[i]);
    }
    return DIC_OK;
}

static enum dic_code check_hash(const struct reader *reader, struct dic_str name,
                                const struct file *file, char text_out[SHA256_TEXT + 1],
                                struct dic_err *err)
{
    const struct dic_json *sums = NULL;
    struct dic_str expected = {0};
    char field[DIC_MODEL_NAME_BYTES + 16];
    char why[256];
    DIC_TRY(member(reader, "sha256", &sums, err));
    snprintf(field, sizeof field, "%.*s", DIC_STR_ARGS(name));
    const struct dic_json *value = dic_json_is_object(sums) ? dic_json_member(sums, field) : NULL;
    if (value == NULL) {
        snprintf(why, sizeof why, "has no checksum of '%.150s'", field);
        return bad(reader, "sha256", why, err);
    }
    DIC_TRY(with_file(reader, dic_json_get_str(value, "sha256", &expected, err), err));
    DIC_TRY(hash_file(file, text_out, err));
    if (!dic_str_is(expected, text_out)) {
        snprintf(why, sizeof why, "of '%.60s' is %.*s, the file's is %s", field,
                 (int)(expected.len < SHA256_TEXT ? expected.len : SHA256_TEXT), expected.ptr,
                 text_out);
        return bad(reader, "sha256", why, err);
    }
    return DIC_OK;
}

/* Named, and what model.json says it is. The caller ends file_out, also after an error. */
static enum dic_code checked_file(const struct reader *reader, enum dic_model_file which,
                                  const char *field, struct file *file_out,
                                  char sum_out[SHA256_TEXT + 1], struct dic_err *err)
{
    struct dic_str name = {0};
    DIC_TRY(name_member(reader, field, &name, err));
    *file_out = file_named(reader, which, name);
    return check_hash(reader, name, file_out, sum_out, err);
}

static enum dic_code read_model_files(const struct reader *reader, struct dic_err *err)
{
    struct dic_model_spec *spec = reader->spec;
    DIC_CLEANUP(free_file) struct file network = {0};
    DIC_CLEANUP(free_file) struct file weights = {0};
    char sum[SHA256_TEXT + 1];
    DIC_TRY(checked_file(reader, DIC_MODEL_NETWORK, "files.model", &network, sum, err));
    if (has_weights(reader)) {
        DIC_TRY(checked_file(reader, DIC_MODEL_WEIGHTS, "files.weights", &weights, sum, err));
    }
    spec->model_path = network.path;
    spec->model_origin = network.shown;
    spec->weights_path = weights.path;
    network = (struct file){0};
    weights.path = NULL;
    spec->sha256 = dic_strdup_len(sum, SHA256_TEXT);
    return DIC_OK;
}

/* ---- labels ---- */

static enum dic_code check_label(const struct dic_model_spec *spec, const char *path,
                                 struct dic_str label, uint32_t index, struct dic_err *err)
{
    if (index >= spec->classes) {
        return dic_fail_field(err, DIC_E_INVALID, "output.classes",
                              "%s has more labels than the %u of output.classes", path,
                              spec->classes);
    }
    if (label.len < 1 || label.len > MAX_LABEL_BYTES || !dic_utf8_valid(label)) {
        return dic_fail_field(err, DIC_E_INVALID, "files.labels",
                              "%s: line %u is not a label of 1 to %d bytes of UTF-8", path,
                              index + 1, MAX_LABEL_BYTES);
    }
    return DIC_OK;
}

static enum dic_code read_labels(const struct reader *reader, struct dic_err *err)
{
    struct dic_model_spec *spec = reader->spec;
    DIC_CLEANUP(free_file) struct file file = {0};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    char sum[SHA256_TEXT + 1];
    dic_buf_init(&text, DIC_MODEL_LABELS_BYTES);
    DIC_TRY(checked_file(reader, DIC_MODEL_LABELS, "files.labels", &file, sum, err));
    DIC_TRY(read_file(&file, DIC_MODEL_LABELS_BYTES, &text, err));
    spec->labels = dic_calloc(spec->classes, sizeof *spec->labels);
    size_t len = 0;
    spec->labels_text = dic_buf_detach(&text, &len);
    struct dic_str rest = dic_str_len(spec->labels_text, len);
    struct dic_str line = {0};
    uint32_t count = 0;
    while (dic_str_split(&rest, '\n', &line)) {
        if (rest.len == 0 && line.len == 0) {
            break; /* after the last newline */
        }
        DIC_TRY(check_label(spec, file.shown, line, count, err));
        spec->labels[count++] = line;
    }
    if (count != spec->classes) {
        return dic_fail_field(err, DIC_E_INVALID, "output.classes",
                              "%s has %u labels, output.classes is %u", file.shown, count,
                              spec->classes);
    }
    return DIC_OK;
}

static void write_summary(struct dic_model_spec *spec)
{
    struct dic_buf text;
    size_t len = 0;
    dic_buf_init(&text, 4096);
    struct dic_json_writer writer = dic_json_writer(&text);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "name", spec->name);
    dic_json_put_text(&writer, "version", spec->version);
    dic_json_put_text(&writer, "sha256", spec->sha256);
    dic_json_end_object(&writer);
    spec->summary_json = dic_buf_detach(&text, &len);
}

static enum dic_code parse(struct reader *reader, struct dic_str json, struct dic_json **root_out,
                           struct dic_err *err)
{
    DIC_TRY(with_file(reader, dic_json_parse(json, root_out, err), err));
    reader->root = *root_out;
    return DIC_OK;
}

static enum dic_code read_spec(struct reader *reader, struct dic_err *err)
{
    struct dic_model_spec *spec = reader->spec;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    DIC_CLEANUP(free_file)
    struct file json = file_named(reader, DIC_MODEL_JSON, DIC_STR_LIT("model.json"));
    bool second = false;
    dic_buf_init(&text, DIC_MODEL_JSON_BYTES);
    DIC_TRY(read_file(&json, DIC_MODEL_JSON_BYTES, &text, err));
    DIC_TRY(parse(reader, dic_buf_view(&text), &root, err));
    DIC_TRY(copied_text(reader, "name", &spec->name, err));
    DIC_TRY(copied_text(reader, "version", &spec->version, err));
    DIC_TRY(choice_member(reader, "task", "image_classification", "image_classification", &second,
                          err));
    DIC_TRY(read_input(reader, err));
    DIC_TRY(read_output(reader, err));
    DIC_TRY(read_labels(reader, err));
    DIC_TRY(read_model_files(reader, err));
    write_summary(spec);
    return DIC_OK;
}

static enum dic_code read_from(struct reader *reader, struct dic_model_spec **spec_out,
                               struct dic_err *err)
{
    struct dic_model_spec *spec = dic_calloc(1, sizeof *spec);
    struct dic_err scratch = {0}; /* the text is needed below even when nobody wants it */
    reader->spec = spec;
    enum dic_code code = read_spec(reader, err == NULL ? &scratch : err);
    if (code != DIC_OK) {
        dic_model_spec_destroy(spec);
        return code;
    }
    *spec_out = spec;
    return DIC_OK;
}

enum dic_code dic_model_spec_read(const char *folder, struct dic_model_spec **spec_out,
                                  struct dic_err *err)
{
    struct reader reader = {.folder = folder};
    return read_from(&reader, spec_out, err);
}

enum dic_code dic_model_spec_read_files(const struct dic_model_files *files,
                                        struct dic_model_spec **spec_out, struct dic_err *err)
{
    struct reader reader = {.folder = files->origin, .files = files};
    return read_from(&reader, spec_out, err);
}

static enum dic_code read_name(const struct reader *reader, enum dic_model_file which,
                               const char *field, struct dic_model_names *out, struct dic_err *err)
{
    struct dic_str name = {0};
    DIC_TRY(name_member(reader, field, &name, err));
    memcpy(out->of[which], name.ptr, name.len);
    return DIC_OK;
}

enum dic_code dic_model_names_read(const char *origin, struct dic_str json,
                                   struct dic_model_names *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    struct reader reader = {.folder = origin};
    struct dic_err scratch = {0};
    err = err == NULL ? &scratch : err;
    *out = (struct dic_model_names){0};
    memcpy(out->of[DIC_MODEL_JSON], "model.json", sizeof "model.json");
    DIC_TRY(parse(&reader, json, &root, err));
    DIC_TRY(read_name(&reader, DIC_MODEL_LABELS, "files.labels", out, err));
    DIC_TRY(read_name(&reader, DIC_MODEL_NETWORK, "files.model", out, err));
    return has_weights(&reader) ? read_name(&reader, DIC_MODEL_WEIGHTS, "files.weights", out, err)
                                : DIC_OK;
}

void dic_model_spec_destroy(struct dic_model_spec *spec)
{
    if (spec == NULL) {
        return;
    }
    dic_free(spec->name);
    dic_free(spec->version);
    dic_free(spec->model_path);
    dic_free(spec->model_origin);
    dic_free(spec->weights_path);
    dic_free(spec->input_name);
    dic_free(spec->output_name);
    dic_free(spec->sha256);
    dic_free(spec->labels);
    dic_free(spec->labels_text);
    dic_free(spec->summary_json);
    dic_free(spec);
}
