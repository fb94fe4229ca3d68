/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG: ITU-T T.81 annex B; the size is in the frame's header. */
#include "fuzz_image.h"

static bool is_frame(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* Of a file whose segments stand one after another up to its only frame header. */
static bool read_size(const uint8_t *bytes, size_t len, uint64_t *width_out, uint64_t *height_out)
{
    for (size_t at = 2; at + 9 <= len && bytes[at] == 0xFF && bytes[at + 1] >= 0xC0 &&
                        (bytes[at + 1] < 0xD0 || bytes[at + 1] > 0xDA);) {
        if (is_frame(bytes[at + 1])) {
            *height_out = dic_fuzz_be(bytes + at + 5, 2);
            *width_out = dic_fuzz_be(bytes + at + 7, 2);
            return true;
        }
        at += 2 + dic_fuzz_be(bytes + at + 2, 2);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    dic_fuzz_image("jpeg", read_size, bytes, len);
    return 0;
}
