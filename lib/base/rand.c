/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void dic_rand_bytes(void *bytes_out, size_t len)
{
    unsigned char *out = bytes_out;
    while (len > 0) {
        ssize_t got = getrandom(out, len, 0);
        if (got < 0 && errno != EINTR) {
            abort(); /* no randomness, no ids: nothing safe can be done */
        }
        if (got > 0) {
            out += got;
            len -= (size_t)got;
        }
    }
}

uint64_t dic_rand_u64(void)
{
    uint64_t value = 0;
    dic_rand_bytes(&value, sizeof value);
    return value;
}

void dic_rand_id(char id_out[DIC_ID_SIZE])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[DIC_ID_LEN];
    dic_rand_bytes(bytes, sizeof bytes);
    for (int i = 0; i < DIC_ID_LEN; i++) {
        id_out[i] = alphabet[bytes[i] & 31];
    }
    id_out[DIC_ID_LEN] = '\0';
}
