/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/aws_failure.h"
#include "aws/aws_impl.h"
#include "aws/aws_request.h"
#include "base/rand.h"
#include "net/http_date.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_TRY_MS = 10 * 1000,
    DEFAULT_TOTAL_MS = 30 * 1000,
    CONNECT_MS = 3 * 1000,
    DEFAULT_RESPONSE_BYTES = 1024 * 1024,
    ERROR_DOCUMENT_BYTES = 64 * 1024, /* also where the caller wants less of a good answer */
    CREDENTIALS_RETRY_MS = 1000,      /* they are asked for at most once a second */
    /* Of the SDKs' clock skew rules: from where on a refused signature is the clock's fault, and
     * how long an exchange may last to be a measure of it. */
    SKEW_THRESHOLD_MS = 4 * 60 * 1000,
    SKEW_LONGEST_EXCHANGE_MS = 15 * 60 * 1000,
    DATE_STEP_MS = 1000, /* an HTTP date has no fractions */
};

/* Those of the SDKs' standard mode, but for S3's throttles: a bucket that adds partitions refuses a
 * part of its requests for minutes; at 30 %, three tries would fail for 27 images in a thousand.
 * The delays between five are 15 s at most, of a call's 30. */
static const struct {
    uint32_t max_tries;
    uint32_t max_tries_throttled;
    int64_t base_ms;
} rules[DIC_AWS_SERVICE_COUNT] = {
    [DIC_AWS_S3] = {3, 5, 50}, [DIC_AWS_SQS] = {3, 3, 50}, [DIC_AWS_DYNAMODB] = {4, 4, 25}};

static void clear_answer(struct dic_aws_answer *answer)
{
    answer->http.status = 0;
    answer->http.sent = false;
    dic_buf_clear(&answer->http.headers);
    dic_buf_clear(&answer->http.body);
    answer->error_code[0] = '\0';
    answer->request_id[0] = '\0';
    answer->tries = 0;
    answer->maybe_applied = false;
}

/* ---- one call ---- */

struct attempt {
    struct dic_aws *aws;
    const struct dic_aws_call *call;
    struct dic_aws_answer *answer;
    struct dic_aws_service_state *service;
    int64_t deadline_ms; /* of all tries, by the monotonic clock */
    int64_t try_timeout_ms;
    int32_t retry_cost; /* of the latest try, in tokens */
    bool clock_corrected;
    bool credentials_renewed;
    struct dic_aws_credentials credentials;
    int64_t skew_ms; /* the latest try was signed with */
    struct dic_aws_failure failure;
};

static bool is_cancelled(const struct dic_aws_call *call)
{
    return call->cancel != NULL && atomic_load(call->cancel);
}

DIC_MUST_USE
static enum dic_code wait_ms(const struct attempt *attempt, int64_t ms, struct dic_err *err)
{
    struct dic_aws *aws = attempt->aws;
    if (aws->options.sleep_ms != NULL) {
        aws->options.sleep_ms(aws->options.sleep_context, ms);
    } else {
        DIC_GUARD(&aws->lock);
        int64_t end_ms = dic_clock_mono_ms(aws->options.clock) + ms;
        int64_t left_ms = ms;
        while (left_ms > 0 && !is_cancelled(attempt->call)) {
            dic_cond_wait_ms(&aws->woken, &aws->lock, left_ms);
            left_ms = end_ms - dic_clock_mono_ms(aws->options.clock);
        }
    }
    if (is_cancelled(attempt->call)) {
        return dic_fail(err, DIC_E_CONFLICT, "%s was cancelled", attempt->call->operation);
    }
    return DIC_OK;
}

static int64_t time_left_ms(const struct attempt *attempt)
{
    return attempt->deadline_ms - dic_clock_mono_ms(attempt->aws->options.clock);
}

/* Waits until the service's rate allows one more request. */
DIC_MUST_USE
static enum dic_code wait_for_rate(struct attempt *attempt, struct dic_err *err)
{
    struct dic_aws *aws = attempt->aws;
    for (;;) {
        int64_t wait = 0;
        {
            DIC_GUARD(&aws->lock);
            wait =
                dic_aws_rate_take(&attempt->service->rate, dic_clock_mono_ms(aws->options.clock));
        }
        if (wait == 0) {
            return DIC_OK;
        }
        if (wait > time_left_ms(attempt)) {
            return dic_fail(err, DIC_E_BUSY,
                            "%s: throttled, and its turn comes in %" PRId64
                            " ms, which is after the deadline",
                            attempt->call->operation, wait);
        }
        DIC_TRY(wait_ms(attempt, wait, err));
    }
}

/* Every answer's Date is a measure of AWS's clock; that of a cache (Age) is none. It is right to
 * half of the exchange (20 s in a long poll) and its own second: within that, nothing is learned.
 */
static void learn_skew(struct attempt *attempt, int64_t sent_ms)
{
    struct dic_aws *aws = attempt->aws;
    const struct dic_http_response *http = &attempt->answer->http;
    int64_t took_ms = dic_clock_wall_ms(aws->options.clock) - sent_ms;
    int64_t date_ms = 0;
    if (dic_http_response_header(http, "age").ptr != NULL || took_ms < 0 ||
        took_ms > SKEW_LONGEST_EXCHANGE_MS ||
        !dic_http_date_parse(dic_http_response_header(http, "date"), &date_ms)) {
        return;
    }
    int64_t measured_ms = date_ms - (sent_ms + took_ms / 2);
    DIC_GUARD(&aws->lock);
    if (llabs(measured_ms - aws->skew_ms) > took_ms / 2 + DATE_STEP_MS) {
        aws->skew_ms = measured_ms;
    }
}

static void set_transport_failure(struct attempt *attempt, enum dic_code code,
                                  const struct dic_err *why)
{
    bool again = code == DIC_E_TIMEOUT || code == DIC_E_UPSTREAM || code == DIC_E_BUSY;
    attempt->failure = (struct dic_aws_failure){
        .reaction = again ? DIC_AWS_TRY_AGAIN : DIC_AWS_GIVE_UP,
        .code = code,
        .outcome_unknown = attempt->answer->http.sent,
    };
    snprintf(attempt->failure.message, sizeof attempt->failure.message, "%s", why->msg);
}

/* A good answer that is longer than the caller wants; an error's document may be longer. */
static void check_length(struct attempt *attempt, size_t limit)
{
    if (attempt->failure.reaction == DIC_AWS_SUCCEEDED && attempt->answer->http.body.len > limit) {
        attempt->failure.reaction = DIC_AWS_GIVE_UP;
        attempt->failure.code = DIC_E_TOO_LARGE;
        snprintf(attempt->failure.message, sizeof attempt->failure.message,
                 "the answer has %zu bytes, limit %zu", attempt->answer->http.body.len, limit);
    }
}

static void send_signed(struct attempt *attempt, const struct dic_aws_request *request)
{
    struct dic_aws *aws = attempt->aws;
    const struct dic_aws_call *call = attempt->call;
    int64_t left_ms = time_left_ms(attempt);
    size_t limit = call->max_response_bytes > 0 ? call->max_response_bytes : DEFAULT_RESPONSE_BYTES;
    struct dic_http_request http = {
        .method = call->method,
        .url = dic_buf_view(&request->url),
        .headers = request->headers,
        .header_count = request->header_count,
        .body = call->body,
        .connect_timeout_ms = CONNECT_MS,
        .timeout_ms = left_ms < attempt->try_timeout_ms ? left_ms : attempt->try_timeout_ms,
        .max_response_bytes = limit > ERROR_DOCUMENT_BYTES ? limit : ERROR_DOCUMENT_BYTES,
        .cancel = call->cancel,
    };
    struct dic_err why = {0};
    int64_t sent_ms = dic_clock_wall_ms(aws->options.clock);
    enum dic_code code =
        aws->options.http.ops->send(aws->options.http.impl, &http, &attempt->answer->http, &why);
    if (code != DIC_OK) {
        set_transport_failure(attempt, code, &why);
        return;
    }
    learn_skew(attempt, sent_ms);
    dic_aws_failure_read(call, &attempt->answer->http, aws->region,
                         dic_clock_wall_ms(aws->options.clock) + dic_aws_skew_ms(aws),
                         &attempt->failure);
    check_length(attempt, limit);
}

/* Signs and sends once; what came of it is in attempt->failure. An error here is one of before. */
DIC_MUST_USE
static enum dic_code try_once(struct attempt *attempt, struct dic_err *err)
{
    struct dic_aws *aws = attempt->aws;
    attempt->skew_ms = dic_aws_skew_ms(aws);
    struct dic_aws_signing signing = {
        .credentials = &attempt->credentials,
        .endpoint = attempt->service->endpoint,
        .region = aws->region,
        .time_ms = dic_clock_wall_ms(aws->options.clock) + attempt->skew_ms,
    };
    DIC_CLEANUP(dic_aws_request_clean_up) struct dic_aws_request request;
    dic_aws_request_init(&request);
    DIC_TRY(dic_aws_request_build(&request, &signing, attempt->call, err));
    int64_t sent_ms = dic_clock_mono_ms(aws->options.clock);
    send_signed(attempt, &request);

    const struct dic_aws_failure *failure = &attempt->failure;
    struct dic_aws_answer *answer = attempt->answer;
    answer->tries++;
    answer->maybe_applied = answer->maybe_applied || failure->outcome_unknown;
    snprintf(answer->error_code, sizeof answer->error_code, "%s", failure->error_code);
    snprintf(answer->request_id, sizeof answer->request_id, "%s", failure->request_id);

    DIC_GUARD(&aws->lock);
    bool throttled = failure->reaction == DIC_AWS_SLOW_DOWN;
    attempt->service->counts.tries++;
    attempt->service->counts.throttled += throttled;
    dic_aws_rate_update(&attempt->service->rate, sent_ms, dic_clock_mono_ms(aws->options.clock),
                        throttled);
    return DIC_OK;
}

/* Whether another try, signed by the clock of AWS, may help; asked for once a call. */
static bool clock_was_wrong(struct attempt *attempt)
{
    bool corrected = attempt->clock_corrected;
    attempt->clock_corrected = true;
    int64_t change_ms = llabs(dic_aws_skew_ms(attempt->aws) - attempt->skew_ms);
    return !corrected && change_ms > (attempt->failure.clock_is_why ? 0 : SKEW_THRESHOLD_MS);
}

/* Whether the source has others than those that AWS refused; asked for once a call. */
static bool credentials_were_old(struct attempt *attempt)
{
    if (attempt->credentials_renewed) {
        return false;
    }
    attempt->credentials_renewed = true;
    struct dic_aws_credentials fresh;
    enum dic_code code = dic_aws_credentials_get(attempt->aws->credentials, &fresh, NULL);
    bool differ = code == DIC_OK && (strcmp(fresh.key_id, attempt->credentials.key_id) != 0 ||
                                     strcmp(fresh.token, attempt->credentials.token) != 0);
    if (differ) {
        attempt->credentials = fresh;
    }
    explicit_bzero(&fresh, sizeof fresh);
    return differ;
}

/* How long to wait before the next try, or false when there shall be none. */
static bool plan_retry(struct attempt *attempt, int64_t *delay_ms_out)
{
    const struct dic_aws_failure *failure = &attempt->failure;
    struct dic_aws *aws = attempt->aws;
    *delay_ms_out = 0;
    if (failure->reaction == DIC_AWS_NEW_CREDENTIALS) { /* also for the calls after this one */
        dic_aws_credentials_reject(aws->credentials, attempt->credentials.key_id);
    }
    if (attempt->call->once || failure->reaction == DIC_AWS_GIVE_UP) {
        return false;
    }
    if (failure->reaction == DIC_AWS_CORRECT_CLOCK) {
        return clock_was_wrong(attempt);
    }
    if (failure->reaction == DIC_AWS_NEW_CREDENTIALS) {
        return credentials_were_old(attempt);
    }
    const bool throttled = failure->reaction == DIC_AWS_SLOW_DOWN;
    if (attempt->answer->tries >= (throttled ? rules[attempt->call->service].max_tries_throttled
                                             : rules[attempt->call->service].max_tries)) {
        return false;
    }
    enum dic_aws_retry_kind kind = throttled ? DIC_AWS_RETRY_THROTTLED : DIC_AWS_RETRY_TRANSIENT;
    int64_t delay_ms = dic_aws_retry_delay_ms(kind, rules[attempt->call->service].base_ms,
                                              attempt->answer->tries, dic_rand_u64());
    delay_ms = failure->retry_after_ms > delay_ms ? failure->retry_after_ms : delay_ms;
    if (delay_ms >= time_left_ms(attempt)) {
        return false;
    }
    *delay_ms_out = delay_ms;
    DIC_GUARD(&aws->lock);
    return dic_aws_quota_take(&attempt->service->quota, kind, &attempt->retry_cost);
}

DIC_MUST_USE
static enum dic_code explain(const struct attempt *attempt, struct dic_err *err)
{
    const struct dic_aws_failure *failure = &attempt->failure;
    const char *operation = attempt->call->operation;
    unsigned tries = attempt->answer->tries;
    const char *plural = tries == 1 ? "y" : "ies";
    if (failure->region[0] != '\0') {
        return dic_fail(err, failure->code,
                        "%s: the bucket is in region %s, requests are signed for %s (AWS_REGION)",
                        operation, failure->region, attempt->aws->region);
    }
    if (failure->error_code[0] == '\0' && failure->request_id[0] == '\0') {
        return dic_fail(err, failure->code, "%s: %s (%u tr%s)", operation, failure->message, tries,
                        plural);
    }
    if (failure->error_code[0] == '\0') { /* AWS answered, but not as it is documented */
        return dic_fail(err, failure->code, "%s: %s (%u tr%s, HTTP %d, request id %s)", operation,
                        failure->message, tries, plural, attempt->answer->http.status,
                        failure->request_id);
    }
    return dic_fail(err, failure->code, "%s: %s%s%s (%u tr%s, HTTP %d, request id %s)", operation,
                    failure->error_code, failure->message[0] != '\0' ? ": " : "", failure->message,
                    tries, plural, attempt->answer->http.status,
                    failure->request_id[0] != '\0' ? failure->request_id : "unknown");
}

/* Credentials of an endpoint that does not answer just now are waited for. */
DIC_MUST_USE
static enum dic_code get_credentials(struct attempt *attempt, struct dic_err *err)
{
    for (uint32_t tries = 1;; tries++) {
        struct dic_err why = {0};
        enum dic_code code =
            dic_aws_credentials_get(attempt->aws->credentials, &attempt->credentials, &why);
        if (code == DIC_OK) {
            return DIC_OK;
        }
        bool again = why.retryable && !attempt->call->once &&
                     tries < rules[attempt->call->service].max_tries &&
                     time_left_ms(attempt) > CREDENTIALS_RETRY_MS;
        if (!again) {
            return dic_fail(err, code, "%s: %s", attempt->call->operation, why.msg);
        }
        DIC_TRY(wait_ms(attempt, CREDENTIALS_RETRY_MS, err));
    }
}

DIC_MUST_USE
static enum dic_code run(struct attempt *attempt, struct dic_err *err)
{
    DIC_TRY(get_credentials(attempt, err));
    for (;;) {
        DIC_TRY(wait_for_rate(attempt, err));
        DIC_TRY(try_once(attempt, err));
        if (attempt->failure.reaction == DIC_AWS_SUCCEEDED) {
            DIC_GUARD(&attempt->aws->lock);
            dic_aws_quota_give_back(&attempt->service->quota, attempt->retry_cost);
            return DIC_OK;
        }
        int64_t delay_ms = 0;
        if (!plan_retry(attempt, &delay_ms)) {
            return explain(attempt, err);
        }
        if (delay_ms > 0) {
            DIC_TRY(wait_ms(attempt, delay_ms, err));
        }
    }
}

enum dic_code dic_aws_call(struct dic_aws *aws, const struct dic_aws_call *call,
                           struct dic_aws_answer *answer, struct dic_err *err)
{
    clear_answer(answer);
    int64_t try_ms = call->timeout_ms > 0 ? call->timeout_ms : DEFAULT_TRY_MS;
    int64_t total_ms = DEFAULT_TOTAL_MS > try_ms ? DEFAULT_TOTAL_MS : try_ms;
    total_ms = call->total_timeout_ms > 0 ? call->total_timeout_ms : total_ms;
    struct attempt attempt = {
        .aws = aws,
        .call = call,
        .answer = answer,
        .service = &aws->services[call->service],
        .deadline_ms = dic_clock_mono_ms(aws->options.clock) + total_ms,
        .try_timeout_ms = try_ms,
    };
    enum dic_code code = run(&attempt, err);
    explicit_bzero(&attempt.credentials, sizeof attempt.credentials);
    DIC_GUARD(&aws->lock);
    attempt.service->counts.calls++;
    attempt.service->counts.failed +=
        code == DIC_E_BUSY || code == DIC_E_TIMEOUT || code == DIC_E_UPSTREAM;
    return code;
}
