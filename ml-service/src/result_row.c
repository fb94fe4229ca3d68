/* SPDX-License-Identifier: Apache-2.0 */
#include "result_row.h"

#include "json/json_write.h"

enum { CONFIDENCE_DECIMALS = 6 };

static void write_error(struct dic_json_writer *writer, const struct dic_task *task)
{
    dic_json_begin_object(writer, "error");
    dic_json_put_text(writer, "code", dic_row_error_word(task->error));
    dic_json_put_text(writer, "message", task->message);
    dic_json_put_bool(writer, "retryable", dic_row_error_retryable(task->error));
    dic_json_end_object(writer);
}

static struct dic_str label_of(const struct dic_model_spec *model, uint32_t class_index)
{
    return model->labels[class_index];
}

static void write_prediction(struct dic_json_writer *writer, const struct dic_model_spec *model,
                             const struct dic_prediction *prediction)
{
    dic_json_begin_object(writer, NULL);
    dic_json_put_str(writer, "label", label_of(model, prediction->class_index));
    dic_json_put_int(writer, "class_index", prediction->class_index);
    dic_json_put_real(writer, "confidence", (double)prediction->confidence, CONFIDENCE_DECIMALS);
    dic_json_end_object(writer);
}

static int64_t write_predictions(struct dic_json_writer *writer,
                                 const struct dic_row_context *context, const struct dic_task *task)
{
    uint32_t count = 0;
    while (count < task->prediction_count &&
           (double)task->predictions[count].confidence >= context->confidence_threshold) {
        count++;
    }
    if (count == 0) {
        dic_json_put_text(writer, "label", "unknown");
        dic_json_put_null(writer, "confidence");
    } else {
        dic_json_put_str(writer, "label",
                         label_of(context->model, task->predictions[0].class_index));
        dic_json_put_real(writer, "confidence", (double)task->predictions[0].confidence,
                          CONFIDENCE_DECIMALS);
    }
    if (task->partial) {
        dic_json_put_bool(writer, "partial", true);
    }
    dic_json_begin_array(writer, "predictions");
    for (uint32_t i = 0; i < count; i++) {
        write_prediction(writer, context->model, &task->predictions[i]);
    }
    dic_json_end_array(writer);
    return count == 0 ? -1 : (int64_t)task->predictions[0].class_index;
}

int64_t dic_row_write(struct dic_buf *out, const struct dic_row_context *context,
                      const struct dic_task *task)
{
    int64_t class_index = -1;
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_int(&writer, "index", context->index);
    dic_json_put_str(&writer, "s3_key", context->image.key);
    if (context->image.id.len > 0) {
        dic_json_put_str(&writer, "id", context->image.id);
    }
    if (task->error != DIC_ROW_OK) {
        write_error(&writer, task);
    } else {
        class_index = write_predictions(&writer, context, task);
    }
    dic_json_end_object(&writer);
    dic_buf_append_byte(out, '\n');
    return class_index;
}
