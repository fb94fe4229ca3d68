/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in which the ledger's own code runs under a seeded schedule with faults: actors are
 * threads of which one runs at a time; before each operation on the table, the queue or the buckets
 * the one that runs hands over to another, chosen at random. An operation may fail, fail although
 * it happened, or be its actor's last: a dead actor's operations do nothing and fail, so its code
 * returns without a trace, as a killed process would, and the actor starts anew. The same seed
 * gives the same run: dic_rand_* are this world's, and the clock stands still but for its steps.
 */
#ifndef DIC_SIM_WORLD_H
#define DIC_SIM_WORLD_H

#include "fake_clock.h"
#include "store/job_store_ledger.h"

enum { SIM_MAX_ACTORS = 16 };

struct sim_world;

/* One actor's life; returns when it is done for good, or when its process was killed (then it is
 * called again). */
typedef void (*sim_run)(struct sim_world *world, void *context);

struct sim_faults {
    double fails;      /* probability that an operation fails, half of them though it happened */
    double kills;      /* that its actor dies at it */
    double drops;      /* that a message is lost */
    double duplicates; /* that a message comes twice, or a removal does nothing */
    double delays;
};

struct sim_world *sim_world_new(uint64_t seed, const struct sim_faults *faults);
void sim_world_set_faults(struct sim_world *world, const struct sim_faults *faults);
void sim_world_destroy(struct sim_world *world);

struct dic_job_store sim_jobs(struct sim_world *world);
struct dic_job_queue sim_queue(struct sim_world *world);
struct dic_blob_store sim_images(struct sim_world *world);
const struct dic_clock *sim_clock(struct sim_world *world);
struct dic_table sim_table(struct sim_world *world); /* for looking, without faults */

/* Of an actor named "immune" no operation fails: where there is no sweeper, nobody finds the work
 * that a client made and did not send. */
void sim_add_actor(struct sim_world *world, const char *name, sim_run run, void *context);
/* Runs until every actor has ended or max_steps operations were made; faults stop after
 * fault_steps. step(world, context) is called between operations. */
void sim_run_all(struct sim_world *world, uint64_t fault_steps, uint64_t max_steps,
                 void (*step)(struct sim_world *world, void *context), void *context);

/* For actors: a random number below n; lets others go first; whether faults have stopped; whether
 * this life is over (killed, or the run has ended). */
uint64_t sim_random(struct sim_world *world, uint64_t n);
void sim_yield(struct sim_world *world);
bool sim_is_calm(const struct sim_world *world);
bool sim_is_over(const struct sim_world *world);
uint64_t sim_kills(const struct sim_world *world);
uint64_t sim_steps(const struct sim_world *world);

#endif
