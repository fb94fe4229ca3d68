/* SPDX-License-Identifier: Apache-2.0 */
/* How the dlq commands name and show dead letters. */
#ifndef DIC_CLI_DLQ_H
#define DIC_CLI_DLQ_H

#include "cli.h"
#include "dead_letters.h"

/* [JOB [CHUNK]] of the operands; without a job the filter means all. */
DIC_MUST_USE enum dic_code dic_dlq_filter(const struct dic_cli *cli, struct dic_dead_filter *out,
                                          struct dic_err *err);
/* DIC_E_NOT_FOUND that names what was looked for. */
enum dic_code dic_dlq_nothing(const struct dic_dead_filter *filter, struct dic_err *err);

#endif
