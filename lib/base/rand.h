/* SPDX-License-Identifier: Apache-2.0 */
/* Random identifiers from getrandom(2). Any thread may call. */
#ifndef DIC_BASE_RAND_H
#define DIC_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void dic_rand_bytes(void *bytes_out, size_t len);
uint64_t dic_rand_u64(void);

/* 26 characters of RFC 4648 base32 in lower case: 128 random bits (and 2 of padding). */
enum { DIC_ID_LEN = 26, DIC_ID_SIZE = DIC_ID_LEN + 1 };
void dic_rand_id(char id_out[DIC_ID_SIZE]);

#endif
