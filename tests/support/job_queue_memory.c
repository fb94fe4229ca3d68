/* SPDX-License-Identifier: Apache-2.0 */
#include "job_queue_memory.h"

#include "base/mem.h"
#include "base/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keeps the order of its elements when one is taken out. */
#define REMOVE_AT(array, count, at) \
    memmove(&(array)[at], &(array)[(at) + 1], (--(count) - (at)) * sizeof *(array))

struct entry {
    uint64_t id;
    uint64_t lease; /* of the last delivery; 0 before the first */
    int64_t visible_ms;
    int64_t sent_ms;
    uint32_t receives;
    size_t len;
    char body[DIC_MESSAGE_BODY_SIZE];
};

/* An extend, a remove or a handing back. */
struct change {
    enum dic_queue_op op;
    uint64_t id;
    uint64_t lease;
    uint32_t visibility_s;
    int64_t due_ms; /* when it is late */
};

struct memory_queue {
    const struct dic_clock *clock;
    struct dic_fake_clock *fake;
    dic_queue_hook hook;
    void *hook_context;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    uint64_t version; /* grows with every change, and when the clock moves */
    uint64_t wakes;
    uint64_t last_id;
    uint64_t last_lease;
    struct entry *entries;
    size_t count;
    size_t capacity;
    struct change *late; /* in order of arrival */
    size_t late_count;
};

static int64_t now_ms(const struct memory_queue *queue)
{
    return dic_clock_mono_ms(queue->clock);
}

static void note_change(struct memory_queue *queue)
{
    queue->version++;
    pthread_cond_broadcast(&queue->changed);
}

static struct entry *find(struct memory_queue *queue, uint64_t id)
{
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->entries[i].id == id) {
            return &queue->entries[i];
        }
    }
    return NULL;
}

/* ---- faults ---- */

static struct dic_queue_fault ask(const struct memory_queue *queue, enum dic_queue_op op,
                                  struct dic_str body, uint32_t receive_count,
                                  uint32_t visibility_s)
{
    struct dic_message message = {0};
    bool understood = body.len > 0 && dic_message_parse(body, &message, NULL) == DIC_OK;
    const struct dic_queue_call call = {op, understood ? &message : NULL, receive_count,
                                        visibility_s};
    return queue->hook == NULL ? (struct dic_queue_fault){0}
                               : queue->hook(queue->hook_context, &call);
}

static bool is_told(struct dic_queue_fault fault)
{
    return fault.kind == DIC_QUEUE_FAILS || fault.kind == DIC_QUEUE_ANSWER_LOST;
}

static bool happens(struct dic_queue_fault fault)
{
    return fault.kind != DIC_QUEUE_FAILS && fault.kind != DIC_QUEUE_DROPS;
}

static enum dic_code answer(struct dic_queue_fault fault, struct dic_err *err)
{
    if (!is_told(fault)) {
        return DIC_OK;
    }
    return dic_fail(err, fault.code == DIC_OK ? DIC_E_UPSTREAM : fault.code,
                    "the test wants this operation to fail");
}

/* ---- sending ---- */

static struct entry *add(struct memory_queue *queue)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity * 2 + 16;
        queue->entries = dic_realloc(queue->entries, queue->capacity * sizeof *queue->entries);
    }
    struct entry *entry = &queue->entries[queue->count++];
    *entry = (struct entry){.id = ++queue->last_id};
    note_change(queue);
    return entry;
}

static void put_body(struct memory_queue *queue, struct dic_str body, int64_t delay_ms)
{
    DIC_GUARD(&queue->lock);
    struct entry *entry = add(queue);
    entry->visible_ms = now_ms(queue) + delay_ms;
    entry->sent_ms = dic_clock_wall_ms(queue->clock);
    entry->len = body.len;
    memcpy(entry->body, body.ptr, body.len);
}

static enum dic_code send_messages(void *impl, const struct dic_message *messages, size_t count,
                                   struct dic_err *err)
{
    struct memory_queue *queue = impl;
    for (size_t i = 0; i < count; i++) {
        char text[DIC_MESSAGE_BODY_SIZE];
        struct dic_str body = dic_str_len(text, dic_message_write(&messages[i], text));
        struct dic_queue_fault fault = ask(queue, DIC_QUEUE_SEND, body, 0, 0);
        if (happens(fault)) {
            put_body(queue, body, fault.kind == DIC_QUEUE_DELAYS ? fault.delay_ms : 0);
        }
        if (fault.kind == DIC_QUEUE_DUPLICATES) {
            put_body(queue, body, 0);
        }
        DIC_TRY(answer(fault, err));
    }
    return DIC_OK;
}

void dic_job_queue_memory_send_body(struct dic_job_queue queue, struct dic_str body)
{
    if (body.len >= DIC_MESSAGE_BODY_SIZE) {
        abort(); /* a bug of the test */
    }
    put_body(queue.impl, body, 0);
}

/* ---- changes of leases, now or late ---- */

static enum dic_code make_change(struct memory_queue *queue, const struct change *change,
                                 struct dic_err *err)
{
    struct entry *entry = find(queue, change->id);
    if (entry == NULL || entry->lease != change->lease) {
        return dic_fail(err, DIC_E_NOT_FOUND, "the message's lease is lost");
    }
    if (change->op == DIC_QUEUE_REMOVE) {
        size_t at = (size_t)(entry - queue->entries);
        REMOVE_AT(queue->entries, queue->count, at);
    } else {
        entry->visible_ms = now_ms(queue) + (int64_t)change->visibility_s * 1000;
    }
    if (change->op == DIC_QUEUE_HAND_BACK) {
        entry->receives--;
        entry->lease = 0; /* over, or to hand back twice would count twice */
    }
    note_change(queue);
    return DIC_OK;
}

static void make_late_changes(struct memory_queue *queue)
{
    int64_t now = now_ms(queue);
    for (size_t i = 0; i < queue->late_count;) {
        struct change change = queue->late[i];
        if (change.due_ms > now) {
            i++;
            continue;
        }
        REMOVE_AT(queue->late, queue->late_count, i);
        if (make_change(queue, &change, NULL) != DIC_OK) {
            continue; /* it came too late; nobody waits for its answer */
        }
    }
}

static enum dic_code parse_receipt(const char *text, struct change *out, struct dic_err *err)
{
    struct dic_str rest = dic_str(text);
    struct dic_str id = {0};
    if (!dic_str_split(&rest, '.', &id) ||
        dic_parse_u64(id, 1, UINT64_MAX, &out->id, NULL) != DIC_OK ||
        dic_parse_u64(rest, 1, UINT64_MAX, &out->lease, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_INVALID, "'%.60s' is not a receipt of this queue", text);
    }
    return DIC_OK;
}

static struct dic_queue_fault ask_about(struct memory_queue *queue, const struct change *change)
{
    struct entry copy = {0};
    dic_lock(&queue->lock);
    const struct entry *entry = find(queue, change->id);
    if (entry != NULL) {
        copy = *entry;
    }
    dic_unlock(&queue->lock);
    return ask(queue, change->op, dic_str_len(copy.body, copy.len), copy.receives,
               change->visibility_s);
}

static enum dic_code change_lease(struct memory_queue *queue, const char *receipt,
                                  struct change change, struct dic_err *err)
{
    DIC_TRY(parse_receipt(receipt, &change, err));
    struct dic_queue_fault fault = ask_about(queue, &change);
    DIC_GUARD(&queue->lock);
    make_late_changes(queue);
    if (fault.kind == DIC_QUEUE_DELAYS) {
        change.due_ms = now_ms(queue) + fault.delay_ms;
        queue->late = dic_realloc(queue->late, (queue->late_count + 1) * sizeof *queue->late);
        queue->late[queue->late_count++] = change;
        return DIC_OK;
    }
    enum dic_code code = happens(fault) ? make_change(queue, &change, err) : DIC_OK;
    return is_told(fault) ? answer(fault, err) : code;
}

static enum dic_code extend(void *impl, const char *receipt, uint32_t visibility_s,
                            struct dic_err *err)
{
    const struct change change = {.op = DIC_QUEUE_EXTEND, .visibility_s = visibility_s};
    return change_lease(impl, receipt, change, err);
}

static enum dic_code remove_message(void *impl, const char *receipt, struct dic_err *err)
{
    return change_lease(impl, receipt, (struct change){.op = DIC_QUEUE_REMOVE}, err);
}

static enum dic_code hand_back(void *impl, const struct dic_delivery *delivery, struct dic_err *err)
{
    return change_lease(impl, delivery->receipt, (struct change){.op = DIC_QUEUE_HAND_BACK}, err);
}

/* ---- receiving ---- */

/* Goes over the visible messages, those first that have been visible the longest. */
struct cursor {
    int64_t visible_ms;
    uint64_t id;
};

static bool is_after(const struct entry *entry, struct cursor cursor)
{
    return entry->visible_ms > cursor.visible_ms ||
           (entry->visible_ms == cursor.visible_ms && entry->id > cursor.id);
}

static bool next_visible(struct memory_queue *queue, struct cursor *cursor, struct entry *out)
{
    const struct entry *next = NULL;
    int64_t now = now_ms(queue);
    DIC_GUARD(&queue->lock);
    make_late_changes(queue);
    for (size_t i = 0; i < queue->count; i++) {
        const struct entry *entry = &queue->entries[i];
        if (entry->visible_ms <= now && is_after(entry, *cursor) &&
            (next == NULL || !is_after(entry, (struct cursor){next->visible_ms, next->id}))) {
            next = entry;
        }
    }
    if (next != NULL) {
        *cursor = (struct cursor){next->visible_ms, next->id};
        *out = *next;
    }
    return next != NULL;
}

static void fill(const struct entry *entry, struct dic_delivery *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->receipt, sizeof out->receipt, "%" PRIu64 ".%" PRIu64, entry->id, entry->lease);
    out->receive_count = entry->receives;
    out->sent_ms = entry->sent_ms;
    out->understood =
        dic_message_parse(dic_str_len(entry->body, entry->len), &out->message, NULL) == DIC_OK;
}

/* False when somebody else took it meanwhile, or it shall not be delivered. */
static bool take(struct memory_queue *queue, const struct entry *wanted, uint32_t visibility_s,
                 struct dic_queue_fault fault, struct dic_delivery *out)
{
    DIC_GUARD(&queue->lock);
    struct entry *entry = find(queue, wanted->id);
    if (entry == NULL || entry->lease != wanted->lease || !happens(fault)) {
        return false;
    }
    int64_t late_ms = fault.kind == DIC_QUEUE_DELAYS ? fault.delay_ms : 0;
    entry->visible_ms = now_ms(queue) + (int64_t)visibility_s * 1000 - late_ms;
    entry->lease = ++queue->last_lease;
    entry->receives++;
    fill(entry, out);
    if (fault.kind == DIC_QUEUE_DUPLICATES) {
        struct entry *twin = add(queue); /* which moves the entries */
        uint64_t id = twin->id;
        *twin = *wanted;
        twin->id = id;
    }
    return fault.kind != DIC_QUEUE_ANSWER_LOST;
}

static size_t take_visible(struct memory_queue *queue, struct dic_delivery *out, size_t max,
                           uint32_t visibility_s)
{
    struct cursor cursor = {INT64_MIN, 0};
    struct entry entry;
    size_t count = 0;
    while (count < max && next_visible(queue, &cursor, &entry)) {
        struct dic_queue_fault fault =
            ask(queue, DIC_QUEUE_RECEIVE, dic_str_len(entry.body, entry.len), entry.receives + 1,
                visibility_s);
        count += take(queue, &entry, visibility_s, fault, &out[count]);
    }
    return count;
}

/* Until something may have become visible, or the time is over. With the lock. */
static void wait_for_change(struct memory_queue *queue, int64_t now, int64_t until)
{
    int64_t next = until;
    for (size_t i = 0; i < queue->count; i++) {
        int64_t visible = queue->entries[i].visible_ms;
        next = visible > now && visible < next ? visible : next;
    }
    for (size_t i = 0; i < queue->late_count; i++) {
        next = queue->late[i].due_ms < next ? queue->late[i].due_ms : next;
    }
    dic_cond_wait_ms(&queue->changed, &queue->lock, queue->fake != NULL ? -1 : next - now);
}

static enum dic_code receive(void *impl, struct dic_delivery *out, size_t max,
                             uint32_t visibility_s, int64_t wait_ms, size_t *count_out,
                             struct dic_err *err)
{
    struct memory_queue *queue = impl;
    int64_t until = now_ms(queue) + wait_ms;
    *count_out = 0;
    dic_lock(&queue->lock);
    uint64_t wakes = queue->wakes;
    dic_unlock(&queue->lock);
    struct dic_queue_fault fault = ask(queue, DIC_QUEUE_RECEIVE, dic_str(NULL), 0, visibility_s);
    DIC_TRY(fault.kind == DIC_QUEUE_FAILS ? answer(fault, err) : DIC_OK);
    for (;;) {
        dic_lock(&queue->lock);
        uint64_t version = queue->version;
        dic_unlock(&queue->lock);
        int64_t now = now_ms(queue);
        *count_out = take_visible(queue, out, max, visibility_s);
        DIC_GUARD(&queue->lock);
        if (*count_out > 0 || now >= until || queue->wakes != wakes) {
            return DIC_OK;
        }
        if (queue->version == version) {
            wait_for_change(queue, now, until);
        }
    }
}

static enum dic_code depth(void *impl, struct dic_queue_depth *out, struct dic_err *err)
{
    struct memory_queue *queue = impl;
    struct dic_queue_fault fault = ask(queue, DIC_QUEUE_DEPTH, dic_str(NULL), 0, 0);
    DIC_TRY(answer(fault, err));
    *out = (struct dic_queue_depth){0};
    DIC_GUARD(&queue->lock);
    make_late_changes(queue);
    for (size_t i = 0; i < queue->count; i++) {
        bool visible = queue->entries[i].visible_ms <= now_ms(queue);
        out->visible += visible;
        out->in_flight += !visible;
    }
    return DIC_OK;
}

/* ---- the queue ---- */

static void wake(void *impl)
{
    struct memory_queue *queue = impl;
    DIC_GUARD(&queue->lock);
    queue->wakes++;
    note_change(queue);
}

static void clock_moved(void *context)
{
    struct memory_queue *queue = context;
    DIC_GUARD(&queue->lock);
    note_change(queue);
}

static void destroy(void *impl)
{
    struct memory_queue *queue = impl;
    if (queue == NULL) {
        return;
    }
    if (queue->fake != NULL) {
        dic_fake_clock_forget(queue->fake, queue);
    }
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    dic_free(queue->entries);
    dic_free(queue->late);
    dic_free(queue);
}

struct dic_job_queue dic_job_queue_memory_new(struct dic_fake_clock *clock)
{
    static const struct dic_job_queue_ops ops = {
        .send = send_messages,
        .receive = receive,
        .extend = extend,
        .hand_back = hand_back,
        .remove = remove_message,
        .depth = depth,
        .wake = wake,
        .destroy = destroy,
    };
    struct memory_queue *queue = dic_calloc(1, sizeof *queue);
    queue->fake = clock;
    queue->clock = clock != NULL ? dic_fake_clock_port(clock) : dic_clock_system();
    dic_mutex_init(&queue->lock);
    dic_cond_init(&queue->changed);
    if (clock != NULL) {
        dic_fake_clock_listen(clock, clock_moved, queue);
    }
    return (struct dic_job_queue){&ops, queue};
}

void dic_job_queue_memory_set_hook(struct dic_job_queue queue, dic_queue_hook hook, void *context)
{
    struct memory_queue *memory = queue.impl;
    memory->hook = hook;
    memory->hook_context = context;
}
