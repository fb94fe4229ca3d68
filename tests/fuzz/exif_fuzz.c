/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes have an orientation of 1 to 8, with and without the prefix of JPEG's segment. */
#include "exif.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_prefixed(const uint8_t *bytes, size_t len, uint32_t orientation)
{
    static const char prefix[6] = "Exif\0\0";
    if (len >= sizeof prefix && memcmp(bytes, prefix, sizeof prefix) == 0) {
        return;
    }
    uint8_t *copy = malloc(len + sizeof prefix);
    memcpy(copy, prefix, sizeof prefix);
    memcpy(copy + sizeof prefix, bytes, len);
    FUZZ_CHECK(dic_exif_orientation(copy, len + sizeof prefix) == orientation);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint32_t alone = dic_exif_orientation(bytes, len);
    uint32_t in_jpeg = dic_exif_jpeg_orientation(bytes, len);
    FUZZ_CHECK(alone >= 1 && alone <= 8 && in_jpeg >= 1 && in_jpeg <= 8);
    if (len > 0) {
        check_prefixed(bytes, len, alone);
    }
    return 0;
}
