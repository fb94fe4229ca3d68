/* SPDX-License-Identifier: Apache-2.0 */
#include "give_up.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

void dic_give_up_reason(char out[DIC_REASON_SIZE], const char *what, uint32_t receives,
                        const struct dic_err *last)
{
    if (last == NULL || last->code == DIC_OK) {
        snprintf(out, DIC_REASON_SIZE,
                 "given up: %s was received %" PRIu32 " times and never finished", what, receives);
    } else {
        snprintf(out, DIC_REASON_SIZE,
                 "given up: %s was received %" PRIu32 " times, and failed by: %s", what, receives,
                 last->msg);
    }
}

static enum dic_code seal(const struct dic_job_store *jobs, const char *job_id, const char *reason,
                          struct dic_err *err)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "job_given_up");
    dic_log_str(&log, "job_id", job_id);
    dic_log_str(&log, "reason", reason);
    dic_log_end(&log);
    enum dic_code code = jobs->ops->seal(jobs->impl, job_id, err);
    return dic_is_work_gone(code) ? DIC_OK : code;
}

enum dic_code dic_give_up_job(const struct dic_job_store *jobs, const char *job_id,
                              const char *reason, bool *failed_out, struct dic_err *err)
{
    *failed_out = false;
    enum dic_code code = jobs->ops->stop(jobs->impl, job_id, DIC_JOB_FAILING, dic_str(reason), err);
    if (dic_is_work_gone(code)) {
        return DIC_OK;
    }
    DIC_TRY(code);
    *failed_out = true;
    return seal(jobs, job_id, reason, err);
}

/* Whoever got further may have had the very message that is given up here, and be dead. */
static enum dic_code send_anew(const struct dic_job_queue *queue, const char *job_id,
                               struct dic_err *err)
{
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    snprintf(message.job_id, sizeof message.job_id, "%s", job_id);
    return queue->ops->send(queue->impl, &message, 1, err);
}

enum dic_code dic_give_up_plan(const struct dic_job_store *jobs, const struct dic_job_queue *queue,
                               const char *job_id, const char *reason, bool *failed_out,
                               struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf resume;
    struct dic_err why = {0};
    uint32_t segment = 0;
    *failed_out = false;
    dic_buf_init(&resume, DIC_RESUME_BYTES);
    enum dic_code code = jobs->ops->begin_plan(jobs->impl, job_id, &segment, &resume, &why);
    if (dic_is_work_gone(code)) {
        return DIC_OK;
    }
    if (code != DIC_OK && !why.retryable) { /* what was planned so far cannot be read any more */
        return dic_give_up_job(jobs, job_id, reason, failed_out, err);
    }
    if (code != DIC_OK) {
        return dic_fail(err, code, "%s", why.msg);
    }
    code = jobs->ops->fail_plan(jobs->impl, job_id, segment, dic_str(reason), err);
    if (code == DIC_E_CONFLICT) {
        return send_anew(queue, job_id, err);
    }
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK;
    }
    DIC_TRY(code);
    *failed_out = true;
    return seal(jobs, job_id, reason, err);
}
