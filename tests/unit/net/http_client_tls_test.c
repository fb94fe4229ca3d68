/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the client trusts: a server on 127.0.0.1 with certificates that are made here. */
#include "net/http_client.h"

#include "base/thread.h"
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static void set_name(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
}

static void add_extension(X509 *certificate, int id, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Signed by issuer, or by itself when that is NULL; valid until valid_s from now. */
static struct identity make_identity(const struct identity *issuer, const char *alternative_name,
                                     long valid_s)
{
    struct identity made = {EVP_EC_gen("P-256"), X509_new()};
    assert_non_null(made.key);
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), valid_s);
    X509_set_pubkey(made.certificate, made.key);
    set_name(made.certificate, issuer == NULL ? "test authority" : "test server");
    const struct identity *signer = issuer == NULL ? &made : issuer;
    X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
    add_extension(made.certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (alternative_name != NULL) {
        add_extension(made.certificate, NID_subject_alt_name, alternative_name);
    }
    assert_true(X509_sign(made.certificate, signer->key, EVP_sha256()) > 0);
    return made;
}

static void free_identity(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

struct fixture {
    struct identity authority;
    char bundle[64];
    int listener;
    char url[64];
    SSL_CTX *context;
    pthread_t thread;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->authority = make_identity(NULL, NULL, 86400);
    snprintf(fixture->bundle, sizeof fixture->bundle, "/tmp/dic_tls_XXXXXX");
    FILE *file = fdopen(mkstemp(fixture->bundle), "w");
    assert_int_equal(PEM_write_X509(file, fixture->authority.certificate), 1);
    assert_int_equal(fclose(file), 0);
    fixture->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)(void *)&address, len), 0);
    assert_int_equal(listen(fixture->listener, 8), 0);
    assert_int_equal(getsockname(fixture->listener, (struct sockaddr *)(void *)&address, &len), 0);
    snprintf(fixture->url, sizeof fixture->url, "https://127.0.0.1:%u/",
             (unsigned)ntohs(address.sin_port));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    free_identity(&fixture->authority);
    unlink(fixture->bundle);
    close(fixture->listener);
    free(fixture);
    return 0;
}

/* One connection, and one request if the client trusts us. */
static void *serve_once(void *context)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    struct fixture *fixture = context;
    int socket = accept(fixture->listener, NULL, NULL);
    SSL *tls = SSL_new(fixture->context);
    SSL_set_fd(tls, socket);
    char request[4096];
    if (SSL_accept(tls) == 1 && SSL_read(tls, request, sizeof request) > 0) {
        SSL_write(tls, answer, sizeof answer - 1);
        SSL_read(tls, request, sizeof request); /* until the client goes */
    }
    SSL_free(tls);
    close(socket);
    return NULL;
}

static enum dic_code get_from(struct fixture *fixture, const struct identity *server,
                              const char *bundle, int newest_version)
{
    fixture->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(fixture->context, server->certificate);
    SSL_CTX_use_PrivateKey(fixture->context, server->key);
    SSL_CTX_set_min_proto_version(fixture->context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(fixture->context, newest_version);
    SSL_CTX_set_cipher_list(fixture->context, "DEFAULT@SECLEVEL=0");
    dic_thread_start(&fixture->thread, "server", serve_once, fixture);

    struct dic_http_client client;
    struct dic_http_client_options options = {.ca_bundle = bundle, .max_idle_handles = 1};
    assert_ok(dic_http_client_curl_new(&options, &client, NULL));
    struct dic_http_request request = {.method = "GET",
                                       .url = dic_str(fixture->url),
                                       .connect_timeout_ms = 20000,
                                       .timeout_ms = 20000,
                                       .max_response_bytes = 100};
    struct dic_http_response response;
    dic_http_response_init(&response);
    enum dic_code code = client.ops->send(client.impl, &request, &response, NULL);
    assert_int_equal(response.sent, code == DIC_OK); /* a stranger is told nothing */
    dic_http_response_clean_up(&response);
    client.ops->destroy(client.impl);
    dic_thread_join(fixture->thread);
    SSL_CTX_free(fixture->context);
    return code;
}

static void a_server_of_the_given_authority_is_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct identity server = make_identity(&fixture->authority, "IP:127.0.0.1", 86400);
    assert_ok(get_from(fixture, &server, fixture->bundle, TLS1_3_VERSION));
    assert_ok(get_from(fixture, &server, fixture->bundle, TLS1_2_VERSION));
    free_identity(&server);
}

static void a_server_of_an_unknown_authority_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity server = make_identity(&fixture->authority, "IP:127.0.0.1", 86400);
    assert_code(get_from(fixture, &server, NULL, TLS1_3_VERSION), DIC_E_UPSTREAM);
    free_identity(&server);
    struct identity other = make_identity(NULL, NULL, 86400);
    server = make_identity(&other, "IP:127.0.0.1", 86400);
    assert_code(get_from(fixture, &server, fixture->bundle, TLS1_3_VERSION), DIC_E_UPSTREAM);
    free_identity(&server);
    free_identity(&other);
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"IP:127.0.0.2", "DNS:localhost", NULL};
    for (size_t i = 0; i < 3; i++) {
        struct identity server = make_identity(&fixture->authority, names[i], 86400);
        assert_code(get_from(fixture, &server, fixture->bundle, TLS1_3_VERSION), DIC_E_UPSTREAM);
        free_identity(&server);
    }
}

static void an_expired_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity server = make_identity(&fixture->authority, "IP:127.0.0.1", -60);
    assert_code(get_from(fixture, &server, fixture->bundle, TLS1_3_VERSION), DIC_E_UPSTREAM);
    free_identity(&server);
}

static void a_certificate_signed_by_itself_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity server = make_identity(NULL, "IP:127.0.0.1", 86400);
    assert_code(get_from(fixture, &server, fixture->bundle, TLS1_3_VERSION), DIC_E_UPSTREAM);
    free_identity(&server);
}

static void tls_1_1_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct identity server = make_identity(&fixture->authority, "IP:127.0.0.1", 86400);
    assert_code(get_from(fixture, &server, fixture->bundle, TLS1_1_VERSION), DIC_E_UPSTREAM);
    free_identity(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_of_the_given_authority_is_trusted),
        TEST(a_server_of_an_unknown_authority_is_refused),
        TEST(a_certificate_for_another_host_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(a_certificate_signed_by_itself_is_refused),
        TEST(tls_1_1_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
