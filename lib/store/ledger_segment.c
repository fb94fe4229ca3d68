/* SPDX-License-Identifier: Apache-2.0 */
/* How a segment is cut: its manifest object, its item, its messages. */
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MANIFEST_VERSION = 1,
    INLINE_BYTES = 1024, /* lines up to here lie in the item: an object would cost more */
    ENTRY_SIZE = 96,
    MAX_MANIFEST_BYTES = 512 * 1024 * 1024,
};

void dic_ledger_cut_init(struct dic_ledger_cut *cut)
{
    *cut = (struct dic_ledger_cut){0};
    dic_buf_init(&cut->memory, DIC_LEDGER_HEAD_BYTES);
}

void dic_ledger_cut_clean_up(struct dic_ledger_cut *cut)
{
    dic_buf_clean_up(&cut->memory);
}

int64_t dic_ledger_cut_images(const struct dic_ledger_cut *cut)
{
    int64_t images = 0;
    for (uint32_t i = 0; i < cut->chunk_count; i++) {
        images += cut->chunks[i].images;
    }
    return images;
}

/* ---- the manifest object: a head line, then the image lines ---- */

static void write_head(struct dic_buf *out, const struct dic_segment_plan *plan)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_int(&writer, "v", MANIFEST_VERSION);
    dic_json_put_bool(&writer, "last", plan->is_last);
    dic_json_put_str(&writer, "resume", plan->resume);
    dic_json_begin_array(&writer, "chunks"); /* first image, images, bytes of lines */
    for (uint32_t i = 0; i < plan->chunk_count; i++) {
        dic_json_begin_array(&writer, NULL);
        dic_json_put_int(&writer, NULL, plan->chunks[i].first_image);
        dic_json_put_int(&writer, NULL, plan->chunks[i].images);
        dic_json_put_int(&writer, NULL, (int64_t)plan->chunks[i].lines.len);
        dic_json_end_array(&writer);
    }
    dic_json_end_array(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(out, '\n');
}

static enum dic_code read_chunks(const struct dic_json *list, int64_t lines_start,
                                 struct dic_ledger_cut *out, struct dic_err *err)
{
    int64_t offset = lines_start;
    out->chunk_count = (uint32_t)dic_json_size(list);
    if (out->chunk_count > DIC_SEGMENT_CHUNKS) {
        return dic_fail(err, DIC_E_INTERNAL, "a manifest has %" PRIu32 " chunks, at most %d go in",
                        out->chunk_count, DIC_SEGMENT_CHUNKS);
    }
    for (uint32_t i = 0; i < out->chunk_count; i++) {
        const struct dic_json *entry = dic_json_at(list, i);
        int64_t images = 0;
        struct dic_ledger_cut_chunk *chunk = &out->chunks[i];
        if (!dic_json_is_array(entry) || dic_json_size(entry) != 3) {
            return dic_fail(err, DIC_E_INTERNAL, "a manifest's chunk is not three numbers");
        }
        DIC_TRY(dic_json_get_int(dic_json_at(entry, 0), "chunks", 0, DIC_MAX_JOB_IMAGES,
                                 &chunk->first_image, err));
        DIC_TRY(dic_json_get_int(dic_json_at(entry, 1), "chunks", 0, DIC_MAX_CHUNK_IMAGES, &images,
                                 err));
        DIC_TRY(dic_json_get_int(dic_json_at(entry, 2), "chunks", 0, MAX_MANIFEST_BYTES,
                                 &chunk->len, err));
        chunk->images = (uint32_t)images;
        chunk->offset = offset;
        offset += chunk->len;
    }
    return DIC_OK;
}

static enum dic_code read_head(struct dic_str head, struct dic_ledger_cut *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    struct dic_str resume = {0};
    DIC_TRY(dic_json_parse(head, &root, err));
    const struct dic_json *chunks = dic_json_member(root, "chunks");
    const struct dic_json *last = dic_json_member(root, "last");
    const struct dic_json *text = dic_json_member(root, "resume");
    if (chunks == NULL || last == NULL || text == NULL || !dic_json_is_array(chunks)) {
        return dic_fail(err, DIC_E_INTERNAL, "a manifest lacks 'chunks', 'last' or 'resume'");
    }
    DIC_TRY(dic_json_get_bool(last, "last", &out->is_last, err));
    DIC_TRY(dic_json_get_str(text, "resume", &resume, err));
    DIC_TRY(read_chunks(chunks, (int64_t)head.len + 1, out, err));
    dic_buf_clear(&out->memory);
    dic_buf_append_str(&out->memory, resume);
    DIC_TRY(dic_buf_check(&out->memory, err));
    out->resume = dic_buf_view(&out->memory);
    return DIC_OK;
}

enum dic_code dic_ledger_get_manifest(struct dic_ledger *ledger, const char *job_id,
                                      uint32_t segment, struct dic_ledger_cut *cut_out,
                                      struct dic_err *err)
{
    const struct dic_blob_store *results = &ledger->options.results;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    char object[DIC_LEDGER_KEY_SIZE];
    struct dic_err why = {0};
    dic_ledger_manifest_object(object, job_id, segment);
    dic_buf_init(&bytes, DIC_LEDGER_HEAD_BYTES);
    DIC_TRY(results->ops->get_range(results->impl, dic_str(object), 0, DIC_LEDGER_HEAD_BYTES - 1,
                                    NULL, &bytes, err));
    struct dic_str head = dic_buf_view(&bytes);
    head.len = dic_str_find(head, '\n');
    cut_out->segment = segment;
    if (read_head(head, cut_out, &why) != DIC_OK) {
        return dic_fail(err, DIC_E_INTERNAL, "manifest %s: %.200s", object, why.msg);
    }
    return DIC_OK;
}

/* The cut of a plan whose lines lie `start` bytes into what holds them. */
static void cut_of_plan(const struct dic_segment_plan *plan, int64_t start, bool is_only,
                        struct dic_ledger_cut *out)
{
    out->segment = plan->segment;
    out->chunk_count = plan->chunk_count;
    out->is_last = plan->is_last;
    out->is_only = is_only;
    dic_buf_clear(&out->memory);
    dic_buf_append_str(&out->memory, plan->resume);
    out->resume = dic_buf_view(&out->memory);
    for (uint32_t i = 0; i < plan->chunk_count; i++) {
        const struct dic_chunk_plan *chunk = &plan->chunks[i];
        out->chunks[i] = (struct dic_ledger_cut_chunk){chunk->first_image, chunk->images, start,
                                                       (int64_t)chunk->lines.len};
        start += (int64_t)chunk->lines.len;
    }
}

static void append_lines(struct dic_buf *out, const struct dic_segment_plan *plan)
{
    for (uint32_t i = 0; i < plan->chunk_count; i++) {
        dic_buf_append_str(out, plan->chunks[i].lines);
    }
}

static size_t lines_bytes(const struct dic_segment_plan *plan)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan->chunk_count; i++) {
        bytes += plan->chunks[i].lines.len;
    }
    return bytes;
}

enum dic_code dic_ledger_put_manifest(struct dic_ledger *ledger, const char *job_id,
                                      const struct dic_segment_plan *plan, bool is_only,
                                      struct dic_ledger_cut *cut_out, struct dic_err *err)
{
    const struct dic_blob_store *results = &ledger->options.results;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    char object[DIC_LEDGER_KEY_SIZE];
    dic_buf_init(&bytes, MAX_MANIFEST_BYTES);
    if (is_only && lines_bytes(plan) <= INLINE_BYTES) {
        cut_of_plan(plan, 0, is_only, cut_out);
        append_lines(&cut_out->memory, plan); /* behind the resume text, which may have moved */
        cut_out->resume = dic_str_len(cut_out->memory.ptr, cut_out->resume.len);
        cut_out->lines = dic_str_skip(dic_buf_view(&cut_out->memory), plan->resume.len);
        return dic_buf_check(&cut_out->memory, err);
    }
    write_head(&bytes, plan);
    cut_of_plan(plan, (int64_t)bytes.len, is_only, cut_out);
    append_lines(&bytes, plan);
    DIC_TRY(dic_buf_check(&bytes, err));
    dic_ledger_manifest_object(object, job_id, plan->segment);
    enum dic_code code =
        results->ops->put(results->impl, dic_str(object), dic_buf_view(&bytes), true, err);
    if (code != DIC_E_CONFLICT) {
        return code;
    }
    DIC_TRY(dic_ledger_get_manifest(ledger, job_id, plan->segment, cut_out, err));
    cut_out->is_only = is_only;
    return DIC_OK;
}

/* ---- the item ---- */

static const struct dic_cond if_new[] = {{.kind = DIC_COND_ABSENT, .name = "pk"}};

/* One chunk of the table "x", as the item has it. */
struct entry_text {
    char key[16];
    char text[ENTRY_SIZE];
};

static void write_entry(const struct dic_ledger_cut *cut, uint32_t index, struct entry_text *out)
{
    const struct dic_ledger_cut_chunk *chunk = &cut->chunks[index];
    snprintf(out->key, sizeof out->key, "%" PRIu32, cut->segment * DIC_SEGMENT_CHUNKS + index);
    snprintf(out->text, sizeof out->text, "%" PRId64 ",%" PRIu32 ",%" PRId64 ",%" PRId64,
             chunk->first_image, chunk->images, chunk->offset, chunk->len);
}

static void put_again_as_read(struct dic_item *item, const struct dic_ledger_cut *cut)
{
    /* After a put that was applied the item is what was put, without booked chunks. */
    struct entry_text entry;
    dic_item_clear(item);
    item->exists = true;
    dic_item_add_text(item, DIC_STR_LIT("st"), DIC_STR_LIT("OPEN"));
    dic_item_add_number(item, DIC_STR_LIT("n"), cut->chunk_count);
    dic_item_add_number(item, DIC_STR_LIT("nd"), 0);
    dic_item_add_number(item, DIC_STR_LIT("im"), dic_ledger_cut_images(cut));
    dic_item_add_number(item, DIC_STR_LIT("one"), cut->is_only);
    dic_item_add_map(item, DIC_STR_LIT("c"));
    dic_item_add_map(item, DIC_STR_LIT("x"));
    for (uint32_t i = 0; i < cut->chunk_count; i++) {
        write_entry(cut, i, &entry);
        dic_item_add_map_entry(item, DIC_STR_LIT("x"), dic_str(entry.key), dic_str(entry.text));
    }
}

enum dic_code dic_ledger_put_segment(struct dic_ledger *ledger, const char *job_id,
                                     const struct dic_ledger_cut *cut, struct dic_item *item_out,
                                     struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    char pk[DIC_LEDGER_PK_SIZE];
    struct entry_text entries[DIC_SEGMENT_CHUNKS];
    struct dic_change changes[12 + DIC_SEGMENT_CHUNKS] = {
        dic_set_text("st", DIC_STR_LIT("OPEN")),
        dic_set_number("n", cut->chunk_count),
        dic_set_number("nd", 0),
        dic_set_number("ok", 0),
        dic_set_number("er", 0),
        dic_set_number("un", 0),
        dic_set_number("im", dic_ledger_cut_images(cut)),
        dic_set_number("one", cut->is_only),
        dic_set_map("c"),
        dic_set_map("x"),
    };
    size_t count = 10;
    bool applied = false;
    for (uint32_t i = 0; i < cut->chunk_count; i++) {
        write_entry(cut, i, &entries[i]);
        changes[count++] = dic_set_entry("x", dic_str(entries[i].key), dic_str(entries[i].text));
    }
    if (cut->lines.len > 0) {
        changes[count++] = dic_set_text("lines", cut->lines);
    }
    dic_ledger_segment_pk(pk, job_id, cut->segment);
    const struct dic_table_write write = {dic_str(pk), changes, count, if_new, 1};
    DIC_TRY(table->ops->put(table->impl, &write, &applied, item_out, err));
    if (applied) {
        put_again_as_read(item_out, cut);
    }
    return DIC_OK;
}

/* "a,b,c,d": decimal numbers up to these; false for anything else. */
static bool parse_numbers(struct dic_str text, const uint64_t *most, int64_t *out, size_t count)
{
    struct dic_str part = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        if (!dic_str_split(&text, ',', &part) ||
            dic_parse_u64(part, 0, most[i], &value, NULL) != DIC_OK) {
            return false;
        }
        out[i] = (int64_t)value;
    }
    return text.ptr == NULL;
}

static struct dic_str chunk_key(uint32_t chunk, char out[16])
{
    snprintf(out, 16, "%" PRIu32, chunk);
    return dic_str(out);
}

bool dic_ledger_segment_chunk(const struct dic_item *segment, uint32_t chunk,
                              struct dic_ledger_cut_chunk *out)
{
    static const uint64_t most[4] = {DIC_MAX_JOB_IMAGES, DIC_MAX_CHUNK_IMAGES, MAX_MANIFEST_BYTES,
                                     MAX_MANIFEST_BYTES};
    char key[16];
    int64_t numbers[4];
    struct dic_str text = dic_item_map_get(segment, "x", chunk_key(chunk, key));
    if (text.ptr == NULL || !parse_numbers(text, most, numbers, 4)) {
        return false;
    }
    *out = (struct dic_ledger_cut_chunk){numbers[0], (uint32_t)numbers[1], numbers[2], numbers[3]};
    return true;
}

bool dic_ledger_segment_entry(const struct dic_item *segment, uint32_t chunk,
                              struct dic_ledger_entry *out)
{
    static const uint64_t most[3] = {DIC_MAX_CHUNK_IMAGES, DIC_MAX_CHUNK_IMAGES,
                                     DIC_MAX_CHUNK_IMAGES};
    char key[16];
    int64_t numbers[3];
    struct dic_str rest = dic_item_map_get(segment, "c", chunk_key(chunk, key));
    struct dic_str attempt = {0};
    if (rest.ptr == NULL || !dic_str_split(&rest, ',', &attempt) ||
        !parse_numbers(rest, most, numbers, 3)) {
        return false;
    }
    *out = (struct dic_ledger_entry){attempt, (uint32_t)numbers[0], (uint32_t)numbers[1],
                                     (uint32_t)numbers[2]};
    return true;
}

enum dic_code dic_ledger_send_chunks(struct dic_ledger *ledger, const char *job_id,
                                     uint32_t segment, const struct dic_item *item, uint32_t most,
                                     uint32_t *sent_out, struct dic_err *err)
{
    const struct dic_job_queue *queue = &ledger->options.queue;
    struct dic_message messages[DIC_SEGMENT_CHUNKS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < DIC_SEGMENT_CHUNKS && count < most; i++) {
        uint32_t chunk = segment * DIC_SEGMENT_CHUNKS + i;
        struct dic_ledger_cut_chunk cut;
        struct dic_ledger_entry entry;
        if (!dic_ledger_segment_chunk(item, chunk, &cut) ||
            dic_ledger_segment_entry(item, chunk, &entry)) {
            continue;
        }
        messages[count] = (struct dic_message){.kind = DIC_MESSAGE_CHUNK, .chunk = chunk};
        memcpy(messages[count++].job_id, job_id, DIC_ID_SIZE);
    }
    *sent_out = count;
    return count == 0 ? DIC_OK : queue->ops->send(queue->impl, messages, count, err);
}

enum dic_code dic_ledger_send_once(struct dic_ledger *ledger, const char *job_id, uint32_t segment,
                                   const struct dic_item *item, struct dic_err *err)
{
    const struct dic_table *table = &ledger->options.table;
    const struct dic_change sent = dic_set_number("snt", 1);
    const struct dic_cond exists = dic_if_exists("pk");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    uint32_t count = 0;
    if (!dic_str_is(dic_item_text(item, "st"), "OPEN") || dic_item_number(item, "snt", 0) != 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_ledger_send_chunks(ledger, job_id, segment, item, DIC_SEGMENT_CHUNKS, &count, err));
    dic_ledger_segment_pk(pk, job_id, segment);
    const struct dic_table_write write = {dic_str(pk), &sent, 1, &exists, 1};
    return table->ops->update(table->impl, &write, &applied, NULL, err);
}
