/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead-letter queue's consumer, one thread: a chunk that was received too often and never
 * finished is booked with every image as a POISON row, so that its job ends; its message is copied
 * to dlq/<tenant>/<job>/<chunk> in the result bucket, with the reason, and removed. A job whose
 * plan was tried so often fails (copied to …/plan). A message that seals a job is removed: the
 * sweeper seals what is stopping. What is not understood stays where it is.
 */
#ifndef DIC_ML_DEAD_LETTERS_H
#define DIC_ML_DEAD_LETTERS_H

#include "base/clock.h"
#include "model_spec.h"
#include "store/blob_store.h"
#include "store/job_queue.h"
#include "store/job_store.h"

struct dic_dead_letters_options {
    struct dic_job_store jobs;  /* all borrowed */
    struct dic_job_queue queue; /* where the PLAN of a job that gets on is sent anew */
    struct dic_job_queue dead;
    struct dic_blob_store results;
    const struct dic_model_spec *model;
    const struct dic_clock *clock;
    uint32_t visibility_s; /* of a dead letter in hand */
};

struct dic_dead_letters;

struct dic_dead_letters *dic_dead_letters_start(const struct dic_dead_letters_options *options);
void dic_dead_letters_stop(struct dic_dead_letters *letters); /* NULL is fine */
/* One message, as the thread does it; DIC_OK when it is settled or left alone on purpose. */
DIC_MUST_USE enum dic_code dic_dead_letters_settle(const struct dic_dead_letters_options *options,
                                                   const struct dic_delivery *delivery,
                                                   struct dic_err *err);

#endif
