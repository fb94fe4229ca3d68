/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { RESPONSE_BYTES = 1 << 20 };

static struct dic_str find(const struct dic_fake_pair *pairs, const char *name)
{
    for (; pairs->name != NULL; pairs++) {
        if (strcasecmp(pairs->name, name) == 0) {
            return dic_str(pairs->value);
        }
    }
    return dic_str_len(NULL, 0);
}

static struct dic_str query(const struct dic_request *request, const char *name)
{
    return find(((const struct dic_fake_request *)request)->query, name);
}

static struct dic_str header(const struct dic_request *request, const char *name)
{
    return find(((const struct dic_fake_request *)request)->headers, name);
}

static enum dic_code each_query(const struct dic_request *request,
                                enum dic_code (*visit)(void *context, struct dic_str name,
                                                       struct dic_str value, struct dic_err *err),
                                void *context, struct dic_err *err)
{
    const struct dic_fake_request *fake = (const struct dic_fake_request *)request;
    for (const struct dic_fake_pair *pair = fake->query; pair->name != NULL; pair++) {
        DIC_TRY(visit(context, dic_str(pair->name), dic_str(pair->value), err));
    }
    return DIC_OK;
}

void dic_fake_request_init(struct dic_fake_request *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->request.query = query;
    fake->request.header = header;
    fake->request.each_query = each_query;
    fake->request.path_arg = dic_str("");
    fake->request.body = dic_str("");
    snprintf(fake->request.request_id, sizeof fake->request.request_id, "%s",
             "requestrequestrequestreque");
    dic_buf_init(&fake->response.body, RESPONSE_BYTES);
}

void dic_fake_request_clean_up(struct dic_fake_request *fake)
{
    dic_buf_clean_up(&fake->response.body);
}

void dic_fake_request_again(struct dic_fake_request *fake)
{
    struct dic_buf body = fake->response.body;
    dic_buf_clear(&body);
    fake->response = (struct dic_response){.body = body};
}

const char *dic_fake_request_header(const struct dic_fake_request *fake, const char *name)
{
    for (size_t i = 0; i < fake->response.header_count; i++) {
        if (strcasecmp(fake->response.headers[i].name, name) == 0) {
            return fake->response.headers[i].value;
        }
    }
    return NULL;
}
