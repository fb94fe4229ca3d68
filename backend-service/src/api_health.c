/* SPDX-License-Identifier: Apache-2.0 */
/* GET /healthz, /readyz, /version, /openapi.yaml, / and /metrics. */
#include "api_common.h"
#include "server.h"

extern const unsigned char dic_openapi_yaml[];
extern const unsigned long dic_openapi_yaml_len;

static bool refuses_query(const struct dic_request *request, struct dic_response *response)
{
    static const char *const allowed[] = {NULL};
    struct dic_err err = {0};
    if (dic_api_check_query(request, allowed, &err) != DIC_OK) {
        dic_api_fail(request, response, &err);
        return true;
    }
    return false;
}

static void answer_word(struct dic_response *response, const char *name, const char *value)
{
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_api_json(response, 200);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, name, value);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
}

enum dic_handling dic_api_healthz(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response)
{
    (void)api; /* the process answers: that is all it says */
    if (!refuses_query(request, response)) {
        answer_word(response, "status", "ok");
    }
    return DIC_HANDLED;
}

enum dic_handling dic_api_readyz(struct dic_api *api, const struct dic_request *request,
                                 struct dic_response *response)
{
    struct dic_err err = {0};
    if (refuses_query(request, response)) {
        return DIC_HANDLED;
    }
    enum dic_code code = atomic_load(&api->draining)
                             ? dic_fail(&err, DIC_E_BUSY, "this server is shutting down")
                             : api->jobs.ops->ping(api->jobs.impl, &err);
    if (code != DIC_OK) {
        dic_response_error(response, request, &err, 503);
    } else {
        answer_word(response, "status", "ready");
    }
    return DIC_HANDLED;
}

enum dic_handling dic_api_version(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response)
{
    if (!refuses_query(request, response)) {
        answer_word(response, "version", api->version);
    }
    return DIC_HANDLED;
}

enum dic_handling dic_api_openapi(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response)
{
    (void)api; /* the text is part of the program */
    if (!refuses_query(request, response)) {
        response->content_type = "application/yaml";
        dic_buf_append(&response->body, dic_openapi_yaml, dic_openapi_yaml_len);
    }
    return DIC_HANDLED;
}

enum dic_handling dic_api_root(struct dic_api *api, const struct dic_request *request,
                               struct dic_response *response)
{
    if (refuses_query(request, response)) {
        return DIC_HANDLED;
    }
    struct dic_json_writer writer = dic_json_writer(&response->body);
    dic_api_json(response, 200);
    dic_json_begin_object(&writer, NULL);
    dic_json_put_text(&writer, "service", "distributed image classifier");
    dic_json_put_text(&writer, "version", api->version);
    dic_json_begin_object(&writer, "links");
    for (const struct dic_route *route = dic_routes; route->path != NULL; route++) {
        dic_json_put_text(&writer, route->path, route->methods == DIC_POST ? "POST" : "GET");
    }
    dic_json_end_object(&writer);
    dic_json_end_object(&writer);
    dic_buf_append_byte(&response->body, '\n');
    return DIC_HANDLED;
}

/* ---- metrics ---- */

static void metric(struct dic_buf *out, const char *name, const char *type, const char *help,
                   double value)
{
    dic_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
                   value);
}

static void server_metrics(const struct dic_server *server, struct dic_buf *out)
{
    struct dic_server_counts counts;
    dic_server_counts(server, &counts);
    dic_buf_append_text(out, "# HELP classifier_http_requests_total Answers by class of status.\n"
                             "# TYPE classifier_http_requests_total counter\n");
    for (int i = 2; i < 6; i++) {
        dic_buf_printf(out, "classifier_http_requests_total{class=\"%dxx\"} %llu\n", i,
                       (unsigned long long)counts.by_class[i]);
    }
    metric(out, "classifier_http_connections", "gauge", "Open connections.",
           (double)counts.connections);
    metric(out, "classifier_http_body_bytes", "gauge", "Request bodies held in memory.",
           (double)counts.body_bytes);
    metric(out, "classifier_http_refused_total", "counter",
           "Connections or bodies cut by a limit or timeout.", (double)counts.refused);
}

enum dic_handling dic_api_metrics(struct dic_api *api, const struct dic_request *request,
                                  struct dic_response *response)
{
    struct dic_err err = {0};
    struct dic_queue_depth depth = {0};
    struct dic_buf *out = &response->body;
    if (refuses_query(request, response)) {
        return DIC_HANDLED;
    }
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    dic_buf_printf(out,
                   "# HELP classifier_build_info Version of the program.\n"
                   "# TYPE classifier_build_info gauge\nclassifier_build_info{version=\"%s\"} 1\n",
                   api->version);
    if (api->queue.ops->depth(api->queue.impl, &depth, &err) == DIC_OK) {
        metric(out, "classifier_queue_visible", "gauge", "Messages that wait.",
               (double)depth.visible);
        metric(out, "classifier_queue_in_flight", "gauge", "Messages being worked on.",
               (double)depth.in_flight);
    }
    const struct dic_server *server = atomic_load(&api->server);
    if (server != NULL) {
        server_metrics(server, out);
    }
    if (api->extra_metrics != NULL) {
        api->extra_metrics(api->extra_metrics_context, out);
    }
    return DIC_HANDLED;
}
