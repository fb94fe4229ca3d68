/* SPDX-License-Identifier: Apache-2.0 */
/* DynamoDB's numbers, against the C library's: whole ones within 64 bits, however written. */
#include "aws/dynamodb.h"
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char text[300];
    char *end = NULL;
    int64_t number = 0;
    bool taken = dic_dynamodb_parse_number(dic_fuzz_view(bytes, len), &number);
    if (!taken || len >= sizeof text) {
        FUZZ_CHECK(!taken);
        return 0;
    }
    memcpy(text, bytes, len);
    text[len] = '\0';
    FUZZ_CHECK(strspn(text, "0123456789+-.eE") == len);
    long double expected = strtold(text, &end); /* 64 bits of mantissa hold every int64_t */
    FUZZ_CHECK(*end == '\0' && !isnan(expected));
    FUZZ_CHECK(sizeof expected < 16 || expected == (long double)number);
    return 0;
}
