/* SPDX-License-Identifier: Apache-2.0 */
/* GIF: the GIF89a specification, section 18; the size is that of the logical screen. */
#include "fuzz_image.h"

static bool read_size(const uint8_t *bytes, size_t len, uint64_t *width_out, uint64_t *height_out)
{
    if (len < 10) {
        return false;
    }
    *width_out = dic_fuzz_le(bytes + 6, 2);
    *height_out = dic_fuzz_le(bytes + 8, 2);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dic_fuzz_image("gif", read_size, bytes, len);
    return 0;
}
