/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of request targets: what is not well-formed is refused, never repaired. */
#ifndef DIC_BACKEND_URI_H
#define DIC_BACKEND_URI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the decoded bytes. DIC_E_MALFORMED for a bad %XX, for %00 and for bytes outside
 * printable ASCII. In a query '+' is a space. */
DIC_MUST_USE enum dic_code dic_uri_decode(struct dic_str text, bool is_query, struct dic_buf *out,
                                          struct dic_err *err);

enum { DIC_MAX_QUERY_PARAMETERS = 32 };

struct dic_query {
    struct dic_buf text; /* decoded names and values, behind the views */
    size_t count;
    struct {
        struct dic_str name;
        struct dic_str value;
    } parameters[DIC_MAX_QUERY_PARAMETERS];
};

/* DIC_E_MALFORMED also for a parameter that is given twice, and for more than the maximum. */
DIC_MUST_USE enum dic_code dic_query_parse(struct dic_str text, struct dic_query *out,
                                           struct dic_err *err);
void dic_query_clean_up(struct dic_query *query);
/* ptr is NULL when it is absent. */
struct dic_str dic_query_find(const struct dic_query *query, struct dic_str name);

#endif
