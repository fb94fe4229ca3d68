/* SPDX-License-Identifier: Apache-2.0 */
/* Items and objects of the ledger that somebody else has written or damaged. */
#include "test.h"

#include "blob_store_memory.h"
#include "store/label_tally.h"
#include "store/ledger_impl.h"

static struct dic_ledger ledger;
static struct dic_item item;

static int set_up(void **state)
{
    (void)state;
    ledger = (struct dic_ledger){.options = {.results = dic_blob_store_memory_new()},
                                 .heads = dic_ledger_heads_new()};
    dic_item_init(&item);
    item.exists = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ledger.options.results.ops->destroy(ledger.options.results.impl);
    dic_ledger_heads_destroy(ledger.heads);
    dic_item_clean_up(&item);
    return 0;
}

static bool chunk_of(const char *text, struct dic_ledger_cut_chunk *out)
{
    dic_item_clear(&item);
    dic_item_add_map_entry(&item, DIC_STR_LIT("x"), DIC_STR_LIT("7"), dic_str(text));
    return dic_ledger_segment_chunk(&item, 7, out);
}

static bool entry_of(const char *text, struct dic_ledger_entry *out)
{
    dic_item_clear(&item);
    dic_item_add_map_entry(&item, DIC_STR_LIT("c"), DIC_STR_LIT("7"), dic_str(text));
    return dic_ledger_segment_entry(&item, 7, out);
}

static void a_chunk_of_more_images_than_a_chunk_holds_is_none(void **state)
{
    (void)state;
    struct dic_ledger_cut_chunk chunk;
    assert_true(chunk_of("10000000,500,0,9", &chunk));
    assert_int_equal(chunk.images, 500);
    assert_false(chunk_of("0,501,0,9", &chunk));
    assert_false(chunk_of("10000001,500,0,9", &chunk));
    assert_false(chunk_of("0,4294967297,0,9", &chunk)); /* 1 in 32 bits */
    assert_false(chunk_of("0,1,9223372036854775807,1", &chunk));
}

static void a_booking_of_more_images_than_a_chunk_holds_is_none(void **state)
{
    (void)state;
    struct dic_ledger_entry entry;
    assert_true(entry_of("a,499,1,500", &entry));
    assert_int_equal(entry.succeeded, 499);
    assert_int_equal(entry.failed, 1);
    assert_int_equal(entry.unknown, 500);
    assert_false(entry_of("a,501,0,0", &entry));
    assert_false(entry_of("a,0,501,0", &entry));
    assert_false(entry_of("a,0,0,501", &entry));
    assert_false(entry_of("a,4294967297,0,0", &entry));
}

static enum dic_code add_labels(const char *object, struct dic_label_tally *tally)
{
    const struct dic_blob_store *results = &ledger.options.results;
    assert_ok(results->ops->put(results->impl, dic_str("labels"), dic_str(object), false, NULL));
    return dic_ledger_add_labels(&ledger, "labels", tally, NULL);
}

static void a_label_counts_no_more_images_than_a_job_has(void **state)
{
    (void)state;
    struct dic_label_tally tally;
    struct dic_label_count top;
    dic_label_tally_init(&tally);
    assert_ok(add_labels("{\"labels\":[[\"a\",10000000],[\"a\",10000000]]}\n", &tally));
    assert_int_equal(dic_label_tally_top(&tally, &top, 1), 1);
    assert_int_equal(top.images, 10000000);
    assert_code(add_labels("{\"labels\":[[\"a\",10000001]]}\n", &tally), DIC_E_INTERNAL);
    assert_code(add_labels("{\"labels\":[[\"a\",9223372036854775807]]}\n", &tally), DIC_E_INTERNAL);
    dic_label_tally_clean_up(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_of_more_images_than_a_chunk_holds_is_none),
        cmocka_unit_test(a_booking_of_more_images_than_a_chunk_holds_is_none),
        cmocka_unit_test(a_label_counts_no_more_images_than_a_job_has),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
