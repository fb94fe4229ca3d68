/* SPDX-License-Identifier: Apache-2.0 */
/* The queue on SQLite. A receipt is "id.lease"; the lease is new at every delivery. */
#include "job_rows.h"
#include "job_store_sqlite.h"

#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct parsed_receipt {
    int64_t id;
    int64_t lease;
};

static enum dic_code parse_receipt(const char *text, struct parsed_receipt *out,
                                   struct dic_err *err)
{
    struct dic_str rest = dic_str(text);
    struct dic_str part = {0};
    uint64_t id = 0;
    uint64_t lease = 0;
    if (!dic_str_split(&rest, '.', &part) ||
        dic_parse_u64(part, 1, INT64_MAX, &id, NULL) != DIC_OK ||
        dic_parse_u64(rest, 1, INT64_MAX, &lease, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_INVALID, "'%.60s' is not a receipt of this queue", text);
    }
    *out = (struct parsed_receipt){(int64_t)id, (int64_t)lease};
    return DIC_OK;
}

/* ---- sending ---- */

struct send {
    const struct dic_message *messages;
    size_t count;
    int64_t now_ms;
};

static enum dic_code send_all(struct dic_db_connection *connection, void *argument,
                              struct dic_err *err)
{
    struct send *send = argument;
    for (size_t i = 0; i < send->count; i++) {
        int64_t seq = 0;
        DIC_TRY(dic_db_number(connection, "SELECT seq FROM job WHERE id=?1", 0, &seq, err, "s",
                              send->messages[i].job_id));
        DIC_TRY(dic_queue_put(connection, seq, &send->messages[i], send->now_ms, err));
    }
    return DIC_OK;
}

static enum dic_code send_messages(void *impl, const struct dic_message *messages, size_t count,
                                   struct dic_err *err)
{
    struct send send = {messages, count, dic_clock_wall_ms(dic_local_db_clock(impl))};
    return dic_local_db_write(impl, send_all, &send, err);
}

/* ---- receiving ---- */

struct receive {
    struct dic_delivery *out;
    size_t max;
    size_t count;
    int64_t now_ms; /* monotonic, as all of visible_ms */
    int64_t visible_ms;
};

static void fill(sqlite3_stmt *row, struct dic_delivery *out)
{
    struct dic_str job = dic_db_text(row, 3);
    memset(out, 0, sizeof *out);
    int64_t lease = (int64_t)(dic_rand_u64() >> 2) + 1;
    int64_t id = sqlite3_column_int64(row, 0);
    snprintf(out->receipt, sizeof out->receipt, "%" PRId64 ".%" PRId64, id, lease);
    out->receive_count = (uint32_t)sqlite3_column_int64(row, 1) + 1;
    out->sent_ms = sqlite3_column_int64(row, 2);
    out->understood = job.len == DIC_ID_LEN;
    if (out->understood) {
        memcpy(out->message.job_id, job.ptr, DIC_ID_LEN);
    }
    out->message.chunk = (uint32_t)sqlite3_column_int64(row, 4);
    out->message.kind = (enum dic_message_kind)sqlite3_column_int(row, 5);
}

static enum dic_code pick_visible(struct dic_db_connection *connection, struct receive *receive,
                                  struct dic_err *err)
{
    sqlite3_stmt *row = NULL;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT id, receives, sent_ms, job, chunk, kind FROM queue"
                        " WHERE visible_ms<=?1 ORDER BY visible_ms, chunk, id LIMIT ?2",
                        &row, err, "ii", receive->now_ms, (int64_t)receive->max));
    while (receive->count < receive->max) {
        bool found = false;
        DIC_TRY(dic_db_step(connection, row, &found, err));
        if (!found) {
            return DIC_OK;
        }
        fill(row, &receive->out[receive->count++]);
    }
    sqlite3_reset(row);
    return DIC_OK;
}

static enum dic_code receive_some(struct dic_db_connection *connection, void *argument,
                                  struct dic_err *err)
{
    struct receive *receive = argument;
    receive->count = 0;
    DIC_TRY(pick_visible(connection, receive, err));
    for (size_t i = 0; i < receive->count; i++) {
        struct parsed_receipt receipt;
        DIC_TRY(parse_receipt(receive->out[i].receipt, &receipt, err));
        DIC_TRY(dic_db_run(connection,
                           "UPDATE queue SET visible_ms=?2, lease=?3, receives=receives+1"
                           " WHERE id=?1",
                           NULL, err, "iii", receipt.id, receive->visible_ms, receipt.lease));
    }
    return DIC_OK;
}

static enum dic_code next_visible(struct dic_db_connection *connection, void *argument,
                                  struct dic_err *err)
{
    return dic_db_number(connection,
                         "SELECT visible_ms FROM queue ORDER BY visible_ms, chunk, id LIMIT 1",
                         INT64_MAX, argument, err, "");
}

static enum dic_code receive(void *impl, struct dic_delivery *out, size_t max,
                             uint32_t visibility_s, int64_t wait_ms, size_t *count_out,
                             struct dic_err *err)
{
    const struct dic_clock *clock = dic_local_db_clock(impl);
    int64_t until = dic_clock_mono_ms(clock) + wait_ms;
    uint64_t wakes = dic_local_db_wakes(impl);
    *count_out = 0;
    for (;;) {
        uint64_t version = dic_local_db_version(impl);
        int64_t now = dic_clock_mono_ms(clock);
        int64_t visible = INT64_MAX;
        /* A read first: an empty queue is looked at often, and a write costs a commit. */
        DIC_TRY(dic_local_db_read(impl, next_visible, &visible, err));
        if (visible <= now) {
            struct receive receive = {out, max, 0, now, now + (int64_t)visibility_s * 1000};
            DIC_TRY(dic_local_db_write(impl, receive_some, &receive, err));
            *count_out = receive.count;
        }
        if (*count_out > 0 || now >= until || dic_local_db_wakes(impl) != wakes) {
            return DIC_OK;
        }
        int64_t left = until - now;
        int64_t ripe = visible == INT64_MAX || visible <= now ? left : visible - now;
        dic_local_db_wait(impl, version, ripe < left ? ripe : left);
    }
}

/* ---- leases ---- */

struct lease {
    const char *receipt;
    int64_t visible_ms;
    int64_t changes;
};

static enum dic_code extend_lease(struct dic_db_connection *connection, void *argument,
                                  struct dic_err *err)
{
    struct lease *lease = argument;
    struct parsed_receipt receipt;
    DIC_TRY(parse_receipt(lease->receipt, &receipt, err));
    return dic_db_run(connection, "UPDATE queue SET visible_ms=?3 WHERE id=?1 AND lease=?2",
                      &lease->changes, err, "iii", receipt.id, receipt.lease, lease->visible_ms);
}

static enum dic_code lost(int64_t changes, struct dic_err *err)
{
    if (changes == 0) {
        return dic_fail(err, DIC_E_NOT_FOUND, "the message's lease is lost");
    }
    return DIC_OK;
}

static enum dic_code extend(void *impl, const char *receipt, uint32_t visibility_s,
                            struct dic_err *err)
{
    int64_t now = dic_clock_mono_ms(dic_local_db_clock(impl));
    struct lease lease = {receipt, visibility_s == 0 ? 0 : now + (int64_t)visibility_s * 1000, 0};
    DIC_TRY(dic_local_db_write(impl, extend_lease, &lease, err));
    return lost(lease.changes, err);
}

/* The lease ends, or to hand back twice would count twice. */
static enum dic_code end_lease(struct dic_db_connection *connection, void *argument,
                               struct dic_err *err)
{
    struct lease *lease = argument;
    struct parsed_receipt receipt;
    DIC_TRY(parse_receipt(lease->receipt, &receipt, err));
    return dic_db_run(connection,
                      "UPDATE queue SET visible_ms=0, lease=0, receives=receives-1"
                      " WHERE id=?1 AND lease=?2",
                      &lease->changes, err, "ii", receipt.id, receipt.lease);
}

static enum dic_code hand_back(void *impl, const struct dic_delivery *delivery, struct dic_err *err)
{
    struct lease lease = {.receipt = delivery->receipt};
    DIC_TRY(dic_local_db_write(impl, end_lease, &lease, err));
    return lost(lease.changes, err);
}

enum dic_code dic_queue_remove(struct dic_db_connection *connection, const char *receipt,
                               int64_t *removed_out, struct dic_err *err)
{
    struct parsed_receipt parsed;
    DIC_TRY(parse_receipt(receipt, &parsed, err));
    return dic_db_run(connection, "DELETE FROM queue WHERE id=?1 AND lease=?2", removed_out, err,
                      "ii", parsed.id, parsed.lease);
}

static enum dic_code remove_message(struct dic_db_connection *connection, void *argument,
                                    struct dic_err *err)
{
    struct lease *lease = argument;
    return dic_queue_remove(connection, lease->receipt, &lease->changes, err);
}

static enum dic_code remove_by_receipt(void *impl, const char *receipt, struct dic_err *err)
{
    struct lease lease = {.receipt = receipt};
    DIC_TRY(dic_local_db_write(impl, remove_message, &lease, err));
    return lost(lease.changes, err);
}

/* ---- depth ---- */

struct depth {
    struct dic_queue_depth *out;
    int64_t now_ms;
};

static enum dic_code read_depth(struct dic_db_connection *connection, void *argument,
                                struct dic_err *err)
{
    struct depth *depth = argument;
    DIC_TRY(dic_db_number(connection, "SELECT count(*) FROM queue WHERE visible_ms<=?1", 0,
                          &depth->out->visible, err, "i", depth->now_ms));
    return dic_db_number(connection, "SELECT count(*) FROM queue WHERE visible_ms>?1", 0,
                         &depth->out->in_flight, err, "i", depth->now_ms);
}

static enum dic_code get_depth(void *impl, struct dic_queue_depth *out, struct dic_err *err)
{
    struct depth depth = {out, dic_clock_mono_ms(dic_local_db_clock(impl))};
    return dic_local_db_read(impl, read_depth, &depth, err);
}

static void wake(void *impl)
{
    dic_local_db_wake(impl);
}

static void destroy(void *impl)
{
    (void)impl; /* the database belongs to dic_local_open */
}

struct dic_job_queue dic_job_queue_sqlite(struct dic_local_db *db)
{
    static const struct dic_job_queue_ops ops = {
        .send = send_messages,
        .receive = receive,
        .extend = extend,
        .hand_back = hand_back,
        .remove = remove_by_receipt,
        .depth = get_depth,
        .wake = wake,
        .destroy = destroy,
    };
    return (struct dic_job_queue){&ops, db};
}
