/* SPDX-License-Identifier: Apache-2.0 */
/* SQS's answers: messages that are handed on are whole, and no more than asked for. */
#include "aws/sqs.h"
#include "fuzz_aws.h"

static enum dic_code visit(void *context, const struct dic_sqs_message *message,
                           struct dic_err *err)
{
    size_t *count = context;
    (void)err; /* nothing fails here */
    FUZZ_CHECK(dic_fuzz_is_utf8(message->id) && dic_fuzz_is_utf8(message->receipt));
    FUZZ_CHECK(dic_fuzz_is_utf8(message->body) && message->sent_ms >= 0);
    ++*count;
    return DIC_OK;
}

static enum dic_code receive(const struct dic_sqs_queue *queue, struct dic_err *err)
{
    const struct dic_sqs_receive options = {.max = DIC_SQS_BATCH, .visibility_s = 1, .wait_s = 1};
    size_t count = 0;
    enum dic_code code = dic_sqs_receive(queue, &options, visit, &count, err);
    FUZZ_CHECK(count <= options.max);
    return code;
}

static enum dic_code send(const struct dic_sqs_queue *queue, struct dic_err *err)
{
    static const struct dic_sqs_entry entries[3] = {
        {{"a", 1}, {"", 0}}, {{"b", 1}, {"g", 1}}, {{"c", 1}, {"", 0}}};
    return dic_sqs_send(queue, entries, 3, err);
}

static enum dic_code depth(const struct dic_sqs_queue *queue, struct dic_err *err)
{
    int64_t visible = -1;
    int64_t in_flight = -1;
    enum dic_code code = dic_sqs_depth(queue, &visible, &in_flight, err);
    FUZZ_CHECK(code != DIC_OK || (visible >= 0 && in_flight >= 0));
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_fuzz_aws_close) struct dic_fuzz_aws fuzz;
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    uint8_t choice = dic_fuzz_byte(&rest) % 5;
    dic_fuzz_aws_open(&fuzz, rest);
    const struct dic_sqs_queue queue = {fuzz.aws, "https://sqs.eu-west-1.amazonaws.com/1/q",
                                        dic_fuzz_aws_sleep, &fuzz};
    const struct dic_str receipt = DIC_STR_LIT("r");
    enum dic_code code = choice == 0   ? receive(&queue, &err)
                         : choice == 1 ? send(&queue, &err)
                         : choice == 2 ? depth(&queue, &err)
                         : choice == 3 ? dic_sqs_delete(&queue, receipt, &err)
                                       : dic_sqs_change_visibility(&queue, receipt, 9, &err);
    dic_fuzz_check_err(code, &err);
    return 0;
}
