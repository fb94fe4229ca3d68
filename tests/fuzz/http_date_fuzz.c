/* SPDX-License-Identifier: Apache-2.0 */
/* A date of HTTP, and the time in a credentials reply, written again are the same. */
#include "aws/credentials_reply.h"
#include "fuzz.h"
#include "net/http_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void check(struct dic_str text, int64_t wall_ms, const char *format, size_t from)
{
    char again[64];
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / 1000);
    FUZZ_CHECK(wall_ms % 1000 == 0 && gmtime_r(&seconds, &parts) != NULL);
    size_t len = strftime(again, sizeof again, format, &parts);
    FUZZ_CHECK(len > 0 && from + len <= text.len);
    FUZZ_CHECK(memcmp(again, text.ptr + from, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_str text = dic_fuzz_view(bytes, len);
    int64_t wall_ms = -1;
    bool is_leap = len > 25 && memcmp(bytes + 23, "60", 2) == 0; /* the next minute's first */
    if (dic_http_date_parse(text, &wall_ms) && !is_leap) {
        check(text, wall_ms, "%d %b %Y %H:%M:%S GMT", 5);
    }
    is_leap = len > 19 && memcmp(bytes + 17, "60", 2) == 0;
    if (dic_aws_credentials_time_parse(text, &wall_ms) && !is_leap) {
        check(text, wall_ms, "%Y-%m-%dT%H:%M:%S", 0);
    }
    return 0;
}
