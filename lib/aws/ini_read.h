/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of ~/.aws/config and ~/.aws/credentials, as "Format of the shared config and credentials
 * files" in the AWS SDKs and Tools Reference Guide says it: [section] lines, name = value lines,
 * comments that begin with '#' or ';' (after a value: with white space before), and indented lines,
 * which are settings of settings and skipped here. Pure functions; any thread may call.
 */
#ifndef DIC_AWS_INI_READ_H
#define DIC_AWS_INI_READ_H

#include "base/err.h"
#include "base/str.h"

/* Called for each setting; section is what stands between the brackets, trimmed. All are views of
 * the text. */
typedef enum dic_code (*dic_ini_visit)(void *context, struct dic_str section, struct dic_str name,
                                       struct dic_str value, struct dic_err *err);

/* MALFORMED, with the line's number, for a line that is none of the above; or what visit returns.
 */
DIC_MUST_USE enum dic_code dic_ini_read(struct dic_str text, dic_ini_visit visit, void *context,
                                        struct dic_err *err);

#endif
