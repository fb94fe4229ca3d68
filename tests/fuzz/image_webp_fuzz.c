/* SPDX-License-Identifier: Apache-2.0 */
/* WebP: RFC 9649; the size is in the first chunk, which is one of three. */
#include "fuzz_image.h"

#include <string.h>

static bool read_size(const uint8_t *bytes, size_t len, uint64_t *width_out, uint64_t *height_out)
{
    if (len < 30) {
        return false;
    }
    if (memcmp(bytes + 12, "VP8X", 4) == 0) {
        *width_out = dic_fuzz_le(bytes + 24, 3) + 1;
        *height_out = dic_fuzz_le(bytes + 27, 3) + 1;
        return true;
    }
    if (memcmp(bytes + 12, "VP8L", 4) == 0) {
        const uint32_t bits = dic_fuzz_le(bytes + 21, 4);
        *width_out = (bits & 0x3FFF) + 1;
        *height_out = (bits >> 14 & 0x3FFF) + 1;
        return true;
    }
    if (memcmp(bytes + 12, "VP8 ", 4) == 0) {
        *width_out = dic_fuzz_le(bytes + 26, 2) & 0x3FFF;
        *height_out = dic_fuzz_le(bytes + 28, 2) & 0x3FFF;
        return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dic_fuzz_image("webp", read_size, bytes, len);
    return 0;
}
