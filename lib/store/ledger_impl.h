/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ledger share. Names as in docs/protocol.md. */
#ifndef DIC_STORE_LEDGER_IMPL_H
#define DIC_STORE_LEDGER_IMPL_H

#include "store/job_store_ledger.h"
#include "store/ledger_heads.h"
#include "store/ledger_lanes.h"
#include "store/ledger_progress.h"

#include <pthread.h>

enum {
    DIC_LEDGER_PK_SIZE = 384,  /* "I#default#" and an idempotency key of 255 bytes */
    DIC_LEDGER_KEY_SIZE = 160, /* of an object in the result bucket */
    DIC_LEDGER_OUTBOX_SHARDS = 8,
    DIC_LEDGER_HEAD_BYTES = 256 * 1024, /* most of a manifest's or shard's head line */
};

struct dic_ledger {
    struct dic_ledger_options options;
    struct dic_ledger_progress *progress;
    struct dic_ledger_heads *heads;
    struct dic_ledger_lanes *lanes;
};

/* ---- names (ledger_names.c) ---- */

void dic_ledger_job_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id);
void dic_ledger_tally_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id);
void dic_ledger_segment_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id, uint32_t segment);
void dic_ledger_idempotency_pk(char out[DIC_LEDGER_PK_SIZE], struct dic_str key);
void dic_ledger_child_pk(char out[DIC_LEDGER_PK_SIZE], struct dic_str parent);
void dic_ledger_keys_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id);
void dic_ledger_manifest_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id,
                                uint32_t segment);
void dic_ledger_shard_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id, uint32_t chunk,
                             struct dic_str attempt);
void dic_ledger_labels_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id, uint32_t segment);
void dic_ledger_all_labels_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id);
/* The job's id in a job item's pk. */
DIC_MUST_USE enum dic_code dic_ledger_pk_job(struct dic_str pk, char id_out[DIC_ID_SIZE],
                                             struct dic_err *err);
int64_t dic_ledger_outbox_shard(const char *job_id);

/* ---- items (ledger_items.c) ---- */

int64_t dic_ledger_now(const struct dic_ledger *ledger);
/* Seconds of the wall clock at which an item may go that ends now. */
int64_t dic_ledger_ttl(const struct dic_ledger *ledger, int64_t extra_ms);
/* The same for segments and tallies, which go some days after their job. */
int64_t dic_ledger_segment_ttl(const struct dic_ledger *ledger);
/* NOT_FOUND when the job is absent or past its ttl. */
DIC_MUST_USE enum dic_code dic_ledger_get_job(struct dic_ledger *ledger, const char *job_id,
                                              struct dic_item *item_out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_get_segment(struct dic_ledger *ledger, const char *job_id,
                                                  uint32_t segment, struct dic_item *item_out,
                                                  struct dic_err *err);
/* Segments that one request reads, at most 100, each consistent. find: NULL when it is not among
 * them. */
struct dic_ledger_batch;
struct dic_ledger_batch *dic_ledger_batch_new(void);
void dic_ledger_batch_destroy(struct dic_ledger_batch **batch);
DIC_MUST_USE enum dic_code dic_ledger_batch_read(struct dic_ledger *ledger, const char *job_id,
                                                 uint32_t first, uint32_t count,
                                                 struct dic_ledger_batch *batch,
                                                 struct dic_err *err);
const struct dic_item *dic_ledger_batch_find(const struct dic_ledger_batch *batch,
                                             uint32_t segment);
/* Segments [0, count), each consistent, many in one request. An item that is not there is given
 * too. Return other than DIC_OK to stop. */
typedef enum dic_code (*dic_ledger_segment_visit)(void *context, uint32_t segment,
                                                  const struct dic_item *item, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_read_segments(struct dic_ledger *ledger, const char *job_id,
                                                    uint32_t count, dic_ledger_segment_visit visit,
                                                    void *context, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_get_tally(struct dic_ledger *ledger, const char *job_id,
                                                struct dic_item *item_out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_state(const struct dic_item *job,
                                            enum dic_job_state *state_out, struct dic_err *err);
bool dic_ledger_is_full(const struct dic_item *segment);
/* Of reading an object that an item names: NOT_FOUND becomes INTERNAL, or a caller would take the
 * job for unknown, and drop it. */
DIC_MUST_USE enum dic_code dic_ledger_object_read(enum dic_code code, const char *object,
                                                  struct dic_err *err);
/* Changes the job if it is in one of these states (words end with NULL). */
DIC_MUST_USE enum dic_code dic_ledger_move(struct dic_ledger *ledger, const char *job_id,
                                           const struct dic_change *changes, size_t count,
                                           const char *const *states, bool *applied_out,
                                           struct dic_item *item_out, struct dic_err *err);
struct dic_change dic_set_text(const char *name, struct dic_str text);
struct dic_change dic_set_number(const char *name, int64_t number);
struct dic_change dic_remove(const char *name);
struct dic_change dic_add(const char *name, int64_t number);
struct dic_change dic_set_map(const char *name);
struct dic_change dic_set_entry(const char *name, struct dic_str key, struct dic_str text);
struct dic_cond dic_if_absent(const char *name);
struct dic_cond dic_if_exists(const char *name);
struct dic_cond dic_if_state(const char *const *states);

/* ---- segments (ledger_segment.c) ---- */

struct dic_ledger_cut_chunk {
    int64_t first_image;
    uint32_t images;
    int64_t offset; /* of its lines, in the manifest object or in the item's inline lines */
    int64_t len;
};

/* How a segment is cut, as its manifest says it. Views point into memory. */
struct dic_ledger_cut {
    uint32_t segment;
    uint32_t chunk_count;
    struct dic_ledger_cut_chunk chunks[DIC_SEGMENT_CHUNKS];
    bool is_last;
    bool is_only;         /* the job's one segment, planned while it was submitted */
    struct dic_str lines; /* empty: they are in the manifest object */
    struct dic_str resume;
    struct dic_buf memory;
};
void dic_ledger_cut_init(struct dic_ledger_cut *cut);
void dic_ledger_cut_clean_up(struct dic_ledger_cut *cut);
int64_t dic_ledger_cut_images(const struct dic_ledger_cut *cut);

/* Puts the manifest if absent; cut_out is the winner's. A short only segment has no manifest. */
DIC_MUST_USE enum dic_code dic_ledger_put_manifest(struct dic_ledger *ledger, const char *job_id,
                                                   const struct dic_segment_plan *plan,
                                                   bool is_only, struct dic_ledger_cut *cut_out,
                                                   struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_get_manifest(struct dic_ledger *ledger, const char *job_id,
                                                   uint32_t segment, struct dic_ledger_cut *cut_out,
                                                   struct dic_err *err);
/* Puts the segment's item if absent; item_out is the one that is there then. */
DIC_MUST_USE enum dic_code dic_ledger_put_segment(struct dic_ledger *ledger, const char *job_id,
                                                  const struct dic_ledger_cut *cut,
                                                  struct dic_item *item_out, struct dic_err *err);
/* One chunk of the item's table; false when there is none. */
bool dic_ledger_segment_chunk(const struct dic_item *segment, uint32_t chunk,
                              struct dic_ledger_cut_chunk *out);
/* Messages for the segment's chunks that are not booked, for the first `most` of them. */
DIC_MUST_USE enum dic_code dic_ledger_send_chunks(struct dic_ledger *ledger, const char *job_id,
                                                  uint32_t segment, const struct dic_item *item,
                                                  uint32_t most, uint32_t *sent_out,
                                                  struct dic_err *err);
/* The same for all of them, unless the segment notes that this was done; then notes it. */
DIC_MUST_USE enum dic_code dic_ledger_send_once(struct dic_ledger *ledger, const char *job_id,
                                                uint32_t segment, const struct dic_item *item,
                                                struct dic_err *err);

/* A job whose list is cut otherwise than its caller did: into chunks of `cut` images, as one
 * segment or for a planner. Views point into lines and at each other, so it must not be moved.
 * INTERNAL: no chunk can have so many images. */
struct dic_ledger_recut {
    struct dic_new_job job;
    struct dic_segment_plan segment;
    struct dic_chunk_plan chunks[DIC_SEGMENT_CHUNKS];
    struct dic_buf lines;
};
void dic_ledger_recut_init(struct dic_ledger_recut *recut);
void dic_ledger_recut_clean_up(struct dic_ledger_recut *recut);
DIC_MUST_USE enum dic_code dic_ledger_recut(const struct dic_new_job *job, int64_t cut,
                                            struct dic_ledger_recut *out, struct dic_err *err);

/* A ledger entry: who booked a chunk, with what. */
struct dic_ledger_entry {
    struct dic_str attempt;
    uint32_t succeeded;
    uint32_t failed;
    uint32_t unknown;
};
/* False: not booked. INTERNAL-like damage counts as not parseable and is reported by the caller. */
bool dic_ledger_segment_entry(const struct dic_item *segment, uint32_t chunk,
                              struct dic_ledger_entry *out);

/* ---- shards and labels (ledger_shard.c) ---- */

void dic_ledger_shard_write(struct dic_buf *out, const struct dic_booking *booking);
/* Sums the label counts of all chunks booked in a segment, from its shards' heads, and the first
 * shard's model. */
struct dic_label_tally;
DIC_MUST_USE enum dic_code dic_ledger_add_shard_labels(struct dic_ledger *ledger,
                                                       const char *job_id, uint32_t segment,
                                                       const struct dic_item *item,
                                                       struct dic_label_tally *tally,
                                                       struct dic_err *err);
/* Appends the model of a shard as JSON; and of the segment's first shard, nothing without one. */
DIC_MUST_USE enum dic_code dic_ledger_shard_model(struct dic_ledger *ledger, const char *job_id,
                                                  uint32_t chunk, struct dic_str attempt,
                                                  struct dic_buf *model_out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_get_shard_model(struct dic_ledger *ledger, const char *job_id,
                                                      uint32_t segment, const struct dic_item *item,
                                                      struct dic_buf *model_out,
                                                      struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_put_labels(struct dic_ledger *ledger, const char *object,
                                                 const struct dic_label_tally *tally,
                                                 struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_add_labels(struct dic_ledger *ledger, const char *object,
                                                 struct dic_label_tally *tally,
                                                 struct dic_err *err);

/* ---- ends (ledger_end.c) ---- */

struct dic_ledger_sums {
    int64_t succeeded;
    int64_t failed;
    int64_t unknown;
    int64_t booked;    /* chunks */
    uint32_t full;     /* segments */
    uint32_t rows_end; /* of SEAL alone: no segment from here on has a booked chunk */
};
void dic_ledger_add_segment_sums(struct dic_ledger_sums *sums, const struct dic_item *segment);
/* Consistent sums over segments [0, count). */
DIC_MUST_USE enum dic_code dic_ledger_sum(struct dic_ledger *ledger, const char *job_id,
                                          uint32_t count, struct dic_ledger_sums *out,
                                          struct dic_err *err);
/* FILL and COMPLETE of docs/protocol.md: COMPLETE moves the job on from whatever state it is in;
 * go_on is COMPLETE for who has just read or written the job, and changes the item. */
DIC_MUST_USE enum dic_code dic_ledger_fill(struct dic_ledger *ledger, const char *job_id,
                                           uint32_t segment, const struct dic_item *item,
                                           struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_complete(struct dic_ledger *ledger, const char *job_id,
                                               struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_go_on(struct dic_ledger *ledger, const char *job_id,
                                            struct dic_item *job, struct dic_err *err);
/* The last update of a job, to this state if it is still in job's; job is as it was read before. */
DIC_MUST_USE enum dic_code dic_ledger_end_job(struct dic_ledger *ledger, const char *job_id,
                                              const struct dic_item *job, enum dic_job_state ended,
                                              const struct dic_ledger_sums *sums,
                                              struct dic_str model, struct dic_err *err);
/* Nothing for a job that has no tally. */
DIC_MUST_USE enum dic_code dic_ledger_set_tally_ttl(struct dic_ledger *ledger, const char *job_id,
                                                    const struct dic_item *job,
                                                    struct dic_err *err);

/* ---- stops (ledger_seal.c) ---- */

/* STOP when more images failed than the job allows, which stopped_out tells; job is what it is
 * then, whoever stopped it. check_failures does COMPLETE behind it. */
DIC_MUST_USE enum dic_code dic_ledger_stop_if_failing(struct dic_ledger *ledger, const char *job_id,
                                                      struct dic_item *job, int64_t failed,
                                                      bool *stopped_out, struct dic_err *err);
DIC_MUST_USE enum dic_code dic_ledger_check_failures(struct dic_ledger *ledger, const char *job_id,
                                                     struct dic_item *job, int64_t failed,
                                                     bool *stopped_out, struct dic_err *err);
/* SEAL of a job that is being stopped. */
DIC_MUST_USE enum dic_code dic_ledger_seal_job(struct dic_ledger *ledger, const char *job_id,
                                               const struct dic_item *job, struct dic_err *err);

/* ---- the port's functions ---- */

enum dic_code dic_ledger_create(void *impl, const struct dic_new_job *job, char id_out[DIC_ID_SIZE],
                                enum dic_create_result *result_out, bool *sent_out,
                                struct dic_err *err);
enum dic_code dic_ledger_peek(void *impl, const char *job_id, struct dic_job *out,
                              struct dic_buf *memory, struct dic_err *err);
enum dic_code dic_ledger_get(void *impl, const char *job_id, struct dic_job *out,
                             struct dic_buf *memory, struct dic_err *err);
enum dic_code dic_ledger_list(void *impl, const struct dic_job_filter *filter, dic_job_visit visit,
                              void *context, struct dic_err *err);
enum dic_code dic_ledger_begin_plan(void *impl, const char *job_id, uint32_t *segment_out,
                                    struct dic_buf *resume_out, struct dic_err *err);
enum dic_code dic_ledger_get_keys(void *impl, const char *job_id, int64_t offset, int64_t len,
                                  struct dic_buf *out, struct dic_err *err);
enum dic_code dic_ledger_add_segment(void *impl, const char *job_id,
                                     const struct dic_segment_plan *plan, bool *sent_out,
                                     struct dic_err *err);
enum dic_code dic_ledger_get_chunk(void *impl, const char *job_id, uint32_t chunk,
                                   struct dic_chunk *out, struct dic_buf *memory,
                                   struct dic_err *err);
enum dic_code dic_ledger_book(void *impl, const char *job_id, const struct dic_booking *booking,
                              enum dic_book_result *result_out, struct dic_err *err);
enum dic_code dic_ledger_rows(void *impl, const char *job_id, uint32_t chunk, uint32_t limit,
                              dic_rows_visit visit, void *context, struct dic_err *err);
enum dic_code dic_ledger_labels(void *impl, const char *job_id, struct dic_label_count *out,
                                size_t *count_io, struct dic_buf *memory, struct dic_err *err);
enum dic_code dic_ledger_stop(void *impl, const char *job_id, enum dic_job_state stop,
                              struct dic_str reason, struct dic_err *err);
enum dic_code dic_ledger_fail_plan(void *impl, const char *job_id, uint32_t segment,
                                   struct dic_str reason, struct dic_err *err);
enum dic_code dic_ledger_seal(void *impl, const char *job_id, struct dic_err *err);
enum dic_code dic_ledger_sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                               uint32_t *repaired_out, struct dic_err *err);

#endif
