/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_image.h"

#include "image_decode.h"

#include <math.h>
#include <string.h>

enum {
    /* Larger pictures take seconds under sanitizers. What stops them in the service is a timer. */
    MOST_PIXELS = 512 * 1024,
    MOST_SIDE = 32,
    VALUES = MOST_SIDE * MOST_SIDE * 3,
};

uint32_t dic_fuzz_be(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

uint32_t dic_fuzz_le(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = count; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static const struct dic_tensor_spec specs[] = {
    {.width = 16, .height = 16, .short_side = 16, .channels_first = true, .scale = {1, 1, 1}},
    {.width = 9, .height = 16, .short_side = 31, .interpolation = DIC_BICUBIC, .scale = {1, 1, 1}},
    {.width = 32, .height = 7, .short_side = 32, .bgr = true, .scale = {1, 1, 1}},
    {.width = 1, .height = 1, .short_side = 1, .scale = {1, 1, 1}},
};

static void check_failure(const struct dic_image_report *report)
{
    FUZZ_CHECK(report->error == DIC_ROW_TOO_LARGE || report->error == DIC_ROW_UNSUPPORTED_FORMAT ||
               report->error == DIC_ROW_CORRUPT_IMAGE || report->error == DIC_ROW_EMPTY);
    FUZZ_CHECK(report->message[0] != '\0');
}

static void check_success(const struct dic_image_report *report, const float *tensor, size_t count)
{
    FUZZ_CHECK(report->width >= 1 && report->width <= DIC_MAX_IMAGE_SIDE);
    FUZZ_CHECK(report->height >= 1 && report->height <= DIC_MAX_IMAGE_SIDE);
    FUZZ_CHECK((uint64_t)report->width * report->height <= DIC_MAX_IMAGE_PIXELS);
    for (size_t i = 0; i < count; i++) { /* every value was written: they were NaN before */
        FUZZ_CHECK(tensor[i] >= 0 && tensor[i] <= 255);
    }
}

static void decode(const uint8_t *bytes, size_t len, const struct dic_tensor_spec *spec,
                   float *tensor, struct dic_image_report *report)
{
    for (size_t i = 0; i < VALUES; i++) {
        tensor[i] = NAN;
    }
    dic_image_decode(bytes, len, spec, tensor, report);
    FUZZ_CHECK(memchr(report->message, '\0', sizeof report->message) != NULL);
    FUZZ_CHECK(memchr(report->format, '\0', sizeof report->format) != NULL);
}

void dic_fuzz_image(const char *format, dic_fuzz_size size, const uint8_t *bytes, size_t len)
{
    static float once[VALUES];
    static float twice[VALUES];
    struct dic_image_report report;
    struct dic_image_report again;
    uint64_t width = 0;
    uint64_t height = 0;
    const struct dic_tensor_spec *spec = &specs[len % (sizeof specs / sizeof specs[0])];
    const size_t count = dic_tensor_bytes(spec) / sizeof(float);
    bool known = size(bytes, len, &width, &height);
    if (known && width * height > MOST_PIXELS && width * height <= DIC_MAX_IMAGE_PIXELS) {
        return;
    }
    decode(bytes, len, spec, once, &report);
    if (report.error != DIC_ROW_OK) {
        check_failure(&report);
        return;
    }
    FUZZ_CHECK(strcmp(report.format, format) == 0 || strcmp(report.format, "") != 0);
    check_success(&report, once, count);
    if (known && strcmp(report.format, format) == 0) {
        FUZZ_CHECK(report.width == width && report.height == height);
    }
    if (len % 8 < 4) { /* nothing of what memory held before is in a tensor */
        decode(bytes, len, spec, twice, &again);
        FUZZ_CHECK(memcmp(once, twice, dic_tensor_bytes(spec)) == 0);
        FUZZ_CHECK(again.partial == report.partial);
    }
}
