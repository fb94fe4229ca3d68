/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include "aws/credentials_profile.h"
#include "aws/credentials_reply.h"
#include "aws_environment.h"
#include "fake_http.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS 1700000000000 /* 2023-11-14T22:13:20Z */

struct fixture {
    struct fake_clock clock;
    struct fake_http http;
    struct dic_aws_environment environment;
    struct dic_aws_credentials_provider *provider;
    struct dic_aws_credentials credentials;
    struct dic_err err;
    char folder[64];
    char paths[2][128];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fake_clock_init(&fixture->clock, START_MS);
    fake_http_init(&fixture->http, &fixture->clock);
    fixture->environment = empty_aws_environment();
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/dic_credentials_XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->paths[0], sizeof fixture->paths[0], "%s/credentials", fixture->folder);
    snprintf(fixture->paths[1], sizeof fixture->paths[1], "%s/config", fixture->folder);
    dic_aws_credentials_provider_new(&fixture->environment, fixture->http.client,
                                     &fixture->clock.clock, &fixture->provider);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dic_aws_credentials_provider_destroy(fixture->provider);
    fake_http_clean_up(&fixture->http);
    unlink(fixture->paths[0]);
    unlink(fixture->paths[1]);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static enum dic_code get(struct fixture *fixture)
{
    return dic_aws_credentials_get(fixture->provider, &fixture->credentials, &fixture->err);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void use_files(struct fixture *fixture, const char *credentials, const char *config)
{
    write_text(fixture->paths[0], credentials);
    write_text(fixture->paths[1], config);
    fixture->environment.shared_credentials_file = fixture->paths[0];
    fixture->environment.config_file = fixture->paths[1];
}

/* ---- environment ---- */

static void the_environments_keys_are_used_first(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default]\naws_access_key_id=F\naws_secret_access_key=f\n", "");
    fixture->environment.access_key_id = "AKID";
    fixture->environment.secret_access_key = "secret";
    fixture->environment.session_token = "token";
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "AKID");
    assert_string_equal(fixture->credentials.secret, "secret");
    assert_string_equal(fixture->credentials.token, "token");
    assert_int_equal(fixture->credentials.expires_ms, 0);
}

static void half_a_pair_of_keys_is_an_error_that_shows_no_secret(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.secret_access_key = "verysecret";
    assert_code(get(fixture), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "AWS_ACCESS_KEY_ID is missing"));
    assert_null(strstr(fixture->err.msg, "verysecret"));
}

static void keys_that_cannot_be_sent_are_refused_unseen(void **state)
{
    struct fixture *fixture = *state;
    char longest[DIC_AWS_SECRET_SIZE + 1];
    memset(longest, 's', sizeof longest);
    fixture->environment.access_key_id = "AKID";
    longest[DIC_AWS_SECRET_SIZE] = '\0';
    fixture->environment.secret_access_key = longest;
    assert_code(get(fixture), DIC_E_DENIED);
    assert_null(strstr(fixture->err.msg, "sss"));
    fake_clock_advance(&fixture->clock, 1000);
    longest[DIC_AWS_SECRET_SIZE - 1] = '\0';
    assert_ok(get(fixture));
}

static void a_line_break_in_a_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.access_key_id = "AKID\r\nx-evil: 1";
    fixture->environment.secret_access_key = "secret";
    assert_code(get(fixture), DIC_E_DENIED);
}

static void without_any_source_each_says_why(void **state)
{
    struct fixture *fixture = *state;
    assert_code(get(fixture), DIC_E_DENIED);
    assert_string_equal(
        fixture->err.msg,
        "no AWS credentials: AWS_ACCESS_KEY_ID is not set; there is no profile 'default' in the "
        "credentials and config files; AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are "
        "not "
        "set; AWS_EC2_METADATA_DISABLED is true");
}

/* ---- profiles ---- */

static void the_default_profile_is_read_from_both_files(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture,
              "[other]\naws_access_key_id=O\naws_secret_access_key=o\n"
              "[default]\nAWS_Access_Key_Id = D # mine\naws_secret_access_key = a=b/c+\n",
              "[default]\naws_access_key_id=CONFIG\naws_session_token = tok\nregion = eu-west-3\n");
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "D");
    assert_string_equal(fixture->credentials.secret, "a=b/c+");
    assert_string_equal(fixture->credentials.token, "tok");
    char region[DIC_AWS_REGION_SIZE];
    assert_ok(dic_aws_profile_region(&fixture->environment, region, NULL));
    assert_string_equal(region, "eu-west-3");
}

static void a_named_profile_has_a_prefix_in_the_config_file_only(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[team]\naws_access_key_id=T\naws_secret_access_key=t\n",
              "[team]\nregion=wrong\n[profile team]\nregion=us-west-2\n[default]\nregion=wrong\n"
              "[profile other]\nregion=wrong\n");
    fixture->environment.profile = "team";
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "T");
    char region[DIC_AWS_REGION_SIZE];
    assert_ok(dic_aws_profile_region(&fixture->environment, region, NULL));
    assert_string_equal(region, "us-west-2");
}

static void a_profiles_region_is_checked(void **state)
{
    struct fixture *fixture = *state;
    char region[DIC_AWS_REGION_SIZE];
    use_files(fixture, "", "[default]\nregion = eu/west\n");
    assert_code(dic_aws_profile_region(&fixture->environment, region, NULL), DIC_E_INVALID);
    use_files(fixture, "", "[default]\nregion =\n");
    assert_code(dic_aws_profile_region(&fixture->environment, region, NULL), DIC_E_INVALID);
}

static void the_usual_files_are_in_home(void **state)
{
    struct fixture *fixture = *state;
    char aws[80];
    char path[96];
    snprintf(aws, sizeof aws, "%s/.aws", fixture->folder);
    assert_int_equal(mkdir(aws, 0700), 0);
    snprintf(path, sizeof path, "%s/credentials", aws);
    write_text(path, "[default]\naws_access_key_id=H\naws_secret_access_key=h\n");
    fixture->environment.home = fixture->folder;
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "H");
    unlink(path);
    rmdir(aws);
}

static void a_path_may_begin_with_home(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default]\naws_access_key_id=H\naws_secret_access_key=h\n", "");
    fixture->environment.shared_credentials_file = "~/credentials";
    fixture->environment.home = fixture->folder;
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "H");
}

static void a_profile_that_is_asked_for_and_missing_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default]\naws_access_key_id=D\naws_secret_access_key=d\n", "");
    fixture->environment.profile = "prod";
    assert_code(get(fixture), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "there is no profile 'prod'"));
}

static void ways_that_are_not_gone_are_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"role_arn", "sso_session", "sso_start_url",
                                        "web_identity_token_file", "credential_process"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char config[128];
        snprintf(config, sizeof config, "[default]\n%s = x\n", names[i]);
        use_files(fixture, "", config);
        fake_clock_advance(&fixture->clock, 3600000);
        assert_code(get(fixture), DIC_E_UNSUPPORTED);
        assert_non_null(strstr(fixture->err.msg, names[i]));
    }
}

static void keys_count_more_than_a_process_but_a_role_counts_more_than_keys(void **state)
{
    struct fixture *fixture = *state;
    const char *keys = "[default]\naws_access_key_id=D\naws_secret_access_key=d\n";
    use_files(fixture, keys, "[default]\nrole_arn = arn\nsource_profile = default\n");
    assert_code(get(fixture), DIC_E_UNSUPPORTED);
    use_files(fixture, keys, "[default]\ncredential_process = /bin/x\n");
    fake_clock_advance(&fixture->clock, 1000);
    assert_ok(get(fixture));
}

static void half_a_pair_in_a_profile_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default]\naws_access_key_id=D\n", "");
    assert_code(get(fixture), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "aws_secret_access_key has 0 bytes"));
}

static void a_broken_or_huge_file_is_an_error_with_its_path(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default\n", "");
    assert_code(get(fixture), DIC_E_MALFORMED);
    assert_non_null(strstr(fixture->err.msg, fixture->paths[0]));
    assert_non_null(strstr(fixture->err.msg, "line 1"));
    assert_int_equal(truncate(fixture->paths[0], 1024 * 1024 + 1), 0);
    fake_clock_advance(&fixture->clock, 60000);
    assert_code(get(fixture), DIC_E_TOO_LARGE);
}

static void a_profile_of_keys_is_read_again_when_aws_rejects_them(void **state)
{
    struct fixture *fixture = *state;
    use_files(fixture, "[default]\naws_access_key_id=OLD\naws_secret_access_key=o\n", "");
    assert_ok(get(fixture));
    use_files(fixture, "[default]\naws_access_key_id=NEW\naws_secret_access_key=n\n", "");
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "OLD");
    fake_clock_advance(&fixture->clock, 1000);
    dic_aws_credentials_reject(fixture->provider, "OLD");
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "NEW");
    dic_aws_credentials_reject(fixture->provider, "OLD"); /* somebody who was late */
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "NEW");
}

/* ---- containers ---- */

#define REPLY(id, expiration) \
    "{\"AccessKeyId\":\"" id  \
    "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"" expiration "\"}"

static void script(struct fixture *fixture, int status, const char *body)
{
    fake_http_script(&fixture->http, (struct fake_http_answer){.status = status, .body = body});
}

static void a_task_asks_its_endpoint(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/v2/credentials/abc";
    script(fixture, 200, REPLY("TASK", "2023-11-15T04:13:20Z"));
    assert_ok(get(fixture));
    assert_string_equal(fixture->http.records[0].url, "http://169.254.170.2/v2/credentials/abc");
    assert_string_equal(fixture->credentials.key_id, "TASK");
    assert_int_equal(fixture->credentials.expires_ms, START_MS + 6 * 3600 * 1000);
    assert_null(fake_http_sent_header(&fixture->http, 0, "authorization").ptr);
}

static void a_relative_uri_must_begin_with_a_slash(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "@evil.example/x";
    assert_code(get(fixture), DIC_E_DENIED);
    assert_int_equal(fixture->http.record_count, 0);
}

static enum dic_code ask_uri_of_length(struct fixture *fixture, size_t len)
{
    char uri[4096];
    memset(uri, '/', sizeof uri);
    uri[len] = '\0';
    fixture->environment.container_relative_uri = uri;
    fake_clock_advance(&fixture->clock, 24 * 3600 * 1000);
    script(fixture, 200, REPLY("A", "2023-11-14T22:13:21Z"));
    enum dic_code code = get(fixture);
    fixture->http.answer_count = fixture->http.answered;
    return code;
}

static void one_byte_over_the_longest_uri_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t most = 2048 - strlen("http://169.254.170.2");
    assert_ok(ask_uri_of_length(fixture, most - 1));
    assert_ok(ask_uri_of_length(fixture, most));
    assert_code(ask_uri_of_length(fixture, most + 1), DIC_E_TOO_LARGE);
}

static bool full_uri_is_asked(struct fixture *fixture, const char *uri)
{
    size_t before = fixture->http.record_count;
    fixture->environment.container_full_uri = uri;
    fake_clock_advance(&fixture->clock, 24 * 3600 * 1000);
    script(fixture, 200, REPLY("A", "2023-11-14T22:13:21Z")); /* asked for anew each time */
    enum dic_code code = get(fixture);
    bool asked = fixture->http.record_count > before;
    assert_int_equal(code, asked ? DIC_OK : DIC_E_DENIED);
    fixture->http.answer_count = fixture->http.answered;
    return asked;
}

static void plain_http_is_for_this_machine_and_the_containers_hosts_only(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {"http://127.0.0.1/x",
                                       "http://127.255.0.1:80/x",
                                       "http://localhost:1234/x",
                                       "http://[::1]/x",
                                       "http://[::1]:80/x",
                                       "http://169.254.170.2/x",
                                       "http://169.254.170.23/v1/credentials",
                                       "http://[fd00:ec2::23]/x",
                                       "http://127.0.0.1",
                                       "https://anything.example/x",
                                       "http://[0:0:0:0:0:0:0:1]/x"};
    static const char *const bad[] = {"http://example.com/x",
                                      "http://127.0.0.1.example.com/x",
                                      "http://127.1/x",
                                      "http://2130706433/x",
                                      "http://0x7f.0.0.1/x",
                                      "http://0177.0.0.1/x",
                                      "http://169.254.170.22/x",
                                      "http://169.254.169.254/x",
                                      "http://[::2]/x",
                                      "http://[::1/x",
                                      "http://[::1.example]/x",
                                      "http://localhost.example/x",
                                      "http://127.0.0.1@evil/x",
                                      "http://u:p@127.0.0.1/x",
                                      "http://evil?127.0.0.1",
                                      "http://evil#@127.0.0.1",
                                      "ftp://127.0.0.1/x",
                                      "127.0.0.1",
                                      "http:///x",
                                      "HTTP://127.0.0.1/x",
                                      "http://[::ffff:127.0.0.1]/x",
                                      "http://0.0.0.0/x",
                                      "http://128.0.0.1/x",
                                      "http://localhost@evil.example"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!full_uri_is_asked(fixture, good[i])) {
            print_error("%s is refused\n", good[i]);
            fail();
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dic_aws_credentials_provider *provider = fixture->provider;
        dic_aws_credentials_provider_new(&fixture->environment, fixture->http.client,
                                         &fixture->clock.clock, &fixture->provider);
        if (full_uri_is_asked(fixture, bad[i])) {
            print_error("%s is asked\n", bad[i]);
            fail();
        }
        dic_aws_credentials_provider_destroy(fixture->provider);
        fixture->provider = provider;
    }
}

static bool is_asked_beside(struct fixture *fixture, const char *endpoint, const char *uri)
{
    struct dic_aws_credentials_provider *provider = fixture->provider;
    fixture->environment.endpoint_url = endpoint;
    dic_aws_credentials_provider_new(&fixture->environment, fixture->http.client,
                                     &fixture->clock.clock, &fixture->provider);
    const bool asked = full_uri_is_asked(fixture, uri);
    dic_aws_credentials_provider_destroy(fixture->provider);
    fixture->provider = provider;
    return asked;
}

static void plain_http_is_also_for_the_host_and_port_of_a_plain_endpoint(void **state)
{
    struct fixture *fixture = *state;
    static const char *const uri = "http://aws.test:4566/credentials";
    assert_true(is_asked_beside(fixture, "http://aws.test:4566", uri));
    assert_true(is_asked_beside(fixture, "http://aws.test:4566/", uri));
    assert_false(is_asked_beside(fixture, "", uri));
    assert_false(is_asked_beside(fixture, "http://aws.test:4567", uri));
    assert_false(is_asked_beside(fixture, "http://aws.test", uri));
    assert_false(is_asked_beside(fixture, "http://aws.test:45666", uri));
    assert_false(is_asked_beside(fixture, "https://aws.test:4566", uri));
    assert_false(is_asked_beside(fixture, "http://x@aws.test", "http://x@aws.test/credentials"));
    assert_false(is_asked_beside(fixture, "http://", "http:///credentials"));
}

static void the_token_is_sent_and_its_file_read_each_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_full_uri = "http://169.254.170.23/v1/credentials";
    fixture->environment.container_token = "from the variable";
    script(fixture, 200, REPLY("A", "2023-11-14T22:13:21Z"));
    assert_ok(get(fixture));
    assert_view(fake_http_sent_header(&fixture->http, 0, "authorization"), "from the variable");
    fixture->environment.container_token_file = fixture->paths[0];
    for (int i = 1; i <= 2; i++) {
        write_text(fixture->paths[0], i == 1 ? "first\n" : "second");
        fake_clock_advance(&fixture->clock, 60000);
        script(fixture, 200, REPLY("A", "2023-11-14T22:13:21Z"));
        assert_ok(get(fixture));
        assert_view(fake_http_sent_header(&fixture->http, (size_t)i, "authorization"),
                    i == 1 ? "first" : "second");
    }
}

static void a_token_that_would_forge_headers_is_refused_and_not_shown(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_full_uri = "http://127.0.0.1/x";
    fixture->environment.container_token = "secret\r\nx: y";
    assert_code(get(fixture), DIC_E_DENIED);
    assert_null(strstr(fixture->err.msg, "secret"));
    fixture->environment.container_token_file = "/nonexistent/token";
    fake_clock_advance(&fixture->clock, 60000);
    assert_code(get(fixture), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "/nonexistent/token"));
    assert_int_equal(fixture->http.record_count, 0);
}

static void an_endpoint_that_fails_is_asked_three_times(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    fake_http_script(&fixture->http, (struct fake_http_answer){.failure = DIC_E_UPSTREAM});
    script(fixture, 503, "");
    script(fixture, 200, REPLY("A", "2033-11-14T22:13:20Z"));
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 1000);
    dic_aws_credentials_reject(fixture->provider, "A");
    script(fixture, 403, "no");
    assert_ok(get(fixture)); /* the old ones, as nothing better is to be had */
    assert_int_equal(fixture->http.record_count, 4);
}

static void a_refusal_is_an_error_and_not_the_next_source(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    fixture->environment.metadata_disabled = "";
    script(fixture, 404, "secret");
    assert_code(get(fixture), DIC_E_DENIED);
    assert_string_equal(fixture->err.msg,
                        "AWS credentials of the container: the endpoint answers with HTTP 404");
}

/* ---- what an endpoint answers ---- */

static enum dic_code parse(struct dic_str text)
{
    struct dic_aws_credentials credentials;
    struct dic_err err = {0};
    enum dic_code code = dic_aws_credentials_reply_parse(text, &credentials, &err);
    assert_null(strstr(err.msg, "SECRET"));
    return code;
}

static void replies_that_are_no_credentials_are_refused_unseen(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "SECRET",
        "[\"SECRET\"]",
        "<html>SECRET</html>",
        "{\"AccessKeyId\":\"A\"}",
        "{\"SecretAccessKey\":\"SECRET\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7}",
        "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"SECRET\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\\u0000\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\\n\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Token\":[]}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"soon\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":17}",
        "{\"AccessKeyId\":\"A\",\"AccessKeyId\":\"B\",\"SecretAccessKey\":\"SECRET\"}",
        "{\"Code\":\"Failed\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\"}",
        "{\"Code\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_code(parse(dic_str(bad[i])), DIC_E_UPSTREAM);
    }
    assert_ok(parse(dic_str("{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\","
                            "\"Token\":null,\"Expiration\":null,\"More\":{}}")));
}

static void a_reply_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    const char *reply = REPLY("AKID", "2023-11-15T04:13:20Z");
    assert_ok(parse(dic_str(reply)));
    for (size_t len = 0; len < strlen(reply); len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, reply, len);
        assert_code(parse(dic_str_len(copy, len)), DIC_E_UPSTREAM);
        free(copy);
    }
}

static enum dic_code parse_token_of(size_t len)
{
    struct dic_buf text;
    dic_buf_init(&text, 64 * 1024);
    dic_buf_append_text(&text, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"");
    for (size_t i = 0; i < len; i++) {
        dic_buf_append_byte(&text, 't');
    }
    dic_buf_append_text(&text, "\"}");
    enum dic_code code = parse(dic_buf_view(&text));
    dic_buf_clean_up(&text);
    return code;
}

static void one_byte_over_the_longest_token_is_refused(void **state)
{
    (void)state;
    assert_ok(parse_token_of(DIC_AWS_TOKEN_SIZE - 2));
    assert_ok(parse_token_of(DIC_AWS_TOKEN_SIZE - 1));
    assert_code(parse_token_of(DIC_AWS_TOKEN_SIZE), DIC_E_UPSTREAM);
}

static void times_are_read_in_their_one_form(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_true(dic_aws_credentials_time_parse(dic_str("2023-11-14T22:13:20Z"), &ms));
    assert_int_equal(ms, START_MS);
    assert_true(dic_aws_credentials_time_parse(dic_str("2023-11-14T22:13:20.123456Z"), &ms));
    assert_int_equal(ms, START_MS);
    assert_true(dic_aws_credentials_time_parse(dic_str("2023-11-14T22:13:20+00:00"), &ms));
    static const char *const bad[] = {"2023-11-14T22:13:20",
                                      "2023-11-14 22:13:20Z",
                                      "2023-13-14T22:13:20Z",
                                      "2023-00-14T22:13:20Z",
                                      "2023-11-32T22:13:20Z",
                                      "2023-11-31T22:13:20Z",
                                      "2023-02-29T22:13:20Z",
                                      "2100-02-29T22:13:20Z",
                                      "2023-11-14T24:13:20Z",
                                      "2023-11-14T22:60:20Z",
                                      "2023-11-14T22:13:61Z",
                                      "1969-11-14T22:13:20Z",
                                      "2023-11-14T22:13:20+01:00",
                                      "2023-11-14T22:13:20.Z",
                                      "2023-11-14T22:13:20.1xZ",
                                      "20231114T221320Z",
                                      "",
                                      "Z",
                                      "+023-11-14T22:13:20Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(dic_aws_credentials_time_parse(dic_str(bad[i]), &ms));
    }
    const char *whole = "2023-11-14T22:13:20.12Z";
    for (size_t len = 0; len < strlen(whole); len++) {
        assert_false(dic_aws_credentials_time_parse(dic_str_len(whole, len), &ms));
    }
}

/* ---- instances ---- */

static void an_instance_is_asked_by_version_2(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.metadata_disabled = "";
    script(fixture, 200, "IMDSTOKEN");
    script(fixture, 200, "my-role\n");
    script(fixture, 200, REPLY("EC2", "2023-11-15T04:13:20Z"));
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "EC2");
    const struct fake_http_record *records = fixture->http.records;
    assert_string_equal(records[0].method, "PUT");
    assert_string_equal(records[0].url, "http://169.254.169.254/latest/api/token");
    assert_view(fake_http_sent_header(&fixture->http, 0, "x-aws-ec2-metadata-token-ttl-seconds"),
                "21600");
    assert_string_equal(records[1].url,
                        "http://169.254.169.254/latest/meta-data/iam/security-credentials/");
    assert_string_equal(records[2].url,
                        "http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role");
    assert_view(fake_http_sent_header(&fixture->http, 2, "x-aws-ec2-metadata-token"), "IMDSTOKEN");
}

static enum dic_code ask_instance(struct fixture *fixture, size_t count,
                                  const struct fake_http_answer *answers)
{
    fixture->environment.metadata_disabled = "";
    fake_clock_advance(&fixture->clock, 3600000);
    for (size_t i = 0; i < count; i++) {
        fake_http_script(&fixture->http, answers[i]);
    }
    enum dic_code code = get(fixture);
    assert_int_equal(fixture->http.answered, fixture->http.answer_count);
    return code;
}

static void a_machine_that_is_no_instance_has_no_credentials(void **state)
{
    struct fixture *fixture = *state;
    struct fake_http_answer nobody = {.failure = DIC_E_TIMEOUT};
    assert_code(ask_instance(fixture, 1, &nobody), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "no metadata service of EC2 answers"));
    struct fake_http_answer off = {.status = 403};
    assert_code(ask_instance(fixture, 1, &off), DIC_E_DENIED);
    struct fake_http_answer no_role[] = {{.status = 200, .body = "T"}, {.status = 404}};
    assert_code(ask_instance(fixture, 2, no_role), DIC_E_DENIED);
    assert_non_null(strstr(fixture->err.msg, "the instance has no role"));
}

static void a_metadata_service_that_fails_is_an_error_to_try_again(void **state)
{
    struct fixture *fixture = *state;
    struct fake_http_answer lost[] = {{.failure = DIC_E_TIMEOUT, .sent = true},
                                      {.failure = DIC_E_TIMEOUT, .sent = true},
                                      {.failure = DIC_E_TIMEOUT, .sent = true}};
    assert_code(ask_instance(fixture, 3, lost), DIC_E_TIMEOUT);
    assert_true(fixture->err.retryable);
    struct fake_http_answer line = {.status = 200, .body = "T\r\nx: y"};
    assert_code(ask_instance(fixture, 1, &line), DIC_E_UPSTREAM);
    struct fake_http_answer empty = {.status = 200, .body = ""};
    assert_code(ask_instance(fixture, 1, &empty), DIC_E_UPSTREAM);
    struct fake_http_answer bad_role[] = {{.status = 200, .body = "T"},
                                          {.status = 200, .body = "<html> </html>"}};
    assert_code(ask_instance(fixture, 2, bad_role), DIC_E_UPSTREAM);
    struct fake_http_answer refused[] = {{.status = 200, .body = "T"}, {.status = 401}};
    assert_code(ask_instance(fixture, 2, refused), DIC_E_UPSTREAM);
}

static void the_metadata_service_may_be_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.metadata_endpoint = "http://[fd00:ec2::254]/";
    struct fake_http_answer nobody = {.failure = DIC_E_UPSTREAM};
    assert_code(ask_instance(fixture, 1, &nobody), DIC_E_DENIED);
    assert_string_equal(fixture->http.records[0].url, "http://[fd00:ec2::254]/latest/api/token");
}

/* ---- the cache ---- */

static void credentials_are_asked_for_five_minutes_before_they_expire(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-14T23:13:20Z")); /* in an hour */
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 55 * 60 * 1000 - 1);
    assert_ok(get(fixture));
    assert_int_equal(fixture->http.record_count, 1);
    fake_clock_advance(&fixture->clock, 1);
    script(fixture, 200, REPLY("B", "2023-11-15T23:13:20Z"));
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "B");
}

static void old_credentials_serve_while_they_are_valid(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-14T23:13:20Z"));
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 55 * 60 * 1000);
    script(fixture, 400, "");
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "A");
    fake_clock_advance(&fixture->clock, 5 * 60 * 1000 - 1);
    script(fixture, 400, "");
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 1);
    assert_code(get(fixture), DIC_E_DENIED); /* expired, and the last failure was just now */
    assert_int_equal(fixture->http.record_count, 3);
}

static void failures_back_off_to_once_a_minute(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    size_t asked = 0;
    for (int i = 0; i < 400; i++) {
        size_t before = fixture->http.record_count;
        script(fixture, 400, "");
        assert_code(get(fixture), DIC_E_DENIED);
        fixture->http.answer_count = fixture->http.answered;
        asked += fixture->http.record_count > before;
        fake_clock_advance(&fixture->clock, 1000);
    }
    /* After 0, 1, 3, 7, 15, 31, 63, and then every 60 seconds. */
    assert_int_equal(asked, 7 + (400 - 1 - 63) / 60);
    script(fixture, 200, REPLY("A", "2033-11-14T23:13:20Z"));
    fake_clock_advance(&fixture->clock, 60000);
    assert_ok(get(fixture));
}

static void rejected_credentials_are_asked_for_at_most_once_a_second(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2033-11-14T23:13:20Z"));
    assert_ok(get(fixture));
    dic_aws_credentials_reject(fixture->provider, "A");
    fake_clock_advance(&fixture->clock, 999);
    assert_ok(get(fixture));
    assert_int_equal(fixture->http.record_count, 1);
    fake_clock_advance(&fixture->clock, 1);
    script(fixture, 200, REPLY("B", "2033-11-14T23:13:20Z"));
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "B");
}

/* By this machine's clock, which may be wrong: AWS is to judge. */
static void credentials_that_come_expired_are_used_for_a_minute(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-13T22:13:20Z"));
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 59999);
    assert_ok(get(fixture));
    assert_int_equal(fixture->http.record_count, 1);
    fake_clock_advance(&fixture->clock, 1);
    script(fixture, 200, REPLY("B", "2023-11-13T22:13:20Z"));
    assert_ok(get(fixture));
    assert_string_equal(fixture->credentials.key_id, "B");
}

static void a_step_of_the_wall_clock_ends_no_credentials(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-14T23:13:20Z"));
    assert_ok(get(fixture));
    fixture->clock.wall_ms += 86400000;
    assert_ok(get(fixture));
    fixture->clock.wall_ms -= 2 * 86400000;
    assert_ok(get(fixture));
    assert_int_equal(fixture->http.record_count, 1);
}

static void the_source_that_had_credentials_is_asked_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.metadata_disabled = "";
    script(fixture, 200, "T");
    script(fixture, 200, "role");
    script(fixture, 200, REPLY("A", "2023-11-14T22:43:20Z"));
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 3600000);
    for (int i = 0; i < 3; i++) {
        script(fixture, 500, "");
    }
    assert_code(get(fixture), DIC_E_UPSTREAM);
    assert_string_equal(fixture->err.msg, "AWS credentials of the instance: HTTP 500");
}

/* ---- threads ---- */

struct race {
    struct fixture *fixture;
    pthread_mutex_t lock; /* guards entered */
    pthread_cond_t changed;
    bool entered;  /* the refresher is at the endpoint */
    bool released; /* and may go on */
    struct dic_aws_credentials got;
    enum dic_code code;
};

static void hold_at_endpoint(void *context, const struct dic_http_request *request)
{
    (void)request;
    struct race *race = context;
    DIC_GUARD(&race->lock);
    race->entered = true;
    pthread_cond_broadcast(&race->changed);
    while (!race->released) {
        dic_cond_wait_ms(&race->changed, &race->lock, -1);
    }
}

static void *get_in_thread(void *context)
{
    struct race *race = context;
    race->code = dic_aws_credentials_get(race->fixture->provider, &race->got, NULL);
    return NULL;
}

static void start_race(struct race *race, struct fixture *fixture, pthread_t *thread)
{
    *race = (struct race){.fixture = fixture};
    dic_mutex_init(&race->lock);
    dic_cond_init(&race->changed);
    fixture->http.on_send = hold_at_endpoint;
    fixture->http.on_send_context = race;
    dic_thread_start(thread, "refresher", get_in_thread, race);
    DIC_GUARD(&race->lock);
    while (!race->entered) {
        dic_cond_wait_ms(&race->changed, &race->lock, -1);
    }
}

static void end_race(struct race *race, pthread_t thread)
{
    {
        DIC_GUARD(&race->lock);
        race->released = true;
        pthread_cond_broadcast(&race->changed);
    }
    dic_thread_join(thread);
    pthread_cond_destroy(&race->changed);
    pthread_mutex_destroy(&race->lock);
}

static void others_go_on_with_the_old_ones_while_one_refreshes(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-14T23:13:20Z"));
    assert_ok(get(fixture));
    fake_clock_advance(&fixture->clock, 56 * 60 * 1000);
    script(fixture, 200, REPLY("B", "2023-11-15T23:13:20Z"));
    struct race race;
    pthread_t thread;
    start_race(&race, fixture, &thread);
    assert_ok(get(fixture)); /* does not wait: the refresher is held */
    assert_string_equal(fixture->credentials.key_id, "A");
    end_race(&race, thread);
    assert_ok(race.code);
    assert_string_equal(race.got.key_id, "B");
    assert_int_equal(fixture->http.record_count, 2);
}

static void those_without_any_wait_for_the_one_that_refreshes(void **state)
{
    struct fixture *fixture = *state;
    fixture->environment.container_relative_uri = "/x";
    script(fixture, 200, REPLY("A", "2023-11-15T23:13:20Z"));
    struct race race;
    struct race waiter = {.fixture = fixture};
    pthread_t thread;
    pthread_t second;
    start_race(&race, fixture, &thread);
    dic_thread_start(&second, "waiter", get_in_thread, &waiter);
    end_race(&race, thread);
    dic_thread_join(second);
    assert_ok(waiter.code);
    assert_string_equal(waiter.got.key_id, "A");
    assert_int_equal(fixture->http.record_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_environments_keys_are_used_first),
        TEST(half_a_pair_of_keys_is_an_error_that_shows_no_secret),
        TEST(keys_that_cannot_be_sent_are_refused_unseen),
        TEST(a_line_break_in_a_key_is_refused),
        TEST(without_any_source_each_says_why),
        TEST(the_default_profile_is_read_from_both_files),
        TEST(a_named_profile_has_a_prefix_in_the_config_file_only),
        TEST(a_profiles_region_is_checked),
        TEST(the_usual_files_are_in_home),
        TEST(a_path_may_begin_with_home),
        TEST(a_profile_that_is_asked_for_and_missing_is_an_error),
        TEST(ways_that_are_not_gone_are_refused_by_name),
        TEST(keys_count_more_than_a_process_but_a_role_counts_more_than_keys),
        TEST(half_a_pair_in_a_profile_is_an_error),
        TEST(a_broken_or_huge_file_is_an_error_with_its_path),
        TEST(a_profile_of_keys_is_read_again_when_aws_rejects_them),
        TEST(a_task_asks_its_endpoint),
        TEST(a_relative_uri_must_begin_with_a_slash),
        TEST(one_byte_over_the_longest_uri_is_refused),
        TEST(plain_http_is_for_this_machine_and_the_containers_hosts_only),
        TEST(plain_http_is_also_for_the_host_and_port_of_a_plain_endpoint),
        TEST(the_token_is_sent_and_its_file_read_each_time),
        TEST(a_token_that_would_forge_headers_is_refused_and_not_shown),
        TEST(an_endpoint_that_fails_is_asked_three_times),
        TEST(a_refusal_is_an_error_and_not_the_next_source),
        cmocka_unit_test(replies_that_are_no_credentials_are_refused_unseen),
        cmocka_unit_test(a_reply_cut_at_any_byte_is_refused),
        cmocka_unit_test(one_byte_over_the_longest_token_is_refused),
        cmocka_unit_test(times_are_read_in_their_one_form),
        TEST(an_instance_is_asked_by_version_2),
        TEST(a_machine_that_is_no_instance_has_no_credentials),
        TEST(a_metadata_service_that_fails_is_an_error_to_try_again),
        TEST(the_metadata_service_may_be_elsewhere),
        TEST(credentials_are_asked_for_five_minutes_before_they_expire),
        TEST(old_credentials_serve_while_they_are_valid),
        TEST(failures_back_off_to_once_a_minute),
        TEST(rejected_credentials_are_asked_for_at_most_once_a_second),
        TEST(credentials_that_come_expired_are_used_for_a_minute),
        TEST(a_step_of_the_wall_clock_ends_no_credentials),
        TEST(the_source_that_had_credentials_is_asked_alone),
        TEST(others_go_on_with_the_old_ones_while_one_refreshes),
        TEST(those_without_any_wait_for_the_one_that_refreshes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
