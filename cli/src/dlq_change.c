/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify dlq redrive, dlq purge. A chunk with a copy is booked, so its images can only be tried
 * again by a retry of their job, which takes all failed images of it: all its copies go with it. A
 * message still in the queue is sent to the job queue again. One that cannot be done is reported
 * and the others go on.
 */
#include "dlq.h"

#include "json/json_write.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 64, LINE_BYTES = 1024 };

struct change {
    struct dic_cli *cli;
    struct dic_dead_store *store;
    int64_t copies;
    int64_t messages;
    int64_t failed;
    bool removes; /* purge with --yes; else what is there is counted */
};

/* ---- redrive: messages ---- */

static void say_sent(const struct change *change, const struct dic_dead_message *message)
{
    const bool named = message->understood;
    if (!change->cli->arguments.json) {
        dic_put_safe(stdout, named ? dic_str(message->message.job_id) : message->id);
        puts(named ? ": its message is in the job queue again"
                   : ": a message that is not understood here is in the job queue again");
        return;
    }
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf line;
    dic_buf_init(&line, LINE_BYTES);
    struct dic_json_writer writer = dic_json_writer(&line);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "action", "sent");
    if (named) {
        dic_json_put_text(&writer, "job_id", message->message.job_id);
    } else {
        dic_json_put_null(&writer, "job_id");
    }
    dic_json_put_str(&writer, "message_id", message->id);
    dic_json_end_object(&writer);
    printf("%.*s\n", DIC_STR_ARGS(dic_buf_view(&line)));
}

static enum dic_code send_again(void *context, struct dic_dead_message *message,
                                struct dic_err *err)
{
    struct change *change = context;
    struct dic_err why = {0};
    (void)err; /* it goes on with the next one */
    if (dic_dead_message_send(change->store, message, &why) == DIC_OK) {
        change->messages++;
        say_sent(change, message);
    } else {
        change->failed++;
        fprintf(stderr, "classify: message %.*s: %s\n", DIC_STR_ARGS(message->id), why.msg);
    }
    return DIC_OK;
}

/* ---- redrive: booked chunks ---- */

static enum dic_code count_copy(void *context, const struct dic_dead_copy *copy,
                                struct dic_err *err)
{
    struct change *change = context;
    (void)copy; /* the visitor's signature */
    (void)err;
    change->copies++;
    return DIC_OK;
}

static enum dic_code remove_copy(void *context, const struct dic_dead_copy *copy,
                                 struct dic_err *err)
{
    struct change *change = context;
    DIC_TRY(dic_dead_copy_remove(change->store, copy, err));
    change->copies++;
    return DIC_OK;
}

static enum dic_code post_retry(struct change *change, const char *job, char child_out[DIC_ID_SIZE],
                                struct dic_err *err)
{
    DIC_CLEANUP(dic_http_response_clean_up) struct dic_http_response answer;
    DIC_CLEANUP(dic_json_cleanup) struct dic_json *root = NULL;
    char path[PATH_BYTES];
    dic_http_response_init(&answer);
    snprintf(path, sizeof path, "/retry/%s", job);
    const struct dic_service_call call = {.method = "POST", .path = path};
    DIC_TRY(dic_service_call(&change->cli->service, &call, &answer, err));
    DIC_TRY(dic_json_parse(dic_buf_view(&answer.body), &root, err));
    return dic_cli_answered_job(root, child_out, err);
}

static enum dic_code retry_job(struct change *change, const char *job, struct dic_err *err)
{
    const struct dic_dead_filter all_of_it = {.job = job, .chunk = -1};
    char child[DIC_ID_SIZE];
    const int64_t before = change->copies;
    DIC_TRY(post_retry(change, job, child, err));
    DIC_TRY(dic_dead_copies(change->store, &all_of_it, remove_copy, change, err));
    if (change->cli->arguments.json) {
        printf("{\"action\":\"retried\",\"job_id\":\"%s\",\"retry_job_id\":\"%s\","
               "\"copies_removed\":%" PRId64 "}\n",
               job, child, change->copies - before);
    } else {
        printf("%s: its failed images are tried again by job %s\n", job, child);
    }
    return DIC_OK;
}

static enum dic_code redrive_one(struct change *change, const struct dic_dead_filter *filter,
                                 struct dic_err *err)
{
    bool more = false;
    DIC_TRY(dic_dead_messages(change->store, filter, send_again, change, &more, err));
    DIC_TRY(dic_dead_copies(change->store, filter, count_copy, change, err));
    if (change->copies > 0) {
        return retry_job(change, filter->job, err);
    }
    return change->messages + change->failed > 0 ? DIC_OK : dic_dlq_nothing(filter, err);
}

static enum dic_code redrive_all(struct change *change, struct dic_err *err)
{
    const struct dic_dead_filter all = {.job = NULL, .chunk = -1};
    char job[DIC_ID_SIZE] = "";
    bool more = false;
    DIC_TRY(dic_dead_messages(change->store, &all, send_again, change, &more, err));
    for (;;) {
        char next[DIC_ID_SIZE];
        struct dic_err why = {0};
        DIC_TRY(dic_dead_next_job(change->store, job, next, err));
        if (next[0] == '\0') {
            break;
        }
        memcpy(job, next, sizeof job);
        if (retry_job(change, job, &why) != DIC_OK) {
            change->failed++;
            fprintf(stderr, "classify: job %s: %s\n", job, why.msg);
        }
    }
    if (more) {
        fputs("classify: the queue holds more messages; run this again\n", stderr);
    }
    return DIC_OK;
}

enum dic_code dic_command_dlq_redrive(struct dic_cli *cli, struct dic_err *err)
{
    DIC_CLEANUP(dic_dead_store_cleanup) struct dic_dead_store *store = NULL;
    struct dic_dead_filter filter;
    DIC_TRY(dic_dlq_filter(cli, &filter, err));
    if (cli->arguments.all == (filter.job != NULL)) {
        return dic_fail(err, DIC_E_INVALID, "say which: JOB, JOB CHUNK or --all");
    }
    DIC_TRY(dic_dead_store_open(&store, err));
    struct change change = {.cli = cli, .store = store};
    DIC_TRY(filter.job == NULL ? redrive_all(&change, err) : redrive_one(&change, &filter, err));
    DIC_TRY(dic_flush_stdout(err));
    if (change.failed > 0) {
        return dic_fail(err, DIC_E_DENIED, "%" PRId64 " could not be redriven and are still there",
                        change.failed);
    }
    return DIC_OK;
}

/* ---- purge ---- */

static enum dic_code purge_message(void *context, struct dic_dead_message *message,
                                   struct dic_err *err)
{
    struct change *change = context;
    if (change->removes) {
        DIC_TRY(dic_dead_message_remove(change->store, message, err));
    }
    change->messages++;
    return DIC_OK;
}

static enum dic_code purge(struct change *change, const struct dic_dead_filter *filter,
                           struct dic_err *err)
{
    bool more = false;
    DIC_TRY(dic_dead_copies(change->store, filter, change->removes ? remove_copy : count_copy,
                            change, err));
    DIC_TRY(dic_dead_messages(change->store, filter, purge_message, change, &more, err));
    if (more) {
        fputs("classify: the queue holds more messages; run this again\n", stderr);
    }
    return DIC_OK;
}

enum dic_code dic_command_dlq_purge(struct dic_cli *cli, struct dic_err *err)
{
    DIC_CLEANUP(dic_dead_store_cleanup) struct dic_dead_store *store = NULL;
    struct dic_dead_filter filter;
    DIC_TRY(dic_dlq_filter(cli, &filter, err));
    DIC_TRY(dic_dead_store_open(&store, err));
    struct change change = {.cli = cli, .store = store, .removes = cli->arguments.yes};
    DIC_TRY(purge(&change, &filter, err));
    if (!change.removes) {
        return dic_fail(err, DIC_E_INVALID,
                        "this removes for ever %" PRId64 " copies, and %" PRId64
                        " messages of the dead-letter queue: say --yes",
                        change.copies, change.messages);
    }
    if (cli->arguments.json) {
        printf("{\"copies_removed\":%" PRId64 ",\"messages_removed\":%" PRId64 "}\n", change.copies,
               change.messages);
    } else {
        printf("%" PRId64 " copies and %" PRId64 " messages removed\n", change.copies,
               change.messages);
    }
    return dic_flush_stdout(err);
}
