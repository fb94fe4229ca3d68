/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /uploads, checked: {"uploads":[{"name","content_type","size_bytes"},…]}. */
#ifndef DIC_BACKEND_UPLOAD_REQUEST_H
#define DIC_BACKEND_UPLOAD_REQUEST_H

#include "json/json_read.h"

struct dic_upload_file {
    struct dic_str name; /* the last part of the key: no '/', does not start with '.' */
    struct dic_str content_type;
    int64_t size_bytes;
};

struct dic_upload_request {
    struct dic_json *root; /* owned; names point into it */
    struct dic_upload_file *files;
    size_t count;
};

/* Errors name the field, e.g. "uploads[3].name". Clean up in any case. */
DIC_MUST_USE enum dic_code dic_upload_request_parse(struct dic_str body,
                                                    struct dic_upload_request *out,
                                                    struct dic_err *err);
void dic_upload_request_clean_up(struct dic_upload_request *request);

#endif
