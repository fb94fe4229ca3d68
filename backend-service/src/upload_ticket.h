/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a URL of our own PUT /uploads/{upload-id} allows: one object, of one type and length, until
 * a time. The token says all of it and carries an HMAC-SHA-256 (RFC 2104) over it, so that nothing
 * is kept for URLs that are never used. Pure functions; any thread may call.
 */
#ifndef DIC_BACKEND_UPLOAD_TICKET_H
#define DIC_BACKEND_UPLOAD_TICKET_H

#include "base/buf.h"
#include "job/limits.h"

enum {
    DIC_UPLOAD_SECRET_BYTES = 32,
    DIC_MAX_UPLOAD_TICKET_BYTES = DIC_MAX_KEY_BYTES + 192, /* decoded, with its MAC */
};

struct dic_upload_signer {
    unsigned char secret[DIC_UPLOAD_SECRET_BYTES];
};

struct dic_upload_ticket {
    struct dic_str key;
    struct dic_str content_type;
    int64_t size_bytes;
    int64_t expires_ms; /* wall clock */
};

/* Appends lower-case hexadecimal. */
void dic_upload_ticket_write(const struct dic_upload_signer *signer,
                             const struct dic_upload_ticket *ticket, struct dic_buf *out);
/* The ticket's views point into memory, which the caller has initialised with at least
 * DIC_MAX_UPLOAD_TICKET_BYTES. DENIED for everything that write has not made with this secret;
 * whether the time has passed is the caller's to see. */
DIC_MUST_USE enum dic_code dic_upload_ticket_read(const struct dic_upload_signer *signer,
                                                  struct dic_str token, struct dic_buf *memory,
                                                  struct dic_upload_ticket *out,
                                                  struct dic_err *err);

#endif
