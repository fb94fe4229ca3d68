/* SPDX-License-Identifier: Apache-2.0 */
/* Any answer of AWS has one meaning, told in one line, and waits have a bound. */
#include "aws/aws_failure.h"
#include "fuzz_aws.h"

#include <string.h>

enum { MOST_WAIT_MS = 86400 * 1000 };

static void check_line(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size) != NULL);
    for (; *text != '\0'; text++) {
        FUZZ_CHECK((unsigned char)*text >= ' ' && *text != 0x7F);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_str rest = dic_fuzz_view(bytes, len);
    const uint8_t choice = dic_fuzz_byte(&rest);
    const struct dic_aws_call call = {
        .service = choice % DIC_AWS_SERVICE_COUNT,
        .operation = "Operation",
        .method = choice & 0x40 ? "GET" : "POST",
        .query = choice & 0x80 ? DIC_STR_LIT("uploads=") : DIC_STR_LIT(""),
    };
    struct dic_http_response answer;
    struct dic_aws_failure failure;
    dic_http_response_init(&answer);
    answer.body.ceiling = 1024 * 1024;
    dic_fuzz_answer(rest, &answer);
    dic_aws_failure_read(&call, &answer, "eu-west-1", 1700000000000, &failure);
    FUZZ_CHECK((failure.reaction == DIC_AWS_SUCCEEDED) == (failure.code == DIC_OK));
    FUZZ_CHECK(failure.code != DIC_OK || (answer.status >= 200 && answer.status < 300));
    FUZZ_CHECK(failure.code == DIC_OK || failure.error_code[0] != '\0' ||
               failure.message[0] != '\0');
    FUZZ_CHECK(failure.retry_after_ms >= 0 && failure.retry_after_ms <= MOST_WAIT_MS);
    check_line(failure.error_code, sizeof failure.error_code);
    check_line(failure.message, sizeof failure.message);
    check_line(failure.request_id, sizeof failure.request_id);
    check_line(failure.region, sizeof failure.region);
    dic_http_response_clean_up(&answer);
    return 0;
}
