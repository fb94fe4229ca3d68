/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_world.h"

#include "base/mem.h"
#include "base/thread.h"
#include "blob_store_memory.h"
#include "job_queue_memory.h"
#include "table_memory.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 250 };

struct actor {
    struct sim_world *world;
    pthread_t thread;
    pthread_cond_t turn;
    sim_run run;
    void *context;
    bool immune;
    bool dead;  /* until its code has returned */
    bool ended; /* will not run again */
};

struct sim_world {
    struct sim_faults faults;
    uint64_t random; /* state of the generator; used by whoever runs */
    pthread_mutex_t lock;
    pthread_cond_t all_ended;
    struct actor actors[SIM_MAX_ACTORS];
    int actor_count;
    int running; /* index of the actor whose turn it is */
    bool calm;
    bool over;
    uint64_t steps, fault_steps, max_steps, kills;
    void (*step)(struct sim_world *world, void *context);
    void *step_context;
    struct dic_fake_clock *clock;
    struct dic_table table;
    struct dic_job_queue queue;
    struct dic_blob_store results, images; /* the same with faults */
    struct dic_job_store jobs;
};

static _Thread_local struct actor *self;
static struct sim_world *current; /* whose generator dic_rand_* use */

/* ---- randomness: SplitMix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t next_random(struct sim_world *world)
{
    uint64_t z = (world->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t sim_random(struct sim_world *world, uint64_t n)
{
    return next_random(world) % n;
}

static bool happens(struct sim_world *world, double probability)
{
    return (double)(next_random(world) >> 11) * 0x1p-53 < probability;
}

/* In the place of lib/base/rand.c, so that ids come from the seed. */
void dic_rand_bytes(void *bytes_out, size_t len)
{
    unsigned char *out = bytes_out;
    for (size_t i = 0; i < len; i++) {
        out[i] = (unsigned char)next_random(current);
    }
}

uint64_t dic_rand_u64(void)
{
    return next_random(current);
}

void dic_rand_id(char id_out[DIC_ID_SIZE])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (int i = 0; i < DIC_ID_LEN; i++) {
        id_out[i] = alphabet[next_random(current) & 31];
    }
    id_out[DIC_ID_LEN] = '\0';
}

/* ---- the schedule ---- */

static int choose(struct sim_world *world)
{
    int living[SIM_MAX_ACTORS];
    int count = 0;
    for (int i = 0; i < world->actor_count; i++) {
        if (!world->actors[i].ended) {
            living[count++] = i;
        }
    }
    return count == 0 ? -1 : living[next_random(world) % (uint64_t)count];
}

/* With the lock held: gives the turn to somebody. */
static void hand_over(struct sim_world *world)
{
    world->running = choose(world);
    if (world->running < 0) {
        pthread_cond_signal(&world->all_ended);
    } else {
        pthread_cond_signal(&world->actors[world->running].turn);
    }
}

static void wait_for_turn(struct sim_world *world, const struct actor *actor)
{
    while (world->running < 0 || &world->actors[world->running] != actor) {
        dic_cond_wait_ms(&((struct actor *)actor)->turn, &world->lock, -1);
    }
}

static void take_step(struct sim_world *world)
{
    world->steps++;
    world->calm = world->calm || world->steps >= world->fault_steps;
    world->over = world->over || world->steps >= world->max_steps;
    dic_fake_clock_advance_ms(world->clock, STEP_MS);
    if (world->step != NULL) {
        world->step(world, world->step_context);
    }
}

void sim_yield(struct sim_world *world)
{
    if (self == NULL) {
        return; /* the test itself, before and after the run */
    }
    dic_lock(&world->lock);
    take_step(world);
    hand_over(world);
    wait_for_turn(world, self);
    dic_unlock(&world->lock);
}

static void *actor_main(void *arg)
{
    struct actor *actor = arg;
    struct sim_world *world = actor->world;
    self = actor;
    dic_lock(&world->lock);
    wait_for_turn(world, actor);
    dic_unlock(&world->lock);
    do {
        actor->dead = false;
        actor->run(world, actor->context);
    } while (actor->dead && !world->over);
    dic_lock(&world->lock);
    actor->ended = true;
    hand_over(world);
    dic_unlock(&world->lock);
    return NULL;
}

/* ---- faults ---- */

enum fate { GOES_ON, FAILS, HAPPENS_AND_FAILS };

static enum fate next_fate(struct sim_world *world)
{
    if (self == NULL) {
        return GOES_ON;
    }
    sim_yield(world);
    if (self->dead || world->over) {
        return FAILS;
    }
    if (world->calm || self->immune) {
        return GOES_ON;
    }
    if (happens(world, world->faults.kills)) {
        self->dead = true;
        world->kills++;
        return happens(world, 0.5) ? HAPPENS_AND_FAILS : FAILS;
    }
    if (happens(world, world->faults.fails)) {
        return happens(world, 0.5) ? HAPPENS_AND_FAILS : FAILS;
    }
    return GOES_ON;
}

static enum dic_table_fault on_table(void *context, const char *op, struct dic_str pk)
{
    struct sim_world *world = context;
    (void)pk;
    if (strcmp(op, "query_item") == 0) { /* an index that lags behind */
        return !world->calm && happens(world, 0.1) ? DIC_TABLE_FAIL : DIC_TABLE_GO_ON;
    }
    switch (next_fate(world)) {
    case GOES_ON:
        return DIC_TABLE_GO_ON;
    case HAPPENS_AND_FAILS:
        return DIC_TABLE_APPLY_FAIL;
    case FAILS:
    default:
        return DIC_TABLE_FAIL;
    }
}

static struct dic_queue_fault message_fault(struct sim_world *world,
                                            const struct dic_queue_call *call)
{
    struct dic_queue_fault fault = {.kind = DIC_QUEUE_WORKS};
    if (world->calm || self == NULL || self->immune || call->op == DIC_QUEUE_DEPTH) {
        return fault;
    }
    if (call->op == DIC_QUEUE_SEND && happens(world, world->faults.drops)) {
        fault.kind = DIC_QUEUE_DROPS;
    } else if (call->op == DIC_QUEUE_REMOVE && happens(world, world->faults.duplicates)) {
        fault.kind = DIC_QUEUE_DROPS;
    } else if (call->op != DIC_QUEUE_REMOVE && happens(world, world->faults.duplicates)) {
        fault.kind = call->op == DIC_QUEUE_EXTEND ? DIC_QUEUE_WORKS : DIC_QUEUE_DUPLICATES;
    } else if (happens(world, world->faults.delays)) {
        fault.kind = DIC_QUEUE_DELAYS;
        fault.delay_ms = (int64_t)sim_random(world, 100000);
    } else if (call->op == DIC_QUEUE_RECEIVE && happens(world, 0.3)) {
        fault.kind = DIC_QUEUE_DROPS; /* passed over: a queue has no order */
    }
    return fault;
}

static struct dic_queue_fault on_queue(void *context, const struct dic_queue_call *call)
{
    struct sim_world *world = context;
    if (call->op == DIC_QUEUE_RECEIVE && call->message != NULL) {
        return message_fault(world, call); /* part of one operation */
    }
    enum fate fate = next_fate(world);
    if (fate != GOES_ON) {
        return (struct dic_queue_fault){.kind = fate == FAILS ? DIC_QUEUE_FAILS
                                                              : DIC_QUEUE_ANSWER_LOST};
    }
    return message_fault(world, call);
}

/* ---- buckets with faults ---- */

struct faulty_blobs {
    struct sim_world *world;
    struct dic_blob_store inside;
};

#define FAULTY(blobs, call)                               \
    enum fate fate = next_fate((blobs)->world);           \
    enum dic_code code = fate == FAILS ? DIC_OK : (call); \
    return fate == GOES_ON ? code : dic_fail(err, DIC_E_UPSTREAM, "the simulator says no")

static enum dic_code blob_get(void *impl, struct dic_str key, int64_t max_bytes,
                              struct dic_buf *out, struct dic_blob_info *info_out,
                              struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs, blobs->inside.ops->get(blobs->inside.impl, key, max_bytes, out, info_out, err));
}

static enum dic_code blob_get_range(void *impl, struct dic_str key, int64_t offset, int64_t len,
                                    const char *etag, struct dic_buf *out, struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs,
           blobs->inside.ops->get_range(blobs->inside.impl, key, offset, len, etag, out, err));
}

static enum dic_code blob_head(void *impl, struct dic_str key, struct dic_blob_info *info_out,
                               struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs, blobs->inside.ops->head(blobs->inside.impl, key, info_out, err));
}

static enum dic_code blob_put(void *impl, struct dic_str key, struct dic_str bytes, bool if_absent,
                              struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs, blobs->inside.ops->put(blobs->inside.impl, key, bytes, if_absent, err));
}

static enum dic_code blob_list(void *impl, struct dic_str prefix, struct dic_str after,
                               uint32_t limit, dic_blob_visit visit, void *context, bool *more_out,
                               struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs, blobs->inside.ops->list(blobs->inside.impl, prefix, after, limit, visit, context,
                                          more_out, err));
}

static enum dic_code blob_remove(void *impl, struct dic_str key, struct dic_err *err)
{
    struct faulty_blobs *blobs = impl;
    FAULTY(blobs, blobs->inside.ops->remove(blobs->inside.impl, key, err));
}

static void blob_destroy(void *impl)
{
    struct faulty_blobs *blobs = impl;
    blobs->inside.ops->destroy(blobs->inside.impl);
    dic_free(blobs);
}

static struct dic_blob_store faulty_blobs_new(struct sim_world *world)
{
    static const struct dic_blob_store_ops ops = {
        .get = blob_get,
        .get_range = blob_get_range,
        .head = blob_head,
        .put = blob_put,
        .list = blob_list,
        .remove = blob_remove,
        .destroy = blob_destroy,
    };
    struct faulty_blobs *blobs = dic_calloc(1, sizeof *blobs);
    blobs->world = world;
    blobs->inside = dic_blob_store_memory_new();
    return (struct dic_blob_store){&ops, blobs};
}

/* ---- life ---- */

struct sim_world *sim_world_new(uint64_t seed, const struct sim_faults *faults)
{
    struct sim_world *world = dic_calloc(1, sizeof *world);
    const struct dic_table_memory_hook hook = {on_table, world};
    world->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
    world->faults = *faults;
    world->running = -1;
    dic_mutex_init(&world->lock);
    dic_cond_init(&world->all_ended);
    world->clock = dic_fake_clock_new();
    world->results = faulty_blobs_new(world);
    world->images = faulty_blobs_new(world);
    world->queue = dic_job_queue_memory_new(world->clock);
    dic_job_queue_memory_set_hook(world->queue, on_queue, world);
    dic_table_memory_new(hook, &world->table);
    const struct dic_ledger_options options = {
        .table = world->table,
        .queue = world->queue,
        .results = world->results,
        .clock = dic_fake_clock_port(world->clock),
        .retention_ms = INT64_C(1) << 40,
        .lanes = 1, /* an actor is one thread; the order among segments is in tests/protocol */
        .resends_always = sim_random(world, 2) == 0,
    };
    world->jobs = dic_job_store_ledger_new(&options);
    current = world;
    return world;
}

void sim_world_set_faults(struct sim_world *world, const struct sim_faults *faults)
{
    world->faults = *faults;
}

void sim_world_destroy(struct sim_world *world)
{
    world->jobs.ops->destroy(world->jobs.impl);
    world->queue.ops->destroy(world->queue.impl);
    world->results.ops->destroy(world->results.impl);
    world->images.ops->destroy(world->images.impl);
    world->table.ops->destroy(world->table.impl);
    dic_fake_clock_destroy(world->clock);
    for (int i = 0; i < world->actor_count; i++) {
        pthread_cond_destroy(&world->actors[i].turn);
    }
    pthread_mutex_destroy(&world->lock);
    pthread_cond_destroy(&world->all_ended);
    dic_free(world);
}

void sim_add_actor(struct sim_world *world, const char *name, sim_run run, void *context)
{
    if (world->actor_count == SIM_MAX_ACTORS) {
        abort();
    }
    struct actor *actor = &world->actors[world->actor_count++];
    actor->world = world;
    actor->immune = strcmp(name, "immune") == 0;
    actor->run = run;
    actor->context = context;
    dic_cond_init(&actor->turn);
    dic_thread_start(&actor->thread, name, actor_main, actor);
}

void sim_run_all(struct sim_world *world, uint64_t fault_steps, uint64_t max_steps,
                 void (*step)(struct sim_world *world, void *context), void *context)
{
    dic_lock(&world->lock);
    world->fault_steps = fault_steps;
    world->max_steps = max_steps;
    world->step = step;
    world->step_context = context;
    hand_over(world);
    while (world->running >= 0) {
        dic_cond_wait_ms(&world->all_ended, &world->lock, -1);
    }
    dic_unlock(&world->lock);
    for (int i = 0; i < world->actor_count; i++) {
        dic_thread_join(world->actors[i].thread);
    }
    world->calm = true;
    world->over = false;
}

struct dic_job_store sim_jobs(struct sim_world *world)
{
    return world->jobs;
}

struct dic_job_queue sim_queue(struct sim_world *world)
{
    return world->queue;
}

struct dic_blob_store sim_images(struct sim_world *world)
{
    return world->images;
}

const struct dic_clock *sim_clock(struct sim_world *world)
{
    return dic_fake_clock_port(world->clock);
}

struct dic_table sim_table(struct sim_world *world)
{
    return world->table;
}

bool sim_is_calm(const struct sim_world *world)
{
    return world->calm;
}

bool sim_is_over(const struct sim_world *world)
{
    return world->over || (self != NULL && self->dead);
}

uint64_t sim_kills(const struct sim_world *world)
{
    return world->kills;
}

uint64_t sim_steps(const struct sim_world *world)
{
    return world->steps;
}
