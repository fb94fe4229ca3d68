/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <zlib.h>

static_assert(DIC_SHA256_BYTES * 8 == 256, "bytes of SHA-256");

static void write_hex(const unsigned char digest[DIC_SHA256_BYTES],
                      char hex_out[DIC_SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIC_SHA256_BYTES; i++) {
        hex_out[2 * i] = digits[digest[i] >> 4];
        hex_out[2 * i + 1] = digits[digest[i] & 15];
    }
    hex_out[DIC_SHA256_HEX_SIZE - 1] = '\0';
}

/* libcrypto fails here only for want of memory or in a broken installation. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

void dic_sha256_hex(struct dic_str bytes, char hex_out[DIC_SHA256_HEX_SIZE])
{
    unsigned char digest[DIC_SHA256_BYTES];
    must(EVP_Digest(bytes.len == 0 ? "" : bytes.ptr, bytes.len, digest, NULL, EVP_sha256(), NULL));
    write_hex(digest, hex_out);
}

void dic_hmac_sha256(struct dic_str key, struct dic_str bytes,
                     unsigned char mac_out[DIC_SHA256_BYTES])
{
    must(HMAC(EVP_sha256(), key.len == 0 ? "" : key.ptr, (int)key.len,
              (const unsigned char *)(bytes.len == 0 ? "" : bytes.ptr), bytes.len, mac_out,
              NULL) != NULL);
}

void dic_hmac_sha256_hex(struct dic_str key, struct dic_str bytes,
                         char hex_out[DIC_SHA256_HEX_SIZE])
{
    unsigned char mac[DIC_SHA256_BYTES];
    dic_hmac_sha256(key, bytes, mac);
    write_hex(mac, hex_out);
}

uint32_t dic_crc32(struct dic_str bytes)
{
    uLong crc = crc32_z(0, NULL, 0);
    return (uint32_t)(bytes.len == 0 ? crc
                                     : crc32_z(crc, (const unsigned char *)bytes.ptr, bytes.len));
}
