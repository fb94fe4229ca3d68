/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/s3_request.h"
#include "aws/uri.h"
#include "aws/xml_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_PAGE_BYTES = 8 * 1024 * 1024, /* 1,000 keys of 1,024 bytes, encoded, take half of it */
    MAX_TOKEN_BYTES = 4096,
    MAX_EMPTY_PAGES = 100, /* in a row; S3 may send some where much was deleted */
};

#define ROOT "ListBucketResult"

struct page {
    const struct dic_s3_listing *listing;
    uint32_t visited;    /* of all pages */
    struct dic_buf last; /* key; at first what the listing starts after */
    /* what the document says besides its objects */
    bool is_result;
    bool is_encoded;
    bool is_truncated;
    struct dic_buf token;
    /* of the object being read */
    struct dic_buf key;
    int64_t size_bytes; /* −1: not seen yet */
    uint32_t keys;      /* in this page */
    bool is_full;       /* max_keys were visited and there was another */
};

static void page_clean_up(struct page *page)
{
    dic_buf_clean_up(&page->last);
    dic_buf_clean_up(&page->token);
    dic_buf_clean_up(&page->key);
}

/* ---- first reading: what stands beside the objects, wherever it stands ---- */

static enum dic_code note_head(void *context, struct dic_str path, struct dic_str text,
                               struct dic_err *err)
{
    struct page *page = context;
    if (dic_str_is(path, ROOT)) {
        page->is_result = true;
    } else if (dic_str_is(path, ROOT "/EncodingType")) {
        page->is_encoded = dic_str_is(text, "url");
    } else if (dic_str_is(path, ROOT "/IsTruncated")) {
        page->is_truncated = dic_str_is(text, "true");
    } else if (dic_str_is(path, ROOT "/NextContinuationToken")) {
        dic_buf_append_str(&page->token, text);
        return dic_buf_check(&page->token, err);
    }
    return DIC_OK;
}

static enum dic_code read_head(struct page *page, struct dic_str document, struct dic_err *err)
{
    const struct dic_xml_visitor visitor = {.context = page, .end = note_head};
    page->is_result = false;
    page->is_encoded = false;
    page->is_truncated = false;
    page->keys = 0;
    dic_buf_clear(&page->token);
    DIC_TRY(dic_xml_read(document, &visitor, err));
    return page->is_result ? DIC_OK : dic_fail(err, DIC_E_MALFORMED, "no " ROOT);
}

/* ---- second reading: the objects ---- */

/* As S3 encodes keys here: %XX, and a space as '+' (botocore decodes it so, too). */
static void set_key(struct page *page, struct dic_str text)
{
    dic_buf_clear(&page->key);
    if (!page->is_encoded) {
        dic_buf_append_str(&page->key, text);
        return;
    }
    struct dic_str part = {0};
    bool is_first = true;
    while (dic_str_split(&text, '+', &part)) {
        if (!is_first) {
            dic_buf_append_byte(&page->key, ' ');
        }
        dic_aws_uri_decode(&page->key, part);
        is_first = false;
    }
}

/* Work is planned by "all keys after this one": a list out of order would lose images or go round
 * for ever. (S3's directory buckets list so.) */
static enum dic_code check_object(const struct page *page, struct dic_err *err)
{
    const struct dic_str key = dic_buf_view(&page->key);
    if (key.len == 0 || page->key.poisoned || page->size_bytes < 0) {
        return dic_fail(err, DIC_E_UPSTREAM, "ListObjectsV2: an object without key or size");
    }
    if (!dic_str_starts_with(key, page->listing->prefix) ||
        dic_str_compare(key, dic_buf_view(&page->last)) <= 0) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "ListObjectsV2: key '%.*s' is out of order, or not below the prefix",
                        (int)(key.len < 80 ? key.len : 80), key.ptr);
    }
    return DIC_OK;
}

static enum dic_code visit_object(struct page *page, struct dic_err *err)
{
    DIC_TRY(check_object(page, err));
    page->keys++;
    if (page->visited == page->listing->max_keys) {
        page->is_full = true;
        return DIC_OK;
    }
    page->visited++;
    dic_buf_clear(&page->last);
    dic_buf_append_str(&page->last, dic_buf_view(&page->key));
    return page->listing->visit(page->listing->context, dic_buf_view(&page->key), page->size_bytes,
                                err);
}

static enum dic_code note_object(void *context, struct dic_str path, struct dic_str text,
                                 struct dic_err *err)
{
    struct page *page = context;
    uint64_t size = 0;
    if (dic_str_is(path, ROOT "/Contents/Key")) {
        set_key(page, text);
    } else if (dic_str_is(path, ROOT "/Contents/Size")) {
        const bool is_size = dic_parse_u64(text, 0, INT64_MAX, &size, NULL) == DIC_OK;
        page->size_bytes = is_size ? (int64_t)size : -1;
    } else if (dic_str_is(path, ROOT "/Contents")) {
        DIC_TRY(visit_object(page, err));
        dic_buf_clear(&page->key);
        page->size_bytes = -1;
    }
    return DIC_OK;
}

/* Nothing is visited of a document that is not whole. */
static enum dic_code read_page(struct page *page, struct dic_str document, struct dic_err *err)
{
    const struct dic_xml_visitor visitor = {.context = page, .end = note_object};
    struct dic_err why = {0};
    if (read_head(page, document, &why) != DIC_OK) {
        return dic_fail(err, DIC_E_UPSTREAM, "ListObjectsV2: the answer is no list of objects: %s",
                        why.msg);
    }
    dic_buf_clear(&page->key);
    page->size_bytes = -1;
    return dic_xml_read(document, &visitor, err);
}

/* ---- pages ---- */

static enum dic_code get_page(struct dic_s3_bucket *bucket, struct page *page, struct dic_err *err)
{
    DIC_CLEANUP(dic_s3_request_clean_up) struct dic_s3_request request;
    char count[16];
    const uint32_t left = page->listing->max_keys - page->visited;
    snprintf(count, sizeof count, "%u",
             left == 0                 ? 1
             : left < DIC_S3_PAGE_KEYS ? left
                                       : DIC_S3_PAGE_KEYS);
    dic_s3_request_init(&request, bucket, "ListObjectsV2", "GET", dic_str_len("", 0));
    dic_s3_request_is_read(&request);
    dic_s3_request_expect(&request, MAX_PAGE_BYTES);
    request.call.max_response_bytes = MAX_PAGE_BYTES;
    /* Every page starts after a key, as the next call's first one will; a token is what is left
     * where a page had none. */
    const bool goes_on = page->token.len > 0 && page->keys == 0;
    if (goes_on) {
        dic_s3_request_query(&request, "continuation-token", dic_buf_view(&page->token));
    }
    dic_s3_request_query(&request, "encoding-type", DIC_STR_LIT("url"));
    dic_s3_request_query(&request, "list-type", DIC_STR_LIT("2"));
    dic_s3_request_query(&request, "max-keys", dic_str(count));
    dic_s3_request_query(&request, "prefix", page->listing->prefix);
    if (!goes_on && page->last.len > 0) {
        dic_s3_request_query(&request, "start-after", dic_buf_view(&page->last));
    }
    DIC_TRY(dic_s3_request_send(&request, err));
    return read_page(page, dic_buf_view(&request.answer.http.body), err);
}

static enum dic_code get_pages(struct dic_s3_bucket *bucket, struct page *page, struct dic_err *err)
{
    uint32_t empty_pages = 0;
    do {
        DIC_TRY(get_page(bucket, page, err));
        empty_pages = page->keys == 0 ? empty_pages + 1 : 0;
        if (page->is_truncated && page->keys == 0 &&
            (page->token.len == 0 || empty_pages == MAX_EMPTY_PAGES)) {
            return dic_fail(err, DIC_E_UPSTREAM,
                            "ListObjectsV2: %u pages without a key, and no end", empty_pages);
        }
    } while (page->is_truncated && page->visited < page->listing->max_keys && !page->is_full);
    return DIC_OK;
}

enum dic_code dic_s3_list(struct dic_s3_bucket *bucket, const struct dic_s3_listing *listing,
                          bool *more_out, struct dic_err *err)
{
    DIC_CLEANUP(page_clean_up) struct page page = {.listing = listing};
    dic_buf_init(&page.last, 4 * DIC_S3_MAX_KEY_BYTES); /* a client's start may be longer */
    dic_buf_init(&page.token, MAX_TOKEN_BYTES);
    dic_buf_init(&page.key, DIC_S3_MAX_KEY_BYTES);
    dic_buf_append_str(&page.last, listing->after);
    DIC_TRY(dic_buf_check(&page.last, err));
    DIC_TRY(get_pages(bucket, &page, err));
    *more_out = page.is_truncated || page.is_full;
    return DIC_OK;
}
