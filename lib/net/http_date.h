/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIC_NET_HTTP_DATE_H
#define DIC_NET_HTTP_DATE_H

#include "base/str.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate, RFC 9110 section 5.6.7, the only form servers may
 * send) as milliseconds since 1970. False for anything else, also for a year before 1970. */
bool dic_http_date_parse(struct dic_str text, int64_t *wall_ms_out);

#endif
