/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void dic_buf_init(struct dic_buf *buf, size_t ceiling_bytes)
{
    *buf = (struct dic_buf){.ceiling = ceiling_bytes};
}

void dic_buf_clean_up(struct dic_buf *buf)
{
    dic_free(buf->ptr);
    *buf = (struct dic_buf){.ceiling = buf->ceiling};
}

void dic_buf_clear(struct dic_buf *buf)
{
    buf->len = 0;
    buf->poisoned = false;
}

bool dic_buf_reserve(struct dic_buf *buf, size_t len)
{
    if (buf->poisoned || len > buf->ceiling - buf->len) {
        buf->poisoned = true;
        return false;
    }
    size_t needed = buf->len + len + 1;
    if (needed > buf->capacity) {
        size_t doubled = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity * 2;
        buf->capacity = doubled > needed ? doubled : needed;
        buf->ptr = dic_realloc(buf->ptr, buf->capacity);
    }
    return true;
}

void dic_buf_append(struct dic_buf *buf, const void *bytes, size_t len)
{
    if (!dic_buf_reserve(buf, len)) {
        return;
    }
    if (len > 0) {
        memcpy(buf->ptr + buf->len, bytes, len);
    }
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void dic_buf_append_str(struct dic_buf *buf, struct dic_str view)
{
    dic_buf_append(buf, view.ptr, view.len);
}

void dic_buf_append_text(struct dic_buf *buf, const char *text)
{
    dic_buf_append(buf, text, strlen(text));
}

void dic_buf_append_byte(struct dic_buf *buf, char byte)
{
    dic_buf_append(buf, &byte, 1);
}

void dic_buf_append_u64(struct dic_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    dic_buf_append(buf, digits + at, sizeof digits - at);
}

void dic_buf_printf(struct dic_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len >= 0 && dic_buf_reserve(buf, (size_t)len)) {
        vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

struct dic_str dic_buf_view(const struct dic_buf *buf)
{
    return dic_str_len(buf->ptr, buf->len);
}

enum dic_code dic_buf_check(const struct dic_buf *buf, struct dic_err *err)
{
    if (buf->poisoned) {
        return dic_fail(err, DIC_E_TOO_LARGE, "output is over %zu bytes", buf->ceiling);
    }
    return DIC_OK;
}

char *dic_buf_detach(struct dic_buf *buf, size_t *len_out)
{
    char *bytes = buf->ptr;
    *len_out = buf->len;
    *buf = (struct dic_buf){.ceiling = buf->ceiling};
    return bytes;
}
