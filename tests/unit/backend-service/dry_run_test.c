/* SPDX-License-Identifier: Apache-2.0 */
#include "dry_run.h"

#include "test.h"

#include "blob_store_memory.h"
#include "fake_request.h"

#include <stdio.h>
#include <stdlib.h>

static struct dic_blob_store images;
static struct dic_api api;
static struct dic_fake_request fake;
static struct dic_buf body;

static int set_up(void **state)
{
    (void)state;
    images = dic_blob_store_memory_new();
    api = (struct dic_api){.images = images, .usd_per_million_images = 2.0};
    dic_fake_request_init(&fake);
    dic_buf_init(&body, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dic_buf_clean_up(&body);
    dic_fake_request_clean_up(&fake);
    images.ops->destroy(images.impl);
    return 0;
}

static void put(const char *key, size_t bytes)
{
    static const char zeroes[10000];
    assert_ok(images.ops->put(images.impl, dic_str(key), dic_str_len(zeroes, bytes), false, NULL));
}

static enum dic_code run(const char *text, struct dic_err *err)
{
    struct dic_submit_request request = {0};
    struct dic_err why = {0};
    dic_fake_request_again(&fake);
    if (dic_submit_request_parse(dic_str(text), &request, &why) != DIC_OK) {
        print_error("%s\n", why.msg);
        fail();
    }
    enum dic_code code = dic_dry_run(&api, &request, &fake.response, err);
    dic_submit_request_clean_up(&request);
    return code;
}

static void assert_answer(const char *text, const char *expected)
{
    assert_ok(run(text, NULL));
    assert_int_equal(fake.response.status, 200);
    assert_view(dic_buf_view(&fake.response.body), expected);
}

#define KEYS "{\"job_type\":\"image_classification\",\"s3_keys\":"

static void a_short_list_is_looked_at_whole(void **state)
{
    (void)state;
    put("a", 1000);
    put("b", 500);
    assert_answer(KEYS "[\"a\",\"b\",\"gone\"]}",
                  "{\"dry_run\":true,\"total_images\":3,\"sampled\":3,\"missing\":1,"
                  "\"is_estimate\":false,\"estimated_bytes\":1500,"
                  "\"estimated_cost_usd\":0.000006,\"estimated_seconds\":1}\n");
    assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_HEAD), 3);
    assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_GET), 0);
}

/* k0 … with k bytes each: the sample is spread, so the estimate is near the truth. */
static void write_keys(uint32_t count)
{
    dic_buf_clear(&body);
    dic_buf_append_text(&body, KEYS "[");
    for (uint32_t i = 0; i < count; i++) {
        dic_buf_printf(&body, "%s\"k%u\"", i == 0 ? "" : ",", i);
    }
    dic_buf_append_text(&body, "]}");
}

static void of_a_long_list_a_sample_is_looked_at(void **state)
{
    (void)state;
    static const uint32_t counts[] = {99, 100, 101, 1000};
    for (uint32_t i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        put(key, 10);
    }
    for (size_t i = 0; i < 4; i++) {
        char expected[300];
        uint32_t heads = dic_blob_store_memory_calls(images, DIC_BLOB_HEAD);
        uint32_t sampled = counts[i] < 100 ? counts[i] : 100;
        write_keys(counts[i]);
        snprintf(expected, sizeof expected,
                 "{\"dry_run\":true,\"total_images\":%u,\"sampled\":%u,\"missing\":0,"
                 "\"is_estimate\":%s,\"estimated_bytes\":%u,\"estimated_cost_usd\":%.6f,"
                 "\"estimated_seconds\":%u}\n",
                 counts[i], sampled, counts[i] > 100 ? "true" : "false", counts[i] * 10,
                 counts[i] * 2.0 / 1e6, (counts[i] + 99) / 100);
        assert_answer(body.ptr, expected);
        assert_int_equal(dic_blob_store_memory_calls(images, DIC_BLOB_HEAD) - heads, sampled);
    }
}

#define PREFIX "{\"job_type\":\"image_classification\",\"s3_prefix\":"

static void a_prefix_is_listed_and_its_globs_count(void **state)
{
    (void)state;
    put("p/1.jpg", 10);
    put("p/2.png", 20);
    put("p/3.jpg", 40);
    put("p/sub/", 0);
    put("q/4.jpg", 80);
    assert_answer(PREFIX "\"p/\"}",
                  "{\"dry_run\":true,\"total_images\":3,\"sampled\":4,\"missing\":0,"
                  "\"is_estimate\":false,\"estimated_bytes\":70,"
                  "\"estimated_cost_usd\":0.000006,\"estimated_seconds\":1}\n");
    assert_answer(PREFIX "\"\",\"include\":[\"*.jpg\"],\"exclude\":[\"p/3*\"]}",
                  "{\"dry_run\":true,\"total_images\":2,\"sampled\":5,\"missing\":0,"
                  "\"is_estimate\":false,\"estimated_bytes\":90,"
                  "\"estimated_cost_usd\":0.000004,\"estimated_seconds\":1}\n");
    assert_answer(PREFIX "\"none\"}",
                  "{\"dry_run\":true,\"total_images\":0,\"sampled\":0,\"missing\":0,"
                  "\"is_estimate\":false,\"estimated_bytes\":0,"
                  "\"estimated_cost_usd\":0.000000,\"estimated_seconds\":0}\n");
}

/* A listing that never ends: the count stops at its limit and says so. */
static enum dic_code endless(void *impl, struct dic_str prefix, struct dic_str after,
                             uint32_t limit, dic_blob_visit visit, void *context, bool *more_out,
                             struct dic_err *err)
{
    uint32_t *pages = impl;
    (void)prefix;
    assert_int_equal(after.len > 0, *pages > 0);
    for (uint32_t i = 0; i < limit; i++) {
        char key[32];
        snprintf(key, sizeof key, "%06u-%06u", *pages, i);
        DIC_TRY(visit(context, dic_str(key), 3, err));
    }
    ++*pages;
    *more_out = true;
    return DIC_OK;
}

static void a_listing_is_counted_up_to_a_limit(void **state)
{
    (void)state;
    static const struct dic_blob_store_ops ops = {.list = endless};
    uint32_t pages = 0;
    api.images = (struct dic_blob_store){&ops, &pages};
    assert_answer(PREFIX "\"\"}",
                  "{\"dry_run\":true,\"total_images\":100000,\"sampled\":100000,\"missing\":0,"
                  "\"is_estimate\":true,\"estimated_bytes\":300000,"
                  "\"estimated_cost_usd\":0.200000,\"estimated_seconds\":1000}\n");
}

#define MANIFEST "{\"job_type\":\"image_classification\",\"manifest_s3_key\":\"m\"}"

static void of_a_manifest_nothing_is_known_but_that_it_is_there(void **state)
{
    (void)state;
    struct dic_err err = {0};
    assert_code(run(MANIFEST, &err), DIC_E_INVALID);
    assert_string_equal(err.field, "manifest_s3_key");
    put("m", 100);
    assert_answer(MANIFEST, "{\"dry_run\":true,\"total_images\":null,\"sampled\":1,\"missing\":0,"
                            "\"is_estimate\":true,\"estimated_bytes\":null,"
                            "\"estimated_cost_usd\":null,\"estimated_seconds\":null}\n");
}

static enum dic_code fail_with(void *context, enum dic_blob_op op, struct dic_str key,
                               struct dic_err *err)
{
    (void)op;
    (void)key;
    return dic_fail(err, *(enum dic_code *)context, "no");
}

static void what_a_store_says_of_an_image_counts_as_missing_and_its_own_failure_fails(void **state)
{
    (void)state;
    static const struct {
        enum dic_code code;
        bool missing;
    } cases[] = {{DIC_E_NOT_FOUND, true}, {DIC_E_DENIED, true},    {DIC_E_INVALID, true},
                 {DIC_E_TIMEOUT, false},  {DIC_E_UPSTREAM, false}, {DIC_E_BUSY, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum dic_code code = cases[i].code;
        dic_blob_store_memory_set_hook(images, fail_with, &code);
        assert_code(run(KEYS "[\"a\"]}", NULL), cases[i].missing ? DIC_OK : code);
        if (cases[i].missing) {
            assert_non_null(strstr(fake.response.body.ptr, "\"missing\":1"));
        } else {
            assert_code(run(PREFIX "\"a\"}", NULL), code);
            assert_code(run(MANIFEST, NULL), code);
        }
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_short_list_is_looked_at_whole),
        CASE(of_a_long_list_a_sample_is_looked_at),
        CASE(a_prefix_is_listed_and_its_globs_count),
        CASE(a_listing_is_counted_up_to_a_limit),
        CASE(of_a_manifest_nothing_is_known_but_that_it_is_there),
        CASE(what_a_store_says_of_an_image_counts_as_missing_and_its_own_failure_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
