/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of AWS for tests that talk to a server named by the environment, as the AWS SDKs read it.
 */
#ifndef DIC_TEST_AWS_H
#define DIC_TEST_AWS_H

#include "aws/aws.h"

/* For ctest: the test was not run. */
enum { DIC_TEST_SKIPPED = 77 };

/* Whether variable (AWS_ENDPOINT_URL_SQS, …) or AWS_ENDPOINT_URL names a server; if not, says on
 * stderr what is not tested. */
bool dic_test_aws_named(const char *variable, const char *what);

/* Over libcurl, with the environment's credentials. Aborts when that cannot be. One at a time. */
struct dic_aws *dic_test_aws_open(void);
void dic_test_aws_close(struct dic_aws *aws);

#endif
