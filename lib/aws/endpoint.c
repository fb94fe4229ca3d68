/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>

static bool is_alphanumeric(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

enum dic_code dic_aws_region_check(struct dic_str region, const char *where, struct dic_err *err)
{
    bool fits = region.len > 0 && region.len < DIC_AWS_REGION_SIZE;
    for (size_t i = 0; i < region.len && fits; i++) {
        fits = is_alphanumeric(region.ptr[i]) || (region.ptr[i] == '-' && i > 0);
    }
    if (!fits) {
        return dic_fail_field(err, DIC_E_INVALID, where,
                              "%s: '%.60s' is no region: 1 to %d letters, digits and '-'", where,
                              region.len == 0 ? "" : region.ptr, DIC_AWS_REGION_SIZE - 1);
    }
    return DIC_OK;
}

/* The partitions of botocore's partitions.json, by the beginning of their regions' names. */
static const struct {
    const char *prefix;
    const char *suffix;
} partitions[] = {
    {"cn-", "amazonaws.com.cn"},    {"us-iso-", "c2s.ic.gov"},      {"us-isob-", "sc2s.sgov.gov"},
    {"us-isof-", "csp.hci.ic.gov"}, {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"},
    {"", "amazonaws.com"},
};

void dic_aws_endpoint_default(const char *service, const char *region,
                              char endpoint_out[DIC_AWS_ENDPOINT_SIZE])
{
    size_t i = 0;
    while (!dic_str_starts_with(dic_str(region), dic_str(partitions[i].prefix))) {
        i++;
    }
    snprintf(endpoint_out, DIC_AWS_ENDPOINT_SIZE, "https://%s.%s.%s", service, region,
             partitions[i].suffix);
}

DIC_MUST_USE
static enum dic_code bad_url(const char *variable, struct dic_str url, struct dic_err *err)
{
    return dic_fail_field(err, DIC_E_INVALID, variable,
                          "%s='%.*s' is not http:// or https:// with a host, perhaps a port, and "
                          "nothing more, of at most %d bytes",
                          variable, (int)(url.len < 100 ? url.len : 100), url.ptr,
                          DIC_AWS_ENDPOINT_SIZE - 1);
}

/* Letters, digits, '.', '-', '_' as in names of containers, and brackets around an IPv6 address. */
static bool is_host(struct dic_str host)
{
    bool is_ipv6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    struct dic_str inner = is_ipv6 ? dic_str_len(host.ptr + 1, host.len - 2) : host;
    for (size_t i = 0; i < inner.len; i++) {
        char byte = inner.ptr[i];
        bool fine = is_alphanumeric(byte) || byte == '.' ||
                    (is_ipv6 ? byte == ':' : byte == '-' || byte == '_');
        if (!fine) {
            return false;
        }
    }
    return inner.len > 0;
}

/* Splits "[::1]:80" and "host:80" at the last ':' that is not inside brackets. */
static size_t host_length(struct dic_str authority)
{
    size_t from = authority.len > 0 && authority.ptr[0] == '[' ? dic_str_find(authority, ']') : 0;
    struct dic_str after = dic_str_skip(authority, from);
    return from + dic_str_find(after, ':');
}

enum dic_code dic_aws_endpoint_parse(struct dic_str url, const char *variable,
                                     char endpoint_out[DIC_AWS_ENDPOINT_SIZE], struct dic_err *err)
{
    bool https = dic_str_starts_with(url, DIC_STR_LIT("https://"));
    if (!https && !dic_str_starts_with(url, DIC_STR_LIT("http://"))) {
        return bad_url(variable, url, err);
    }
    struct dic_str authority = dic_str_skip(url, https ? 8 : 7);
    if (authority.len > 0 && authority.ptr[authority.len - 1] == '/') {
        authority.len--;
    }
    size_t host_len = host_length(authority);
    struct dic_str host = dic_str_len(authority.ptr, host_len);
    uint64_t own_port = https ? 443 : 80;
    uint64_t port = own_port;
    if (!is_host(host) || url.len >= DIC_AWS_ENDPOINT_SIZE ||
        (host_len < authority.len &&
         dic_parse_u64(dic_str_skip(authority, host_len + 1), 1, 65535, &port, NULL) != DIC_OK)) {
        return bad_url(variable, url, err);
    }
    int written = snprintf(endpoint_out, DIC_AWS_ENDPOINT_SIZE, "%s://%.*s",
                           https ? "https" : "http", DIC_STR_ARGS(host));
    if (port != own_port) {
        snprintf(endpoint_out + written, DIC_AWS_ENDPOINT_SIZE - (size_t)written, ":%u",
                 (unsigned)port);
    }
    return DIC_OK;
}

struct dic_str dic_aws_endpoint_authority(const char *endpoint)
{
    return dic_str_skip(dic_str(endpoint), dic_aws_endpoint_is_https(endpoint) ? 8 : 7);
}

bool dic_aws_endpoint_is_https(const char *endpoint)
{
    return dic_str_starts_with(dic_str(endpoint), DIC_STR_LIT("https://"));
}
