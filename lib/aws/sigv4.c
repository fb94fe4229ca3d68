/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include "aws/uri.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { DAY_LEN = 8, MAX_SCOPE = 160 };

void dic_sigv4_signature_init(struct dic_sigv4_signature *signature)
{
    dic_buf_init(&signature->canonical_request, DIC_SIGV4_MAX_TEXT);
    dic_buf_init(&signature->string_to_sign, DIC_SIGV4_MAX_TEXT);
    dic_buf_init(&signature->signed_headers, DIC_SIGV4_MAX_TEXT);
    signature->hex[0] = '\0';
}

void dic_sigv4_signature_clean_up(struct dic_sigv4_signature *signature)
{
    dic_buf_clean_up(&signature->canonical_request);
    dic_buf_clean_up(&signature->string_to_sign);
    dic_buf_clean_up(&signature->signed_headers);
}

void dic_sigv4_date(int64_t time_ms, char date_out[DIC_SIGV4_DATE_SIZE])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    strftime(date_out, DIC_SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &parts);
}

/* ---- path ---- */

/* RFC 3986 section 5.2.4, but empty segments go too, and there is a '/' at the end only where there
 * was one, as botocore does it: "/a//b/./c/.." is "/a/b". */
static void normalize_path(struct dic_buf *out, struct dic_str path)
{
    size_t start = out->len;
    struct dic_str rest = path;
    struct dic_str segment;
    while (dic_str_split(&rest, '/', &segment)) {
        if (dic_str_is(segment, "..")) {
            while (out->len > start && out->ptr[--out->len] != '/') {
            }
        } else if (segment.len > 0 && !dic_str_is(segment, ".")) {
            dic_buf_append_byte(out, '/');
            dic_buf_append_str(out, segment);
        }
    }
    if (out->len == start || path.ptr[path.len - 1] == '/') {
        dic_buf_append_byte(out, '/');
    }
}

static void append_path(struct dic_buf *out, const struct dic_sigv4_signer *signer,
                        struct dic_str path)
{
    struct dic_buf normal;
    dic_buf_init(&normal, DIC_SIGV4_MAX_TEXT);
    if (signer->normalize_path || path.len == 0) {
        normalize_path(&normal, path);
    } else {
        dic_buf_append_str(&normal, path);
    }
    if (signer->encode_path) {
        dic_aws_uri_encode(out, dic_buf_view(&normal), true);
    } else {
        dic_buf_append_str(out, dic_buf_view(&normal));
    }
    out->poisoned = out->poisoned || normal.poisoned;
    dic_buf_clean_up(&normal);
}

/* ---- query ---- */

struct parameter {
    struct dic_str name; /* both encoded */
    struct dic_str value;
};

static int by_name_and_value(const void *left, const void *right)
{
    const struct parameter *a = left;
    const struct parameter *b = right;
    int order = dic_str_compare(a->name, b->name);
    return order != 0 ? order : dic_str_compare(a->value, b->value);
}

/* Encoded anew, so that what was sent as a raw byte or as %7e is signed as the server will see it.
 */
static struct dic_str recode(struct dic_buf *memory, struct dic_str text)
{
    struct dic_buf plain;
    dic_buf_init(&plain, DIC_SIGV4_MAX_TEXT);
    dic_aws_uri_decode(&plain, text);
    size_t start = memory->len;
    dic_aws_uri_encode(memory, dic_buf_view(&plain), false);
    dic_buf_clean_up(&plain);
    return dic_str_len(memory->poisoned ? NULL : memory->ptr + start, memory->len - start);
}

DIC_MUST_USE
static enum dic_code append_query(struct dic_buf *out, struct dic_str query, struct dic_err *err)
{
    struct parameter parameters[DIC_SIGV4_MAX_PARAMETERS];
    size_t count = 0;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    dic_buf_init(&memory, DIC_SIGV4_MAX_TEXT);
    /* No byte becomes more than three, so the views stay where they are. */
    if (!dic_buf_reserve(&memory, 3 * query.len)) {
        return dic_buf_check(&memory, err);
    }
    struct dic_str rest = query;
    struct dic_str part;
    while (dic_str_split(&rest, '&', &part)) {
        if (part.len == 0) {
            continue;
        }
        if (count == DIC_SIGV4_MAX_PARAMETERS) {
            return dic_fail(err, DIC_E_INVALID, "query has over %d parameters",
                            DIC_SIGV4_MAX_PARAMETERS);
        }
        size_t equals = dic_str_find(part, '=');
        parameters[count].name = recode(&memory, dic_str_len(part.ptr, equals));
        parameters[count].value = recode(&memory, dic_str_skip(part, equals + 1));
        count++;
    }
    qsort(parameters, count, sizeof parameters[0], by_name_and_value);
    for (size_t i = 0; i < count; i++) {
        dic_buf_append_text(out, i == 0 ? "" : "&");
        dic_buf_append_str(out, parameters[i].name);
        dic_buf_append_byte(out, '=');
        dic_buf_append_str(out, parameters[i].value);
    }
    return DIC_OK;
}

/* ---- headers ---- */

struct named {
    char name[64]; /* lower case */
    struct dic_str value;
    size_t position; /* values of one name stay in the order they came */
};

static int by_name_and_position(const void *left, const void *right)
{
    const struct named *a = left;
    const struct named *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->position > b->position) - (a->position < b->position);
}

DIC_MUST_USE
static enum dic_code set_name(struct named *out, struct dic_str name, struct dic_str value,
                              size_t position, struct dic_err *err)
{
    if (name.len == 0 || name.len >= sizeof out->name) {
        return dic_fail(err, DIC_E_INVALID, "header name of %zu bytes, 1 to %zu can be signed",
                        name.len, sizeof out->name - 1);
    }
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        out->name[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
    }
    out->name[name.len] = '\0';
    out->value = value;
    out->position = position;
    return DIC_OK;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Trimmed, and a run of white space is one space. */
static void append_value(struct dic_buf *out, struct dic_str value)
{
    bool gap = false;
    bool first = true;
    for (size_t i = 0; i < value.len; i++) {
        if (is_space(value.ptr[i])) {
            gap = true;
            continue;
        }
        if (gap && !first) {
            dic_buf_append_byte(out, ' ');
        }
        dic_buf_append_byte(out, value.ptr[i]);
        gap = false;
        first = false;
    }
}

DIC_MUST_USE
static enum dic_code append_headers(struct dic_buf *out, struct dic_buf *names,
                                    const struct dic_sigv4_request *request, struct dic_err *err)
{
    struct named headers[DIC_HTTP_MAX_HEADERS + 1];
    if (request->header_count > DIC_HTTP_MAX_HEADERS) {
        return dic_fail(err, DIC_E_INVALID, "%zu headers, at most %d can be signed",
                        request->header_count, DIC_HTTP_MAX_HEADERS);
    }
    DIC_TRY(set_name(&headers[0], DIC_STR_LIT("host"), request->host, 0, err));
    size_t count = request->header_count + 1;
    for (size_t i = 1; i < count; i++) {
        const struct dic_http_header *header = &request->headers[i - 1];
        DIC_TRY(set_name(&headers[i], header->name, header->value, i, err));
    }
    qsort(headers, count, sizeof headers[0], by_name_and_position);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && strcmp(headers[i].name, headers[i - 1].name) == 0;
        if (!same) {
            dic_buf_append_text(names, i == 0 ? "" : ";");
            dic_buf_append_text(names, headers[i].name);
            dic_buf_append_text(out, i == 0 ? "" : "\n");
            dic_buf_append_text(out, headers[i].name);
        }
        dic_buf_append_byte(out, same ? ',' : ':');
        append_value(out, headers[i].value);
    }
    dic_buf_append_byte(out, '\n');
    return DIC_OK;
}

/* ---- signature ---- */

/* "20150830/us-east-1/service/aws4_request"; date is DIC_SIGV4_DATE_SIZE long. */
static void append_scope(struct dic_buf *out, const struct dic_sigv4_signer *signer,
                         const char *date)
{
    dic_buf_printf(out, "%.*s/%s/%s/aws4_request", (int)DAY_LEN, date, signer->region,
                   signer->service);
}

static struct dic_str mac_view(const unsigned char mac[DIC_SHA256_BYTES])
{
    return dic_str_len((const char *)mac, DIC_SHA256_BYTES);
}

static void sign_text(const struct dic_sigv4_signer *signer, const char *date, struct dic_str text,
                      char hex_out[DIC_SHA256_HEX_SIZE])
{
    struct dic_buf key;
    dic_buf_init(&key, DIC_SIGV4_MAX_TEXT);
    dic_buf_printf(&key, "AWS4%s", signer->secret);
    unsigned char mac[DIC_SHA256_BYTES];
    dic_hmac_sha256(dic_buf_view(&key), dic_str_len(date, DAY_LEN), mac);
    dic_hmac_sha256(mac_view(mac), dic_str(signer->region), mac);
    dic_hmac_sha256(mac_view(mac), dic_str(signer->service), mac);
    dic_hmac_sha256(mac_view(mac), DIC_STR_LIT("aws4_request"), mac);
    dic_hmac_sha256_hex(mac_view(mac), text, hex_out);
    explicit_bzero(key.ptr, key.len);
    explicit_bzero(mac, sizeof mac);
    dic_buf_clean_up(&key);
}

DIC_MUST_USE
static enum dic_code compute(const struct dic_sigv4_signer *signer,
                             const struct dic_sigv4_request *request, struct dic_str query,
                             struct dic_sigv4_signature *signature, struct dic_err *err)
{
    struct dic_buf *canonical = &signature->canonical_request;
    dic_buf_clear(canonical);
    dic_buf_clear(&signature->signed_headers);
    dic_buf_append_str(canonical, request->method);
    dic_buf_append_byte(canonical, '\n');
    append_path(canonical, signer, request->path);
    dic_buf_append_byte(canonical, '\n');
    DIC_TRY(append_query(canonical, query, err));
    dic_buf_append_byte(canonical, '\n');
    DIC_TRY(append_headers(canonical, &signature->signed_headers, request, err));
    dic_buf_append_byte(canonical, '\n');
    dic_buf_append_str(canonical, dic_buf_view(&signature->signed_headers));
    dic_buf_append_byte(canonical, '\n');
    dic_buf_append_str(canonical, request->payload_hash);
    DIC_TRY(dic_buf_check(canonical, err));

    char date[DIC_SIGV4_DATE_SIZE];
    dic_sigv4_date(signer->time_ms, date);
    char hash[DIC_SHA256_HEX_SIZE];
    dic_sha256_hex(dic_buf_view(canonical), hash);
    dic_buf_clear(&signature->string_to_sign);
    dic_buf_printf(&signature->string_to_sign, ALGORITHM "\n%s\n", date);
    append_scope(&signature->string_to_sign, signer, date);
    dic_buf_printf(&signature->string_to_sign, "\n%s", hash);
    DIC_TRY(dic_buf_check(&signature->string_to_sign, err));
    sign_text(signer, date, dic_buf_view(&signature->string_to_sign), signature->hex);
    return DIC_OK;
}

enum dic_code dic_sigv4_sign(const struct dic_sigv4_signer *signer,
                             const struct dic_sigv4_request *request,
                             struct dic_sigv4_signature *signature,
                             struct dic_buf *authorization_out, struct dic_err *err)
{
    DIC_TRY(compute(signer, request, request->query, signature, err));
    char date[DIC_SIGV4_DATE_SIZE];
    dic_sigv4_date(signer->time_ms, date);
    dic_buf_printf(authorization_out, ALGORITHM " Credential=%s/", signer->key_id);
    append_scope(authorization_out, signer, date);
    dic_buf_append_text(authorization_out, ", SignedHeaders=");
    dic_buf_append_str(authorization_out, dic_buf_view(&signature->signed_headers));
    dic_buf_printf(authorization_out, ", Signature=%s", signature->hex);
    return dic_buf_check(authorization_out, err);
}

/* The names of the signed headers must be known before the canonical request holds them. */
DIC_MUST_USE
static enum dic_code append_signed_names(struct dic_buf *query,
                                         const struct dic_sigv4_request *request,
                                         struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf lines;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf names;
    dic_buf_init(&lines, DIC_SIGV4_MAX_TEXT);
    dic_buf_init(&names, DIC_SIGV4_MAX_TEXT);
    DIC_TRY(append_headers(&lines, &names, request, err));
    dic_buf_append_text(query, "&X-Amz-SignedHeaders=");
    dic_aws_uri_encode(query, dic_buf_view(&names), false);
    return DIC_OK;
}

enum dic_code dic_sigv4_presign(const struct dic_sigv4_signer *signer,
                                const struct dic_sigv4_request *request, uint32_t expires_s,
                                struct dic_sigv4_signature *signature, struct dic_buf *query_out,
                                struct dic_err *err)
{
    char date[DIC_SIGV4_DATE_SIZE];
    dic_sigv4_date(signer->time_ms, date);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf query;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf credential;
    dic_buf_init(&query, DIC_SIGV4_MAX_TEXT);
    dic_buf_init(&credential, MAX_SCOPE + DIC_SIGV4_MAX_TEXT);
    dic_buf_printf(&credential, "%s/", signer->key_id);
    append_scope(&credential, signer, date);

    dic_buf_append_str(&query, request->query);
    dic_buf_append_text(&query, request->query.len > 0 ? "&" : "");
    dic_buf_append_text(&query, "X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=");
    dic_aws_uri_encode(&query, dic_buf_view(&credential), false);
    dic_buf_printf(&query, "&X-Amz-Date=%s&X-Amz-Expires=%u", date, expires_s);
    if (signer->token[0] != '\0') {
        dic_buf_append_text(&query, "&X-Amz-Security-Token=");
        dic_aws_uri_encode(&query, dic_str(signer->token), false);
    }
    DIC_TRY(append_signed_names(&query, request, err));
    DIC_TRY(dic_buf_check(&query, err));
    DIC_TRY(compute(signer, request, dic_buf_view(&query), signature, err));
    dic_buf_append_str(query_out, dic_buf_view(&query));
    dic_buf_printf(query_out, "&X-Amz-Signature=%s", signature->hex);
    return dic_buf_check(query_out, err);
}
