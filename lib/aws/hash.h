/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), HMAC (RFC 2104) and CRC-32 (the one of zlib), as AWS uses them. Any thread
 * may call; nothing fails. */
#ifndef DIC_AWS_HASH_H
#define DIC_AWS_HASH_H

#include "base/str.h"

#include <stdint.h>

enum { DIC_SHA256_BYTES = 32, DIC_SHA256_HEX_SIZE = 2 * DIC_SHA256_BYTES + 1 };

/* Lower-case hexadecimal, with its NUL. */
void dic_sha256_hex(struct dic_str bytes, char hex_out[DIC_SHA256_HEX_SIZE]);
void dic_hmac_sha256(struct dic_str key, struct dic_str bytes,
                     unsigned char mac_out[DIC_SHA256_BYTES]);
void dic_hmac_sha256_hex(struct dic_str key, struct dic_str bytes,
                         char hex_out[DIC_SHA256_HEX_SIZE]);
uint32_t dic_crc32(struct dic_str bytes);

#endif
