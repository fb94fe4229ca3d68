/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of the image decoders share. */
#ifndef DIC_FUZZ_IMAGE_H
#define DIC_FUZZ_IMAGE_H

#include "fuzz.h"

/* The size that the file's header says, read by the target itself; false when it cannot say. */
typedef bool (*dic_fuzz_size)(const uint8_t *bytes, size_t len, uint64_t *width_out,
                              uint64_t *height_out);

/* Decodes, in process, what begins as this format does, and checks tensor and report. */
void dic_fuzz_image(const char *format, dic_fuzz_size size, const uint8_t *bytes, size_t len);

uint32_t dic_fuzz_be(const uint8_t *bytes, int count);
uint32_t dic_fuzz_le(const uint8_t *bytes, int count);

#endif
