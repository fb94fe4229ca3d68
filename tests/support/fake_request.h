/* SPDX-License-Identifier: Apache-2.0 */
/* A request as handlers see it, and a response to fill, without a server. */
#ifndef DIC_FAKE_REQUEST_H
#define DIC_FAKE_REQUEST_H

#include "http.h"

enum { DIC_FAKE_PAIRS_MAX = 8 };

struct dic_fake_pair {
    const char *name; /* NULL ends a list */
    const char *value;
};

struct dic_fake_request {
    struct dic_request request; /* first: the callbacks find the rest by it */
    struct dic_fake_pair query[DIC_FAKE_PAIRS_MAX];
    struct dic_fake_pair headers[DIC_FAKE_PAIRS_MAX];
    struct dic_response response;
};

void dic_fake_request_init(struct dic_fake_request *fake);
void dic_fake_request_clean_up(struct dic_fake_request *fake);
/* Empties the response for another call. */
void dic_fake_request_again(struct dic_fake_request *fake);
/* NULL when the response has no such header. */
const char *dic_fake_request_header(const struct dic_fake_request *fake, const char *name);

#endif
