/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a ceiling. Once an append would pass the ceiling the buffer is
 * "poisoned": it stays as it was, later appends do nothing, and dic_buf_check tells. So a series of
 * appends needs one check. Not shared between threads.
 */
#ifndef DIC_BASE_BUF_H
#define DIC_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct dic_buf {
    char *ptr; /* owned; always NUL-terminated once something was appended */
    size_t len;
    size_t capacity;
    size_t ceiling;
    bool poisoned;
};

void dic_buf_init(struct dic_buf *buf, size_t ceiling_bytes);
void dic_buf_clean_up(struct dic_buf *buf); /* idempotent */
void dic_buf_clear(struct dic_buf *buf);    /* keeps the memory */

void dic_buf_append(struct dic_buf *buf, const void *bytes, size_t len);
void dic_buf_append_str(struct dic_buf *buf, struct dic_str view);
void dic_buf_append_text(struct dic_buf *buf, const char *text);
void dic_buf_append_byte(struct dic_buf *buf, char byte);
void dic_buf_append_u64(struct dic_buf *buf, uint64_t value);
DIC_PRINTF(2, 3) void dic_buf_printf(struct dic_buf *buf, const char *fmt, ...);

/* Room for len more bytes at buf->ptr + buf->len, or false (and poisoned) over the ceiling. */
DIC_MUST_USE bool dic_buf_reserve(struct dic_buf *buf, size_t len);

struct dic_str dic_buf_view(const struct dic_buf *buf);
/* DIC_E_TOO_LARGE when an append did not fit. */
DIC_MUST_USE enum dic_code dic_buf_check(const struct dic_buf *buf, struct dic_err *err);
/* Hands the bytes to the caller (dic_free), and empties the buffer. */
char *dic_buf_detach(struct dic_buf *buf, size_t *len_out);

#endif
