/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_ticket.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

enum { MAC_BYTES = 32, MAC_HEX = 2 * MAC_BYTES };

/* First in what is signed, so that the secret could sign other things too. */
#define PURPOSE "dic-upload-1\n"

static void append_hex(struct dic_buf *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        dic_buf_append_byte(out, digits[bytes[i] >> 4]);
        dic_buf_append_byte(out, digits[bytes[i] & 15]);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool append_unhex(struct dic_buf *out, struct dic_str hex)
{
    bool good = hex.len % 2 == 0;
    for (size_t i = 0; good && i < hex.len; i += 2) {
        const int high = hex_digit(hex.ptr[i]);
        const int low = hex_digit(hex.ptr[i + 1]);
        good = high >= 0 && low >= 0;
        dic_buf_append_byte(out, (char)(high * 16 + low));
    }
    return good && !out->poisoned;
}

/* libcrypto fails here in a broken installation only; then no ticket is genuine. */
static bool sign(const struct dic_upload_signer *signer, struct dic_str text,
                 unsigned char mac_out[MAC_BYTES])
{
    unsigned len = MAC_BYTES;
    return HMAC(EVP_sha256(), signer->secret, sizeof signer->secret,
                (const unsigned char *)text.ptr, text.len, mac_out, &len) != NULL;
}

void dic_upload_ticket_write(const struct dic_upload_signer *signer,
                             const struct dic_upload_ticket *ticket, struct dic_buf *out)
{
    unsigned char mac[MAC_BYTES] = {0};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    dic_buf_init(&text, sizeof PURPOSE + DIC_MAX_UPLOAD_TICKET_BYTES);
    dic_buf_printf(&text, PURPOSE "%" PRId64 "\n%" PRId64 "\n", ticket->size_bytes,
                   ticket->expires_ms);
    dic_buf_append_str(&text, ticket->content_type);
    dic_buf_append_byte(&text, '\n');
    dic_buf_append_str(&text, ticket->key);
    if (text.poisoned || !sign(signer, dic_buf_view(&text), mac)) {
        out->poisoned = true;
        return;
    }
    append_hex(out, mac, sizeof mac);
    append_hex(out, (const unsigned char *)text.ptr + strlen(PURPOSE), text.len - strlen(PURPOSE));
}

static bool parse(struct dic_str text, struct dic_upload_ticket *out)
{
    struct dic_str size = {0};
    struct dic_str expires = {0};
    uint64_t size_bytes = 0;
    uint64_t expires_ms = 0;
    if (!dic_str_split(&text, '\n', &size) || !dic_str_split(&text, '\n', &expires) ||
        !dic_str_split(&text, '\n', &out->content_type) || text.ptr == NULL ||
        dic_parse_u64(size, 0, INT64_MAX, &size_bytes, NULL) != DIC_OK ||
        dic_parse_u64(expires, 0, INT64_MAX, &expires_ms, NULL) != DIC_OK) {
        return false;
    }
    out->key = text;
    out->size_bytes = (int64_t)size_bytes;
    out->expires_ms = (int64_t)expires_ms;
    return true;
}

/* memory: the MAC that came, then what should have been signed. */
static bool is_genuine(const struct dic_upload_signer *signer, struct dic_str token,
                       struct dic_buf *memory)
{
    unsigned char mac[MAC_BYTES] = {0};
    if (token.len < MAC_HEX || !append_unhex(memory, dic_str_len(token.ptr, MAC_HEX))) {
        return false;
    }
    dic_buf_append_text(memory, PURPOSE);
    if (!append_unhex(memory, dic_str_skip(token, MAC_HEX))) {
        return false;
    }
    return sign(signer, dic_str_skip(dic_buf_view(memory), MAC_BYTES), mac) &&
           CRYPTO_memcmp(mac, memory->ptr, sizeof mac) == 0;
}

enum dic_code dic_upload_ticket_read(const struct dic_upload_signer *signer, struct dic_str token,
                                     struct dic_buf *memory, struct dic_upload_ticket *out,
                                     struct dic_err *err)
{
    memset(out, 0, sizeof *out);
    dic_buf_clear(memory);
    if (!is_genuine(signer, token, memory) ||
        !parse(dic_str_skip(dic_buf_view(memory), MAC_BYTES + strlen(PURPOSE)), out)) {
        return dic_fail(err, DIC_E_DENIED,
                        "this URL is not one that POST /uploads gave, or it was changed");
    }
    return DIC_OK;
}
