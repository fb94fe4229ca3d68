/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#include <math.h>

void dic_aws_quota_init(struct dic_aws_quota *quota)
{
    quota->tokens = DIC_AWS_RETRY_TOKENS;
}

bool dic_aws_quota_take(struct dic_aws_quota *quota, enum dic_aws_retry_kind kind,
                        int32_t *cost_out)
{
    int32_t cost = kind == DIC_AWS_RETRY_THROTTLED ? DIC_AWS_RETRY_THROTTLED_COST
                                                   : DIC_AWS_RETRY_TRANSIENT_COST;
    if (cost > quota->tokens) {
        return false;
    }
    quota->tokens -= cost;
    *cost_out = cost;
    return true;
}

void dic_aws_quota_give_back(struct dic_aws_quota *quota, int32_t cost)
{
    int32_t tokens = quota->tokens + (cost > 0 ? cost : 1);
    quota->tokens = tokens < DIC_AWS_RETRY_TOKENS ? tokens : DIC_AWS_RETRY_TOKENS;
}

int64_t dic_aws_retry_delay_ms(enum dic_aws_retry_kind kind, int64_t base_ms, uint32_t tries,
                               uint64_t random)
{
    int64_t delay_ms = kind == DIC_AWS_RETRY_THROTTLED ? DIC_AWS_RETRY_THROTTLED_BASE_MS : base_ms;
    for (uint32_t i = 1; i < tries && delay_ms < DIC_AWS_RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < DIC_AWS_RETRY_MAX_MS ? delay_ms : DIC_AWS_RETRY_MAX_MS;
    return (int64_t)(random % (uint64_t)(delay_ms + 1));
}

/* ---- the rate; constants of botocore's retries/adaptive.py, throttling.py and bucket.py ---- */

static const double smoothing = 0.8;
static const double window_s = 0.5;
static const double cut = 0.5;
static const double scale = 0.4;
static const double forget_after_s = 60;

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

void dic_aws_rate_init(struct dic_aws_rate *rate, int64_t now_ms)
{
    *rate = (struct dic_aws_rate){.window_start_s = seconds(now_ms)};
}

static void fill(struct dic_aws_rate *rate, double now_s)
{
    double added = (now_s - rate->filled_at_s) * rate->fill_per_s;
    rate->available = fmin(rate->capacity, rate->available + fmax(added, 0));
    rate->filled_at_s = now_s;
}

int64_t dic_aws_rate_take(struct dic_aws_rate *rate, int64_t now_ms)
{
    if (!rate->limited) {
        return 0;
    }
    fill(rate, seconds(now_ms));
    if (rate->available >= 1) {
        rate->available -= 1;
        return 0;
    }
    return (int64_t)ceil((1 - rate->available) / rate->fill_per_s * 1000);
}

static void measure(struct dic_aws_rate *rate, double now_s)
{
    rate->window_calls += 1;
    double elapsed = now_s - rate->window_start_s;
    if (elapsed >= window_s) {
        double current = rate->window_calls / elapsed;
        rate->measured_per_s = current * smoothing + rate->measured_per_s * (1 - smoothing);
        rate->window_calls = 0;
        rate->window_start_s = now_s;
    }
}

static void set_rate(struct dic_aws_rate *rate, double now_s, double per_s)
{
    fill(rate, now_s);
    rate->fill_per_s = fmax(per_s, DIC_AWS_RATE_SLOWEST_PER_S);
    rate->capacity = rate->fill_per_s;
    rate->available = fmin(rate->available, rate->capacity);
}

static void slow_down(struct dic_aws_rate *rate, double now_s)
{
    double before = rate->measured_per_s;
    if (rate->limited) {
        before = fmin(before, rate->fill_per_s);
    } else {
        rate->filled_at_s = now_s;
        rate->available = 0;
    }
    rate->limited = true;
    rate->last_max_per_s = before;
    rate->throttled_at_s = now_s;
    set_rate(rate, now_s, before * cut);
}

static void speed_up(struct dic_aws_rate *rate, double now_s)
{
    double since_s = now_s - rate->throttled_at_s;
    if (since_s > forget_after_s) {
        rate->limited = false;
        return;
    }
    double back_after_s = cbrt(rate->last_max_per_s * (1 - cut) / scale);
    double grown = scale * pow(since_s - back_after_s, 3) + rate->last_max_per_s;
    set_rate(rate, now_s, fmin(grown, 2 * rate->measured_per_s));
}

void dic_aws_rate_update(struct dic_aws_rate *rate, int64_t sent_ms, int64_t now_ms, bool throttled)
{
    double now_s = seconds(now_ms);
    measure(rate, now_s);
    if (throttled && (!rate->limited || seconds(sent_ms) >= rate->throttled_at_s)) {
        slow_down(rate, now_s);
    } else if (rate->limited && !throttled) {
        speed_up(rate, now_s);
    }
}
