/* SPDX-License-Identifier: Apache-2.0 */
#include "leases.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/limits.h"

#include <string.h>

enum {
    MAX_NOT_GIVEN_BACK = 64,
    FIRST_RETRY_S = 5, /* then twice as long each time, up to the visibility timeout */
    MAX_DOUBLINGS = 8,
};

struct dic_leases {
    struct dic_leases_options options;
    pthread_mutex_t lock; /* guards all below and what leases have of the module's own */
    pthread_cond_t renewed;
    struct dic_lease *first; /* in the order they were taken */
    struct dic_lease *last;
    /* What does not fit here comes back by its visibility timeout. */
    char not_given_back[MAX_NOT_GIVEN_BACK][DIC_RECEIPT_SIZE];
    size_t not_given_back_count;
};

struct dic_leases *dic_leases_new(const struct dic_leases_options *options)
{
    struct dic_leases *leases = dic_calloc(1, sizeof *leases);
    leases->options = *options;
    dic_mutex_init(&leases->lock);
    dic_cond_init(&leases->renewed);
    return leases;
}

void dic_leases_destroy(struct dic_leases *leases)
{
    if (leases == NULL) {
        return;
    }
    pthread_mutex_destroy(&leases->lock);
    pthread_cond_destroy(&leases->renewed);
    dic_free(leases);
}

void dic_delivery_log_failure(const char *event, const struct dic_delivery *delivery,
                              const struct dic_err *err)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, event);
    dic_log_str(&log, "job_id", delivery->message.job_id);
    dic_log_int(&log, "chunk", delivery->message.chunk);
    dic_log_int(&log, "receive_count", delivery->receive_count);
    dic_log_err(&log, err);
    dic_log_end(&log);
}

/* ---- keeping ---- */

void dic_leases_keep(struct dic_leases *leases, struct dic_lease *lease)
{
    DIC_GUARD(&leases->lock);
    lease->kept_ms = dic_clock_mono_ms(leases->options.clock);
    lease->moved_ms = lease->kept_ms;
    lease->seen_steps = atomic_load(lease->steps);
    lease->prev = leases->last;
    lease->next = NULL;
    if (leases->last == NULL) {
        leases->first = lease;
    } else {
        leases->last->next = lease;
    }
    leases->last = lease;
}

/* It was the turn of whoever is next in line, from now on at the latest. */
static void take_out(struct dic_leases *leases, struct dic_lease *lease)
{
    struct dic_lease *next = lease->next;
    while (next != NULL && next->line != lease->line) {
        next = next->next;
    }
    if (next != NULL) {
        next->moved_ms = dic_clock_mono_ms(leases->options.clock);
    }
    *(lease->prev == NULL ? &leases->first : &lease->prev->next) = lease->next;
    *(lease->next == NULL ? &leases->last : &lease->next->prev) = lease->prev;
}

void dic_leases_forget(struct dic_leases *leases, const struct dic_delivery *delivery)
{
    DIC_GUARD(&leases->lock);
    struct dic_lease *lease = leases->first;
    while (lease != NULL && lease->delivery != delivery) {
        lease = lease->next;
    }
    if (lease == NULL) {
        return;
    }
    while (lease->renewing) {
        dic_cond_wait_ms(&leases->renewed, &leases->lock, -1);
    }
    take_out(leases, lease);
}

static void renew(const struct dic_leases *leases, const struct dic_delivery *delivery)
{
    const struct dic_job_queue *queue = &leases->options.queue;
    struct dic_err err = {0};
    enum dic_code code =
        queue->ops->extend(queue->impl, delivery->receipt, leases->options.visibility_s, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        dic_delivery_log_failure("heartbeat_failed", delivery, &err);
    }
}

/* With the lock. */
static void look(struct dic_leases *leases)
{
    const int64_t now_ms = dic_clock_mono_ms(leases->options.clock);
    int64_t moved_ms[DIC_LINE_COUNT] = {0};
    for (struct dic_lease *lease = leases->first; lease != NULL; lease = lease->next) {
        const unsigned steps = atomic_load(lease->steps);
        int64_t *ahead_ms = &moved_ms[lease->line];
        lease->moved_ms = steps != lease->seen_steps ? now_ms : lease->moved_ms;
        lease->moved_ms = *ahead_ms > lease->moved_ms ? *ahead_ms : lease->moved_ms;
        lease->seen_steps = steps;
        *ahead_ms = lease->moved_ms;
    }
}

void dic_leases_look(struct dic_leases *leases)
{
    DIC_GUARD(&leases->lock);
    look(leases);
}

static void log_let_go(const struct dic_lease *lease, int64_t held_ms, int64_t still_ms)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "lease_let_go");
    dic_log_str(&log, "job_id", lease->delivery->message.job_id);
    dic_log_int(&log, "chunk", lease->delivery->message.chunk);
    dic_log_int(&log, "receive_count", lease->delivery->receive_count);
    dic_log_int(&log, "held_ms", held_ms);
    dic_log_int(&log, "without_progress_ms", still_ms);
    dic_log_end(&log);
}

/* With the lock. */
static bool is_to_be_renewed(const struct dic_leases *leases, struct dic_lease *lease)
{
    const int64_t now_ms = dic_clock_mono_ms(leases->options.clock);
    const int64_t held_ms = now_ms - lease->kept_ms;
    const int64_t still_ms = now_ms - lease->moved_ms;
    const bool was_let_go = lease->let_go;
    lease->let_go =
        still_ms >= (int64_t)DIC_STALLED_S * 1000 ||
        (lease->line == DIC_LINE_CHUNKS && held_ms >= (int64_t)DIC_MAX_CHUNK_HOLD_S * 1000);
    if (lease->let_go && !was_let_go) {
        log_let_go(lease, held_ms, still_ms);
    }
    return !lease->let_go;
}

void dic_leases_renew(struct dic_leases *leases)
{
    DIC_GUARD(&leases->lock);
    look(leases);
    for (struct dic_lease *lease = leases->first; lease != NULL; lease = lease->next) {
        if (!is_to_be_renewed(leases, lease)) {
            continue;
        }
        lease->renewing = true; /* so that it stays in the list */
        dic_unlock(&leases->lock);
        renew(leases, lease->delivery);
        dic_lock(&leases->lock);
        lease->renewing = false;
        pthread_cond_broadcast(&leases->renewed);
    }
}

/* ---- ending ---- */

void dic_leases_remove(struct dic_leases *leases, const struct dic_delivery *delivery)
{
    const struct dic_job_queue *queue = &leases->options.queue;
    struct dic_err err = {0};
    dic_leases_forget(leases, delivery);
    enum dic_code code = queue->ops->remove(queue->impl, delivery->receipt, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        dic_delivery_log_failure("message_not_removed", delivery, &err);
    }
}

static void remember(struct dic_leases *leases, const char *receipt)
{
    DIC_GUARD(&leases->lock);
    if (leases->not_given_back_count < MAX_NOT_GIVEN_BACK) {
        memcpy(leases->not_given_back[leases->not_given_back_count++], receipt, DIC_RECEIPT_SIZE);
    }
}

static bool recall(struct dic_leases *leases, char receipt_out[DIC_RECEIPT_SIZE])
{
    DIC_GUARD(&leases->lock);
    if (leases->not_given_back_count == 0) {
        return false;
    }
    memcpy(receipt_out, leases->not_given_back[--leases->not_given_back_count], DIC_RECEIPT_SIZE);
    return true;
}

void dic_leases_give_back(struct dic_leases *leases, const struct dic_delivery *delivery,
                          uint32_t seconds)
{
    const struct dic_job_queue *queue = &leases->options.queue;
    struct dic_err err = {0};
    dic_leases_forget(leases, delivery);
    enum dic_code code = queue->ops->extend(queue->impl, delivery->receipt, seconds, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        dic_delivery_log_failure("message_not_released", delivery, &err);
        remember(leases, delivery->receipt);
    }
}

void dic_leases_hand_back(struct dic_leases *leases, const struct dic_delivery *delivery)
{
    const struct dic_job_queue *queue = &leases->options.queue;
    struct dic_err err = {0};
    dic_leases_forget(leases, delivery);
    enum dic_code code = queue->ops->hand_back(queue->impl, delivery, &err);
    if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
        dic_delivery_log_failure("message_not_handed_back", delivery, &err);
        dic_leases_give_back(leases, delivery, 0); /* which counts, but is soon */
    }
}

void dic_leases_try_later(struct dic_leases *leases, const struct dic_delivery *delivery)
{
    const uint32_t before = delivery->receive_count > 0 ? delivery->receive_count - 1 : 0;
    const uint32_t seconds = (uint32_t)FIRST_RETRY_S
                             << (before < MAX_DOUBLINGS ? before : MAX_DOUBLINGS);
    const uint32_t most = leases->options.visibility_s;
    dic_leases_give_back(leases, delivery, seconds < most ? seconds : most);
}

/* Until one fails again: then storage is still down, and the others would only wait for it too. */
void dic_leases_give_back_again(struct dic_leases *leases)
{
    const struct dic_job_queue *queue = &leases->options.queue;
    char receipt[DIC_RECEIPT_SIZE];
    while (recall(leases, receipt)) {
        struct dic_err err = {0};
        enum dic_code code = queue->ops->extend(queue->impl, receipt, 0, &err);
        if (code != DIC_OK && code != DIC_E_NOT_FOUND) {
            remember(leases, receipt);
            return;
        }
    }
}
