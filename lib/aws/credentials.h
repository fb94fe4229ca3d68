/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where AWS credentials come from, in the SDKs' order: environment, shared credentials and config
 * files (AWS_PROFILE), ECS container endpoint (relative or full URI, token or token file), EC2
 * instance metadata (IMDSv2 only). One file a source. Any thread may call get: it answers from the
 * cache, and one caller refreshes before they expire, outside the lock, while the others go on with
 * the old ones. A secret is never logged and never part of an error's text.
 */
#ifndef DIC_AWS_CREDENTIALS_H
#define DIC_AWS_CREDENTIALS_H

#include "base/clock.h"
#include "base/err.h"
#include "net/http_client.h"

#include <stdint.h>

enum {
    DIC_AWS_KEY_ID_SIZE = 132,
    DIC_AWS_SECRET_SIZE = 132,
    DIC_AWS_TOKEN_SIZE =
        8192, /* session tokens have no stated bound; this is well above any seen */
};

struct dic_aws_credentials {
    char key_id[DIC_AWS_KEY_ID_SIZE];
    char secret[DIC_AWS_SECRET_SIZE];
    char token[DIC_AWS_TOKEN_SIZE]; /* empty: none */
    int64_t expires_ms;             /* wall clock; 0: never */
};

struct dic_aws_credentials_provider;

/* What the environment says; text as in struct dic_setting, empty when unset. Read by the programs'
 * settings tables, so that getenv stays in one place. */
struct dic_aws_environment {
    const char *access_key_id;           /* AWS_ACCESS_KEY_ID */
    const char *secret_access_key;       /* AWS_SECRET_ACCESS_KEY */
    const char *session_token;           /* AWS_SESSION_TOKEN */
    const char *profile;                 /* AWS_PROFILE */
    const char *shared_credentials_file; /* AWS_SHARED_CREDENTIALS_FILE */
    const char *config_file;             /* AWS_CONFIG_FILE */
    const char *home;                    /* HOME */
    const char *container_relative_uri;  /* AWS_CONTAINER_CREDENTIALS_RELATIVE_URI */
    const char *container_full_uri;      /* AWS_CONTAINER_CREDENTIALS_FULL_URI */
    const char *container_token;         /* AWS_CONTAINER_AUTHORIZATION_TOKEN */
    const char *container_token_file;    /* AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE */
    const char *metadata_disabled;       /* AWS_EC2_METADATA_DISABLED */
    const char *metadata_endpoint;       /* AWS_EC2_METADATA_SERVICE_ENDPOINT */
    const char *region;                  /* AWS_REGION */
    const char *default_region;          /* AWS_DEFAULT_REGION */
    const char *endpoint_url;            /* AWS_ENDPOINT_URL */
    const char *endpoint_url_s3;         /* AWS_ENDPOINT_URL_S3 */
    const char *endpoint_url_sqs;        /* AWS_ENDPOINT_URL_SQS */
    const char *endpoint_url_dynamodb;   /* AWS_ENDPOINT_URL_DYNAMODB */
    const char *ca_bundle;               /* AWS_CA_BUNDLE */
};

/* environment, http and clock are borrowed and must outlive the provider. Fetches nothing yet. */
void dic_aws_credentials_provider_new(const struct dic_aws_environment *environment,
                                      struct dic_http_client http, const struct dic_clock *clock,
                                      struct dic_aws_credentials_provider **out);
void dic_aws_credentials_provider_destroy(struct dic_aws_credentials_provider *provider);
/* A copy. DIC_E_DENIED when no source has any, naming what each said. */
DIC_MUST_USE enum dic_code dic_aws_credentials_get(struct dic_aws_credentials_provider *provider,
                                                   struct dic_aws_credentials *out,
                                                   struct dic_err *err);
/* AWS has said that these (by key id) are expired or unknown: the next get asks the source again,
 * at most once a second. */
void dic_aws_credentials_reject(struct dic_aws_credentials_provider *provider, const char *key_id);

#endif
