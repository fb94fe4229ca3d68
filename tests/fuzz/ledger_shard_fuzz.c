/* SPDX-License-Identifier: Apache-2.0 */
/* A result shard's head: labels are summed without overflow, and written and read are the same. */
#include "blob_store_memory.h"
#include "fuzz.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

#define JOB "aaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { TOP = 5 };

static void check_same(const struct dic_label_tally *a, const struct dic_label_tally *b)
{
    struct dic_label_count tops[2][TOP];
    size_t count = dic_label_tally_top(a, tops[0], TOP);
    FUZZ_CHECK(a->used == b->used && dic_label_tally_top(b, tops[1], TOP) == count);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(tops[0][i].images > 0 && tops[0][i].images == tops[1][i].images);
        FUZZ_CHECK(dic_str_eq(tops[0][i].label, tops[1][i].label));
    }
}

static void check_labels(struct dic_ledger *ledger, const struct dic_item *item)
{
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally tally;
    DIC_CLEANUP(dic_label_tally_clean_up) struct dic_label_tally again;
    struct dic_err err = {0};
    dic_label_tally_init(&tally);
    dic_label_tally_init(&again);
    enum dic_code code = dic_ledger_add_shard_labels(ledger, JOB, 0, item, &tally, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        FUZZ_CHECK(dic_ledger_put_labels(ledger, "labels", &tally, &err) == DIC_OK);
        FUZZ_CHECK(dic_ledger_add_labels(ledger, "labels", &again, &err) == DIC_OK);
        check_same(&tally, &again);
    }
}

static void check_model(struct dic_ledger *ledger, const struct dic_item *item)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf model;
    struct dic_err err = {0};
    dic_buf_init(&model, 4096);
    enum dic_code code = dic_ledger_get_shard_model(ledger, JOB, 0, item, &model, &err);
    FUZZ_CHECK(code == DIC_OK || err.msg[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct dic_ledger ledger;
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    char object[DIC_LEDGER_KEY_SIZE];
    if (ledger.options.results.ops == NULL) {
        ledger.options.results = dic_blob_store_memory_new();
        ledger.heads = dic_ledger_heads_new();
    }
    const struct dic_blob_store *results = &ledger.options.results;
    dic_item_init(&item);
    item.exists = true;
    dic_item_add_map_entry(&item, DIC_STR_LIT("c"), DIC_STR_LIT("0"), DIC_STR_LIT("a,1,0,0"));
    dic_item_add_map_entry(&item, DIC_STR_LIT("c"), DIC_STR_LIT("1"), DIC_STR_LIT("a,1,0,0"));
    for (uint32_t chunk = 0; chunk < 2; chunk++) { /* the same twice: counts are added */
        dic_ledger_shard_object(object, JOB, chunk, DIC_STR_LIT("a"));
        FUZZ_CHECK(results->ops->put(results->impl, dic_str(object), dic_fuzz_view(bytes, len),
                                     false, NULL) == DIC_OK);
    }
    check_labels(&ledger, &item);
    check_model(&ledger, &item);
    return 0;
}
