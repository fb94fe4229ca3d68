/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_date.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>

/* The number at [from, from + len) of text, or -1. */
static int number_at(struct dic_str text, size_t from, size_t len)
{
    int value = 0;
    for (size_t i = from; i < from + len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.ptr[i] - '0');
    }
    return value;
}

/* The position of the three letters at `from` in a list of such names, or -1. */
static int name_at(struct dic_str text, size_t from, const char *names)
{
    for (int i = 0; names[3 * i] != '\0'; i++) {
        if (memcmp(text.ptr + from, names + 3 * i, 3) == 0) {
            return i;
        }
    }
    return -1;
}

bool dic_http_date_parse(struct dic_str text, int64_t *wall_ms_out)
{
    static const char form[] = "###, ## ### #### ##:##:## GMT";
    if (text.len != sizeof form - 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (form[i] != '#' && form[i] != text.ptr[i]) {
            return false;
        }
    }
    struct tm parts = {
        .tm_mday = number_at(text, 5, 2),
        .tm_mon = name_at(text, 8, "JanFebMarAprMayJunJulAugSepOctNovDec"),
        .tm_year = number_at(text, 12, 4) - 1900,
        .tm_hour = number_at(text, 17, 2),
        .tm_min = number_at(text, 20, 2),
        .tm_sec = number_at(text, 23, 2),
    };
    return name_at(text, 0, "MonTueWedThuFriSatSun") >= 0 &&
           dic_time_from_parts(&parts, wall_ms_out);
}
