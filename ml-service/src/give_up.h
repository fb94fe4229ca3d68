/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ends whose work was received DIC_MAX_RECEIVES times in vain and cannot become rows: it
 * FAILS, with the reason. Used by the worker and by the dead-letter queue's consumer. Any thread
 * may call; all block.
 */
#ifndef DIC_ML_GIVE_UP_H
#define DIC_ML_GIVE_UP_H

#include "store/job_queue.h"
#include "store/job_store.h"

enum { DIC_REASON_SIZE = 480 }; /* a sentence, and the text of an error */

/* "given up: WHAT was received so many times …", with the last error where there is one. */
void dic_give_up_reason(char out[DIC_REASON_SIZE], const char *what, uint32_t receives,
                        const struct dic_err *last);
/* Of a job that cannot be planned. DIC_OK without *failed_out: it is past planning, has ended or is
 * gone, so there is nothing left to do; or it got further meanwhile, and its PLAN was sent anew. */
DIC_MUST_USE enum dic_code dic_give_up_plan(const struct dic_job_store *jobs,
                                            const struct dic_job_queue *queue, const char *job_id,
                                            const char *reason, bool *failed_out,
                                            struct dic_err *err);
/* Of a job with a chunk that cannot be read. DIC_OK without *failed_out: it has ended or is gone.
 */
DIC_MUST_USE enum dic_code dic_give_up_job(const struct dic_job_store *jobs, const char *job_id,
                                           const char *reason, bool *failed_out,
                                           struct dic_err *err);

#endif
