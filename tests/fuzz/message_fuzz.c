/* SPDX-License-Identifier: Apache-2.0 */
/* A message that is understood is a valid one, and reads the same when it is written again. */
#include "fuzz.h"
#include "job/job.h"
#include "store/job_queue.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_message message = {0};
    struct dic_message again = {0};
    struct dic_err err = {0};
    char body[DIC_MESSAGE_BODY_SIZE];
    enum dic_code code = dic_message_parse(dic_fuzz_view(bytes, len), &message, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(code == DIC_OK || code == DIC_E_MALFORMED || code == DIC_E_UNSUPPORTED);
    if (code != DIC_OK) {
        return 0;
    }
    FUZZ_CHECK(message.kind >= DIC_MESSAGE_PLAN && message.kind <= DIC_MESSAGE_SEAL);
    FUZZ_CHECK(dic_job_id_valid(dic_str(message.job_id)));
    size_t written = dic_message_write(&message, body);
    FUZZ_CHECK(written < sizeof body && dic_fuzz_is_json(dic_str_len(body, written)));
    FUZZ_CHECK(dic_message_parse(dic_str_len(body, written), &again, NULL) == DIC_OK);
    FUZZ_CHECK(again.kind == message.kind && again.chunk == message.chunk &&
               strcmp(again.job_id, message.job_id) == 0);
    return 0;
}
