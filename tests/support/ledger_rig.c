/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/mem.h"
#include "blob_store_memory.h"
#include "ledger_rig.h"

#include <stdio.h>

enum { MAX_IMAGES = DIC_SEGMENT_CHUNKS * DIC_MAX_CHUNK_IMAGES };

static enum dic_table_fault decide(void *context, const char *op, struct dic_str pk)
{
    struct dic_ledger_rig *rig = context;
    return rig->decide == NULL ? DIC_TABLE_GO_ON : rig->decide(rig->context, op, pk);
}

struct dic_ledger_rig *dic_ledger_rig_new(uint32_t lanes)
{
    struct dic_ledger_rig *rig = dic_calloc(1, sizeof *rig);
    const struct dic_table_memory_hook hook = {decide, rig};
    rig->clock = dic_fake_clock_new();
    rig->queue = dic_job_queue_memory_new(rig->clock);
    rig->results = dic_blob_store_memory_new();
    dic_table_memory_new(hook, &rig->table);
    const struct dic_ledger_options options = {
        .table = rig->table,
        .queue = rig->queue,
        .results = rig->results,
        .clock = dic_fake_clock_port(rig->clock),
        .retention_ms = INT64_C(1) << 40,
        .lanes = lanes,
    };
    rig->jobs = dic_job_store_ledger_new(&options);
    return rig;
}

void dic_ledger_rig_destroy(struct dic_ledger_rig *rig)
{
    rig->jobs.ops->destroy(rig->jobs.impl);
    rig->queue.ops->destroy(rig->queue.impl);
    rig->results.ops->destroy(rig->results.impl);
    rig->table.ops->destroy(rig->table.impl);
    dic_fake_clock_destroy(rig->clock);
    dic_free(rig);
}

/* ---- submitting ---- */

static void write_lines(struct dic_buf *out, uint32_t images, size_t *starts)
{
    for (uint32_t i = 0; i < images; i++) {
        starts[i] = out->len;
        dic_buf_printf(out, "\"image-%u\"\n", i);
    }
    starts[images] = out->len;
}

static void cut(uint32_t images, uint32_t chunk_images, const struct dic_buf *lines,
                const size_t *starts, struct dic_segment_plan *plan, struct dic_chunk_plan *chunks)
{
    for (uint32_t first = 0; first < images; first += chunk_images) {
        uint32_t end = first + chunk_images < images ? first + chunk_images : images;
        chunks[plan->chunk_count++] = (struct dic_chunk_plan){
            first, end - first,
            dic_str_len(lines->ptr + starts[first], starts[end] - starts[first])};
    }
    plan->chunks = chunks;
    plan->is_last = true;
}

enum dic_code dic_ledger_rig_submit(struct dic_ledger_rig *rig, uint32_t images,
                                    uint32_t chunk_images, const char *key,
                                    char id_out[DIC_ID_SIZE], struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf lines;
    static size_t starts[MAX_IMAGES + 1];
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    struct dic_segment_plan plan = {0};
    char hash[DIC_RIG_HASH_SIZE];
    enum dic_create_result result;
    bool sent = false;
    snprintf(hash, sizeof hash, "%u", images);
    struct dic_new_job job = {
        .params = {.source = DIC_SOURCE_KEYS, .top_k = 1, .max_failures = -1},
        .created_ms = dic_clock_wall_ms(dic_fake_clock_port(rig->clock)),
        .idempotency_key = dic_str(key),
        .request_hash = dic_str(hash),
        .chunk_images = chunk_images,
        .images = images,
    };
    dic_buf_init(&lines, 1 << 22);
    write_lines(&lines, images, starts);
    if (images <= DIC_SEGMENT_CHUNKS * chunk_images) {
        cut(images, chunk_images, &lines, starts, &plan, chunks);
        job.segment = &plan;
    } else {
        job.keys = dic_buf_view(&lines);
    }
    return rig->jobs.ops->create(rig->jobs.impl, &job, id_out, &result, &sent, err);
}

void dic_ledger_rig_plan(struct dic_ledger_rig *rig, uint32_t segments, uint32_t last_chunks,
                         int64_t max_failures, char id_out[DIC_ID_SIZE])
{
    const struct dic_job_store_ops *ops = rig->jobs.ops;
    const struct dic_new_job job = {
        .params = {.source = DIC_SOURCE_PREFIX, .top_k = 1, .max_failures = max_failures},
        .created_ms = dic_clock_wall_ms(dic_fake_clock_port(rig->clock))};
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf resume;
    enum dic_create_result result;
    uint32_t next = 0;
    bool sent = false;
    dic_buf_init(&resume, 100);
    assert_ok(ops->create(rig->jobs.impl, &job, id_out, &result, &sent, NULL));
    assert_ok(ops->begin_plan(rig->jobs.impl, id_out, &next, &resume, NULL));
    for (uint32_t s = 0; s < segments; s++) {
        struct dic_segment_plan plan = {
            .segment = s, .chunks = chunks, .is_last = s + 1 == segments};
        plan.chunk_count = plan.is_last ? last_chunks : DIC_SEGMENT_CHUNKS;
        for (uint32_t i = 0; i < plan.chunk_count; i++) {
            chunks[i] = (struct dic_chunk_plan){(int64_t)s * DIC_SEGMENT_CHUNKS + i, 1,
                                                DIC_STR_LIT("\"a\"\n")};
        }
        assert_ok(ops->add_segment(rig->jobs.impl, id_out, &plan, &sent, NULL));
    }
}

/* ---- what becomes of it ---- */

enum dic_book_result dic_ledger_rig_book(struct dic_ledger_rig *rig, const char *job_id,
                                         uint32_t chunk, uint32_t images, uint32_t failed)
{
    enum dic_book_result result = DIC_BOOK_CLOSED;
    const struct dic_label_count label = {DIC_STR_LIT("cat"), (int64_t)images - failed};
    const struct dic_booking booking = {
        .chunk = chunk,
        .succeeded = images - failed,
        .failed = failed,
        .rows = DIC_STR_LIT("row\n"),
        .model_json = DIC_STR_LIT("{\"name\":\"m\"}"),
        .labels = &label,
        .label_count = images > failed,
    };
    assert_ok(rig->jobs.ops->book(rig->jobs.impl, job_id, &booking, &result, NULL));
    return result;
}

struct dic_job dic_ledger_rig_get(struct dic_ledger_rig *rig, const char *job_id)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_job job = {0};
    dic_buf_init(&memory, 1 << 16);
    assert_ok(rig->jobs.ops->get(rig->jobs.impl, job_id, &job, &memory, NULL));
    job.params.spec_json = job.model_json = job.reason = dic_str(NULL);
    return job;
}

uint32_t dic_ledger_rig_take(struct dic_ledger_rig *rig, uint32_t *counts, uint32_t chunks)
{
    const struct dic_job_queue_ops *ops = rig->queue.ops;
    uint32_t taken = 0;
    for (;;) {
        struct dic_delivery delivery;
        size_t count = 0;
        assert_ok(ops->receive(rig->queue.impl, &delivery, 1, 60, 0, &count, NULL));
        if (count == 0) {
            return taken;
        }
        if (counts != NULL && delivery.message.kind == DIC_MESSAGE_CHUNK) {
            assert_true(delivery.message.chunk < chunks);
            counts[delivery.message.chunk]++;
        }
        assert_ok(ops->remove(rig->queue.impl, delivery.receipt, NULL));
        taken++;
    }
}
