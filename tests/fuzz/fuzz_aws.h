/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS calls that are answered from a fuzz target's input. Its parts (dic_fuzz_part) are answers, in
 * turn: "200", a line break, header lines, an empty line, the body. When there are no more, nothing
 * can be connected to.
 */
#ifndef DIC_FUZZ_AWS_H
#define DIC_FUZZ_AWS_H

#include "aws/aws.h"
#include "fuzz.h"

struct dic_fuzz_aws {
    struct dic_http_client http;
    struct dic_clock clock;
    struct dic_aws_environment environment;
    struct dic_aws *aws;
    struct dic_str answers; /* those that are left */
    uint32_t requests;
    int64_t now_ms; /* moves by sleeps only */
};

/* Nothing but http, clock and environment, where no call is made. */
void dic_fuzz_http_open(struct dic_fuzz_aws *fuzz, struct dic_str answers);
void dic_fuzz_aws_open(struct dic_fuzz_aws *fuzz, struct dic_str answers);
void dic_fuzz_aws_close(struct dic_fuzz_aws *fuzz);
void dic_fuzz_aws_sleep(void *fuzz, int64_t ms);

/* Reads one answer; the response is initialised. */
void dic_fuzz_answer(struct dic_str text, struct dic_http_response *response);

#endif
