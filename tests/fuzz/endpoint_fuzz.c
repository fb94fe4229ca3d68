/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint that is taken is scheme, host and port, and is taken as it is again. */
#include "aws/endpoint.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char once[DIC_AWS_ENDPOINT_SIZE] = "";
    char twice[DIC_AWS_ENDPOINT_SIZE] = "";
    struct dic_err err = {0};
    struct dic_str url = dic_fuzz_view(bytes, len);
    enum dic_code code = dic_aws_endpoint_parse(url, "AWS_ENDPOINT_URL", once, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        struct dic_str authority = dic_aws_endpoint_authority(once);
        FUZZ_CHECK(memchr(once, '\0', sizeof once) != NULL && authority.len > 0);
        FUZZ_CHECK(dic_str_find(authority, '/') == authority.len);
        FUZZ_CHECK(dic_str_find(authority, '@') == authority.len);
        FUZZ_CHECK(dic_aws_endpoint_is_https(once) == (strncmp(once, "https://", 8) == 0));
        FUZZ_CHECK(dic_aws_endpoint_parse(dic_str(once), "v", twice, NULL) == DIC_OK);
        FUZZ_CHECK(strcmp(once, twice) == 0);
    }
    return 0;
}
