/* SPDX-License-Identifier: Apache-2.0 */
#include "planner.h"

#include "base/log.h"
#include "base/mem.h"
#include "plan_source.h"

#include <inttypes.h>

static const dic_source_fill fillers[] = {
    [DIC_SOURCE_KEYS] = dic_fill_from_keys,
    [DIC_SOURCE_PREFIX] = dic_fill_from_prefix,
    [DIC_SOURCE_MANIFEST] = dic_fill_from_manifest,
    [DIC_SOURCE_RETRY] = dic_fill_from_retry,
};

/* The source itself is bad, or the store says that it will fail for good (there is no such bucket,
 * or not in this region): trying again would not help. */
static bool is_hopeless(enum dic_code code, const struct dic_err *why)
{
    if (code == DIC_E_UPSTREAM && !why->retryable) {
        return true;
    }
    return code == DIC_E_MALFORMED || code == DIC_E_INVALID || code == DIC_E_NOT_FOUND ||
           code == DIC_E_DENIED || code == DIC_E_CONFLICT || code == DIC_E_TOO_LARGE;
}

/* A CONFLICT is none of the job: another planner has got past this point. */
static enum dic_code fail_job(const struct dic_planner *planner, const char *job_id,
                              uint32_t segment, const struct dic_err *why, struct dic_err *err)
{
    enum dic_code code =
        planner->jobs.ops->fail_plan(planner->jobs.impl, job_id, segment, dic_str(why->msg), err);
    if (code == DIC_E_CONFLICT) {
        return DIC_OK;
    }
    DIC_TRY(code);
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "job_not_plannable");
    dic_log_str(&log, "job_id", job_id);
    dic_log_err(&log, why);
    dic_log_end(&log);
    return planner->jobs.ops->seal(planner->jobs.impl, job_id, err);
}

static enum dic_code check_size(int64_t images, uint32_t segment, bool ended, struct dic_err *err)
{
    if (images > DIC_MAX_JOB_IMAGES) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the job has more than %d images",
                        DIC_MAX_JOB_IMAGES);
    }
    if (!ended && segment + 1 >= DIC_MAX_SEGMENTS) {
        return dic_fail(err, DIC_E_TOO_LARGE, "the job needs more than %d segments of %d chunks",
                        DIC_MAX_SEGMENTS, DIC_SEGMENT_CHUNKS);
    }
    return DIC_OK;
}

static enum dic_code store_segment(const struct dic_planner *planner, const char *job_id,
                                   uint32_t segment, struct dic_segment_builder *builder,
                                   struct dic_resume *resume, bool ended, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    dic_buf_init(&text, DIC_RESUME_BYTES);
    resume->image = builder->next_image;
    dic_resume_write(resume, &text);
    dic_segment_builder_finish(builder);
    struct dic_segment_plan plan = {
        .segment = segment,
        .chunk_count = builder->chunk_count,
        .chunks = builder->chunks,
        .is_last = ended,
        .resume = dic_buf_view(&text),
    };
    bool sent = false;
    DIC_TRY(planner->jobs.ops->add_segment(planner->jobs.impl, job_id, &plan, &sent, err));
    if (planner->segments != NULL) {
        atomic_fetch_add(planner->segments, 1);
    }
    dic_plan_step(planner->steps);
    if (sent) {
        return DIC_OK;
    }
    struct dic_message messages[DIC_SEGMENT_CHUNKS];
    for (uint32_t i = 0; i < builder->chunk_count; i++) {
        messages[i] = (struct dic_message){.kind = DIC_MESSAGE_CHUNK,
                                           .chunk = segment * DIC_SEGMENT_CHUNKS + i};
        __builtin_memcpy(messages[i].job_id, job_id, DIC_ID_SIZE);
    }
    return planner->queue.ops->send(planner->queue.impl, messages, builder->chunk_count, err);
}

/* Fills one segment; a source that is bad makes the job fail, which is an orderly end. */
static enum dic_code plan_segment(const struct dic_planner *planner,
                                  const struct dic_plan_source *source, uint32_t segment,
                                  struct dic_str resume_text, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf after;
    DIC_CLEANUP(dic_segment_builder_clean_up) struct dic_segment_builder builder;
    struct dic_resume resume = {0};
    struct dic_err why = {0};
    bool ended = false;
    dic_buf_init(&after, DIC_MAX_KEY_BYTES * 4);
    dic_segment_builder_init(&builder, planner->chunk_images, 0);
    DIC_TRY(dic_resume_parse(resume_text, &resume, &after, err));
    builder.next_image = resume.image;
    enum dic_code code =
        fillers[source->job->params.source](source, &resume, &builder, &after, &ended, &why);
    if (code == DIC_OK) {
        code = check_size(builder.next_image, segment, ended, &why);
    }
    if (code == DIC_OK) {
        return store_segment(planner, source->job->id, segment, &builder, &resume, ended, err);
    }
    if (is_hopeless(code, &why)) {
        return fail_job(planner, source->job->id, segment, &why, err);
    }
    return dic_fail(err, code, "%s", why.msg);
}

/* Goes on until the store says that planning is over: another planner may have been faster, and its
 * cut is the one that counts, also where it ends. */
static enum dic_code plan_all(const struct dic_planner *planner,
                              const struct dic_plan_source *source, bool *done_out,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf resume;
    dic_buf_init(&resume, DIC_RESUME_BYTES);
    while (!*done_out && !atomic_load(planner->stop)) {
        uint32_t segment = 0;
        dic_buf_clear(&resume);
        enum dic_code code = planner->jobs.ops->begin_plan(planner->jobs.impl, source->job->id,
                                                           &segment, &resume, err);
        if (code == DIC_E_CONFLICT) {
            *done_out = true;
            return DIC_OK;
        }
        DIC_TRY(code);
        DIC_TRY(plan_segment(planner, source, segment, dic_buf_view(&resume), err));
    }
    return DIC_OK;
}

enum dic_code dic_planner_run(const struct dic_planner *planner, const char *job_id, bool *done_out,
                              struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *spec = NULL;
    struct dic_job job = {0};
    dic_buf_init(&memory, DIC_JOB_RECORD_BYTES);
    *done_out = false;
    DIC_TRY(planner->jobs.ops->peek(planner->jobs.impl, job_id, &job, &memory, err));
    struct dic_str spec_text =
        job.params.spec_json.len > 0 ? job.params.spec_json : DIC_STR_LIT("{}");
    DIC_TRY(dic_json_parse(spec_text, &spec, err));
    struct dic_plan_source source = {
        .jobs = planner->jobs,
        .images = planner->images,
        .job = &job,
        .spec = spec,
        .steps = planner->steps,
    };
    return plan_all(planner, &source, done_out, err);
}
