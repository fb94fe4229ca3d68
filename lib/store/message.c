/* SPDX-License-Identifier: Apache-2.0 */
#include "job/job.h"
#include "json/json_read.h"
#include "store/job_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_VERSION = 1 };

static const char *const kind_words[] = {"plan", "chunk", "seal"};

size_t dic_message_write(const struct dic_message *message, char out[DIC_MESSAGE_BODY_SIZE])
{
    int len = snprintf(out, DIC_MESSAGE_BODY_SIZE,
                       "{\"v\":%d,\"tenant\":\"" DIC_TENANT "\",\"kind\":\"%s\",\"job\":\"%s\","
                       "\"chunk\":%" PRIu32 "}",
                       MESSAGE_VERSION, kind_words[message->kind], message->job_id, message->chunk);
    if (message->earlier_receives > 0 || message->first_sent_ms > 0) {
        len += snprintf(out + len - 1, DIC_MESSAGE_BODY_SIZE - (size_t)len + 1,
                        ",\"receives\":%" PRIu32 ",\"sent\":%" PRId64 "}",
                        message->earlier_receives, message->first_sent_ms) -
               1;
    }
    return (size_t)len;
}

/* A member that is not as it should be: the message says how, the code what to do about it. */
static enum dic_code not_ours(struct dic_err *err)
{
    if (err != NULL) {
        err->code = DIC_E_MALFORMED;
    }
    return DIC_E_MALFORMED;
}

static enum dic_code parse_kind(struct dic_str word, enum dic_message_kind *out,
                                struct dic_err *err)
{
    for (int i = 0; i <= DIC_MESSAGE_SEAL; i++) {
        if (dic_str_is(word, kind_words[i])) {
            *out = (enum dic_message_kind)i;
            return DIC_OK;
        }
    }
    return dic_fail_field(err, DIC_E_UNSUPPORTED, "kind", "message kind '%.*s' is not known here",
                          (int)(word.len < 20 ? word.len : 20), word.len ? word.ptr : "");
}

static enum dic_code member(const struct dic_json *root, const char *name,
                            const struct dic_json **out, struct dic_err *err)
{
    *out = dic_json_is_object(root) ? dic_json_member(root, name) : NULL;
    if (*out == NULL) {
        return dic_fail_field(err, DIC_E_MALFORMED, name, "message has no member '%s'", name);
    }
    return DIC_OK;
}

static enum dic_code check_version(const struct dic_json *root, struct dic_err *err)
{
    const struct dic_json *value = NULL;
    int64_t version = 0;
    DIC_TRY(member(root, "v", &value, err));
    if (dic_json_get_int(value, "v", 1, INT64_MAX, &version, err) != DIC_OK) {
        return not_ours(err);
    }
    if (version > MESSAGE_VERSION) {
        return dic_fail_field(err, DIC_E_UNSUPPORTED, "v",
                              "message version %" PRId64 " is newer than %d", version,
                              MESSAGE_VERSION);
    }
    return DIC_OK;
}

/* Of a tenant that this deployment does not serve: not to be worked on, and not ours to remove. */
static enum dic_code check_tenant(const struct dic_json *root, struct dic_err *err)
{
    const struct dic_json *value = NULL;
    struct dic_str tenant = {0};
    DIC_TRY(member(root, "tenant", &value, err));
    if (dic_json_get_str(value, "tenant", &tenant, err) != DIC_OK) {
        return not_ours(err);
    }
    if (!dic_str_is(tenant, DIC_TENANT)) {
        return dic_fail_field(err, DIC_E_UNSUPPORTED, "tenant",
                              "message of tenant '%.*s', this service works for '" DIC_TENANT "'",
                              (int)(tenant.len < 40 ? tenant.len : 40),
                              tenant.len > 0 ? tenant.ptr : "");
    }
    return DIC_OK;
}

/* Only a message that was handed back has these. */
static enum dic_code parse_past(const struct dic_json *root, struct dic_message *out,
                                struct dic_err *err)
{
    const struct dic_json *receives = dic_json_member(root, "receives");
    const struct dic_json *sent = dic_json_member(root, "sent");
    int64_t count = 0;
    int64_t sent_ms = 0;
    if ((receives != NULL &&
         dic_json_get_int(receives, "receives", 0, UINT32_MAX, &count, err) != DIC_OK) ||
        (sent != NULL && dic_json_get_int(sent, "sent", 0, INT64_MAX, &sent_ms, err) != DIC_OK)) {
        return not_ours(err);
    }
    out->earlier_receives = (uint32_t)count;
    out->first_sent_ms = sent_ms;
    return DIC_OK;
}

enum dic_code dic_message_parse(struct dic_str body, struct dic_message *out, struct dic_err *err)
{
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    const struct dic_json *value = NULL;
    struct dic_str text = {0};
    DIC_TRY(dic_json_parse(body, &root, err));
    DIC_TRY(check_version(root, err));
    DIC_TRY(check_tenant(root, err));
    DIC_TRY(member(root, "kind", &value, err));
    if (dic_json_get_str(value, "kind", &text, err) != DIC_OK) {
        return not_ours(err);
    }
    DIC_TRY(parse_kind(text, &out->kind, err));
    DIC_TRY(member(root, "job", &value, err));
    if (dic_json_get_str(value, "job", &text, err) != DIC_OK || !dic_job_id_valid(text)) {
        return dic_fail_field(err, DIC_E_MALFORMED, "job", "message names no valid job id");
    }
    memcpy(out->job_id, text.ptr, DIC_ID_LEN);
    out->job_id[DIC_ID_LEN] = '\0';
    int64_t chunk = 0;
    DIC_TRY(member(root, "chunk", &value, err));
    if (dic_json_get_int(value, "chunk", 0, UINT32_MAX, &chunk, err) != DIC_OK) {
        return not_ours(err);
    }
    out->chunk = (uint32_t)chunk;
    return parse_past(root, out, err);
}
