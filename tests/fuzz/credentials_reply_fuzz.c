/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from a container's endpoint and an instance's metadata: what is taken can be used,
 * and no secret is in an error's text. */
#include "aws/credentials_reply.h"
#include "fuzz_aws.h"

#include <string.h>

static void check_field(const char *text, size_t size, bool needed)
{
    FUZZ_CHECK(memchr(text, '\0', size) != NULL);
    FUZZ_CHECK(!needed || text[0] != '\0');
    for (; *text != '\0'; text++) {
        FUZZ_CHECK((unsigned char)*text >= ' ' && *text != 0x7F);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_fuzz_aws fuzz;
    struct dic_aws_credentials credentials = {0};
    struct dic_str rest = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    uint8_t choice = dic_fuzz_byte(&rest);
    dic_fuzz_http_open(&fuzz, rest);
    fuzz.environment.metadata_disabled = "";
    fuzz.environment.container_relative_uri = "/v2/credentials";
    const struct dic_aws_credentials_context context = {&fuzz.environment, fuzz.http, &fuzz.clock};
    enum dic_code code = DIC_OK;
    if (choice % 2 == 0) {
        code = dic_aws_credentials_from_container(&context, &credentials, &err);
    } else {
        code = dic_aws_credentials_from_instance(&context, &credentials, &err);
    }
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        check_field(credentials.key_id, sizeof credentials.key_id, true);
        check_field(credentials.secret, sizeof credentials.secret, true);
        check_field(credentials.token, sizeof credentials.token, false);
        FUZZ_CHECK(credentials.expires_ms >= 0);
    } else if (strlen(credentials.secret) > 20) {
        FUZZ_CHECK(strstr(err.msg, credentials.secret) == NULL);
    }
    return 0;
}
