/* SPDX-License-Identifier: Apache-2.0 */
/* No bytes but those that were signed are a ticket. An input is a token, or (after a '!') the text
 * of one, which is signed here so that the reader behind the signature is reached. */
#include "aws/hash.h"
#include "fuzz.h"
#include "upload_ticket.h"

#include <string.h>

#define PURPOSE "dic-upload-1\n"

static const struct dic_upload_signer signer = {"0123456789abcdef0123456789abcde"};

static void append_signed(struct dic_str text, struct dic_buf *token)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf signed_text;
    char mac[DIC_SHA256_HEX_SIZE];
    dic_buf_init(&signed_text, text.len + sizeof PURPOSE);
    dic_buf_append_text(&signed_text, PURPOSE);
    dic_buf_append_str(&signed_text, text);
    dic_hmac_sha256_hex(dic_str_len((const char *)signer.secret, sizeof signer.secret),
                        dic_buf_view(&signed_text), mac);
    dic_buf_append_text(token, mac);
    for (size_t i = 0; i < text.len; i++) {
        dic_buf_printf(token, "%02x", (unsigned)(unsigned char)text.ptr[i]);
    }
}

static void check_signed(struct dic_str token)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf again;
    struct dic_upload_ticket ticket = {0};
    dic_buf_init(&memory, DIC_MAX_UPLOAD_TICKET_BYTES + 64);
    dic_buf_init(&again, 2 * DIC_MAX_UPLOAD_TICKET_BYTES + 128);
    if (dic_upload_ticket_read(&signer, token, &memory, &ticket, NULL) == DIC_OK) {
        FUZZ_CHECK(ticket.size_bytes >= 0 && ticket.expires_ms >= 0);
        FUZZ_CHECK(memchr(ticket.content_type.ptr, '\n', ticket.content_type.len) == NULL);
        dic_upload_ticket_write(&signer, &ticket, &again);
        FUZZ_CHECK(again.poisoned || again.len <= token.len); /* shorter: zeros in front */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf token;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_upload_ticket ticket = {0};
    struct dic_str text = dic_fuzz_view(bytes, len);
    dic_buf_init(&token, 2 * len + 128);
    dic_buf_init(&memory, DIC_MAX_UPLOAD_TICKET_BYTES);
    if (len > 0 && bytes[0] == '!') {
        append_signed(dic_str_skip(text, 1), &token);
        check_signed(dic_buf_view(&token));
    } else {
        FUZZ_CHECK(dic_upload_ticket_read(&signer, text, &memory, &ticket, NULL) == DIC_E_DENIED);
    }
    return 0;
}
