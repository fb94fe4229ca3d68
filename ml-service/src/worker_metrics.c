/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <inttypes.h>

static void metric(struct dic_buf *out, const char *name, const char *type, const char *help,
                   double value)
{
    dic_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.10g\n", name, help, name, type, name,
                   value);
}

static void labelled(struct dic_buf *out, const char *name, const char *label, const char *value,
                     double number)
{
    dic_buf_printf(out, "%s{%s=\"%s\"} %.10g\n", name, label, value, number);
}

static void work_metrics(const struct dic_worker_counts *work, struct dic_buf *out)
{
    dic_buf_append_text(out, "# HELP classifier_chunks_total Chunks by what became of them.\n"
                             "# TYPE classifier_chunks_total counter\n");
    labelled(out, "classifier_chunks_total", "outcome", "booked", (double)work->chunks_booked);
    labelled(out, "classifier_chunks_total", "outcome", "late", (double)work->chunks_late);
    labelled(out, "classifier_chunks_total", "outcome", "released", (double)work->chunks_released);
    dic_buf_append_text(out, "# HELP classifier_rows_total Images accounted for.\n"
                             "# TYPE classifier_rows_total counter\n");
    labelled(out, "classifier_rows_total", "outcome", "succeeded", (double)work->rows_succeeded);
    labelled(out, "classifier_rows_total", "outcome", "failed", (double)work->rows_failed);
    metric(out, "classifier_chunks_in_work", "gauge", "Chunks taken and not yet booked.",
           (double)work->chunks_in_work);
    metric(out, "classifier_images_in_work", "gauge", "Images the pipeline has not finished.",
           (double)work->images_in_work);
}

static void pipeline_metrics(const struct dic_pipeline_counts *pipeline, struct dic_buf *out)
{
    dic_buf_append_text(out, "# HELP classifier_stage_seconds_total Time spent, by stage.\n"
                             "# TYPE classifier_stage_seconds_total counter\n");
    labelled(out, "classifier_stage_seconds_total", "stage", "fetch",
             (double)pipeline->fetch_ns / 1e9);
    labelled(out, "classifier_stage_seconds_total", "stage", "decode",
             (double)pipeline->decode_ns / 1e9);
    labelled(out, "classifier_stage_seconds_total", "stage", "infer",
             (double)pipeline->infer_ns / 1e9);
    metric(out, "classifier_fetched_bytes_total", "counter", "Bytes of images read.",
           (double)pipeline->fetched_bytes);
    metric(out, "classifier_active_decoders", "gauge", "Decoder processes that take work.",
           pipeline->active_decoders);
    metric(out, "classifier_active_lanes", "gauge", "Inference lanes that take work.",
           pipeline->active_lanes);
}

void dic_worker_metrics(void *worker, struct dic_buf *out)
{
    struct dic_worker_counts work;
    struct dic_pipeline_counts pipeline;
    dic_worker_counts(worker, &work);
    dic_pipeline_counts(dic_worker_pipeline(worker), &pipeline);
    work_metrics(&work, out);
    pipeline_metrics(&pipeline, out);
}
