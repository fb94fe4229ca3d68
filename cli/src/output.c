/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* C0 and DEL, and C1 as UTF-8 has it (C2 80 to C2 9F): terminals may obey both. */
void dic_put_safe(FILE *out, struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.ptr[i];
        const unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        const bool c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;
        if (byte < ' ' || byte == 0x7F || c1) {
            fputc('?', out);
            i += c1 ? 1 : 0;
        } else {
            fputc(byte, out);
        }
    }
}

struct dic_str dic_member_text(const struct dic_json *object, const char *name)
{
    struct dic_str text = {0};
    const struct dic_json *value =
        object != NULL && dic_json_is_object(object) ? dic_json_member(object, name) : NULL;
    if (value == NULL || dic_json_get_str(value, name, &text, NULL) != DIC_OK) {
        return dic_str_len("", 0);
    }
    return text;
}

int64_t dic_member_int(const struct dic_json *object, const char *name, int64_t otherwise)
{
    int64_t number = 0;
    const struct dic_json *value =
        object != NULL && dic_json_is_object(object) ? dic_json_member(object, name) : NULL;
    if (value == NULL ||
        dic_json_get_int(value, name, INT64_MIN, INT64_MAX, &number, NULL) != DIC_OK) {
        return otherwise;
    }
    return number;
}

void dic_put_line(FILE *out, const char *name, struct dic_str value)
{
    if (value.len > 0) {
        fprintf(out, "%-10s ", name);
        dic_put_safe(out, value);
        fputc('\n', out);
    }
}

void dic_put_number(FILE *out, int width, int64_t value)
{
    if (value < 0) {
        fprintf(out, "%*s", width, "-");
    } else {
        fprintf(out, "%*" PRId64, width, value);
    }
}

void dic_put_progress(FILE *out, const struct dic_json *job)
{
    const struct dic_json *progress = dic_json_member(job, "progress");
    const int64_t succeeded = dic_member_int(progress, "succeeded", 0);
    const int64_t failed = dic_member_int(progress, "failed", 0);
    const int64_t skipped = dic_member_int(progress, "skipped", 0);
    dic_put_safe(out, dic_member_text(job, "status"));
    fprintf(out, ": %" PRId64 " of ", succeeded + failed + skipped);
    dic_put_number(out, 0, dic_member_int(progress, "total", -1));
    fprintf(out, " images, %" PRId64 " classified, %" PRId64 " failed, %" PRId64 " skipped",
            succeeded, failed, skipped);
}

void dic_put_job(FILE *out, const struct dic_json *job)
{
    const int64_t eta = dic_member_int(job, "eta_seconds", -1);
    dic_put_line(out, "job", dic_member_text(job, "job_id"));
    fprintf(out, "%-10s ", "status");
    dic_put_progress(out, job);
    fputc('\n', out);
    dic_put_line(out, "reason", dic_member_text(job, "reason"));
    dic_put_line(out, "created", dic_member_text(job, "created_at"));
    dic_put_line(out, "started", dic_member_text(job, "started_at"));
    dic_put_line(out, "ended", dic_member_text(job, "ended_at"));
    dic_put_line(out, "deadline", dic_member_text(job, "deadline_at"));
    if (eta >= 0) {
        fprintf(out, "%-10s %" PRId64 " s\n", "ends in", eta);
    }
}

enum dic_code dic_flush_stdout(struct dic_err *err)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return dic_fail(err, DIC_E_INTERNAL, "cannot write to standard output: %s",
                        strerror(errno));
    }
    return DIC_OK;
}
