/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

/* A pattern is literal but for one last "{…}" segment, which matches one non-empty segment. */
static bool matches(const char *pattern, struct dic_str path, struct dic_str *arg_out)
{
    struct dic_str whole = dic_str(pattern);
    size_t brace = dic_str_find(whole, '{');
    *arg_out = DIC_STR_LIT("");
    if (brace == whole.len) {
        return dic_str_eq(whole, path);
    }
    struct dic_str rest = dic_str_skip(path, brace);
    if (!dic_str_starts_with(path, dic_str_len(pattern, brace)) || rest.len == 0 ||
        dic_str_find(rest, '/') != rest.len) {
        return false;
    }
    *arg_out = rest;
    return true;
}

enum dic_code dic_route_find(enum dic_method method, struct dic_str path,
                             const struct dic_route **route_out, struct dic_str *path_arg_out,
                             unsigned *methods_out, struct dic_err *err)
{
    unsigned wanted = method == DIC_HEAD ? DIC_GET : (unsigned)method;
    *methods_out = 0;
    for (const struct dic_route *route = dic_routes; route->path != NULL; route++) {
        if (!matches(route->path, path, path_arg_out)) {
            continue;
        }
        if ((route->methods & wanted) != 0) {
            *route_out = route;
            return DIC_OK;
        }
        *methods_out |= route->methods;
    }
    if (*methods_out != 0) {
        return dic_fail(err, DIC_E_UNSUPPORTED, "this path does not take this method");
    }
    return dic_fail(err, DIC_E_NOT_FOUND, "there is no such path; GET / lists those there are");
}
