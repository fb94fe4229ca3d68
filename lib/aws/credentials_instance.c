/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata service of EC2 instances, version 2 only ("Use the Instance Metadata Service", EC2
 * User Guide): a PUT gets a session token, which version 1's attackers cannot do.
 */
#include "aws/credentials_reply.h"

#include "aws/endpoint.h"

#include <string.h>
#include <strings.h>

#define DEFAULT_ENDPOINT "http://169.254.169.254"
#define ROLES_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_LIFE_S "21600" /* the longest there is; it is used within a second */

enum {
    TIMEOUT_MS = 1000, /* as botocore's; elsewhere than on EC2 nobody answers */
    MAX_URL = 1024,
    MAX_ROLE = 256,
};

struct session {
    const struct dic_aws_credentials_context *context;
    char endpoint[DIC_AWS_ENDPOINT_SIZE];
    struct dic_buf token;
    struct dic_http_response response;
};

static void clean_up_session(struct session *session)
{
    dic_buf_clean_up(&session->token);
    dic_http_response_clean_up(&session->response);
}

DIC_MUST_USE
static enum dic_code ask(struct session *session, const char *method, struct dic_str path,
                         const struct dic_http_header *header, struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf url = {.ceiling = MAX_URL};
    dic_buf_append_text(&url, session->endpoint);
    dic_buf_append_str(&url, path);
    DIC_TRY(dic_buf_check(&url, err));
    struct dic_aws_credentials_query query = {
        .method = method,
        .url = dic_buf_view(&url),
        .headers = header,
        .header_count = 1,
        .timeout_ms = TIMEOUT_MS,
        .may_be_absent = true,
    };
    return dic_aws_credentials_ask(session->context, &query, &session->response, err);
}

static bool is_plain(struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len > 0;
}

DIC_MUST_USE
static enum dic_code get_session_token(struct session *session, struct dic_err *err)
{
    const struct dic_http_header life = {DIC_STR_LIT("x-aws-ec2-metadata-token-ttl-seconds"),
                                         DIC_STR_LIT(TOKEN_LIFE_S)};
    enum dic_code code = ask(session, "PUT", DIC_STR_LIT("/latest/api/token"), &life, err);
    if (code != DIC_OK) {
        bool is_there = session->response.sent || (code != DIC_E_UPSTREAM && code != DIC_E_TIMEOUT);
        return is_there ? code
                        : dic_fail(err, DIC_E_NOT_FOUND, "no metadata service of EC2 answers");
    }
    int status = session->response.status;
    if (status == 403 || status == 404 || status == 405) {
        return dic_fail(err, DIC_E_NOT_FOUND,
                        "EC2's metadata service is off or has no version 2 (HTTP %d)", status);
    }
    struct dic_str token = dic_buf_view(&session->response.body);
    if (status != 200 || !is_plain(token)) {
        return dic_fail(err, DIC_E_UPSTREAM,
                        "EC2's metadata service answers a request for a session token with HTTP %d "
                        "and %zu bytes",
                        status, token.len);
    }
    dic_buf_append_str(&session->token, token);
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code get(struct session *session, struct dic_str path, struct dic_err *err)
{
    const struct dic_http_header token = {DIC_STR_LIT("x-aws-ec2-metadata-token"),
                                          dic_buf_view(&session->token)};
    DIC_TRY(ask(session, "GET", path, &token, err));
    if (session->response.status == 404) {
        return dic_fail(err, DIC_E_NOT_FOUND, "the instance has no role");
    }
    if (session->response.status != 200) {
        return dic_fail(err, DIC_E_UPSTREAM, "the metadata service answers with HTTP %d",
                        session->response.status);
    }
    return DIC_OK;
}

/* The list of roles has one line, as an instance has one role. */
DIC_MUST_USE
static enum dic_code get_role_path(struct session *session, struct dic_buf *path,
                                   struct dic_err *err)
{
    dic_buf_append_text(path, ROLES_PATH);
    DIC_TRY(get(session, dic_buf_view(path), err));
    struct dic_str role = dic_buf_view(&session->response.body);
    role.len = dic_str_find(role, '\n');
    role = dic_str_trim(role);
    if (!is_plain(role) || role.len > MAX_ROLE || dic_str_find(role, '?') < role.len ||
        dic_str_find(role, '#') < role.len) {
        return dic_fail(err, DIC_E_UPSTREAM, "the metadata service names no role that can be used");
    }
    dic_buf_append_str(path, role);
    return dic_buf_check(path, err);
}

DIC_MUST_USE
static enum dic_code open_session(const struct dic_aws_credentials_context *context,
                                  struct session *session, struct dic_err *err)
{
    const struct dic_aws_environment *environment = context->environment;
    if (strcasecmp(environment->metadata_disabled, "true") == 0) {
        return dic_fail(err, DIC_E_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is true");
    }
    const char *endpoint = environment->metadata_endpoint[0] != '\0'
                               ? environment->metadata_endpoint
                               : DEFAULT_ENDPOINT;
    DIC_TRY(dic_aws_endpoint_parse(dic_str(endpoint), "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                   session->endpoint, err));
    return get_session_token(session, err);
}

enum dic_code dic_aws_credentials_from_instance(const struct dic_aws_credentials_context *context,
                                                struct dic_aws_credentials *out,
                                                struct dic_err *err)
{
    DIC_CLEANUP(clean_up_session) struct session session = {.context = context};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf path = {.ceiling = MAX_URL};
    dic_buf_init(&session.token, DIC_AWS_CREDENTIALS_REPLY_MAX);
    dic_http_response_init(&session.response);
    DIC_TRY(open_session(context, &session, err));
    DIC_TRY(get_role_path(&session, &path, err));
    DIC_TRY(get(&session, dic_buf_view(&path), err));
    return dic_aws_credentials_reply_parse(dic_buf_view(&session.response.body), out, err);
}
