/* SPDX-License-Identifier: Apache-2.0 */
/* A table and a queue of a test's own, as docs/protocol.md has them, on a server named by the
 * environment. Whatever goes wrong aborts: without them there is no test. One thread. */
#ifndef DIC_TEST_AWS_RESOURCES_H
#define DIC_TEST_AWS_RESOURCES_H

#include "aws/aws.h"

enum { DIC_TEST_TABLE_SIZE = 64, DIC_TEST_QUEUE_URL_SIZE = 512 };

/* Returns when the table can be used. */
void dic_test_table_create(struct dic_aws *aws, char name_out[DIC_TEST_TABLE_SIZE]);
void dic_test_table_delete(struct dic_aws *aws, const char *name);
void dic_test_queue_create(struct dic_aws *aws, char url_out[DIC_TEST_QUEUE_URL_SIZE]);
void dic_test_queue_delete(struct dic_aws *aws, const char *url);
/* Prints the message and aborts, unless code is DIC_OK. */
void dic_test_require(enum dic_code code, const struct dic_err *err);

#endif
