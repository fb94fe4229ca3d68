/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include "aws/credentials_source.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

enum {
    /* As the AWS SDKs do it (aws-c-auth, credentials_provider_cached.c and its users). */
    REFRESH_BEFORE_EXPIRY_MS = 5 * 60 * 1000,
    /* Credentials already expired by this machine's clock: perhaps the clock is wrong, so AWS is to
     * judge them, but the source is asked again soon. */
    SHORTEST_LIFE_MS = 60 * 1000,
    FIRST_BACK_OFF_MS = 1000,
    LONGEST_BACK_OFF_MS = 60 * 1000,
};

static const struct {
    const char *name;
    dic_aws_credentials_source fetch;
} sources[] = {
    {"environment", dic_aws_credentials_from_environment},
    {"profile", dic_aws_credentials_from_profile},
    {"container", dic_aws_credentials_from_container},
    {"instance", dic_aws_credentials_from_instance},
};
enum { SOURCE_COUNT = sizeof sources / sizeof sources[0] };

struct dic_aws_credentials_provider {
    struct dic_aws_credentials_context context; /* immutable */
    pthread_mutex_t lock;                       /* guards all that follows */
    pthread_cond_t refreshed;
    bool refreshing; /* by one caller, outside the lock */
    size_t source;   /* where the cached ones come from, or SOURCE_COUNT */
    bool has_cached;
    bool rejected; /* AWS does not take the cached ones */
    struct dic_aws_credentials cached;
    int64_t refresh_at_ms; /* both by the monotonic clock; INT64_MAX: never */
    int64_t valid_until_ms;
    int64_t next_attempt_ms; /* not before, after a failure or a refresh */
    int64_t back_off_ms;
    struct dic_err failure; /* of the last refresh */
};

void dic_aws_credentials_provider_new(const struct dic_aws_environment *environment,
                                      struct dic_http_client http, const struct dic_clock *clock,
                                      struct dic_aws_credentials_provider **out)
{
    struct dic_aws_credentials_provider *provider = dic_calloc(1, sizeof *provider);
    provider->context = (struct dic_aws_credentials_context){
        .environment = environment, .http = http, .clock = clock};
    provider->back_off_ms = FIRST_BACK_OFF_MS;
    provider->next_attempt_ms = INT64_MIN;
    provider->source = SOURCE_COUNT;
    dic_mutex_init(&provider->lock);
    dic_cond_init(&provider->refreshed);
    *out = provider;
}

void dic_aws_credentials_provider_destroy(struct dic_aws_credentials_provider *provider)
{
    if (provider == NULL) {
        return;
    }
    explicit_bzero(&provider->cached, sizeof provider->cached);
    pthread_cond_destroy(&provider->refreshed);
    pthread_mutex_destroy(&provider->lock);
    dic_free(provider);
}

enum dic_code dic_aws_credentials_copy(struct dic_str value, const char *what, char *field_out,
                                       size_t field_size, struct dic_err *err)
{
    if (value.len == 0 || value.len >= field_size) {
        return dic_fail_field(err, DIC_E_DENIED, what, "%s has %zu bytes, 1 to %zu can be used",
                              what, value.len, field_size - 1);
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~') {
            return dic_fail_field(err, DIC_E_DENIED, what,
                                  "%s has a space, a control character or a byte over 0x7e", what);
        }
    }
    memcpy(field_out, value.ptr, value.len);
    field_out[value.len] = '\0';
    return DIC_OK;
}

/* Asks the sources in turn, until one has credentials or fails. */
DIC_MUST_USE
static enum dic_code ask_all(const struct dic_aws_credentials_context *context, size_t *source_out,
                             struct dic_aws_credentials *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf said;
    dic_buf_init(&said, sizeof err->msg * SOURCE_COUNT);
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        struct dic_err why = {0};
        *out = (struct dic_aws_credentials){0};
        enum dic_code code = sources[i].fetch(context, out, &why);
        if (code == DIC_OK) {
            *source_out = i;
            return DIC_OK;
        }
        if (code != DIC_E_NOT_FOUND) {
            return dic_fail(err, code, "AWS credentials of the %s: %s", sources[i].name, why.msg);
        }
        dic_buf_printf(&said, "%s %s", i == 0 ? "" : ";", why.msg);
    }
    return dic_fail(err, DIC_E_DENIED, "no AWS credentials:%s", said.ptr);
}

/* The source that had some before is the one that will, and its errors are what matters. */
DIC_MUST_USE
static enum dic_code fetch(const struct dic_aws_credentials_context *context, size_t *source,
                           struct dic_aws_credentials *out, struct dic_err *err)
{
    if (*source < SOURCE_COUNT) {
        struct dic_err why = {0};
        *out = (struct dic_aws_credentials){0};
        enum dic_code code = sources[*source].fetch(context, out, &why);
        if (code == DIC_OK) {
            return DIC_OK;
        }
        if (code != DIC_E_NOT_FOUND) {
            return dic_fail(err, code, "AWS credentials of the %s: %s", sources[*source].name,
                            why.msg);
        }
    }
    return ask_all(context, source, out, err);
}

static int64_t add_ms(int64_t now_ms, int64_t ms)
{
    return ms >= INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
}

/* Their life is counted by the monotonic clock, so that a step of the other one ends none. */
static void keep(struct dic_aws_credentials_provider *provider,
                 const struct dic_aws_credentials *fresh)
{
    const struct dic_clock *clock = provider->context.clock;
    int64_t now_ms = dic_clock_mono_ms(clock);
    int64_t life_ms = INT64_MAX;
    if (fresh->expires_ms != 0) {
        life_ms = fresh->expires_ms - dic_clock_wall_ms(clock);
        life_ms = life_ms > SHORTEST_LIFE_MS ? life_ms : SHORTEST_LIFE_MS;
    }
    int64_t early_ms = life_ms - REFRESH_BEFORE_EXPIRY_MS;
    provider->cached = *fresh;
    provider->has_cached = true;
    provider->rejected = false;
    provider->valid_until_ms = add_ms(now_ms, life_ms);
    provider->refresh_at_ms =
        life_ms == INT64_MAX ? INT64_MAX
                             : now_ms + (early_ms > SHORTEST_LIFE_MS ? early_ms : SHORTEST_LIFE_MS);
    provider->next_attempt_ms = add_ms(now_ms, FIRST_BACK_OFF_MS);
    provider->back_off_ms = FIRST_BACK_OFF_MS;
}

static void back_off(struct dic_aws_credentials_provider *provider, const struct dic_err *failure)
{
    int64_t now_ms = dic_clock_mono_ms(provider->context.clock);
    provider->failure = *failure;
    provider->next_attempt_ms = add_ms(now_ms, provider->back_off_ms);
    int64_t doubled = provider->back_off_ms * 2;
    provider->back_off_ms = doubled < LONGEST_BACK_OFF_MS ? doubled : LONGEST_BACK_OFF_MS;
}

/* With the lock held on entry and on return, and not meanwhile. */
static void refresh(struct dic_aws_credentials_provider *provider)
{
    provider->refreshing = true;
    size_t source = provider->source;
    dic_unlock(&provider->lock);
    struct dic_aws_credentials fresh;
    struct dic_err failure = {0};
    enum dic_code code = fetch(&provider->context, &source, &fresh, &failure);
    dic_lock(&provider->lock);
    if (code == DIC_OK) {
        provider->source = source;
        keep(provider, &fresh);
    } else {
        back_off(provider, &failure);
    }
    explicit_bzero(&fresh, sizeof fresh);
    provider->refreshing = false;
    pthread_cond_broadcast(&provider->refreshed);
}

enum dic_code dic_aws_credentials_get(struct dic_aws_credentials_provider *provider,
                                      struct dic_aws_credentials *out, struct dic_err *err)
{
    DIC_GUARD(&provider->lock);
    for (;;) {
        int64_t now_ms = dic_clock_mono_ms(provider->context.clock);
        bool wanted =
            !provider->has_cached || provider->rejected || now_ms >= provider->refresh_at_ms;
        bool valid = provider->has_cached && now_ms < provider->valid_until_ms;
        if (wanted && !provider->refreshing && now_ms >= provider->next_attempt_ms) {
            refresh(provider);
            continue;
        }
        if (provider->refreshing && (!valid || provider->rejected)) {
            dic_cond_wait_ms(&provider->refreshed, &provider->lock, -1);
            continue;
        }
        if (valid) {
            *out = provider->cached;
            return DIC_OK;
        }
        return dic_fail(err, provider->failure.code, "%s", provider->failure.msg);
    }
}

void dic_aws_credentials_reject(struct dic_aws_credentials_provider *provider, const char *key_id)
{
    DIC_GUARD(&provider->lock);
    if (provider->has_cached && strcmp(provider->cached.key_id, key_id) == 0) {
        provider->rejected = true;
    }
}
