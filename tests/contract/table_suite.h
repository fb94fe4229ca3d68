/* SPDX-License-Identifier: Apache-2.0 */
/* What every table promises; the same tests run on each adapter. */
#ifndef DIC_TABLE_SUITE_H
#define DIC_TABLE_SUITE_H

#include "store/table.h"

/* Fresh and empty for each test; the adapter's test program defines both. */
struct dic_table dic_table_suite_open(void);
void dic_table_suite_close(struct dic_table table);

int dic_run_table_suite(void);

#endif
