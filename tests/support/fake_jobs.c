/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_jobs.h"

#include "base/mem.h"
#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JOBS = 8, MAX_CHUNKS = 4096, MAX_SEGMENTS = MAX_CHUNKS / DIC_SEGMENT_CHUNKS };

struct chunk {
    struct dic_chunk plan; /* lines are owned */
    struct dic_str rows;   /* owned */
};

struct job {
    struct dic_job job;
    struct dic_str keys;
    uint32_t first_segment; /* of those that can be looked at */
    struct dic_str *resumes;
    struct chunk *chunks;
    uint32_t chunk_count;
    uint32_t booked;
    bool planned;
    const struct dic_rows *rows;
    uint32_t row_count;
};

struct dic_fake_jobs {
    struct dic_job_store_ops ops;
    dic_jobs_hook hook;
    void *hook_context;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    uint32_t calls[DIC_JOBS_OP_COUNT];
    struct job jobs[MAX_JOBS];
    uint32_t count;
};

static struct dic_str copy(struct dic_str view)
{
    return dic_str_len(dic_strdup_len(view.ptr, view.len), view.len);
}

static void free_view(struct dic_str view)
{
    char *memory = NULL;
    memcpy(&memory, &view.ptr, sizeof memory); /* ours, though a view is const */
    dic_free(memory);
}

static struct job *find(struct dic_fake_jobs *jobs, const char *id)
{
    for (uint32_t i = 0; i < jobs->count; i++) {
        if (strcmp(jobs->jobs[i].job.id, id) == 0) {
            return &jobs->jobs[i];
        }
    }
    return NULL;
}

static struct job *known(struct dic_fake_jobs *jobs, const char *id)
{
    struct job *job = find(jobs, id);
    if (job == NULL) {
        abort(); /* the test asks for a job it never made */
    }
    return job;
}

static enum dic_code begin(struct dic_fake_jobs *jobs, enum dic_jobs_op op, const char *id,
                           struct dic_err *err)
{
    dic_lock(&jobs->lock);
    jobs->calls[op]++;
    pthread_cond_broadcast(&jobs->changed);
    dic_unlock(&jobs->lock);
    return jobs->hook == NULL ? DIC_OK : jobs->hook(jobs->hook_context, op, id, err);
}

static enum dic_code no_job(struct dic_err *err)
{
    return dic_fail(err, DIC_E_NOT_FOUND, "there is no such job");
}

static enum dic_code closed(struct dic_err *err)
{
    return dic_fail(err, DIC_E_CONFLICT, "the job is not open");
}

static void set_state(struct dic_fake_jobs *jobs, struct job *job, enum dic_job_state state)
{
    job->job.state = state;
    pthread_cond_broadcast(&jobs->changed);
}

/* ---- the port ---- */

static enum dic_code get(void *impl, const char *id, struct dic_job *out, struct dic_buf *memory,
                         struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    (void)memory; /* views point to what the test keeps */
    DIC_TRY(begin(jobs, DIC_JOBS_GET, id, err));
    DIC_GUARD(&jobs->lock);
    const struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    *out = job->job;
    return DIC_OK;
}

static enum dic_code begin_plan(void *impl, const char *id, uint32_t *segment_out,
                                struct dic_buf *resume_out, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_BEGIN_PLAN, id, err));
    DIC_GUARD(&jobs->lock);
    struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    if (!dic_job_is_open(job->job.state) || job->planned) {
        return closed(err);
    }
    set_state(jobs, job, DIC_JOB_PLANNING);
    uint32_t next = job->job.planned_segments;
    *segment_out = next;
    if (next > 0) {
        dic_buf_append_str(resume_out, job->resumes[next - 1 - job->first_segment]);
    }
    return dic_buf_check(resume_out, err);
}

static enum dic_code get_keys(void *impl, const char *id, int64_t offset, int64_t len,
                              struct dic_buf *out, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_GET_KEYS, id, err));
    DIC_GUARD(&jobs->lock);
    const struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    struct dic_str part = dic_str_skip(job->keys, (size_t)offset);
    part.len = part.len < (size_t)len ? part.len : (size_t)len;
    dic_buf_append_str(out, part);
    return dic_buf_check(out, err);
}

static void add_chunk(struct job *job, const struct dic_chunk_plan *plan)
{
    if (job->chunk_count == MAX_CHUNKS) {
        abort();
    }
    job->chunks[job->chunk_count++].plan = (struct dic_chunk){
        .first_image = plan->first_image, .images = plan->images, .lines = copy(plan->lines)};
    job->job.planned_images = plan->first_image + plan->images;
    job->job.planned_chunks++;
}

static void end_if_all_booked(struct dic_fake_jobs *jobs, struct job *job)
{
    if (job->planned && job->booked == job->chunk_count) {
        set_state(jobs, job, DIC_JOB_SUCCEEDED);
    }
}

static void add(struct dic_fake_jobs *jobs, struct job *job, const struct dic_segment_plan *segment)
{
    for (uint32_t i = 0; i < segment->chunk_count; i++) {
        add_chunk(job, &segment->chunks[i]);
    }
    job->resumes[segment->segment - job->first_segment] = copy(segment->resume);
    job->job.planned_segments++;
    if (segment->is_last) {
        job->planned = true;
        job->job.totals.images = job->job.planned_images;
        set_state(jobs, job, DIC_JOB_RUNNING);
        end_if_all_booked(jobs, job);
    }
}

static enum dic_code add_segment(void *impl, const char *id, const struct dic_segment_plan *segment,
                                 bool *sent_out, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_ADD_SEGMENT, id, err));
    *sent_out = false; /* the planner sends */
    DIC_GUARD(&jobs->lock);
    struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    if (!dic_job_is_open(job->job.state)) {
        return closed(err);
    }
    if (segment->segment == job->job.planned_segments) { /* otherwise it exists */
        add(jobs, job, segment);
    }
    return DIC_OK;
}

static enum dic_code get_chunk(void *impl, const char *id, uint32_t chunk, struct dic_chunk *out,
                               struct dic_buf *memory, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_GET_CHUNK, id, err));
    DIC_GUARD(&jobs->lock);
    const struct job *job = find(jobs, id);
    if (job == NULL || chunk >= job->chunk_count) {
        return no_job(err);
    }
    if (!dic_job_is_open(job->job.state)) {
        return closed(err);
    }
    *out = job->chunks[chunk].plan;
    dic_buf_append_str(memory, out->lines);
    out->lines = dic_buf_view(memory);
    return dic_buf_check(memory, err);
}

static enum dic_code book(void *impl, const char *id, const struct dic_booking *booking,
                          enum dic_book_result *result_out, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_BOOK, id, err));
    DIC_GUARD(&jobs->lock);
    struct job *job = find(jobs, id);
    *result_out = DIC_BOOK_CLOSED;
    if (job == NULL || !dic_job_is_open(job->job.state) || booking->chunk >= job->chunk_count) {
        return DIC_OK;
    }
    struct chunk *chunk = &job->chunks[booking->chunk];
    *result_out = chunk->plan.booked ? DIC_BOOK_LATE : DIC_BOOKED;
    if (*result_out == DIC_BOOKED) {
        chunk->plan.booked = true;
        chunk->rows = copy(booking->rows);
        job->booked++;
        job->job.totals.succeeded += booking->succeeded;
        job->job.totals.failed += booking->failed;
        job->job.totals.unknown += booking->unknown;
        end_if_all_booked(jobs, job);
    }
    return DIC_OK;
}

static enum dic_code rows(void *impl, const char *id, uint32_t chunk, uint32_t limit,
                          dic_rows_visit visit, void *context, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_ROWS, id, err));
    dic_lock(&jobs->lock);
    const struct job *job = find(jobs, id);
    dic_unlock(&jobs->lock);
    if (job == NULL) {
        return no_job(err);
    }
    for (uint32_t i = 0; i < limit && chunk + i < job->row_count; i++) {
        DIC_TRY(visit(context, &job->rows[chunk + i], err));
    }
    return DIC_OK;
}

static enum dic_code stop(void *impl, const char *id, enum dic_job_state state,
                          struct dic_str reason, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_STOP, id, err));
    DIC_GUARD(&jobs->lock);
    struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    if (!dic_job_is_open(job->job.state)) {
        return job->job.state == state ? DIC_OK : closed(err);
    }
    free_view(job->job.reason);
    job->job.reason = copy(reason);
    set_state(jobs, job, state);
    return DIC_OK;
}

static enum dic_code fail_plan(void *impl, const char *id, uint32_t segment, struct dic_str reason,
                               struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    {
        DIC_GUARD(&jobs->lock);
        struct job *job = find(jobs, id);
        if (job == NULL) {
            return no_job(err);
        }
        if (job->job.state != DIC_JOB_PLANNING || job->job.planned_segments != segment) {
            return dic_fail(err, DIC_E_CONFLICT, "planned past segment %u", segment);
        }
    }
    return stop(impl, id, DIC_JOB_FAILING, reason, err);
}

static enum dic_code seal(void *impl, const char *id, struct dic_err *err)
{
    struct dic_fake_jobs *jobs = impl;
    DIC_TRY(begin(jobs, DIC_JOBS_SEAL, id, err));
    DIC_GUARD(&jobs->lock);
    struct job *job = find(jobs, id);
    if (job == NULL) {
        return no_job(err);
    }
    set_state(jobs, job, dic_job_sealed_state(job->job.state));
    return DIC_OK;
}

static void destroy(void *impl)
{
    (void)impl; /* the test's own */
}

/* ---- making ---- */

struct dic_fake_jobs *dic_fake_jobs_new(void)
{
    struct dic_fake_jobs *jobs = dic_calloc(1, sizeof *jobs);
    jobs->ops = (struct dic_job_store_ops){
        .get = get,
        .peek = get,
        .begin_plan = begin_plan,
        .get_keys = get_keys,
        .add_segment = add_segment,
        .get_chunk = get_chunk,
        .book = book,
        .rows = rows,
        .fail_plan = fail_plan,
        .stop = stop,
        .seal = seal,
        .destroy = destroy,
    };
    dic_mutex_init(&jobs->lock);
    dic_cond_init(&jobs->changed);
    return jobs;
}

static void free_job(struct job *job)
{
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        free_view(job->chunks[i].plan.lines);
        free_view(job->chunks[i].rows);
    }
    for (uint32_t i = 0; i < MAX_SEGMENTS; i++) {
        free_view(job->resumes[i]);
    }
    free_view(job->job.reason);
    dic_free(job->chunks);
    dic_free(job->resumes);
}

void dic_fake_jobs_destroy(struct dic_fake_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->count; i++) {
        free_job(&jobs->jobs[i]);
    }
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    dic_free(jobs);
}

struct dic_job_store dic_fake_jobs_port(struct dic_fake_jobs *jobs)
{
    return (struct dic_job_store){&jobs->ops, jobs};
}

void dic_fake_jobs_set_hook(struct dic_fake_jobs *jobs, dic_jobs_hook hook, void *context)
{
    jobs->hook = hook;
    jobs->hook_context = context;
}

void dic_fake_jobs_set_local(struct dic_fake_jobs *jobs)
{
    jobs->ops.is_local = true;
}

void dic_fake_jobs_add(struct dic_fake_jobs *jobs, const struct dic_job_params *params,
                       struct dic_str keys, char id_out[DIC_ID_SIZE])
{
    DIC_GUARD(&jobs->lock);
    if (jobs->count == MAX_JOBS) {
        abort();
    }
    struct job *job = &jobs->jobs[jobs->count++];
    dic_rand_id(job->job.id);
    memcpy(id_out, job->job.id, DIC_ID_SIZE);
    job->job.params = *params;
    job->job.totals.images = -1;
    job->keys = keys;
    job->chunks = dic_calloc(MAX_CHUNKS, sizeof *job->chunks);
    job->resumes = dic_calloc(MAX_SEGMENTS, sizeof *job->resumes);
}

void dic_fake_jobs_plan_from(struct dic_fake_jobs *jobs, const char *id, uint32_t segment,
                             const char *resume)
{
    DIC_GUARD(&jobs->lock);
    struct job *job = known(jobs, id);
    job->first_segment = segment - 1;
    job->job.planned_segments = segment;
    job->resumes[0] = copy(dic_str(resume));
}

void dic_fake_jobs_add_chunks(struct dic_fake_jobs *jobs, const char *id, uint32_t chunks,
                              uint32_t images, struct dic_str lines)
{
    struct dic_chunk_plan plans[DIC_SEGMENT_CHUNKS];
    DIC_GUARD(&jobs->lock);
    for (uint32_t i = 0; i < chunks; i++) {
        plans[i] = (struct dic_chunk_plan){(int64_t)i * images, images, lines};
    }
    const struct dic_segment_plan segment = {
        .chunk_count = chunks, .chunks = plans, .is_last = true};
    add(jobs, known(jobs, id), &segment);
}

void dic_fake_jobs_set_rows(struct dic_fake_jobs *jobs, const char *id, const struct dic_rows *list,
                            uint32_t count)
{
    DIC_GUARD(&jobs->lock);
    struct job *job = known(jobs, id);
    job->rows = list;
    job->row_count = count;
}

void dic_fake_jobs_set_state(struct dic_fake_jobs *jobs, const char *id, enum dic_job_state state)
{
    DIC_GUARD(&jobs->lock);
    set_state(jobs, known(jobs, id), state);
}

/* ---- looking ---- */

uint32_t dic_fake_jobs_calls(struct dic_fake_jobs *jobs, enum dic_jobs_op op)
{
    DIC_GUARD(&jobs->lock);
    return jobs->calls[op];
}

enum dic_job_state dic_fake_jobs_state(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->job.state;
}

struct dic_str dic_fake_jobs_reason(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->job.reason;
}

uint32_t dic_fake_jobs_segments(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->job.planned_segments;
}

uint32_t dic_fake_jobs_chunks(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->chunk_count;
}

struct dic_str dic_fake_jobs_resume(struct dic_fake_jobs *jobs, const char *id, uint32_t segment)
{
    DIC_GUARD(&jobs->lock);
    const struct job *job = known(jobs, id);
    return job->resumes[segment - job->first_segment];
}

struct dic_chunk dic_fake_jobs_chunk(struct dic_fake_jobs *jobs, const char *id, uint32_t chunk)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->chunks[chunk].plan;
}

struct dic_str dic_fake_jobs_rows(struct dic_fake_jobs *jobs, const char *id, uint32_t chunk)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->chunks[chunk].rows;
}

struct dic_job_totals dic_fake_jobs_totals(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    return known(jobs, id)->job.totals;
}

void dic_fake_jobs_await_end(struct dic_fake_jobs *jobs, const char *id)
{
    DIC_GUARD(&jobs->lock);
    while (!dic_job_is_terminal(known(jobs, id)->job.state)) {
        dic_cond_wait_ms(&jobs->changed, &jobs->lock, -1);
    }
}

void dic_fake_jobs_await_calls(struct dic_fake_jobs *jobs, enum dic_jobs_op op, uint32_t count)
{
    DIC_GUARD(&jobs->lock);
    while (jobs->calls[op] < count) {
        dic_cond_wait_ms(&jobs->changed, &jobs->lock, -1);
    }
}
