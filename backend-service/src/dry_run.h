/* SPDX-License-Identifier: Apache-2.0 */
/* POST /submit?dry_run=true: what the job would be, without making it. */
#ifndef DIC_BACKEND_DRY_RUN_H
#define DIC_BACKEND_DRY_RUN_H

#include "api.h"
#include "submit_request.h"

/* Looks at no more than 100 objects of a key list and 100,000 of a listing: the answer says when
 * its numbers are estimates. */
DIC_MUST_USE enum dic_code dic_dry_run(struct dic_api *api, const struct dic_submit_request *body,
                                       struct dic_response *response, struct dic_err *err);

#endif
