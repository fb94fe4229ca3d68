/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint of ECS tasks and EKS pods ("Container credential provider" in the AWS SDKs and Tools
 * Reference Guide). The full URI may be plain HTTP only where it cannot leave the machine, for the
 * token that is sent there is a secret, or at the very host and port that AWS_ENDPOINT_URL names in
 * plain HTTP: there an emulator is AWS, and gives the credentials out itself.
 */
#include "aws/credentials_reply.h"
#include "aws/text_file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
    TIMEOUT_MS = 2000, /* as botocore's ContainerMetadataFetcher */
    MAX_URL = 2048,
    MAX_TOKEN_FILE = 16 * 1024,
    MAX_HOST = 64,
};

#define ECS_ENDPOINT "http://169.254.170.2"

static bool is_container_v4(const unsigned char address[4])
{
    static const unsigned char hosts[][4] = {
        {169, 254, 170, 2},  /* ECS */
        {169, 254, 170, 23}, /* EKS */
    };
    return address[0] == 127 || memcmp(address, hosts[0], 4) == 0 ||
           memcmp(address, hosts[1], 4) == 0;
}

static bool is_container_v6(const unsigned char address[16])
{
    static const unsigned char hosts[][16] = {
        {[15] = 1},                                                      /* ::1 */
        {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23}, /* EKS, fd00:ec2::23 */
    };
    return memcmp(address, hosts[0], 16) == 0 || memcmp(address, hosts[1], 16) == 0;
}

/* Addresses are compared as numbers, so that no name that looks like one ("127.0.0.1.example.com",
 * "127.1") and no other notation passes. */
static bool is_container_host(struct dic_str authority)
{
    bool is_v6 = authority.len > 0 && authority.ptr[0] == '[';
    size_t host_len = is_v6 ? dic_str_find(authority, ']') : dic_str_find(authority, ':');
    struct dic_str host = dic_str_len(authority.ptr + is_v6, host_len - is_v6);
    char text[MAX_HOST];
    if (host.len >= sizeof text || (is_v6 && host_len == authority.len)) {
        return false;
    }
    snprintf(text, sizeof text, "%.*s", DIC_STR_ARGS(host));
    unsigned char address[16];
    if (is_v6) {
        return inet_pton(AF_INET6, text, address) == 1 && is_container_v6(address);
    }
    return strcmp(text, "localhost") == 0 ||
           (inet_pton(AF_INET, text, address) == 1 && is_container_v4(address));
}

/* Host and port of a plain http:// URL; empty of any other. */
static struct dic_str plain_authority(struct dic_str url)
{
    struct dic_str scheme = DIC_STR_LIT("http://");
    if (!dic_str_starts_with(url, scheme)) {
        return dic_str_len(NULL, 0);
    }
    struct dic_str authority = dic_str_skip(url, scheme.len);
    size_t len = 0;
    while (len < authority.len && strchr("/?#", authority.ptr[len]) == NULL) {
        len++;
    }
    return dic_str_len(authority.ptr, len);
}

DIC_MUST_USE
static enum dic_code check_full_uri(const struct dic_aws_environment *environment,
                                    struct dic_str url, struct dic_err *err)
{
    const char *variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    if (dic_str_starts_with(url, DIC_STR_LIT("https://"))) {
        return DIC_OK;
    }
    const struct dic_str authority = plain_authority(url);
    if (authority.ptr == NULL) {
        return dic_fail_field(err, DIC_E_DENIED, variable, "%s is neither http:// nor https://",
                              variable);
    }
    const size_t len = authority.len;
    const struct dic_str endpoint = plain_authority(dic_str(environment->endpoint_url));
    const bool is_endpoint = len > 0 && dic_str_eq(authority, endpoint);
    if (dic_str_find(authority, '@') < len || (!is_endpoint && !is_container_host(authority))) {
        return dic_fail_field(err, DIC_E_DENIED, variable,
                              "%s: plain http is for this machine, the endpoints of ECS and EKS "
                              "and the host of AWS_ENDPOINT_URL, not for '%.*s'",
                              variable, (int)(len < 80 ? len : 80), authority.ptr);
    }
    return DIC_OK;
}

DIC_MUST_USE
static enum dic_code find_url(const struct dic_aws_environment *environment, struct dic_buf *url,
                              struct dic_err *err)
{
    if (environment->container_relative_uri[0] != '\0') {
        if (environment->container_relative_uri[0] != '/') {
            return dic_fail_field(err, DIC_E_DENIED, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not start with '/'");
        }
        dic_buf_printf(url, "%s%s", ECS_ENDPOINT, environment->container_relative_uri);
        return dic_buf_check(url, err);
    }
    if (environment->container_full_uri[0] == '\0') {
        return dic_fail(err, DIC_E_NOT_FOUND,
                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
    }
    dic_buf_append_text(url, environment->container_full_uri);
    DIC_TRY(dic_buf_check(url, err));
    return check_full_uri(environment, dic_buf_view(url), err);
}

static bool is_line_break(char byte)
{
    return byte == '\r' || byte == '\n';
}

/* The file's is read anew each time, for it is replaced while the pod lives. */
DIC_MUST_USE
static enum dic_code find_token(const struct dic_aws_environment *environment,
                                struct dic_buf *token, struct dic_err *err)
{
    if (environment->container_token_file[0] == '\0') {
        dic_buf_append_text(token, environment->container_token);
    } else {
        enum dic_code code = dic_text_file_read(environment->container_token_file, token, err);
        if (code != DIC_OK) {
            return code == DIC_E_NOT_FOUND ? DIC_E_DENIED : code; /* configured, and not there */
        }
        while (token->len > 0 && is_line_break(token->ptr[token->len - 1])) {
            token->len--;
        }
    }
    for (size_t i = 0; i < token->len; i++) {
        if (token->ptr[i] < ' ' || token->ptr[i] > '~') {
            return dic_fail(err, DIC_E_DENIED,
                            "the container's authorization token has a control character or a "
                            "byte over 0x7e at %zu",
                            i);
        }
    }
    return dic_buf_check(token, err);
}

DIC_MUST_USE
static enum dic_code ask(const struct dic_aws_credentials_context *context, struct dic_str url,
                         struct dic_str token, struct dic_aws_credentials *out, struct dic_err *err)
{
    const struct dic_http_header headers[] = {
        {DIC_STR_LIT("accept"), DIC_STR_LIT("application/json")},
        {DIC_STR_LIT("authorization"), token}};
    struct dic_aws_credentials_query query = {
        .method = "GET",
        .url = url,
        .headers = headers,
        .header_count = token.len > 0 ? 2 : 1,
        .timeout_ms = TIMEOUT_MS,
    };
    struct dic_http_response response;
    dic_http_response_init(&response);
    enum dic_code code = dic_aws_credentials_ask(context, &query, &response, err);
    if (code == DIC_OK && response.status != 200) {
        code = dic_fail(err, DIC_E_DENIED, "the endpoint answers with HTTP %d", response.status);
    }
    if (code == DIC_OK) {
        code = dic_aws_credentials_reply_parse(dic_buf_view(&response.body), out, err);
    }
    dic_http_response_clean_up(&response);
    return code;
}

enum dic_code dic_aws_credentials_from_container(const struct dic_aws_credentials_context *context,
                                                 struct dic_aws_credentials *out,
                                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf url = {.ceiling = MAX_URL};
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf token = {.ceiling = MAX_TOKEN_FILE};
    DIC_TRY(find_url(context->environment, &url, err));
    DIC_TRY(find_token(context->environment, &token, err));
    return ask(context, dic_buf_view(&url), dic_buf_view(&token), out, err);
}
