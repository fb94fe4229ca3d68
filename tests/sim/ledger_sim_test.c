/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger and the planner, as they are built, in worlds with faults (sim_world.h), and the
 * invariants of docs/protocol.md. Each seed is one world: a few jobs, workers, planners, a
 * sweeper (or none: then no message is lost), clients that repeat their requests, cancellations,
 * readers. DIC_SIM_SEEDS and DIC_SIM_FIRST choose how many worlds and which.
 */
#include "sim_world.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "planner.h"
#include "table_memory.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_JOBS = 4,
    MAX_CHUNKS = 160,
    DEFAULT_SEEDS = 150,
    CALM_STEPS = 30000,
    VISIBILITY_S = 40,
};

enum job_kind { KIND_SMALL, KIND_KEYS, KIND_PREFIX };

/* What a client asks for, and what came of it. */
struct wish {
    enum job_kind kind;
    uint32_t images; /* of a prefix: as listed at first */
    uint32_t chunk_images;
    uint32_t poison_every; /* 0: none */
    int64_t max_failures;
    int64_t deadline_in_ms; /* 0: none */
    char key[16];           /* idempotency key; empty: none */
    char hash[16];
    bool is_cancelled; /* somebody may cancel it */
    bool accepted;     /* a create was answered with OK */
    char id[DIC_ID_SIZE];
    char rows[MAX_CHUNKS][64]; /* the first time that a reader saw the chunk's first row */
    char ended[512];           /* the job's item, once it was seen in a terminal state */
};

struct run {
    struct sim_world *world;
    struct wish wishes[MAX_JOBS];
    uint32_t wish_count;
    uint32_t clients;
    uint32_t clients_left; /* that still ask */
    bool has_sweeper;
    uint64_t attempts;
    char failure[256];
};

static void fail_run(struct run *run, const char *what, const char *job_id)
{
    if (run->failure[0] == '\0') {
        snprintf(run->failure, sizeof run->failure, "%s (job %s)", what, job_id);
    }
}

/* ---- clients ---- */

static void write_lines(struct dic_buf *out, const struct wish *wish, size_t *starts)
{
    for (uint32_t i = 0; i < wish->images; i++) {
        char key[32];
        snprintf(key, sizeof key, "p/%05u", i);
        const struct dic_image image = {.key = dic_str(key)};
        starts[i] = out->len;
        dic_image_line_write(out, &image);
    }
    starts[wish->images] = out->len;
}

static void cut_segment(const struct wish *wish, uint32_t chunk_images, const struct dic_buf *lines,
                        const size_t *starts, struct dic_segment_plan *segment,
                        struct dic_chunk_plan *chunks)
{
    for (uint32_t first = 0; first < wish->images; first += chunk_images) {
        uint32_t last = first + chunk_images < wish->images ? first + chunk_images : wish->images;
        chunks[segment->chunk_count++] = (struct dic_chunk_plan){
            first, last - first,
            dic_str_len(lines->ptr + starts[first], starts[last] - starts[first])};
    }
}

static enum dic_code create(struct run *run, struct wish *wish, struct dic_err *err)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf lines;
    size_t starts[MAX_CHUNKS * 4 + 1];
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    struct dic_segment_plan segment = {.chunks = chunks, .is_last = true};
    struct dic_new_job job = {
        .params = {.source = wish->kind == KIND_PREFIX ? DIC_SOURCE_PREFIX : DIC_SOURCE_KEYS,
                   .top_k = 1,
                   .max_failures = wish->max_failures,
                   .spec_json = DIC_STR_LIT("{\"s3_prefix\":\"p/\"}")},
        .created_ms = dic_clock_wall_ms(sim_clock(run->world)),
        .idempotency_key = dic_str(wish->key),
        .request_hash = dic_str(wish->hash),
    };
    char id[DIC_ID_SIZE];
    enum dic_create_result result;
    bool sent = false;
    dic_buf_init(&lines, 1 << 20);
    write_lines(&lines, wish, starts);
    if (wish->deadline_in_ms > 0) {
        job.params.deadline_ms = job.created_ms + wish->deadline_in_ms;
    }
    /* Any backend may answer, and they may differ. */
    job.chunk_images = wish->chunk_images + (uint32_t)sim_random(run->world, 2);
    if (wish->kind != KIND_PREFIX && wish->images <= DIC_SEGMENT_CHUNKS * job.chunk_images) {
        cut_segment(wish, job.chunk_images, &lines, starts, &segment, chunks);
        job.segment = &segment;
    } else if (wish->kind != KIND_PREFIX) {
        job.keys = dic_buf_view(&lines);
    }
    DIC_TRY(jobs.ops->create(jobs.impl, &job, id, &result, &sent, err));
    if (sim_is_over(run->world)) {
        return DIC_E_UPSTREAM; /* killed while it sent: nobody was answered */
    }
    if (wish->accepted && wish->key[0] != '\0' && strcmp(id, wish->id) != 0) {
        fail_run(run, "I7: one idempotency key named two jobs", id);
    }
    wish->accepted = true;
    memcpy(wish->id, id, sizeof id);
    return DIC_OK;
}

struct client {
    struct run *run;
    struct wish *wish;
    bool done;
};

static void client_life(struct sim_world *world, void *context)
{
    struct client *client = context;
    bool may_repeat = client->wish->key[0] != '\0';
    struct dic_err err = {0};
    /* Without a key a request that failed must not be repeated: it might make a second job. */
    while (!client->done && !sim_is_over(world)) {
        enum dic_code code = create(client->run, client->wish, &err);
        client->done = !sim_is_over(world) && (code == DIC_OK || !may_repeat);
        client->run->clients_left -= client->done;
        if (code == DIC_E_INVALID) {
            fail_run(client->run, "I7: the same request was refused", client->wish->id);
        }
        sim_yield(world);
    }
}

static void canceller_life(struct sim_world *world, void *context)
{
    struct run *run = context;
    struct dic_job_store jobs = sim_jobs(world);
    for (uint64_t wait = sim_random(world, 600); wait > 0 && !sim_is_over(world); wait--) {
        sim_yield(world);
    }
    for (uint32_t i = 0; i < run->wish_count && !sim_is_over(world); i++) {
        struct dic_err err = {0};
        if (!run->wishes[i].is_cancelled || !run->wishes[i].accepted) {
            continue;
        }
        if (jobs.ops->stop(jobs.impl, run->wishes[i].id, DIC_JOB_CANCELLING, DIC_STR_LIT("x"),
                           &err) == DIC_OK &&
            sim_random(world, 2) == 0) {
            (void)jobs.ops->seal(jobs.impl, run->wishes[i].id, &err); /* else: somebody else will */
        }
        const struct dic_message message = {.kind = DIC_MESSAGE_SEAL};
        struct dic_message seal = message;
        memcpy(seal.job_id, run->wishes[i].id, DIC_ID_SIZE);
        struct dic_job_queue queue = sim_queue(world);
        while (!sim_is_over(world) && queue.ops->send(queue.impl, &seal, 1, &err) != DIC_OK) {
        }
    }
}

/* ---- workers: what worker.c does with a message, without its threads ---- */

static void write_rows(struct run *run, const struct wish *wish, const struct dic_chunk *chunk,
                       struct dic_booking *booking, struct dic_buf *rows)
{
    uint64_t attempt = ++run->attempts; /* so that rows of two attempts differ */
    struct dic_str rest = chunk->lines;
    struct dic_str line = {0};
    uint32_t row = 0;
    while (dic_str_split(&rest, '\n', &line) && line.len > 0) {
        int64_t index = chunk->first_image + row++;
        bool failed = wish->poison_every > 0 && index % wish->poison_every == 0;
        booking->failed += failed;
        booking->succeeded += !failed;
        dic_buf_printf(rows, "%" PRId64 " %.*s %" PRIu64 "\n", index, DIC_STR_ARGS(line), attempt);
    }
}

static const struct wish *wish_of(const struct run *run, const char *job_id)
{
    for (uint32_t i = 0; i < run->wish_count; i++) {
        if (strcmp(run->wishes[i].id, job_id) == 0) {
            return &run->wishes[i];
        }
    }
    return &run->wishes[0]; /* of a client whose answer was lost; its poison does not matter */
}

static enum dic_code work_on_chunk(struct run *run, const struct dic_delivery *delivery,
                                   struct dic_err *err)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    const char *id = delivery->message.job_id;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf lines;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf rows;
    struct dic_job job = {0};
    struct dic_chunk chunk = {0};
    enum dic_book_result result;
    dic_buf_init(&memory, 1 << 20);
    dic_buf_init(&lines, 1 << 20);
    dic_buf_init(&rows, 1 << 20);
    DIC_TRY(jobs.ops->peek(jobs.impl, id, &job, &memory, err));
    if (dic_job_sealed_state(job.state) != job.state) {
        DIC_TRY(jobs.ops->seal(jobs.impl, id, err));
    }
    DIC_TRY(jobs.ops->get_chunk(jobs.impl, id, delivery->message.chunk, &chunk, &lines, err));
    if (chunk.booked || !dic_job_is_open(job.state)) {
        return DIC_E_CONFLICT;
    }
    int64_t now = dic_clock_wall_ms(sim_clock(run->world));
    if (job.params.deadline_ms > 0 && now >= job.params.deadline_ms) {
        DIC_TRY(jobs.ops->stop(jobs.impl, id, DIC_JOB_EXPIRING, DIC_STR_LIT("late"), err));
        return jobs.ops->seal(jobs.impl, id, err);
    }
    for (uint64_t wait = sim_random(run->world, 20) == 0 ? sim_random(run->world, 400) : 0;
         wait > 0 && !sim_is_over(run->world); wait--) {
        sim_yield(run->world); /* slow, or frozen past its lease */
    }
    struct dic_booking booking = {.chunk = delivery->message.chunk,
                                  .model_json = DIC_STR_LIT("{}")};
    const struct dic_label_count label = {DIC_STR_LIT("cat"), 1};
    write_rows(run, wish_of(run, id), &chunk, &booking, &rows);
    booking.rows = dic_buf_view(&rows);
    booking.labels = &label;
    booking.label_count = booking.succeeded > 0;
    return jobs.ops->book(jobs.impl, id, &booking, &result, err);
}

static enum dic_code work_on_plan(struct run *run, const struct dic_delivery *delivery,
                                  struct dic_err *err)
{
    atomic_bool stop;
    atomic_init(&stop, false);
    const struct dic_planner planner = {
        .jobs = sim_jobs(run->world),
        .queue = sim_queue(run->world),
        .images = sim_images(run->world),
        .chunk_images = 1 + (uint32_t)sim_random(run->world, 2), /* planners may differ */
        .stop = &stop,
    };
    bool done = false;
    DIC_TRY(dic_planner_run(&planner, delivery->message.job_id, &done, err));
    return done ? DIC_OK : DIC_E_UPSTREAM;
}

static enum dic_code work(struct run *run, const struct dic_delivery *delivery, struct dic_err *err)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    switch (delivery->message.kind) {
    case DIC_MESSAGE_PLAN:
        return work_on_plan(run, delivery, err);
    case DIC_MESSAGE_SEAL:
        return jobs.ops->seal(jobs.impl, delivery->message.job_id, err);
    case DIC_MESSAGE_CHUNK:
    default:
        return work_on_chunk(run, delivery, err);
    }
}

static bool all_have_ended(const struct run *run)
{
    if (run->clients_left > 0) {
        return false; /* what they ask for may be there, and is only not accepted yet */
    }
    for (uint32_t i = 0; i < run->wish_count; i++) {
        if (run->wishes[i].ended[0] == '\0' && run->wishes[i].accepted) {
            return false;
        }
    }
    return sim_is_calm(run->world);
}

static void worker_life(struct sim_world *world, void *context)
{
    struct run *run = context;
    struct dic_job_queue queue = sim_queue(world);
    while (!sim_is_over(world) && !all_have_ended(run)) {
        struct dic_delivery delivery;
        struct dic_err err = {0};
        size_t count = 0;
        if (queue.ops->receive(queue.impl, &delivery, 1, VISIBILITY_S, 0, &count, &err) != DIC_OK ||
            count == 0) {
            continue;
        }
        enum dic_code code = work(run, &delivery, &err);
        if (sim_is_over(world)) {
            return;
        }
        if (code == DIC_OK || dic_is_work_gone(code)) {
            (void)queue.ops->remove(queue.impl, delivery.receipt, &err); /* or it comes again */
        } else if (sim_random(world, 2) == 0) {
            (void)queue.ops->hand_back(queue.impl, &delivery, &err); /* as in a drain */
        }
    }
}

static void sweeper_life(struct sim_world *world, void *context)
{
    struct run *run = context;
    struct dic_job_store jobs = sim_jobs(world);
    while (!sim_is_over(world) && !all_have_ended(run)) {
        struct dic_err err = {0};
        uint32_t repaired = 0;
        (void)jobs.ops->sweep(jobs.impl, dic_clock_wall_ms(sim_clock(world)), 0, 10, &repaired,
                              &err); /* tries again */
        for (int i = 0; i < 20; i++) {
            sim_yield(world);
        }
    }
}

/* ---- readers ---- */

struct reading {
    struct run *run;
    struct wish *wish;
    uint32_t next; /* chunk expected */
    bool ended;    /* gaps are allowed then */
    int64_t image;
    int64_t rows;
    char keys_after[64]; /* a listing's keys rise */
};

static enum dic_code see(void *context, const struct dic_rows *rows, struct dic_err *err)
{
    struct reading *reading = context;
    struct dic_str rest = rows->rows;
    struct dic_str first = {0};
    (void)err;
    dic_str_split(&rest, '\n', &first);
    if (!reading->ended && (rows->chunk != reading->next || rows->first_image != reading->image)) {
        fail_run(reading->run, "rows of a live job have a gap", reading->wish->id);
    }
    char *seen = reading->wish->rows[rows->chunk];
    if (seen[0] != '\0' && !dic_str_is(first, seen)) {
        fail_run(reading->run, "I4: rows changed after they were read", reading->wish->id);
    }
    snprintf(seen, sizeof reading->wish->rows[0], "%.*s", DIC_STR_ARGS(first));
    reading->next = rows->chunk + 1;
    reading->image = rows->first_image + rows->images;
    reading->rows += rows->images;
    return DIC_OK;
}

static enum dic_code read_rows(struct run *run, struct wish *wish, bool ended, int64_t *rows_out)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    struct reading reading = {.run = run, .wish = wish, .ended = ended};
    enum dic_code code = jobs.ops->rows(jobs.impl, wish->id, 0, MAX_CHUNKS, see, &reading, NULL);
    *rows_out = reading.rows;
    return code;
}

static void reader_life(struct sim_world *world, void *context)
{
    struct run *run = context;
    while (!sim_is_over(world) && !all_have_ended(run)) {
        struct wish *wish = &run->wishes[sim_random(world, run->wish_count)];
        int64_t rows = 0;
        if (wish->accepted && wish->ended[0] == '\0') {
            /* It may end while it is read: gaps are looked for in the end only, then. */
            (void)read_rows(
                run, wish,
                wish->is_cancelled || wish->deadline_in_ms > 0 || wish->max_failures >= 0, &rows);
        }
        for (int i = 0; i < 30; i++) {
            sim_yield(world);
        }
    }
}

/* ---- invariants ---- */

static const char *terminal_of(const struct dic_item *item, char *text, size_t size)
{
    static const char *const words[] = {"SUCCEEDED", "CANCELLED", "EXPIRED", "FAILED"};
    struct dic_str state = dic_item_text(item, "st");
    for (size_t i = 0; i < 4; i++) {
        if (dic_str_is(state, words[i])) {
            snprintf(text, size, "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                     words[i], dic_item_number(item, "n", -1), dic_item_number(item, "ok", -1),
                     dic_item_number(item, "er", -1), dic_item_number(item, "sk", -1),
                     dic_item_number(item, "en", -1));
            return text;
        }
    }
    return NULL;
}

static enum dic_code check_item(void *context, const struct dic_item *item, struct dic_err *err)
{
    struct run *run = context;
    struct dic_str pk = dic_item_text(item, "pk");
    char text[512];
    (void)err;
    for (uint32_t i = 0; i < run->wish_count; i++) {
        struct wish *wish = &run->wishes[i];
        char key[64];
        snprintf(key, sizeof key, "M#" DIC_TENANT "#%s", wish->id);
        if (!wish->accepted || !dic_str_is(pk, key)) {
            continue;
        }
        const char *now = terminal_of(item, text, sizeof text);
        if (wish->ended[0] != '\0' && (now == NULL || strcmp(now, wish->ended) != 0)) {
            fail_run(run, "I2, I6: a terminal job changed", wish->id);
        } else if (now != NULL) {
            snprintf(wish->ended, sizeof wish->ended, "%s", now);
        }
    }
    return DIC_OK;
}

static void check_step(struct sim_world *world, void *context)
{
    struct dic_table table = sim_table(world);
    struct run *run = context;
    if (sim_steps(world) % 16 == 0) {
        if (dic_table_memory_each(&table, check_item, run, NULL) != DIC_OK) {
            fail_run(run, "the table cannot be read", "");
        }
    }
}

/* The ledger's own sums are those of the job. */
struct sums {
    const struct wish *wish;
    int64_t succeeded;
    int64_t failed;
    int64_t labelled; /* chunks with a success */
};

/* "attempt,succeeded,failed,unknown" */
static bool has_success(struct dic_str entry)
{
    struct dic_str part = {0};
    dic_str_split(&entry, ',', &part);
    dic_str_split(&entry, ',', &part);
    return !dic_str_is(part, "0");
}

static enum dic_code add_segment(void *context, const struct dic_item *item, struct dic_err *err)
{
    struct sums *sums = context;
    struct dic_str key = {0};
    struct dic_str value = {0};
    char prefix[64];
    (void)err;
    snprintf(prefix, sizeof prefix, "S#" DIC_TENANT "#%s#", sums->wish->id);
    if (dic_str_starts_with(dic_item_text(item, "pk"), dic_str(prefix))) {
        sums->succeeded += dic_item_number(item, "ok", 0);
        sums->failed += dic_item_number(item, "er", 0);
        for (size_t i = 0; dic_item_map_at(item, "c", i, &key, &value); i++) {
            sums->labelled += has_success(value);
        }
    }
    return DIC_OK;
}

/* Every booked chunk with a success has counted one image of "cat". */
static void check_labels(struct run *run, const struct wish *wish, int64_t chunks)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_label_count labels[2];
    size_t count = 2;
    dic_buf_init(&memory, 1 << 16);
    if (jobs.ops->labels(jobs.impl, wish->id, labels, &count, &memory, NULL) != DIC_OK ||
        count != (chunks > 0) || (count == 1 && labels[0].images != chunks)) {
        fail_run(run, "the labels are not those of the rows", wish->id);
    }
}

static void check_end(struct run *run, struct wish *wish)
{
    struct dic_job_store jobs = sim_jobs(run->world);
    struct dic_table table = sim_table(run->world);
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    struct dic_job job = {0};
    struct sums sums = {.wish = wish};
    int64_t rows = 0;
    dic_buf_init(&memory, 1 << 20);
    if (jobs.ops->get(jobs.impl, wish->id, &job, &memory, NULL) != DIC_OK) {
        fail_run(run, "I3: an accepted job is gone", wish->id);
        return;
    }
    if (!dic_job_is_terminal(job.state)) {
        fail_run(run, "I3: an accepted job did not end", wish->id);
        return;
    }
    assert_ok(dic_table_memory_each(&table, add_segment, &sums, NULL));
    const struct dic_job_totals *totals = &job.totals;
    if (totals->succeeded + totals->failed + totals->skipped != totals->images) {
        fail_run(run, "I1: the totals do not add up", wish->id);
    }
    if (sums.succeeded != totals->succeeded || sums.failed != totals->failed) {
        fail_run(run, "I1, I5: the totals are not those of the ledger", wish->id);
    }
    if (read_rows(run, wish, job.state != DIC_JOB_SUCCEEDED, &rows) != DIC_OK ||
        rows != totals->succeeded + totals->failed) {
        fail_run(run, "I1: the rows are not those of the totals", wish->id);
    }
    if (job.state == DIC_JOB_SUCCEEDED && wish->max_failures >= 0 &&
        totals->failed > wish->max_failures) {
        fail_run(run, "a job with too many failures succeeded", wish->id);
    }
    if (totals->succeeded + totals->failed > 0 &&
        (job.started_ms == 0 || !dic_str_is(job.model_json, "{}"))) {
        fail_run(run, "a job with rows has no start or no model", wish->id);
    }
    check_labels(run, wish, sums.labelled);
    if (job.state == DIC_JOB_SUCCEEDED &&
        (totals->skipped != 0 || (wish->kind != KIND_PREFIX && rows != wish->images))) {
        fail_run(run, "I1: a job that succeeded lacks rows", wish->id);
    }
}

/* ---- one world ---- */

static void make_wishes(struct run *run)
{
    struct sim_world *world = run->world;
    run->wish_count = 1 + (uint32_t)sim_random(world, 2);
    for (uint32_t i = 0; i < run->wish_count; i++) {
        struct wish *wish = &run->wishes[i];
        wish->kind = (enum job_kind)sim_random(world, 3);
        wish->chunk_images = 1 + (uint32_t)sim_random(world, 3);
        wish->images = wish->kind == KIND_SMALL ? 1 + (uint32_t)sim_random(world, 12)
                                                : (uint32_t)sim_random(world, 80);
        wish->images += wish->kind == KIND_KEYS; /* at least one */
        wish->poison_every = sim_random(world, 3) == 0 ? 2 + (uint32_t)sim_random(world, 5) : 0;
        wish->max_failures = sim_random(world, 4) == 0 ? (int64_t)sim_random(world, 6) : -1;
        wish->deadline_in_ms =
            sim_random(world, 6) == 0 ? 1000 * (1 + (int64_t)sim_random(world, 300)) : 0;
        wish->is_cancelled = sim_random(world, 4) == 0;
        if (sim_random(world, 3) > 0) {
            snprintf(wish->key, sizeof wish->key, "key-%u", i);
            snprintf(wish->hash, sizeof wish->hash, "hash-%u", i);
        }
    }
}

/* The listing changes while it is planned from. */
static void mutator_life(struct sim_world *world, void *context)
{
    struct dic_blob_store images = sim_images(world);
    (void)context;
    for (uint64_t i = 0; i < 40 && !sim_is_over(world) && !sim_is_calm(world); i++) {
        char key[32];
        snprintf(key, sizeof key, "p/%05u", (unsigned)sim_random(world, 120));
        if (sim_random(world, 2) == 0) {
            (void)images.ops->put(images.impl, dic_str(key), DIC_STR_LIT("x"), false, NULL);
        } else {
            (void)images.ops->remove(images.impl, dic_str(key), NULL); /* faults are part of it */
        }
        for (int k = 0; k < 10; k++) {
            sim_yield(world);
        }
    }
}

static void fill_bucket(struct run *run)
{
    struct dic_blob_store images = sim_images(run->world);
    for (uint32_t i = 0; i < run->wishes[0].images; i++) {
        char key[32];
        snprintf(key, sizeof key, "p/%05u", i);
        assert_ok(images.ops->put(images.impl, dic_str(key), DIC_STR_LIT("x"), false, NULL));
    }
}

static void add_actors(struct run *run, struct client *clients)
{
    struct sim_world *world = run->world;
    uint64_t workers = 1 + sim_random(world, 4);
    for (uint64_t i = 0; i < workers; i++) {
        sim_add_actor(world, "worker", worker_life, run);
    }
    if (run->has_sweeper) {
        sim_add_actor(world, "sweeper", sweeper_life, run);
        sim_add_actor(world, "sweeper", sweeper_life, run);
    }
    for (uint32_t i = 0; i < run->wish_count; i++) {
        uint32_t count = run->wishes[i].key[0] != '\0' ? 2 : 1;
        for (uint32_t k = 0; k < count; k++) {
            struct client *client = &clients[run->clients++];
            run->clients_left++;
            *client = (struct client){.run = run, .wish = &run->wishes[i]};
            sim_add_actor(world, run->has_sweeper ? "client" : "immune", client_life, client);
        }
    }
    sim_add_actor(world, run->has_sweeper ? "canceller" : "immune", canceller_life, run);
    sim_add_actor(world, "reader", reader_life, run);
    sim_add_actor(world, "mutator", mutator_life, run);
}

struct statistics {
    uint64_t worlds, steps, kills, jobs;
    uint64_t ends[4];
};

static void run_world(uint64_t seed, bool has_sweeper, struct statistics *statistics)
{
    static const double rates[] = {0, 0.01, 0.03, 0.08};
    struct sim_faults faults = {0};
    struct client clients[MAX_JOBS * 2];
    struct run *run = dic_calloc(1, sizeof *run);
    run->world = sim_world_new(seed, &faults);
    faults = (struct sim_faults){
        .fails = rates[sim_random(run->world, 4)],
        .kills = rates[sim_random(run->world, 3)],
        /* Without a sweeper nobody finds what a queue has lost. */
        .drops = has_sweeper ? rates[sim_random(run->world, 4)] : 0,
        .duplicates = rates[sim_random(run->world, 4)],
        .delays = rates[sim_random(run->world, 4)],
    };
    run->has_sweeper = has_sweeper;
    make_wishes(run);
    fill_bucket(run);
    sim_world_set_faults(run->world, &faults);
    add_actors(run, clients);
    uint64_t fault_steps = 200 + sim_random(run->world, 6000);
    sim_run_all(run->world, fault_steps, fault_steps + CALM_STEPS, check_step, run);
    for (uint32_t i = 0; i < run->wish_count && run->failure[0] == '\0'; i++) {
        if (run->wishes[i].accepted) {
            check_end(run, &run->wishes[i]);
            statistics->jobs++;
            statistics->ends[0] += strncmp(run->wishes[i].ended, "SUCC", 4) == 0;
            statistics->ends[1] += strncmp(run->wishes[i].ended, "CANC", 4) == 0;
            statistics->ends[2] += strncmp(run->wishes[i].ended, "EXPI", 4) == 0;
            statistics->ends[3] += strncmp(run->wishes[i].ended, "FAIL", 4) == 0;
        }
    }
    statistics->worlds++;
    statistics->steps += sim_steps(run->world);
    statistics->kills += sim_kills(run->world);
    if (run->failure[0] != '\0') {
        print_error("seed %" PRIu64 ", %s sweeper: %s\n", seed, has_sweeper ? "with" : "without",
                    run->failure);
        fail();
    }
    sim_world_destroy(run->world);
    dic_free(run);
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t value = fallback;
    if (text != NULL) {
        assert_ok(dic_parse_u64(dic_str(text), 0, UINT64_MAX, &value, NULL));
    }
    return value;
}

static void run_worlds(bool has_sweeper)
{
    struct statistics statistics = {0};
    uint64_t first = number_from("DIC_SIM_FIRST", 1);
    uint64_t count = number_from("DIC_SIM_SEEDS", DEFAULT_SEEDS);
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_world(seed, has_sweeper, &statistics);
    }
    print_message("%" PRIu64 " worlds, %" PRIu64 " operations, %" PRIu64 " kills, %" PRIu64
                  " jobs: %" PRIu64 " succeeded, %" PRIu64 " cancelled, %" PRIu64
                  " expired, %" PRIu64 " failed\n",
                  statistics.worlds, statistics.steps, statistics.kills, statistics.jobs,
                  statistics.ends[0], statistics.ends[1], statistics.ends[2], statistics.ends[3]);
    assert_true(count == 0 || statistics.ends[0] > 0);
}

static void every_image_is_accounted_for_once_with_a_sweeper(void **state)
{
    (void)state;
    run_worlds(true);
}

static void every_image_is_accounted_for_once_without_a_sweeper(void **state)
{
    (void)state;
    run_worlds(false);
}

int main(void)
{
    dic_log_set_level(DIC_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_is_accounted_for_once_with_a_sweeper),
        cmocka_unit_test(every_image_is_accounted_for_once_without_a_sweeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
