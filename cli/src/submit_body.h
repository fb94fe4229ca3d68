/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /submit, made of a command's arguments. Bounds that are the service's to judge
 * are left to it, so that there is one place for each. */
#ifndef DIC_CLI_SUBMIT_BODY_H
#define DIC_CLI_SUBMIT_BODY_H

#include "cli.h"

#include <stdio.h>

void dic_submit_body_init(struct dic_buf *body);
/* "-" as the only operand: keys are lines of `input`, up to DIC_MAX_INLINE_KEYS. */
DIC_MUST_USE enum dic_code dic_submit_body_write(const struct dic_arguments *arguments, FILE *input,
                                                 struct dic_buf *body_out, struct dic_err *err);

#endif
