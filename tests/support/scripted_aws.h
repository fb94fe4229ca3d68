/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS calls answered from a script, for tests of what is asked and of how answers are read. To keep
 * JSON readable in C, scripts are written, and requests recorded, with ' in the place of ". Not
 * shared between threads.
 */
#ifndef DIC_SCRIPTED_AWS_H
#define DIC_SCRIPTED_AWS_H

#include "aws/aws.h"

struct dic_scripted_answer {
    int status;
    const char *body;
    size_t len; /* of the body, when it is cut off or has a NUL; 0: to its end */
};

struct dic_scripted_aws {
    struct dic_aws *aws;
    const struct dic_scripted_answer *answers; /* one a request; the last one again and again */
    size_t answer_count;
    size_t requests;         /* so far */
    struct dic_buf recorded; /* "Operation body\n" a request */
    size_t sleeps;
    int64_t slept_ms; /* the clock moves by nothing else */
    struct dic_clock clock;
    int64_t now_ms;
    /* Instead of the script, when it is set: appends the answer's body, returns the status, or a
     * negative one as if the request had been cancelled. */
    int (*respond)(void *context, struct dic_str body, struct dic_buf *answer);
    void *context;
    struct dic_aws_environment environment;
};

void dic_scripted_aws_open(struct dic_scripted_aws *scripted);
void dic_scripted_aws_close(struct dic_scripted_aws *scripted);
/* Forgets what was asked, and answers so from now on. */
void dic_scripted_aws_play(struct dic_scripted_aws *scripted,
                           const struct dic_scripted_answer *answers, size_t count);
void dic_scripted_aws_sleep(void *scripted, int64_t ms);

/* assert that these were the requests since the last play. */
void dic_scripted_aws_assert_asked(struct dic_scripted_aws *scripted, const char *expected);

#endif
