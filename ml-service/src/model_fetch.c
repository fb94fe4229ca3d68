/* SPDX-License-Identifier: Apache-2.0 */
#include "model_fetch.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "model_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 8000, SHOWN_KEY_BYTES = 100 };

struct object {
    char key[DIC_MODEL_KEY_BYTES + DIC_MODEL_NAME_BYTES + 1];
    struct dic_blob_info info;
};

struct fetch {
    const struct dic_model_fetch_options *options;
    struct object objects[DIC_MODEL_FILE_COUNT]; /* an empty key: there is none */
    int64_t begun_ms;
    int64_t progress_ms; /* when a read last succeeded */
};

static int64_t now_ms(const struct fetch *fetch)
{
    return dic_clock_mono_ms(fetch->options->clock);
}

/* The end of a long key tells more than its beginning. */
static enum dic_code about(const struct fetch *fetch, const char *key, enum dic_code code,
                           struct dic_err *err)
{
    if (code == DIC_OK || err == NULL) {
        return code;
    }
    const struct dic_err why = *err;
    const size_t len = strlen(key);
    const bool is_long = len > SHOWN_KEY_BYTES;
    (void)dic_fail(err, code, "s3://%s/%s%s: %.200s", fetch->options->uri->bucket,
                   is_long ? "..." : "", is_long ? key + len - SHOWN_KEY_BYTES : key, why.msg);
    err->retryable = why.retryable;
    return code;
}

/* ---- patience ---- */

static void log_retry(const char *key, int64_t wait_ms, const struct dic_err *why)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_WARN, "model_fetch_retry");
    dic_log_str(&log, "key", key);
    dic_log_int(&log, "wait_ms", wait_ms);
    dic_log_err(&log, why);
    dic_log_end(&log);
}

/* One read of one object, by whatever operation. */
struct step {
    enum dic_code (*run)(struct fetch *fetch, const struct step *step, struct dic_err *err);
    struct object *object;
    int64_t offset;
    int64_t len;
    struct dic_buf *out;
};

static void pause_ms(const struct fetch *fetch, int64_t ms)
{
    if (fetch->options->sleep_ms != NULL) {
        fetch->options->sleep_ms(fetch->options->sleep_context, ms);
    } else {
        dic_sleep_ms(ms);
    }
}

/* Tries again what may work later; the message of the last failure is the one that is kept. */
static enum dic_code patiently(struct fetch *fetch, const struct step *step, struct dic_err *err)
{
    struct dic_err local = {0};
    struct dic_err *why = err != NULL ? err : &local;
    for (int64_t wait_ms = FIRST_WAIT_MS;; wait_ms *= 2) {
        if (now_ms(fetch) - fetch->begun_ms > (int64_t)DIC_MODEL_FETCH_S * 1000) {
            const enum dic_code late =
                dic_fail(why, DIC_E_TIMEOUT, "the model was not read in %d s", DIC_MODEL_FETCH_S);
            return about(fetch, step->object->key, late, why);
        }
        const size_t before = step->out != NULL ? step->out->len : 0;
        const enum dic_code code = step->run(fetch, step, why);
        if (code == DIC_OK) {
            fetch->progress_ms = now_ms(fetch);
            return DIC_OK;
        }
        if (step->out != NULL) {
            step->out->len = before;
        }
        wait_ms = wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS;
        const int64_t without_ms = now_ms(fetch) + wait_ms - fetch->progress_ms;
        if (!why->retryable || without_ms > (int64_t)DIC_MODEL_PATIENCE_S * 1000) {
            return about(fetch, step->object->key, code, why);
        }
        log_retry(step->object->key, wait_ms, why);
        pause_ms(fetch, wait_ms);
    }
}

/* ---- reads ---- */

static enum dic_code get_all(struct fetch *fetch, const struct step *step, struct dic_err *err)
{
    const struct dic_blob_store store = fetch->options->store;
    return store.ops->get(store.impl, dic_str(step->object->key), step->len, step->out,
                          &step->object->info, err);
}

static enum dic_code get_head(struct fetch *fetch, const struct step *step, struct dic_err *err)
{
    const struct dic_blob_store store = fetch->options->store;
    DIC_TRY(store.ops->head(store.impl, dic_str(step->object->key), &step->object->info, err));
    return step->object->info.etag[0] != '\0'
               ? DIC_OK
               : dic_fail(err, DIC_E_UPSTREAM, "it has no ETag, so it is not S3's");
}

static enum dic_code get_piece(struct fetch *fetch, const struct step *step, struct dic_err *err)
{
    const struct dic_blob_store store = fetch->options->store;
    const size_t before = step->out->len;
    DIC_TRY(store.ops->get_range(store.impl, dic_str(step->object->key), step->offset, step->len,
                                 step->object->info.etag, step->out, err));
    const size_t came = step->out->len - before;
    if (came != (uint64_t)step->len) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "%zu bytes came from %" PRId64 " on, where %" PRId64 " were expected", came,
                        step->offset, step->len);
    }
    return DIC_OK;
}

/* ---- the files ---- */

static enum dic_code write_file(const struct fetch *fetch, enum dic_model_file file, int64_t offset,
                                const struct dic_buf *bytes, struct dic_err *err)
{
    const enum dic_code code =
        dic_model_files_write(fetch->options->files, file, offset, dic_buf_view(bytes), err);
    return about(fetch, fetch->objects[file].key, code, err);
}

static void name_object(struct fetch *fetch, enum dic_model_file file, const char *name)
{
    struct object *object = &fetch->objects[file];
    snprintf(object->key, sizeof object->key, "%s%s", fetch->options->uri->prefix, name);
}

static enum dic_code fetch_json(struct fetch *fetch, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf text;
    struct dic_model_names names;
    name_object(fetch, DIC_MODEL_JSON, "model.json");
    struct object *json = &fetch->objects[DIC_MODEL_JSON];
    dic_buf_init(&text, DIC_MODEL_JSON_BYTES);
    const struct step step = {get_all, json, 0, DIC_MODEL_JSON_BYTES, &text};
    DIC_TRY(patiently(fetch, &step, err));
    DIC_TRY(write_file(fetch, DIC_MODEL_JSON, 0, &text, err));
    DIC_TRY(dic_model_names_read(fetch->options->files->origin, dic_buf_view(&text), &names, err));
    for (enum dic_model_file file = DIC_MODEL_LABELS; file < DIC_MODEL_FILE_COUNT; file++) {
        if (names.of[file][0] != '\0') {
            name_object(fetch, file, names.of[file]);
        }
    }
    return DIC_OK;
}

static enum dic_code check_size(const struct fetch *fetch, enum dic_model_file file, int64_t *total,
                                struct dic_err *err)
{
    const struct object *object = &fetch->objects[file];
    const int64_t size = object->info.size_bytes;
    enum dic_code code = DIC_OK;
    if (size < 1) {
        code = dic_fail(err, DIC_E_INVALID, "the object is empty");
    } else if (file == DIC_MODEL_LABELS && size > DIC_MODEL_LABELS_BYTES) {
        code = dic_fail(err, DIC_E_TOO_LARGE, "the labels have %" PRId64 " bytes, the limit is %d",
                        size, DIC_MODEL_LABELS_BYTES);
    } else if (size > DIC_MODEL_TOTAL_BYTES - *total) {
        code = dic_fail(err, DIC_E_TOO_LARGE,
                        "with its %" PRId64 " bytes the model has more than %" PRId64, size,
                        DIC_MODEL_TOTAL_BYTES);
    } else {
        *total += size;
    }
    return about(fetch, object->key, code, err);
}

/* All sizes are known before the first byte of a large file is read. */
static enum dic_code check_sizes(struct fetch *fetch, int64_t *total_out, struct dic_err *err)
{
    *total_out = fetch->objects[DIC_MODEL_JSON].info.size_bytes;
    for (enum dic_model_file file = DIC_MODEL_LABELS; file < DIC_MODEL_FILE_COUNT; file++) {
        struct object *object = &fetch->objects[file];
        const struct step step = {.run = get_head, .object = object};
        if (object->key[0] != '\0') {
            DIC_TRY(patiently(fetch, &step, err));
            DIC_TRY(check_size(fetch, file, total_out, err));
        }
    }
    return DIC_OK;
}

static enum dic_code fetch_file(struct fetch *fetch, enum dic_model_file file, struct dic_err *err)
{
    struct object *object = &fetch->objects[file];
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf piece;
    dic_buf_init(&piece, DIC_MODEL_PIECE_BYTES);
    int64_t at = 0;
    while (at < object->info.size_bytes) {
        const int64_t left = object->info.size_bytes - at;
        const int64_t len = left < DIC_MODEL_PIECE_BYTES ? left : DIC_MODEL_PIECE_BYTES;
        const struct step step = {get_piece, object, at, len, &piece};
        dic_buf_clear(&piece);
        DIC_TRY(patiently(fetch, &step, err));
        DIC_TRY(write_file(fetch, file, at, &piece, err));
        at += len;
    }
    return DIC_OK;
}

static void log_file(const struct fetch *fetch, const struct object *object)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "model_file");
    dic_log_str(&log, "bucket", fetch->options->uri->bucket);
    dic_log_str(&log, "key", object->key);
    dic_log_int(&log, "bytes", object->info.size_bytes);
    dic_log_str(&log, "etag", object->info.etag);
    dic_log_end(&log);
}

static void log_end(const struct fetch *fetch, int64_t total)
{
    struct dic_log log;
    dic_log_begin(&log, DIC_LOG_INFO, "model_fetched");
    dic_log_str(&log, "origin", fetch->options->files->origin);
    dic_log_int(&log, "bytes", total);
    dic_log_int(&log, "ms", now_ms(fetch) - fetch->begun_ms);
    dic_log_end(&log);
}

enum dic_code dic_model_fetch(const struct dic_model_fetch_options *options, struct dic_err *err)
{
    struct fetch fetch = {.options = options};
    int64_t total = 0;
    fetch.begun_ms = now_ms(&fetch);
    fetch.progress_ms = fetch.begun_ms;
    DIC_TRY(fetch_json(&fetch, err));
    log_file(&fetch, &fetch.objects[DIC_MODEL_JSON]);
    DIC_TRY(check_sizes(&fetch, &total, err));
    for (enum dic_model_file file = DIC_MODEL_LABELS; file < DIC_MODEL_FILE_COUNT; file++) {
        if (fetch.objects[file].key[0] != '\0') {
            DIC_TRY(fetch_file(&fetch, file, err));
            log_file(&fetch, &fetch.objects[file]);
        }
    }
    log_end(&fetch, total);
    return DIC_OK;
}

char *dic_model_fetch_origin(const struct dic_model_uri *uri)
{
    struct dic_buf text;
    size_t len = 0;
    const size_t prefix = strlen(uri->prefix);
    dic_buf_init(&text, 4096);
    dic_buf_printf(&text, "s3://%s", uri->bucket);
    if (prefix > 0) {
        dic_buf_printf(&text, "/%.*s", (int)prefix - 1, uri->prefix);
    }
    return dic_buf_detach(&text, &len);
}
