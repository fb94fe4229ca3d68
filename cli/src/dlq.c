/* SPDX-License-Identifier: Apache-2.0 */
/* classify dlq ls, dlq show */
#include "dlq.h"

#include "base/clock.h"
#include "job/limits.h"
#include "json/json_write.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>

enum { COPY_BYTES = 64 * 1024, LINE_BYTES = 4 * 1024 * 1024 };

enum dic_code dic_dlq_filter(const struct dic_cli *cli, struct dic_dead_filter *out,
                             struct dic_err *err)
{
    const struct dic_texts *operands = &cli->arguments.operands;
    uint64_t chunk = 0;
    *out = (struct dic_dead_filter){.job = NULL, .chunk = -1};
    if (operands->count == 0) {
        return DIC_OK;
    }
    DIC_TRY(dic_cli_job_operand(cli, &out->job, err));
    if (operands->count < 2) {
        return DIC_OK;
    }
    const uint64_t last = (uint64_t)DIC_MAX_SEGMENTS * DIC_SEGMENT_CHUNKS - 1;
    if (dic_parse_u64(dic_str(operands->items[1]), 0, last, &chunk, NULL) != DIC_OK) {
        return dic_fail(err, DIC_E_INVALID, "'%.40s' is no chunk: a number from 0 to %" PRIu64,
                        operands->items[1], last);
    }
    out->chunk = (int64_t)chunk;
    return DIC_OK;
}

enum dic_code dic_dlq_nothing(const struct dic_dead_filter *filter, struct dic_err *err)
{
    if (filter->job == NULL) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no dead letter");
    }
    if (filter->chunk < 0) {
        return dic_fail(err, DIC_E_NOT_FOUND, "there is no dead letter of job %s", filter->job);
    }
    return dic_fail(err, DIC_E_NOT_FOUND, "there is no dead letter of job %s, chunk %" PRId64,
                    filter->job, filter->chunk);
}

/* ---- showing ---- */

enum form { FORM_TABLE, FORM_BLOCKS, FORM_JSON };

struct showing {
    struct dic_dead_store *store;
    enum form form;
    int64_t shown;
    struct dic_buf text; /* scratch */
};

static void begin_entry(struct showing *showing)
{
    if (showing->form == FORM_BLOCKS && showing->shown > 0) {
        putchar('\n');
    }
    if (showing->form == FORM_TABLE && showing->shown == 0) {
        printf("%-5s  %-26s  %10s  %-24s  %s\n", "WHERE", "JOB", "CHUNK", "SINCE", "WHY");
    }
    showing->shown++;
}

static void put_row(const char *where, const char *job, int64_t chunk, struct dic_str since,
                    struct dic_str why)
{
    printf("%-5s  %-26s  ", where, job);
    dic_put_number(stdout, 10, chunk);
    printf("  %-24.*s  ", DIC_STR_ARGS(since));
    dic_put_safe(stdout, why);
    putchar('\n');
}

static void put_chunk_line(int64_t chunk)
{
    if (chunk >= 0) {
        printf("%-10s %" PRId64 "\n", "chunk", chunk);
    }
}

/* ---- copies ---- */

static void put_member(struct dic_json_writer *writer, const struct dic_json *letter,
                       const char *name)
{
    dic_json_put_str(writer, name, dic_member_text(letter, name));
}

static void put_copy_json(const struct dic_dead_copy *copy, const struct dic_json *letter,
                          struct dic_buf *out)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "where", "copy");
    dic_json_put_text(&writer, "job_id", copy->job);
    dic_json_put_int(&writer, "chunk", copy->chunk);
    put_member(&writer, letter, "outcome");
    put_member(&writer, letter, "reason");
    put_member(&writer, letter, "sent_at");
    put_member(&writer, letter, "given_up_at");
    dic_json_end_object(&writer);
    dic_buf_append_byte(out, '\n');
}

static void put_copy_block(const struct dic_dead_copy *copy, const struct dic_json *letter)
{
    dic_put_line(stdout, "where", DIC_STR_LIT("copy in the result bucket"));
    dic_put_line(stdout, "job", dic_str(copy->job));
    put_chunk_line(copy->chunk);
    dic_put_line(stdout, "outcome", dic_member_text(letter, "outcome"));
    dic_put_line(stdout, "reason", dic_member_text(letter, "reason"));
    dic_put_line(stdout, "sent", dic_member_text(letter, "sent_at"));
    dic_put_line(stdout, "given up", dic_member_text(letter, "given_up_at"));
    dic_put_line(stdout, "key", copy->key);
}

static enum dic_code show_copy(void *context, const struct dic_dead_copy *copy, struct dic_err *err)
{
    struct showing *showing = context;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf bytes;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *letter = NULL;
    dic_buf_init(&bytes, COPY_BYTES);
    enum dic_code code = dic_dead_copy_read(showing->store, copy, &bytes, err);
    if (code == DIC_E_NOT_FOUND) {
        return DIC_OK; /* redriven or purged by somebody else meanwhile */
    }
    DIC_TRY(code);
    if (dic_json_parse(dic_buf_view(&bytes), &letter, NULL) != DIC_OK) {
        letter = NULL; /* still a dead letter, of which only the key is known */
    }
    begin_entry(showing);
    if (showing->form == FORM_JSON) {
        dic_buf_clear(&showing->text);
        put_copy_json(copy, letter, &showing->text);
        fwrite(showing->text.ptr, 1, showing->text.len, stdout);
    } else if (showing->form == FORM_BLOCKS) {
        put_copy_block(copy, letter);
    } else {
        put_row("copy", copy->job, copy->chunk, dic_member_text(letter, "given_up_at"),
                dic_member_text(letter, "reason"));
    }
    return DIC_OK;
}

/* ---- messages ---- */

static const char *kind_of(const struct dic_dead_message *message)
{
    static const char *const words[] = {
        [DIC_MESSAGE_PLAN] = "plan", [DIC_MESSAGE_CHUNK] = "chunk", [DIC_MESSAGE_SEAL] = "seal"};
    return message->understood ? words[message->message.kind] : "";
}

static int64_t chunk_of(const struct dic_dead_message *message)
{
    return message->understood && message->message.kind == DIC_MESSAGE_CHUNK
               ? (int64_t)message->message.chunk
               : -1;
}

static void put_message_json(const struct dic_dead_message *message, struct dic_buf *out)
{
    struct dic_json_writer writer = dic_json_writer(out);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "where", "queue");
    if (message->understood) {
        dic_json_put_text(&writer, "job_id", message->message.job_id);
        dic_json_put_int_or_null(&writer, "chunk", chunk_of(message));
        dic_json_put_text(&writer, "kind", kind_of(message));
    } else {
        dic_json_put_null(&writer, "job_id");
        dic_json_put_null(&writer, "chunk");
        dic_json_put_null(&writer, "kind");
        dic_json_put_text(&writer, "reason", message->why.msg);
    }
    dic_json_put_time(&writer, "sent_at", message->sent_ms);
    dic_json_put_int(&writer, "receive_count", message->receive_count);
    dic_json_put_str(&writer, "message_id", message->id);
    dic_json_put_str(&writer, "body", message->body);
    dic_json_end_object(&writer);
    dic_buf_append_byte(out, '\n');
}

static void put_message_block(const struct dic_dead_message *message, const char *sent)
{
    dic_put_line(stdout, "where", DIC_STR_LIT("message in the dead-letter queue"));
    dic_put_line(stdout, "job", dic_str(message->understood ? message->message.job_id : ""));
    put_chunk_line(chunk_of(message));
    dic_put_line(stdout, "kind", dic_str(kind_of(message)));
    dic_put_line(stdout, "reason", dic_str(message->why.msg));
    dic_put_line(stdout, "sent", dic_str(sent));
    printf("%-10s %" PRIu32 " times\n", "received", message->receive_count);
    dic_put_line(stdout, "message", message->id);
    dic_put_line(stdout, "body", message->body);
}

static enum dic_code show_message(void *context, struct dic_dead_message *message,
                                  struct dic_err *err)
{
    struct showing *showing = context;
    char sent[DIC_TIME_TEXT_SIZE];
    char why[400];
    dic_time_format(message->sent_ms, sent);
    begin_entry(showing);
    if (showing->form == FORM_JSON) {
        dic_buf_clear(&showing->text);
        put_message_json(message, &showing->text);
        DIC_TRY(dic_buf_check(&showing->text, err));
        fwrite(showing->text.ptr, 1, showing->text.len, stdout);
    } else if (showing->form == FORM_BLOCKS) {
        put_message_block(message, sent);
    } else {
        snprintf(why, sizeof why, message->understood ? "%s message, not taken up yet" : "%s%s",
                 message->understood ? kind_of(message) : "not understood: ", message->why.msg);
        put_row("queue", message->understood ? message->message.job_id : "-", chunk_of(message),
                dic_str(sent), dic_str(why));
    }
    return DIC_OK;
}

static enum dic_code show_all(struct showing *showing, const struct dic_dead_filter *filter,
                              struct dic_err *err)
{
    bool more = false;
    DIC_TRY(dic_dead_copies(showing->store, filter, show_copy, showing, err));
    DIC_TRY(dic_dead_messages(showing->store, filter, show_message, showing, &more, err));
    if (more) {
        fprintf(stderr, "classify: the queue holds more than the %d messages looked at\n",
                DIC_DEAD_MESSAGES_MAX);
    }
    return dic_flush_stdout(err);
}

static enum dic_code show(struct dic_cli *cli, enum form form, int64_t *shown_out,
                          struct dic_dead_filter *filter_out, struct dic_err *err)
{
    DIC_CLEANUP(dic_dead_store_cleanup) struct dic_dead_store *store = NULL;
    DIC_TRY(dic_dlq_filter(cli, filter_out, err));
    DIC_TRY(dic_dead_store_open(&store, err));
    struct showing showing = {.store = store, .form = cli->arguments.json ? FORM_JSON : form};
    dic_buf_init(&showing.text, LINE_BYTES);
    enum dic_code code = show_all(&showing, filter_out, err);
    dic_buf_clean_up(&showing.text);
    *shown_out = showing.shown;
    return code;
}

enum dic_code dic_command_dlq_ls(struct dic_cli *cli, struct dic_err *err)
{
    struct dic_dead_filter filter;
    int64_t shown = 0;
    return show(cli, FORM_TABLE, &shown, &filter, err);
}

enum dic_code dic_command_dlq_show(struct dic_cli *cli, struct dic_err *err)
{
    struct dic_dead_filter filter;
    int64_t shown = 0;
    DIC_TRY(show(cli, FORM_BLOCKS, &shown, &filter, err));
    return shown > 0 ? DIC_OK : dic_dlq_nothing(&filter, err);
}
