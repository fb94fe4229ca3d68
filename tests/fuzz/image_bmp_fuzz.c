/* SPDX-License-Identifier: Apache-2.0 */
/* BMP: BITMAPCOREHEADER or BITMAPINFOHEADER and those that begin as it does. */
#include "fuzz_image.h"

static bool read_size(const uint8_t *bytes, size_t len, uint64_t *width_out, uint64_t *height_out)
{
    if (len < 26) {
        return false;
    }
    if (dic_fuzz_le(bytes + 14, 4) == 12) {
        *width_out = dic_fuzz_le(bytes + 18, 2);
        *height_out = dic_fuzz_le(bytes + 20, 2);
        return true;
    }
    int64_t height = (int32_t)dic_fuzz_le(bytes + 22, 4); /* negative: the top row comes first */
    *width_out = dic_fuzz_le(bytes + 18, 4);
    *height_out = (uint64_t)(height < 0 ? -height : height);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dic_fuzz_image("bmp", read_size, bytes, len);
    return 0;
}
