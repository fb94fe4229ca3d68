/* SPDX-License-Identifier: Apache-2.0 */
/* What several handlers need. */
#ifndef DIC_BACKEND_API_COMMON_H
#define DIC_BACKEND_API_COMMON_H

#include "api.h"
#include "json/json_write.h"

/* Fills the response with the error; always DIC_HANDLED. DENIED is answered as UPSTREAM (503): a
 * store refused this program, not its client. */
enum dic_handling dic_api_fail(const struct dic_request *request, struct dic_response *response,
                               const struct dic_err *err);
/* Refuses query parameters that are not in the NULL-terminated list. */
DIC_MUST_USE enum dic_code dic_api_check_query(const struct dic_request *request,
                                               const char *const *allowed, struct dic_err *err);
/* A whole number from the query, or fallback when it is absent. */
DIC_MUST_USE enum dic_code dic_api_query_number(const struct dic_request *request, const char *name,
                                                uint64_t min, uint64_t max, uint64_t fallback,
                                                uint64_t *out, struct dic_err *err);
/* Copies the path's job id; an id of the wrong form is as unknown as any other. */
DIC_MUST_USE enum dic_code dic_api_job_id(const struct dic_request *request,
                                          struct dic_response *response, char id_out[DIC_ID_SIZE],
                                          struct dic_err *err);
/* For POST routes that are told everything by their path: no body, or {}, which some clients send
 * in any case. */
DIC_MUST_USE enum dic_code dic_api_check_no_body(const struct dic_request *request,
                                                 struct dic_err *err);
/* The job of the path; memory is initialised here and cleaned up by the caller in any case. */
DIC_MUST_USE enum dic_code dic_api_get_job(struct dic_api *api, const struct dic_request *request,
                                           struct dic_response *response, struct dic_job *job_out,
                                           struct dic_buf *memory, struct dic_err *err);

/* Seconds until the job's end from the rate so far; −1 when nothing can be said yet. */
int64_t dic_job_eta_s(const struct dic_job *job, int64_t now_ms);
void dic_job_write(struct dic_json_writer *writer, const struct dic_api *api,
                   const struct dic_job *job);
/* 200, JSON, with Retry-After while the job runs. */
void dic_api_answer_job(struct dic_api *api, struct dic_response *response,
                        const struct dic_job *job);
void dic_api_json(struct dic_response *response, int status);

#endif
