/* SPDX-License-Identifier: Apache-2.0 */
#include "submit_body.h"

#include "job/limits.h"
#include "json/json_write.h"

#include <errno.h>
#include <string.h>

enum { READ_BYTES = 64 * 1024, LONGEST_LINE = 64 * 1024 };

#define MANIFEST_WAY                                                                            \
    "put them into a manifest, an object of the bucket with a line of JSON for each (a key is " \
    "\"path/a.jpg\"), and name that with --manifest"

void dic_submit_body_init(struct dic_buf *body)
{
    dic_buf_init(body, DIC_MAX_BODY_BYTES);
}

static enum dic_code too_many(struct dic_err *err)
{
    return dic_fail(err, DIC_E_INVALID, "more than %d keys: " MANIFEST_WAY, DIC_MAX_INLINE_KEYS);
}

/* ---- keys of standard input ---- */

struct key_reader {
    struct dic_json_writer *writer;
    struct dic_buf line;
    size_t line_number;
    size_t keys;
};

static enum dic_code take_line(struct key_reader *reader, struct dic_err *err)
{
    struct dic_str line = dic_buf_view(&reader->line);
    reader->line_number++;
    if (reader->line.poisoned) {
        return dic_fail(err, DIC_E_INVALID, "line %zu of the input is over %d bytes: no key is",
                        reader->line_number, LONGEST_LINE);
    }
    if (line.len == 0) {
        return DIC_OK;
    }
    if (!dic_utf8_valid(line)) {
        return dic_fail(err, DIC_E_INVALID, "line %zu of the input is not UTF-8",
                        reader->line_number);
    }
    if (++reader->keys > DIC_MAX_INLINE_KEYS) {
        return too_many(err);
    }
    dic_json_put_str(reader->writer, NULL, line);
    dic_buf_clear(&reader->line);
    return DIC_OK;
}

static enum dic_code take_bytes(struct key_reader *reader, struct dic_str bytes,
                                struct dic_err *err)
{
    while (bytes.len > 0) {
        const size_t end = dic_str_find(bytes, '\n');
        dic_buf_append(&reader->line, bytes.ptr, end);
        if (end == bytes.len) {
            return DIC_OK;
        }
        DIC_TRY(take_line(reader, err));
        bytes = dic_str_skip(bytes, end + 1);
    }
    return DIC_OK;
}

static enum dic_code read_lines(struct key_reader *reader, FILE *input, struct dic_err *err)
{
    char bytes[READ_BYTES];
    for (;;) {
        const size_t count = fread(bytes, 1, sizeof bytes, input);
        DIC_TRY(take_bytes(reader, dic_str_len(bytes, count), err));
        if (count < sizeof bytes) {
            break;
        }
    }
    if (ferror(input)) {
        return dic_fail(err, DIC_E_INVALID, "cannot read standard input: %s", strerror(errno));
    }
    DIC_TRY(take_line(reader, err)); /* the last one may have no end */
    if (reader->keys == 0) {
        return dic_fail(err, DIC_E_INVALID, "standard input has no keys, one a line");
    }
    return DIC_OK;
}

static enum dic_code read_keys(struct dic_json_writer *writer, FILE *input, struct dic_err *err)
{
    struct key_reader reader = {.writer = writer};
    dic_buf_init(&reader.line, LONGEST_LINE);
    enum dic_code code = read_lines(&reader, input, err);
    dic_buf_clean_up(&reader.line);
    return code;
}

/* ---- the members ---- */

static void put_texts(struct dic_json_writer *writer, const char *name,
                      const struct dic_texts *texts)
{
    if (texts->count == 0) {
        return;
    }
    dic_json_begin_array(writer, name);
    for (size_t i = 0; i < texts->count; i++) {
        dic_json_put_text(writer, NULL, texts->items[i]);
    }
    dic_json_end_array(writer);
}

static enum dic_code put_keys(const struct dic_arguments *arguments, FILE *input,
                              struct dic_json_writer *writer, struct dic_err *err)
{
    const struct dic_texts *keys = &arguments->operands;
    if (keys->count == 1 && strcmp(keys->items[0], "-") == 0) {
        dic_json_begin_array(writer, "s3_keys");
        DIC_TRY(read_keys(writer, input, err));
        dic_json_end_array(writer);
        return DIC_OK;
    }
    if (keys->count > DIC_MAX_INLINE_KEYS) {
        return too_many(err);
    }
    put_texts(writer, "s3_keys", keys);
    return DIC_OK;
}

static enum dic_code put_source(const struct dic_arguments *arguments, FILE *input,
                                struct dic_json_writer *writer, struct dic_err *err)
{
    const int sources = (arguments->operands.count > 0) + (arguments->prefix != NULL) +
                        (arguments->manifest != NULL);
    if (sources != 1) {
        return dic_fail(err, DIC_E_INVALID,
                        "give exactly one of KEY…, - (keys from standard input), --prefix and "
                        "--manifest; try 'classify submit --help'");
    }
    if (arguments->prefix != NULL) {
        dic_json_put_text(writer, "s3_prefix", arguments->prefix);
    } else if (arguments->manifest != NULL) {
        dic_json_put_text(writer, "manifest_s3_key", arguments->manifest);
    } else {
        DIC_TRY(put_keys(arguments, input, writer, err));
    }
    put_texts(writer, "include", &arguments->include);
    put_texts(writer, "exclude", &arguments->exclude);
    return DIC_OK;
}

static struct dic_str tag_name(const char *tag)
{
    return dic_str_len(tag, dic_str_find(dic_str(tag), '='));
}

static enum dic_code put_tags(const struct dic_texts *tags, struct dic_json_writer *writer,
                              struct dic_err *err)
{
    if (tags->count == 0) {
        return DIC_OK;
    }
    dic_json_begin_object(writer, "tags");
    for (size_t i = 0; i < tags->count; i++) {
        struct dic_str name = tag_name(tags->items[i]);
        if (tags->items[i][name.len] == '\0') {
            return dic_fail(err, DIC_E_INVALID, "--tag '%.80s' is not NAME=VALUE", tags->items[i]);
        }
        for (size_t j = 0; j < i; j++) {
            if (dic_str_eq(name, tag_name(tags->items[j]))) {
                return dic_fail(err, DIC_E_INVALID, "--tag '%.*s' is given twice",
                                DIC_STR_ARGS(name));
            }
        }
        dic_json_put_name(writer, name);
        dic_json_put_text(writer, NULL, tags->items[i] + name.len + 1);
    }
    dic_json_end_object(writer);
    return DIC_OK;
}

static void put_number(struct dic_json_writer *writer, const char *name, const char *number)
{
    if (number != NULL) {
        dic_json_put_raw(writer, name, dic_str(number)); /* checked when it was parsed */
    }
}

enum dic_code dic_submit_body_write(const struct dic_arguments *arguments, FILE *input,
                                    struct dic_buf *body_out, struct dic_err *err)
{
    struct dic_json_writer writer = dic_json_writer(body_out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "job_type", "image_classification");
    DIC_TRY(put_source(arguments, input, &writer, err));
    DIC_TRY(put_tags(&arguments->tags, &writer, err));
    put_number(&writer, "top_k", arguments->top_k);
    put_number(&writer, "confidence_threshold", arguments->threshold);
    put_number(&writer, "deadline_seconds", arguments->deadline);
    put_number(&writer, "max_failures", arguments->max_failures);
    dic_json_end_object(&writer);
    if (body_out->poisoned) {
        return dic_fail(err, DIC_E_INVALID, "the keys make more than %d MiB: " MANIFEST_WAY,
                        DIC_MAX_BODY_BYTES / 1024 / 1024);
    }
    return DIC_OK;
}
