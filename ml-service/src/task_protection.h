/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECS scale-in protection: while the worker has work, the scheduler is asked not to end its task
 * (PUT $ECS_AGENT_URI/task-protection/v1/state; Amazon ECS Developer Guide, "Task scale-in
 * protection endpoint"). One request when work comes and one when it has ended, from a thread of
 * its own; without an agent, or when it refuses, the worker goes on as ever.
 */
#ifndef DIC_ML_TASK_PROTECTION_H
#define DIC_ML_TASK_PROTECTION_H

#include "base/clock.h"
#include "net/http_client.h"
#include "worker.h"

struct dic_task_protection;

struct dic_task_protection_options {
    const char *agent_uri;       /* ECS_AGENT_URI; empty: nothing is ever sent */
    struct dic_http_client http; /* borrowed */
    struct dic_worker *worker;   /* borrowed; its work is looked at once a second */
    uint32_t expires_minutes;    /* 1 to 2880: asked for anew at half of it */
    uint32_t look_ms;
};

struct dic_task_protection *dic_task_protection_start(
    const struct dic_task_protection_options *options);
/* Lets go of the protection and ends the thread; NULL is fine. */
void dic_task_protection_stop(struct dic_task_protection *protection);

#endif
