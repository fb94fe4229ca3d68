/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ~/.aws/credentials and ~/.aws/config, for the profile AWS_PROFILE or "default": long-lived keys
 * and the region. What would need calls of other services or a program to be run is refused by its
 * name rather than passed over, for the next source would be another identity.
 */
#include "aws/credentials_profile.h"

#include "aws/credentials_source.h"
#include "aws/ini_read.h"
#include "aws/text_file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1024 * 1024, MAX_PATH = 4096 };

/* What a profile says, as far as we read it; views of the two files' texts. */
struct profile {
    bool exists;
    struct dic_str key_id;
    struct dic_str secret;
    struct dic_str token;
    struct dic_str region;
    const char *identity; /* a setting that gets credentials by a way we do not go */
    const char *process;
};

struct reading {
    struct profile *profile;
    struct dic_str wanted; /* "default" */
    bool is_config;
};

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"aws_access_key_id", offsetof(struct profile, key_id)},
    {"aws_secret_access_key", offsetof(struct profile, secret)},
    {"aws_session_token", offsetof(struct profile, token)},
    {"region", offsetof(struct profile, region)},
};

static const char *const identities[] = {"role_arn",       "web_identity_token_file",
                                         "sso_session",    "sso_start_url",
                                         "sso_account_id", "login_session"};

static bool is_name(struct dic_str text, const char *lower_case)
{
    if (text.len != strlen(lower_case)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if ((byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte) != lower_case[i]) {
            return false;
        }
    }
    return true;
}

/* "[profile name]" in config, where "[default]" may also stand alone; "[name]" in credentials. */
static bool is_wanted(const struct reading *reading, struct dic_str section)
{
    struct dic_str prefix = DIC_STR_LIT("profile ");
    if (!reading->is_config) {
        return dic_str_eq(section, reading->wanted);
    }
    if (dic_str_starts_with(section, prefix)) {
        return dic_str_eq(dic_str_trim(dic_str_skip(section, prefix.len)), reading->wanted);
    }
    return dic_str_is(section, "default") && dic_str_is(reading->wanted, "default");
}

static enum dic_code on_setting(void *context, struct dic_str section, struct dic_str name,
                                struct dic_str value, struct dic_err *err)
{
    (void)err; /* nothing fails here: values are judged when they are used */
    const struct reading *reading = context;
    if (!is_wanted(reading, section)) {
        return DIC_OK;
    }
    struct profile *profile = reading->profile;
    profile->exists = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (is_name(name, texts[i].name)) {
            memcpy((char *)profile + texts[i].offset, &value, sizeof value);
        }
    }
    for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++) {
        if (is_name(name, identities[i])) {
            profile->identity = identities[i];
        }
    }
    if (is_name(name, "credential_process")) {
        profile->process = "credential_process";
    }
    return DIC_OK;
}

/* The path a variable names ("~/" is HOME's), or the usual one; false when HOME is not known. */
static bool find_path(const struct dic_aws_environment *environment, const char *configured,
                      const char *usual, char out[MAX_PATH])
{
    bool in_home = configured[0] == '\0' || strncmp(configured, "~/", 2) == 0;
    if (in_home && environment->home[0] == '\0') {
        return false;
    }
    int len = configured[0] == '\0'
                  ? snprintf(out, MAX_PATH, "%s/.aws/%s", environment->home, usual)
              : in_home ? snprintf(out, MAX_PATH, "%s/%s", environment->home, configured + 2)
                        : snprintf(out, MAX_PATH, "%s", configured);
    return len < MAX_PATH;
}

/* Reads one of the two files into text; a usual one need not be there. */
DIC_MUST_USE
static enum dic_code read_one(const struct dic_aws_environment *environment, bool is_config,
                              struct dic_buf *text, struct reading *reading, struct dic_err *err)
{
    const char *configured =
        is_config ? environment->config_file : environment->shared_credentials_file;
    char path[MAX_PATH];
    if (!find_path(environment, configured, is_config ? "config" : "credentials", path)) {
        return DIC_OK;
    }
    enum dic_code code = dic_text_file_read(path, text, err);
    bool usual = configured[0] == '\0'; /* in containers HOME may be another user's */
    if (code == DIC_E_NOT_FOUND || (code == DIC_E_DENIED && usual)) {
        return DIC_OK;
    }
    DIC_TRY(code);
    reading->is_config = is_config;
    struct dic_err why = {0};
    code = dic_ini_read(dic_buf_view(text), on_setting, reading, &why);
    return code == DIC_OK ? DIC_OK : dic_fail(err, code, "%s: %s", path, why.msg);
}

struct files {
    struct dic_buf credentials;
    struct dic_buf config;
};

static void clean_up_files(struct files *files)
{
    if (files->credentials.ptr != NULL) {
        explicit_bzero(files->credentials.ptr, files->credentials.len);
    }
    dic_buf_clean_up(&files->credentials);
    dic_buf_clean_up(&files->config);
}

static const char *profile_name(const struct dic_aws_environment *environment)
{
    return environment->profile[0] != '\0' ? environment->profile : "default";
}

DIC_MUST_USE
static enum dic_code read_profile(const struct dic_aws_environment *environment,
                                  struct files *files, struct profile *out, struct dic_err *err)
{
    dic_buf_init(&files->credentials, MAX_FILE_BYTES);
    dic_buf_init(&files->config, MAX_FILE_BYTES);
    *out = (struct profile){0};
    struct reading reading = {.profile = out, .wanted = dic_str(profile_name(environment))};
    /* A later setting counts more, and so those of the credentials file do. */
    DIC_TRY(read_one(environment, true, &files->config, &reading, err));
    return read_one(environment, false, &files->credentials, &reading, err);
}

enum dic_code dic_aws_credentials_from_profile(const struct dic_aws_credentials_context *context,
                                               struct dic_aws_credentials *out, struct dic_err *err)
{
    const struct dic_aws_environment *environment = context->environment;
    const char *name = profile_name(environment);
    DIC_CLEANUP(clean_up_files) struct files files = {0};
    struct profile profile;
    DIC_TRY(read_profile(environment, &files, &profile, err));
    if (!profile.exists) {
        enum dic_code code = environment->profile[0] != '\0' ? DIC_E_DENIED : DIC_E_NOT_FOUND;
        return dic_fail_field(err, code, "AWS_PROFILE",
                              "there is no profile '%s' in the credentials and config files", name);
    }
    bool has_keys = profile.key_id.len > 0 || profile.secret.len > 0;
    const char *unsupported = profile.identity != NULL ? profile.identity
                              : has_keys               ? NULL
                                                       : profile.process;
    if (unsupported != NULL) {
        return dic_fail(err, DIC_E_UNSUPPORTED,
                        "profile '%s' has %s, which is not supported: set the keys, or let 'aws "
                        "configure export-credentials' write them",
                        name, unsupported);
    }
    if (!has_keys) {
        return dic_fail(err, DIC_E_NOT_FOUND, "profile '%s' has no aws_access_key_id", name);
    }
    DIC_TRY(dic_aws_credentials_copy(profile.key_id, "aws_access_key_id", out->key_id,
                                     sizeof out->key_id, err));
    DIC_TRY(dic_aws_credentials_copy(profile.secret, "aws_secret_access_key", out->secret,
                                     sizeof out->secret, err));
    if (profile.token.len == 0) {
        return DIC_OK;
    }
    return dic_aws_credentials_copy(profile.token, "aws_session_token", out->token,
                                    sizeof out->token, err);
}

enum dic_code dic_aws_profile_region(const struct dic_aws_environment *environment,
                                     char region_out[DIC_AWS_REGION_SIZE], struct dic_err *err)
{
    DIC_CLEANUP(clean_up_files) struct files files = {0};
    struct profile profile;
    DIC_TRY(read_profile(environment, &files, &profile, err));
    if (profile.region.len == 0) {
        return dic_fail_field(err, DIC_E_INVALID, "AWS_REGION",
                              "no AWS region: set AWS_REGION, or a region in the profile '%s' of "
                              "the config file",
                              profile_name(environment));
    }
    DIC_TRY(dic_aws_region_check(profile.region, "region of the profile", err));
    snprintf(region_out, DIC_AWS_REGION_SIZE, "%.*s", DIC_STR_ARGS(profile.region));
    return DIC_OK;
}
