/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to try again: the AWS SDKs' standard mode in its form of 2026 ("Retry behavior" in the AWS
 * SDKs and Tools Reference Guide; "Announcing updated retry behavior for AWS SDKs and Tools", AWS
 * Developer Tools Blog), and the rate limit of their adaptive mode. State of one service; the
 * caller holds a lock around every call.
 */
#ifndef DIC_AWS_RETRY_H
#define DIC_AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum dic_aws_retry_kind { DIC_AWS_RETRY_TRANSIENT, DIC_AWS_RETRY_THROTTLED };

enum {
    DIC_AWS_RETRY_TOKENS = 500,
    DIC_AWS_RETRY_TRANSIENT_COST = 14,
    DIC_AWS_RETRY_THROTTLED_COST = 5,
    DIC_AWS_RETRY_THROTTLED_BASE_MS = 1000,
    DIC_AWS_RETRY_MAX_MS = 20 * 1000,
};

/* ---- the quota: an outage must not be answered with a multiple of the load ---- */

struct dic_aws_quota {
    int32_t tokens;
};
void dic_aws_quota_init(struct dic_aws_quota *quota);
/* Takes the cost of one more try, which is written to cost_out; false: too few are left. */
bool dic_aws_quota_take(struct dic_aws_quota *quota, enum dic_aws_retry_kind kind,
                        int32_t *cost_out);
/* After a success: gives back what its last try cost, or one token when it was the first. */
void dic_aws_quota_give_back(struct dic_aws_quota *quota, int32_t cost);

/* ---- the delay before try number `tries` + 1: full jitter, random is any number ---- */

int64_t dic_aws_retry_delay_ms(enum dic_aws_retry_kind kind, int64_t base_ms, uint32_t tries,
                               uint64_t random);

/* ---- the rate: without a bound until the service throttles ---- */

/*
 * The SDKs' token bucket with CUBIC (RFC 9438) as its control: a throttle halves the measured rate
 * (theirs: × 0.7), from where it grows back, slowly near the rate that was too much. Three things
 * are ours: the throttles of requests that were under way when the rate was cut do not cut it again
 * (a worker's sixteen threads would end at nothing), after a minute without a throttle the bound is
 * forgotten, and its floor is higher than theirs.
 *
 * Theirs, 0.5/s, is for a client alone with what throttles it: then less is throttled less. A
 * worker is one of many, on prefixes and partitions that others load too, and where 30 % are
 * throttled whatever it does, the rate of an image in two seconds helps nobody. S3 asks that the
 * rate be kept, with retries that back off, while it adds partitions ("Why am I getting 503 Slow
 * Down errors", AWS re:Post), and the SDKs' standard mode has no such bound at all. 20/s is what
 * 275 processes may ask together of one prefix, which serves 5,500 GETs a second ("Optimizing
 * Amazon S3 performance"); a throttled call still waits on its own before its next try.
 */
enum { DIC_AWS_RATE_SLOWEST_PER_S = 20 };

struct dic_aws_rate {
    bool limited;
    double fill_per_s;
    double capacity;
    double available;
    double filled_at_s;
    double measured_per_s;
    double window_start_s; /* of half a second in which calls are counted */
    double window_calls;
    double last_max_per_s;
    double throttled_at_s;
};
void dic_aws_rate_init(struct dic_aws_rate *rate, int64_t now_ms);
/* 0: go now; otherwise wait so long, and ask again. */
int64_t dic_aws_rate_take(struct dic_aws_rate *rate, int64_t now_ms);
/* After each answer of a request that was sent at sent_ms. */
void dic_aws_rate_update(struct dic_aws_rate *rate, int64_t sent_ms, int64_t now_ms,
                         bool throttled);

#endif
