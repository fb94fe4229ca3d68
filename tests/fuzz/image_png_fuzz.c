/* SPDX-License-Identifier: Apache-2.0 */
/* PNG: ISO/IEC 15948; the size is in the IHDR chunk, the first. */
#include "fuzz_image.h"

static bool read_size(const uint8_t *bytes, size_t len, uint64_t *width_out, uint64_t *height_out)
{
    if (len < 24) {
        return false;
    }
    *width_out = dic_fuzz_be(bytes + 16, 4);
    *height_out = dic_fuzz_be(bytes + 20, 4);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dic_fuzz_image("png", read_size, bytes, len);
    return 0;
}
