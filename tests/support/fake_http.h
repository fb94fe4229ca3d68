/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client that answers from a script and remembers what it was sent. Answers are given in
 * the order they were scripted; a request more than that fails the test. Any thread may send.
 */
#ifndef DIC_FAKE_HTTP_H
#define DIC_FAKE_HTTP_H

#include "base/thread.h"
#include "sleep_clock.h"
#include "net/http_client.h"

enum { FAKE_HTTP_MAX_ANSWERS = 512, FAKE_HTTP_MAX_RECORDS = 512 };

struct fake_http_answer {
    enum dic_code failure; /* DIC_OK: an answer arrives */
    bool sent;             /* of a failure */
    int status;
    const char *headers; /* "date: …\nx: y\n", names in lower case; NULL: none */
    const char *body;    /* NULL: empty */
    size_t body_len;     /* 0: strlen(body) */
    int64_t takes_ms;    /* by the fake clock */
};

struct fake_http_record {
    char method[16];
    char url[4096];
    struct dic_buf headers; /* "name: value\n", names in lower case */
    struct dic_buf body;
    int64_t timeout_ms;
    size_t max_response_bytes;
};

struct fake_http {
    struct dic_http_client client;
    struct fake_clock *clock; /* NULL, or advanced by answers that take time */
    /* NULL, or asked instead of the script; called with the lock held. */
    void (*respond)(void *context, const struct fake_http_record *request,
                    struct fake_http_answer *answer_out);
    void *respond_context;
    /* NULL, or called at the start of each send, without the lock. */
    void (*on_send)(void *context, const struct dic_http_request *request);
    void *on_send_context;
    pthread_mutex_t lock; /* guards all that follows */
    struct fake_http_answer answers[FAKE_HTTP_MAX_ANSWERS];
    size_t answer_count;
    size_t answered;
    struct fake_http_record records[FAKE_HTTP_MAX_RECORDS];
    size_t record_count;
    size_t wakes;
};

void fake_http_init(struct fake_http *fake, struct fake_clock *clock);
void fake_http_clean_up(struct fake_http *fake);
void fake_http_script(struct fake_http *fake, struct fake_http_answer answer);
/* Forgets what it was sent, so that there is room for more. */
void fake_http_forget(struct fake_http *fake);
/* Value of a recorded request's header, ptr NULL when it was not sent. */
struct dic_str fake_http_sent_header(const struct fake_http *fake, size_t record, const char *name);

#endif
