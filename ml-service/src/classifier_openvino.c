/* SPDX-License-Identifier: Apache-2.0 */
#include "classifier_openvino.h"

#include "base/mem.h"
#include "base/thread.h"
#include "top_k.h"

#include <openvino/c/openvino.h>
#include <stdio.h>
#include <string.h>

/* A tensor wrapper for each slot a lane has met; slots are few and live as long as the pool. */
enum { MAX_SLOTS = 1024 };

struct wrapped {
    const float *memory;
    ov_tensor_t *tensor;
};

struct lane {
    ov_compiled_model_t *compiled;
    ov_infer_request_t *request;
    struct wrapped slots[MAX_SLOTS];
    uint32_t slot_count;
};

struct openvino {
    const struct dic_model_spec *spec;
    ov_core_t *core;
    ov_model_t *model;
    ov_shape_t input_shape;
    struct lane *lanes;
    uint32_t lane_count;
    pthread_mutex_t
        compiling; /* guards core and model: compiling is not promised to be re-entrant */
};

static enum dic_code failed(const char *what, struct dic_err *err)
{
    const char *why = ov_get_last_err_msg();
    return dic_fail(err, DIC_E_INTERNAL, "inference library: %s failed: %.200s", what,
                    why == NULL ? "no reason given" : why);
}

static enum dic_code check(ov_status_e status, const char *what, struct dic_err *err)
{
    return status == OK ? DIC_OK : failed(what, err);
}

static void free_port(ov_output_const_port_t **port)
{
    ov_output_const_port_free(*port);
}

static void spec_dims(const struct dic_tensor_spec *tensor, int64_t dims_out[4])
{
    int64_t nchw[4] = {1, 3, tensor->height, tensor->width};
    int64_t nhwc[4] = {1, tensor->height, tensor->width, 3};
    memcpy(dims_out, tensor->channels_first ? nchw : nhwc, sizeof nchw);
}

static enum dic_code wrong_shape(const struct dic_model_spec *spec, const char *field,
                                 const ov_shape_t *found, const char *expected, struct dic_err *err)
{
    char text[128] = "";
    size_t used = 0;
    for (int64_t i = 0; i < found->rank && used + 24 < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i ? "," : "",
                                 (long long)found->dims[i]);
    }
    return dic_fail_field(err, DIC_E_INVALID, field,
                          "%s: %s of model.json: the model has the shape [%s], expected is %s",
                          spec->model_origin, field, text, expected);
}

/* A model with a free batch size or picture size is fixed to what model.json says. */
static enum dic_code fix_shape(struct openvino *ov, const ov_output_const_port_t *port,
                               struct dic_err *err)
{
    const struct dic_model_spec *spec = ov->spec;
    ov_partial_shape_t shape = {0};
    DIC_TRY(check(ov_port_get_partial_shape(port, &shape), "reading the input shape", err));
    bool is_dynamic = ov_partial_shape_is_dynamic(shape);
    ov_partial_shape_free(&shape);
    if (!is_dynamic) {
        return DIC_OK;
    }
    int64_t dims[4];
    spec_dims(&spec->tensor, dims);
    DIC_TRY(check(ov_partial_shape_create_static(4, dims, &shape), "making a shape", err));
    ov_status_e status = ov_model_reshape_input_by_name(ov->model, spec->input_name, shape);
    ov_partial_shape_free(&shape);
    return check(status, "fixing the input's shape", err);
}

static enum dic_code check_input(struct openvino *ov, struct dic_err *err)
{
    const struct dic_model_spec *spec = ov->spec;
    DIC_CLEANUP(free_port) ov_output_const_port_t *port = NULL;
    if (ov_model_const_input_by_name(ov->model, spec->input_name, &port) != OK) {
        return dic_fail_field(err, DIC_E_INVALID, "input.name",
                              "%s: input.name of model.json: the model has no input '%s'",
                              spec->model_origin, spec->input_name);
    }
    ov_element_type_e type = DYNAMIC;
    DIC_TRY(check(ov_port_get_element_type(port, &type), "reading the input type", err));
    if (type != F32) {
        return dic_fail_field(err, DIC_E_INVALID, "input",
                              "%s: the model's input is not of 32-bit floats (type %d)",
                              spec->model_origin, (int)type);
    }
    return fix_shape(ov, port, err);
}

static enum dic_code check_input_shape(struct openvino *ov, struct dic_err *err)
{
    const struct dic_model_spec *spec = ov->spec;
    DIC_CLEANUP(free_port) ov_output_const_port_t *port = NULL;
    DIC_TRY(check(ov_model_const_input_by_name(ov->model, spec->input_name, &port),
                  "finding the input", err));
    DIC_TRY(check(ov_const_port_get_shape(port, &ov->input_shape), "reading the input", err));
    int64_t dims[4];
    char expected[96];
    spec_dims(&spec->tensor, dims);
    snprintf(expected, sizeof expected, "[%lld,%lld,%lld,%lld] (%s)", (long long)dims[0],
             (long long)dims[1], (long long)dims[2], (long long)dims[3],
             spec->tensor.channels_first ? "NCHW" : "NHWC");
    if (ov->input_shape.rank != 4 || memcmp(ov->input_shape.dims, dims, sizeof dims) != 0) {
        return wrong_shape(spec, "input", &ov->input_shape, expected, err);
    }
    return DIC_OK;
}

static enum dic_code check_output(struct openvino *ov, struct dic_err *err)
{
    const struct dic_model_spec *spec = ov->spec;
    DIC_CLEANUP(free_port) ov_output_const_port_t *port = NULL;
    if (ov_model_const_output_by_name(ov->model, spec->output_name, &port) != OK) {
        return dic_fail_field(err, DIC_E_INVALID, "output.name",
                              "%s: output.name of model.json: the model has no output '%s'",
                              spec->model_origin, spec->output_name);
    }
    ov_element_type_e type = DYNAMIC;
    ov_shape_t shape = {0};
    char expected[64];
    DIC_TRY(check(ov_port_get_element_type(port, &type), "reading the output type", err));
    DIC_TRY(check(ov_const_port_get_shape(port, &shape), "reading the output", err));
    snprintf(expected, sizeof expected, "%u classes of 32-bit floats", spec->classes);
    int64_t values = 1;
    for (int64_t i = 0; i < shape.rank; i++) {
        values *= shape.dims[i];
    }
    enum dic_code code = values == spec->classes && type == F32
                             ? DIC_OK
                             : wrong_shape(spec, "output.classes", &shape, expected, err);
    ov_shape_free(&shape);
    return code;
}

static enum dic_code load_model(struct openvino *ov, struct dic_err *err)
{
    const struct dic_model_spec *spec = ov->spec;
    DIC_TRY(check(ov_core_create(&ov->core), "starting", err));
    if (ov_core_read_model(ov->core, spec->model_path, spec->weights_path, &ov->model) != OK) {
        return dic_fail_field(err, DIC_E_INVALID, "files.model",
                              "%s is not a model that can be read: %.200s", spec->model_origin,
                              ov_get_last_err_msg());
    }
    DIC_TRY(check_input(ov, err));
    DIC_TRY(check_input_shape(ov, err));
    return check_output(ov, err);
}

/* f32 always: bf16 would change answers by CPU. One thread: lanes are the parallelism. */
static enum dic_code compile_lane(struct openvino *ov, struct lane *lane, struct dic_err *err)
{
    DIC_GUARD(&ov->compiling);
    DIC_TRY(check(ov_core_compile_model(ov->core, ov->model, "CPU", 10, &lane->compiled,
                                        ov_property_key_hint_inference_precision, "f32",
                                        ov_property_key_inference_num_threads, "1",
                                        ov_property_key_num_streams, "1",
                                        ov_property_key_hint_performance_mode, "LATENCY",
                                        ov_property_key_hint_enable_cpu_pinning, "NO"),
                  "compiling the model", err));
    return check(ov_compiled_model_create_infer_request(lane->compiled, &lane->request),
                 "making a request", err);
}

static enum dic_code wrap_slot(struct openvino *ov, struct lane *lane, const float *memory,
                               ov_tensor_t **tensor_out, struct dic_err *err)
{
    for (uint32_t i = 0; i < lane->slot_count; i++) {
        if (lane->slots[i].memory == memory) {
            *tensor_out = lane->slots[i].tensor;
            return DIC_OK;
        }
    }
    if (lane->slot_count == MAX_SLOTS) {
        return dic_fail(err, DIC_E_INTERNAL, "more than %d tensor slots", MAX_SLOTS);
    }
    void *writable = NULL; /* the library's signature; it only reads an input */
    memcpy(&writable, &memory, sizeof writable);
    struct wrapped *slot = &lane->slots[lane->slot_count];
    DIC_TRY(check(ov_tensor_create_from_host_ptr(F32, ov->input_shape, writable, &slot->tensor),
                  "wrapping a tensor", err));
    slot->memory = memory;
    lane->slot_count++;
    *tensor_out = slot->tensor;
    return DIC_OK;
}

static enum dic_code copy_scores(struct openvino *ov, struct lane *lane, float *scores_out,
                                 struct dic_err *err)
{
    ov_tensor_t *output = NULL;
    void *data = NULL;
    DIC_TRY(check(ov_infer_request_get_tensor(lane->request, ov->spec->output_name, &output),
                  "reading the scores", err));
    ov_status_e status = ov_tensor_data(output, &data);
    if (status == OK) {
        memcpy(scores_out, data, ov->spec->classes * sizeof *scores_out);
    }
    ov_tensor_free(output);
    DIC_TRY(check(status, "reading the scores", err));
    if (ov->spec->logits) {
        dic_softmax(scores_out, ov->spec->classes);
    }
    return DIC_OK;
}

static enum dic_code infer(void *impl, uint32_t lane_index, const float *tensor, float *scores_out,
                           struct dic_err *err)
{
    struct openvino *ov = impl;
    struct lane *lane = &ov->lanes[lane_index];
    ov_tensor_t *input = NULL;
    if (lane->request == NULL) {
        DIC_TRY(compile_lane(ov, lane, err));
    }
    DIC_TRY(wrap_slot(ov, lane, tensor, &input, err));
    DIC_TRY(check(ov_infer_request_set_tensor(lane->request, ov->spec->input_name, input),
                  "setting the input", err));
    DIC_TRY(check(ov_infer_request_infer(lane->request), "inference", err));
    return copy_scores(ov, lane, scores_out, err);
}

static void free_lane(struct lane *lane)
{
    ov_infer_request_free(lane->request);
    for (uint32_t i = 0; i < lane->slot_count; i++) {
        ov_tensor_free(lane->slots[i].tensor);
    }
    ov_compiled_model_free(lane->compiled);
}

static void destroy(void *impl)
{
    struct openvino *ov = impl;
    if (ov == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ov->lane_count; i++) {
        free_lane(&ov->lanes[i]);
    }
    if (ov->input_shape.dims != NULL) {
        ov_shape_free(&ov->input_shape);
    }
    ov_model_free(ov->model);
    ov_core_free(ov->core);
    pthread_mutex_destroy(&ov->compiling);
    dic_free(ov->lanes);
    dic_free(ov);
}

enum dic_code dic_classifier_openvino_new(const struct dic_model_spec *spec, uint32_t lanes,
                                          struct dic_classifier *classifier_out,
                                          struct dic_err *err)
{
    static const struct dic_classifier_ops ops = {infer, destroy};
    struct openvino *ov = dic_calloc(1, sizeof *ov);
    ov->spec = spec;
    ov->lanes = dic_calloc(lanes, sizeof *ov->lanes);
    ov->lane_count = lanes;
    dic_mutex_init(&ov->compiling);
    enum dic_code code = load_model(ov, err);
    if (code == DIC_OK) {
        code = compile_lane(ov, &ov->lanes[0], err);
    }
    if (code != DIC_OK) {
        destroy(ov);
        return code;
    }
    *classifier_out = (struct dic_classifier){&ops, ov, lanes, spec->classes};
    return DIC_OK;
}
