/* SPDX-License-Identifier: Apache-2.0 */
/* Any request is signed in one line of plain text, the same each time, or refused. */
#include "aws/hash.h"
#include "aws/sigv4.h"
#include "base/buf.h"
#include "fuzz.h"

#include <string.h>

static void check_plain(struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        FUZZ_CHECK((unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 0x7F);
    }
}

static enum dic_code sign(const struct dic_sigv4_request *request, bool is_s3, bool presign,
                          struct dic_buf *out, struct dic_err *err)
{
    const struct dic_sigv4_signer signer = {
        .key_id = "AKIDEXAMPLE",
        .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .token = "",
        .region = "us-east-1",
        .service = is_s3 ? "s3" : "service",
        .time_ms = 1440938160000,
        .normalize_path = !is_s3,
        .encode_path = !is_s3,
    };
    DIC_CLEANUP(dic_sigv4_signature_clean_up) struct dic_sigv4_signature signature;
    dic_sigv4_signature_init(&signature);
    enum dic_code code = presign ? dic_sigv4_presign(&signer, request, 60, &signature, out, err)
                                 : dic_sigv4_sign(&signer, request, &signature, out, err);
    FUZZ_CHECK(code != DIC_OK || strlen(signature.hex) == DIC_SHA256_HEX_SIZE - 1);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_str rest = dic_fuzz_view(bytes, len);
    const uint8_t choice = dic_fuzz_byte(&rest);
    const struct dic_str path = dic_fuzz_part(&rest);
    const struct dic_str query = dic_fuzz_part(&rest);
    const struct dic_http_header headers[] = {
        {DIC_STR_LIT("x-amz-date"), DIC_STR_LIT("20150830T123600Z")},
        {DIC_STR_LIT("x-thing"), dic_fuzz_part(&rest)},
        {DIC_STR_LIT("x-thing"), rest},
    };
    const struct dic_sigv4_request request = {
        .method = DIC_STR_LIT("GET"),
        .host = DIC_STR_LIT("example.amazonaws.com"),
        .path = path,
        .query = query,
        .headers = headers,
        .header_count = choice % 4,
        .payload_hash = DIC_STR_LIT("UNSIGNED-PAYLOAD"),
    };
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf once;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf twice;
    struct dic_err err = {0};
    dic_buf_init(&once, DIC_SIGV4_MAX_TEXT);
    dic_buf_init(&twice, DIC_SIGV4_MAX_TEXT);
    enum dic_code code = sign(&request, choice & 0x80, choice & 0x40, &once, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(sign(&request, choice & 0x80, choice & 0x40, &twice, NULL) == code);
    FUZZ_CHECK(code != DIC_OK || dic_str_eq(dic_buf_view(&once), dic_buf_view(&twice)));
    if (code == DIC_OK && !(choice & 0x40)) {
        check_plain(dic_buf_view(&once));
    }
    return 0;
}
