/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeper: finds in the outbox what has not moved for a while, and moves it on. */
#include "base/log.h"
#include "base/mem.h"
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_PICKED = 256,
    BUSY_VISITS = 8,      /* without progress, before messages are sent on top of a backlog */
    BUSY_MESSAGES = 1024, /* of one job at a visit then */
};

enum queue_state {
    QUEUE_EMPTY,   /* nothing is in it, not even in work */
    QUEUE_WORKING, /* all that is in it is in work */
    QUEUE_BUSY,    /* messages wait for a worker, or it does not tell */
};

struct picked {
    char ids[MAX_PICKED][DIC_ID_SIZE];
    int64_t due[MAX_PICKED];
    uint32_t count;
};

struct sweep {
    struct dic_ledger *ledger;
    int64_t now_ms;
    uint32_t repaired;
    enum queue_state queue;
};

static enum dic_code pick(void *context, struct dic_str pk, struct dic_str sort_text,
                          int64_t sort_number, struct dic_err *err)
{
    struct picked *picked = context;
    (void)sort_text; /* the index has numbers */
    if (picked->count < MAX_PICKED) {
        DIC_TRY(dic_ledger_pk_job(pk, picked->ids[picked->count], err));
        picked->due[picked->count++] = sort_number;
    }
    return DIC_OK;
}

static enum dic_code find_due(const struct sweep *sweep, uint32_t limit, struct picked *picked,
                              struct dic_err *err)
{
    const struct dic_table *table = &sweep->ledger->options.table;
    for (int64_t shard = 0; shard < DIC_LEDGER_OUTBOX_SHARDS && picked->count < limit; shard++) {
        const struct dic_table_query query = {
            .index = "outbox",
            .partition_number = shard,
            .to_number = sweep->now_ms,
            .limit = limit - picked->count,
        };
        DIC_TRY(table->ops->query(table->impl, &query, pick, picked, err));
    }
    return DIC_OK;
}

/* Several sweepers may find the same job: it is theirs who move its time on. */
static enum dic_code claim(const struct sweep *sweep, const char *job_id, int64_t due_ms,
                           bool *claimed_out, struct dic_item *job_out, struct dic_err *err)
{
    const struct dic_table *table = &sweep->ledger->options.table;
    const struct dic_change change =
        dic_set_number("obd", sweep->now_ms + sweep->ledger->options.look_ms);
    const struct dic_cond cond = {
        .kind = DIC_COND_NUMBER_EQ, .name = "obd", .number = due_ms}; /* false once it ended */
    char pk[DIC_LEDGER_PK_SIZE];
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), &change, 1, &cond, 1};
    return table->ops->update(table->impl, &write, claimed_out, job_out, err);
}

/* What a visit to a job found. */
struct visit {
    int64_t look_in_ms;
    int64_t done;  /* segments planned while it is planned, then chunks booked */
    int64_t still; /* visits in a row that found no more done */
};

static enum dic_code look_again(const struct sweep *sweep, const char *job_id, int64_t deadline_ms,
                                const struct visit *visit, struct dic_err *err)
{
    const struct dic_table *table = &sweep->ledger->options.table;
    int64_t look = sweep->now_ms + visit->look_in_ms;
    look = deadline_ms > sweep->now_ms && deadline_ms < look ? deadline_ms : look;
    const struct dic_change changes[] = {
        dic_set_number("obd", look),
        dic_set_number("pg", visit->done),
        dic_set_number("pv", visit->still),
    };
    const struct dic_cond cond = dic_if_exists("obd");
    char pk[DIC_LEDGER_PK_SIZE];
    bool applied = false;
    dic_ledger_job_pk(pk, job_id);
    const struct dic_table_write write = {dic_str(pk), changes, 3, &cond, 1};
    return table->ops->update(table->impl, &write, &applied, NULL, err);
}

static void note_done(const struct dic_item *job, int64_t done, struct visit *visit)
{
    bool stands = dic_item_number(job, "pg", 0) == done || done == 0;
    visit->still = stands ? dic_item_number(job, "pv", 0) + 1 : 0;
    visit->done = done;
}

/* How many messages a visit may send again. Ones that only wait their turn, or are being worked on,
 * would be doubled. Where the queue holds nothing at all they are lost, and where it hides some
 * only the first visits that find no progress are likely to be right: after that they get ever more
 * seldom (1, 2, 4, 8, … visits), and under a backlog that never ends they begin late and send a
 * part. A part is enough: once it is booked the next one is at the front. So a job that stands
 * still for v visits has each message sent again at most 1 + log2(v) times. */
static uint32_t may_resend(const struct sweep *sweep, int64_t still)
{
    const bool is_power = still > 0 && (still & (still - 1)) == 0;
    if (still == 0) {
        return 0;
    }
    if (sweep->ledger->options.resends_always || sweep->queue == QUEUE_EMPTY) {
        return UINT32_MAX;
    }
    if (!is_power) {
        return 0;
    }
    if (sweep->queue == QUEUE_WORKING) {
        return UINT32_MAX;
    }
    return still >= BUSY_VISITS ? BUSY_MESSAGES : 0;
}

/* One message, which costs little: whatever the queue holds, at the same growing distances. */
static enum dic_code sweep_unplanned(struct sweep *sweep, const char *job_id,
                                     const struct dic_item *job, struct visit *visit,
                                     struct dic_err *err)
{
    const struct dic_job_queue *queue = &sweep->ledger->options.queue;
    struct dic_message message = {.kind = DIC_MESSAGE_PLAN};
    note_done(job, dic_item_number(job, "cur", 0), visit);
    const bool is_power = (visit->still & (visit->still - 1)) == 0;
    if (visit->still == 0 || !(is_power || may_resend(sweep, visit->still) > 0)) {
        return DIC_OK;
    }
    memcpy(message.job_id, job_id, DIC_ID_SIZE);
    sweep->repaired++;
    return queue->ops->send(queue->impl, &message, 1, err);
}

struct repair {
    struct sweep *sweep;
    const char *job_id;
    struct dic_item tally;
    uint32_t may_send;
};

static void repair_clean_up(struct repair *repair)
{
    dic_item_clean_up(&repair->tally);
}

static bool is_tallied(const struct repair *repair, uint32_t segment)
{
    char key[16];
    snprintf(key, sizeof key, "%" PRIu32, segment);
    return dic_item_map_get(&repair->tally, "full", dic_str(key)).ptr != NULL;
}

static enum dic_code repair_segment(void *context, uint32_t segment, const struct dic_item *item,
                                    struct dic_err *err)
{
    struct repair *repair = context;
    uint32_t sent = 0;
    if (dic_ledger_is_full(item)) {
        return is_tallied(repair, segment)
                   ? DIC_OK
                   : dic_ledger_fill(repair->sweep->ledger, repair->job_id, segment, item, err);
    }
    DIC_TRY(dic_ledger_send_chunks(repair->sweep->ledger, repair->job_id, segment, item,
                                   repair->may_send, &sent, err));
    repair->may_send -= sent;
    repair->sweep->repaired += sent;
    return DIC_OK;
}

/* Fills the full segments that the tally lacks, and sends the first missing messages of the others.
 * A job of one segment has nothing to fill: its end looks at the segment itself. */
static enum dic_code repair_segments(struct sweep *sweep, const char *job_id, uint32_t segments,
                                     uint32_t may_send, struct dic_err *err)
{
    DIC_CLEANUP(repair_clean_up)
    struct repair repair = {.sweep = sweep, .job_id = job_id, .may_send = may_send};
    dic_item_init(&repair.tally);
    if (segments > 1) {
        DIC_TRY(dic_ledger_get_tally(sweep->ledger, job_id, &repair.tally, err));
    } else if (may_send == 0) {
        return DIC_OK;
    }
    return dic_ledger_read_segments(sweep->ledger, job_id, segments, repair_segment, &repair, err);
}

static enum dic_code sweep_running(struct sweep *sweep, const char *job_id, struct dic_item *job,
                                   struct visit *visit, struct dic_err *err)
{
    const uint32_t segments = (uint32_t)dic_item_number(job, "nseg", 0);
    struct dic_ledger_sums sums = {0};
    bool stopped = false;
    DIC_TRY(dic_ledger_sum(sweep->ledger, job_id, segments, &sums, err));
    DIC_TRY(dic_ledger_check_failures(sweep->ledger, job_id, job, sums.failed, &stopped, err));
    if (stopped) {
        sweep->repaired++;
        return DIC_OK;
    }
    note_done(job, sums.booked, visit);
    if (visit->still > 0 || sums.full == segments) {
        DIC_TRY(repair_segments(sweep, job_id, segments, may_resend(sweep, visit->still), err));
    }
    return dic_ledger_complete(sweep->ledger, job_id, err);
}

static enum dic_code expire(struct sweep *sweep, const char *job_id, struct dic_err *err)
{
    enum dic_code code = dic_ledger_stop(sweep->ledger, job_id, DIC_JOB_EXPIRING,
                                         DIC_STR_LIT("the deadline has passed"), err);
    if (dic_is_work_gone(code)) {
        return DIC_OK; /* it went another way meanwhile */
    }
    DIC_TRY(code);
    sweep->repaired++;
    return dic_ledger_seal(sweep->ledger, job_id, err);
}

static enum dic_code sweep_job(struct sweep *sweep, const char *job_id, struct dic_item *job,
                               struct dic_err *err)
{
    enum dic_job_state state = DIC_JOB_ACCEPTED;
    const int64_t deadline_ms = dic_item_number(job, "dl", 0);
    struct visit visit = {.look_in_ms = sweep->ledger->options.look_ms,
                          .done = dic_item_number(job, "pg", 0)};
    DIC_TRY(dic_ledger_state(job, &state, err));
    if (deadline_ms > 0 && deadline_ms <= sweep->now_ms && dic_job_is_open(state)) {
        return expire(sweep, job_id, err);
    }
    switch (state) {
    case DIC_JOB_ACCEPTED:
    case DIC_JOB_PLANNING:
        DIC_TRY(sweep_unplanned(sweep, job_id, job, &visit, err));
        break;
    case DIC_JOB_RUNNING:
        DIC_TRY(sweep_running(sweep, job_id, job, &visit, err));
        break;
    default: /* being ended by somebody who may have died */
        sweep->repaired += !dic_job_is_terminal(state);
        return dic_ledger_complete(sweep->ledger, job_id, err);
    }
    return look_again(sweep, job_id, deadline_ms, &visit, err);
}

static enum queue_state look_at_queue(const struct dic_ledger *ledger)
{
    const struct dic_job_queue *queue = &ledger->options.queue;
    struct dic_queue_depth depth = {0};
    if (queue->ops->depth(queue->impl, &depth, NULL) != DIC_OK || depth.visible > 0) {
        return QUEUE_BUSY;
    }
    return depth.in_flight > 0 ? QUEUE_WORKING : QUEUE_EMPTY;
}

/* One job that cannot be mended shall not keep the others from it. */
static void sweep_each(struct sweep *sweep, const struct picked *picked)
{
    DIC_CLEANUP(dic_item_clean_up) struct dic_item job;
    dic_item_init(&job);
    for (uint32_t i = 0; i < picked->count; i++) {
        struct dic_err err = {0};
        bool claimed = false;
        enum dic_code code = claim(sweep, picked->ids[i], picked->due[i], &claimed, &job, &err);
        if (code == DIC_OK && claimed) {
            code = sweep_job(sweep, picked->ids[i], &job, &err);
        }
        if (code != DIC_OK) {
            dic_log_message(DIC_LOG_WARN, "job_not_swept", "job %s: %s", picked->ids[i], err.msg);
        }
    }
}

enum dic_code dic_ledger_sweep(void *impl, int64_t now_ms, int64_t retention_ms, uint32_t limit,
                               uint32_t *repaired_out, struct dic_err *err)
{
    struct sweep sweep = {.ledger = impl, .now_ms = now_ms};
    DIC_CLEANUP(dic_free_cleanup) struct picked *picked = dic_calloc(1, sizeof *picked);
    (void)retention_ms; /* each item has its ttl since its job ended, and the table removes it */
    *repaired_out = 0;
    DIC_TRY(find_due(&sweep, limit < MAX_PICKED ? limit : MAX_PICKED, picked, err));
    if (picked->count > 0) {
        sweep.queue = look_at_queue(sweep.ledger);
        sweep_each(&sweep, picked);
    }
    *repaired_out = sweep.repaired;
    return DIC_OK;
}
