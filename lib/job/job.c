/* SPDX-License-Identifier: Apache-2.0 */
#include "job/job.h"

#include "base/buf.h"
#include "json/json_write.h"

#include <string.h>

struct state_row {
    const char *word;
    const char *api;
    bool open;
    bool terminal;
    enum dic_job_state sealed;
};

static const struct state_row states[DIC_JOB_STATE_COUNT] = {
    [DIC_JOB_ACCEPTED] = {"ACCEPTED", "queued", true, false, DIC_JOB_ACCEPTED},
    [DIC_JOB_PLANNING] = {"PLANNING", "queued", true, false, DIC_JOB_PLANNING},
    [DIC_JOB_RUNNING] = {"RUNNING", "running", true, false, DIC_JOB_RUNNING},
    [DIC_JOB_FINALIZING] = {"FINALIZING", "running", false, false, DIC_JOB_FINALIZING},
    [DIC_JOB_SUCCEEDED] = {"SUCCEEDED", "succeeded", false, true, DIC_JOB_SUCCEEDED},
    [DIC_JOB_CANCELLING] = {"CANCELLING", "cancelling", false, false, DIC_JOB_CANCELLED},
    [DIC_JOB_CANCELLED] = {"CANCELLED", "cancelled", false, true, DIC_JOB_CANCELLED},
    [DIC_JOB_EXPIRING] = {"EXPIRING", "running", false, false, DIC_JOB_EXPIRED},
    [DIC_JOB_EXPIRED] = {"EXPIRED", "expired", false, true, DIC_JOB_EXPIRED},
    [DIC_JOB_FAILING] = {"FAILING", "running", false, false, DIC_JOB_FAILED},
    [DIC_JOB_FAILED] = {"FAILED", "failed", false, true, DIC_JOB_FAILED},
};

const char *dic_job_state_word(enum dic_job_state state)
{
    return states[state].word;
}

const char *dic_job_state_api_word(enum dic_job_state state)
{
    return states[state].api;
}

enum dic_code dic_job_state_parse(struct dic_str word, enum dic_job_state *state_out,
                                  struct dic_err *err)
{
    for (int i = 0; i < DIC_JOB_STATE_COUNT; i++) {
        if (dic_str_is(word, states[i].word)) {
            *state_out = (enum dic_job_state)i;
            return DIC_OK;
        }
    }
    return dic_fail(err, DIC_E_INTERNAL, "unknown job state '%.*s' in the store",
                    (int)(word.len < 20 ? word.len : 20), word.len ? word.ptr : "");
}

bool dic_job_is_terminal(enum dic_job_state state)
{
    return states[state].terminal;
}

bool dic_job_is_open(enum dic_job_state state)
{
    return states[state].open;
}

enum dic_job_state dic_job_sealed_state(enum dic_job_state state)
{
    return states[state].sealed;
}

const char *dic_job_api_status(const struct dic_job *job)
{
    if (states[job->state].open) {
        return job->started_ms == 0 ? "queued" : "running";
    }
    if (job->state == DIC_JOB_SUCCEEDED && job->totals.failed > 0) {
        return "completed_with_failures";
    }
    return states[job->state].api;
}

bool dic_job_id_valid(struct dic_str text)
{
    bool good = text.len == DIC_ID_LEN;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
    }
    return good;
}

enum dic_code dic_key_check(struct dic_str key, const char *field, struct dic_err *err)
{
    if (key.len < 1 || key.len > DIC_MAX_KEY_BYTES) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s has %zu bytes, a key has 1 to %d",
                              field, key.len, DIC_MAX_KEY_BYTES);
    }
    if (dic_str_find(key, '\0') != key.len) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s holds U+0000 at byte %zu", field,
                              dic_str_find(key, '\0'));
    }
    if (!dic_utf8_valid(key)) {
        return dic_fail_field(err, DIC_E_INVALID, field, "%s is not valid UTF-8", field);
    }
    return DIC_OK;
}

void dic_image_line_write(struct dic_buf *out, const struct dic_image *image)
{
    struct dic_json_writer writer = dic_json_writer(out);
    if (image->id.len == 0) {
        dic_json_put_str(&writer, NULL, image->key);
    } else {
        dic_json_begin_object(&writer, NULL);
        dic_json_put_str(&writer, "k", image->key);
        dic_json_put_str(&writer, "id", image->id);
        dic_json_end_object(&writer);
    }
    dic_buf_append_byte(out, '\n');
}

struct row_error {
    const char *word;
    bool retryable;
};

static const struct row_error row_errors[DIC_ROW_ERROR_COUNT] = {
    [DIC_ROW_OK] = {"OK", false},
    [DIC_ROW_NOT_FOUND] = {"NOT_FOUND", false},
    [DIC_ROW_INVALID_KEY] = {"INVALID_KEY", false},
    [DIC_ROW_ACCESS_DENIED] = {"ACCESS_DENIED", false},
    [DIC_ROW_FETCH_FAILED] = {"FETCH_FAILED", true},
    [DIC_ROW_EMPTY] = {"EMPTY", false},
    [DIC_ROW_TOO_LARGE] = {"TOO_LARGE", false},
    [DIC_ROW_UNSUPPORTED_FORMAT] = {"UNSUPPORTED_FORMAT", false},
    [DIC_ROW_CORRUPT_IMAGE] = {"CORRUPT_IMAGE", false},
    [DIC_ROW_DECODE_TIMEOUT] = {"DECODE_TIMEOUT", true},
    [DIC_ROW_DECODER_CRASHED] = {"DECODER_CRASHED", true},
    [DIC_ROW_INFERENCE_FAILED] = {"INFERENCE_FAILED", true},
    [DIC_ROW_POISON] = {"POISON", false},
};

const char *dic_row_error_word(enum dic_row_error error)
{
    return row_errors[error].word;
}

bool dic_row_error_retryable(enum dic_row_error error)
{
    return row_errors[error].retryable;
}
