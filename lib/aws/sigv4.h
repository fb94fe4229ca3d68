/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4, as "Create a signed AWS API request" in the IAM User Guide says it: a
 * canonical form of the request is hashed and signed with a key made of secret, day, region and
 * service. Pure functions; any thread may call. Errors: INVALID (too many headers or parameters, a
 * request no server could receive), TOO_LARGE (over the ceilings below).
 */
#ifndef DIC_AWS_SIGV4_H
#define DIC_AWS_SIGV4_H

#include "aws/hash.h"
#include "net/http_client.h"

#define DIC_SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

enum {
    DIC_SIGV4_DATE_SIZE = 17, /* "20150830T123600Z" */
    DIC_SIGV4_MAX_PARAMETERS = 128,
    DIC_SIGV4_MAX_TEXT = 64 * 1024, /* of a canonical request, a query, an Authorization value */
};

struct dic_sigv4_signer {
    const char *key_id;
    const char *secret;
    const char *token; /* empty: none. Used by presign; with headers the caller sends it as one */
    const char *region;
    const char *service;
    int64_t time_ms;     /* wall clock, of AWS */
    bool normalize_path; /* "." and ".." resolved, "//" made one: all services but S3 */
    bool encode_path;    /* the path as sent is encoded once more: all services but S3 */
};

struct dic_sigv4_request {
    struct dic_str method;
    struct dic_str host;                   /* as the Host header says it */
    struct dic_str path;                   /* as sent; empty means "/" */
    struct dic_str query;                  /* as sent */
    const struct dic_http_header *headers; /* without host; all are signed */
    size_t header_count;
    struct dic_str payload_hash; /* hexadecimal, or DIC_SIGV4_UNSIGNED_PAYLOAD */
};

/* What was signed, for those who want to see it. The caller owns it. */
struct dic_sigv4_signature {
    struct dic_buf canonical_request;
    struct dic_buf string_to_sign;
    struct dic_buf signed_headers; /* "host;x-amz-date" */
    char hex[DIC_SHA256_HEX_SIZE];
};
void dic_sigv4_signature_init(struct dic_sigv4_signature *signature);
void dic_sigv4_signature_clean_up(struct dic_sigv4_signature *signature); /* idempotent */

void dic_sigv4_date(int64_t time_ms, char date_out[DIC_SIGV4_DATE_SIZE]);

/* The value of Authorization is appended to authorization_out. The headers must hold x-amz-date
 * (and x-amz-security-token when there is a token) already. */
DIC_MUST_USE enum dic_code dic_sigv4_sign(const struct dic_sigv4_signer *signer,
                                          const struct dic_sigv4_request *request,
                                          struct dic_sigv4_signature *signature,
                                          struct dic_buf *authorization_out, struct dic_err *err);

/* The whole query, the request's own parameters first, is appended to query_out. */
DIC_MUST_USE enum dic_code dic_sigv4_presign(const struct dic_sigv4_signer *signer,
                                             const struct dic_sigv4_request *request,
                                             uint32_t expires_s,
                                             struct dic_sigv4_signature *signature,
                                             struct dic_buf *query_out, struct dic_err *err);

#endif
