/* SPDX-License-Identifier: Apache-2.0 */
/* What every blob store promises; the same tests run on each adapter. */
#ifndef DIC_BLOB_STORE_SUITE_H
#define DIC_BLOB_STORE_SUITE_H

#include "store/blob_store.h"

/* Fresh and empty for each test; the adapter's test program defines both. */
struct dic_blob_store dic_blob_suite_open(void);
void dic_blob_suite_close(struct dic_blob_store store);

/* What the server behind an adapter is known not to do; its tests are skipped, and say so. */
bool dic_blob_suite_lacks(const char *test);

int dic_run_blob_store_suite(void);

#endif
