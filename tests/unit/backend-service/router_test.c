/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "test.h"

static const struct dic_route *route;
static struct dic_str path_arg;
static unsigned methods;
static struct dic_err err;

static enum dic_code find(enum dic_method method, const char *path)
{
    route = NULL;
    return dic_route_find(method, dic_str(path), &route, &path_arg, &methods, &err);
}

static void every_route_is_found_by_its_method_and_path(void **state)
{
    (void)state;
    static const struct {
        enum dic_method method;
        const char *path;
        dic_handler handler;
        const char *arg;
    } cases[] = {
        {DIC_POST, "/submit", dic_api_submit, ""},
        {DIC_GET, "/status/abc", dic_api_status, "abc"},
        {DIC_GET, "/result/a.b-c_d", dic_api_result, "a.b-c_d"},
        {DIC_POST, "/cancel/x", dic_api_cancel, "x"},
        {DIC_POST, "/retry/x", dic_api_retry, "x"},
        {DIC_GET, "/jobs", dic_api_jobs, ""},
        {DIC_POST, "/uploads", dic_api_uploads, ""},
        {DIC_PUT, "/uploads/u", dic_api_upload_put, "u"},
        {DIC_GET, "/healthz", dic_api_healthz, ""},
        {DIC_GET, "/readyz", dic_api_readyz, ""},
        {DIC_GET, "/metrics", dic_api_metrics, ""},
        {DIC_GET, "/version", dic_api_version, ""},
        {DIC_GET, "/openapi.yaml", dic_api_openapi, ""},
        {DIC_GET, "/", dic_api_root, ""},
    };
    size_t rows = 0;
    for (const struct dic_route *row = dic_routes; row->path != NULL; row++) {
        rows++;
    }
    assert_int_equal(rows, sizeof cases / sizeof cases[0]); /* a new route belongs here too */
    for (size_t i = 0; i < rows; i++) {
        assert_ok(find(cases[i].method, cases[i].path));
        assert_ptr_equal(route->handler, cases[i].handler);
        assert_view(path_arg, cases[i].arg);
    }
}

static void head_is_answered_where_get_is(void **state)
{
    (void)state;
    assert_ok(find(DIC_HEAD, "/jobs"));
    assert_ptr_equal(route->handler, dic_api_jobs);
    assert_code(find(DIC_HEAD, "/submit"), DIC_E_UNSUPPORTED);
}

static void a_known_path_with_another_method_names_those_it_takes(void **state)
{
    (void)state;
    static const enum dic_method others[] = {DIC_GET, DIC_PUT, DIC_DELETE, DIC_METHOD_OTHER};
    for (size_t i = 0; i < 4; i++) {
        assert_code(find(others[i], "/cancel/x"), DIC_E_UNSUPPORTED);
        assert_int_equal(methods, DIC_POST);
    }
    assert_code(find(DIC_POST, "/status/x"), DIC_E_UNSUPPORTED);
    assert_int_equal(methods, DIC_GET);
}

static void paths_that_are_almost_right_are_unknown(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",           "//",       "/submit/", "/Submit",     "/submi",
        "/submitt",   "/status",  "/status/", "/status/a/b", "/status/a/",
        "/statusx/a", "status/a", "/jobs/x",  "/../submit",  "/status/{job-id}/x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_code(find(DIC_GET, paths[i]), DIC_E_NOT_FOUND);
        assert_int_equal(methods, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_found_by_its_method_and_path),
        cmocka_unit_test(head_is_answered_where_get_is),
        cmocka_unit_test(a_known_path_with_another_method_names_those_it_takes),
        cmocka_unit_test(paths_that_are_almost_right_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
