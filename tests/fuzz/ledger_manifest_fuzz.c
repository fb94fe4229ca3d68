/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's manifest object, and its chunk table in the item: what is read is within the bounds
 * of a job, and a segment that is planned again from it is cut the same. */
#include "blob_store_memory.h"
#include "fuzz.h"
#include "store/ledger_impl.h"

#define JOB "aaaaaaaaaaaaaaaaaaaaaaaaaa"

static void check_cut(const struct dic_ledger_cut *cut)
{
    FUZZ_CHECK(cut->chunk_count <= DIC_SEGMENT_CHUNKS);
    FUZZ_CHECK(cut->resume.len <= DIC_LEDGER_HEAD_BYTES && dic_fuzz_is_utf8(cut->resume));
    for (uint32_t i = 0; i < cut->chunk_count; i++) {
        const struct dic_ledger_cut_chunk *chunk = &cut->chunks[i];
        FUZZ_CHECK(chunk->first_image >= 0 && chunk->first_image <= DIC_MAX_JOB_IMAGES);
        FUZZ_CHECK(chunk->images <= DIC_MAX_CHUNK_IMAGES && chunk->offset >= 0 && chunk->len >= 0);
        FUZZ_CHECK(i == 0 || chunk->offset == chunk[-1].offset + chunk[-1].len);
    }
    FUZZ_CHECK(dic_ledger_cut_images(cut) <= DIC_SEGMENT_CHUNKS * DIC_MAX_CHUNK_IMAGES);
}

static void check_manifest(struct dic_ledger *ledger, struct dic_str bytes)
{
    const struct dic_blob_store *results = &ledger->options.results;
    DIC_CLEANUP(dic_ledger_cut_clean_up) struct dic_ledger_cut cut;
    char object[DIC_LEDGER_KEY_SIZE];
    struct dic_err err = {0};
    dic_ledger_cut_init(&cut);
    dic_ledger_manifest_object(object, JOB, 3);
    FUZZ_CHECK(results->ops->put(results->impl, dic_str(object), bytes, false, NULL) == DIC_OK);
    enum dic_code code = dic_ledger_get_manifest(ledger, JOB, 3, &cut, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        check_cut(&cut);
    }
}

static void check_entries(struct dic_str text)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item item;
    struct dic_ledger_cut_chunk chunk;
    struct dic_ledger_entry entry;
    dic_item_init(&item);
    item.exists = true;
    dic_item_add_map_entry(&item, DIC_STR_LIT("x"), DIC_STR_LIT("7"), text);
    dic_item_add_map_entry(&item, DIC_STR_LIT("c"), DIC_STR_LIT("7"), text);
    if (dic_ledger_segment_chunk(&item, 7, &chunk)) {
        FUZZ_CHECK(chunk.first_image >= 0 && chunk.first_image <= DIC_MAX_JOB_IMAGES);
        FUZZ_CHECK(chunk.images <= DIC_MAX_CHUNK_IMAGES && chunk.offset >= 0 && chunk.len >= 0);
    }
    if (dic_ledger_segment_entry(&item, 7, &entry)) {
        FUZZ_CHECK(entry.succeeded <= DIC_MAX_CHUNK_IMAGES);
        FUZZ_CHECK(entry.failed <= DIC_MAX_CHUNK_IMAGES && entry.unknown <= DIC_MAX_CHUNK_IMAGES);
        FUZZ_CHECK(dic_str_find(entry.attempt, ',') == entry.attempt.len);
    }
    FUZZ_CHECK(!dic_ledger_segment_chunk(&item, 8, &chunk));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct dic_ledger ledger;
    struct dic_str text = dic_fuzz_view(bytes, len);
    if (ledger.options.results.ops == NULL) {
        ledger.options.results = dic_blob_store_memory_new();
        ledger.heads = dic_ledger_heads_new();
    }
    check_manifest(&ledger, text);
    if (len < 200) {
        check_entries(text);
    }
    return 0;
}
