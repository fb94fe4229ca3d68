/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding as AWS signs it (RFC 3986: A–Z a–z 0–9 - . _ ~ stay, hexadecimal in upper case).
 */
#ifndef DIC_AWS_URI_H
#define DIC_AWS_URI_H

#include "base/buf.h"

/* keep_slash: for object keys in a path. Any bytes are fine. */
void dic_aws_uri_encode(struct dic_buf *out, struct dic_str text, bool keep_slash);
/* %XX becomes its byte; '+' and a '%' without two digits stay as they are. */
void dic_aws_uri_decode(struct dic_buf *out, struct dic_str text);

#endif
