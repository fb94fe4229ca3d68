/* SPDX-License-Identifier: Apache-2.0 */
/* What the code under test writes to standard output or error. One at a time. */
#ifndef DIC_CAPTURE_H
#define DIC_CAPTURE_H

#include <stddef.h>

/* fd is STDOUT_FILENO or STDERR_FILENO. */
void dic_capture_begin(int fd);
/* Ends it; the text is valid until the next capture. */
const char *dic_capture_end(void);

#endif
