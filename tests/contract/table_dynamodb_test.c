/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on DynamoDB, or a server that says to be it. Each test has a table of its own. */
#include "table_suite.h"

#include "aws_resources.h"
#include "store/table_dynamodb.h"
#include "test_aws.h"

static struct dic_aws *aws;
static char name[DIC_TEST_TABLE_SIZE];

struct dic_table dic_table_suite_open(void)
{
    struct dic_table table = {0};
    struct dic_err err = {0};
    dic_test_table_create(aws, name);
    const struct dic_table_dynamodb_options options = {.aws = aws, .table = name};
    dic_test_require(dic_table_dynamodb_new(&options, &table, &err), &err);
    return table;
}

void dic_table_suite_close(struct dic_table table)
{
    table.ops->destroy(table.impl);
    dic_test_table_delete(aws, name);
}

int main(void)
{
    if (!dic_test_aws_named("AWS_ENDPOINT_URL_DYNAMODB", "the table on DynamoDB")) {
        return DIC_TEST_SKIPPED;
    }
    aws = dic_test_aws_open();
    int failed = dic_run_table_suite();
    dic_test_aws_close(aws);
    return failed;
}
