/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on SQLite. */
#include "job_store_suite.h"

#include "base/mem.h"
#include "local_store.h"

#include <stdio.h>
#include <stdlib.h>

struct opened {
    struct dic_store_under_test store; /* first: the suite hands it back */
    struct dic_local *local;
    char folder[64];
};

struct dic_store_under_test *dic_suite_open(void)
{
    struct opened *opened = dic_calloc(1, sizeof *opened);
    snprintf(opened->folder, sizeof opened->folder, "/tmp/dic-contract-XXXXXX");
    struct dic_err err = {0};
    if (mkdtemp(opened->folder) == NULL ||
        dic_local_open(opened->folder, dic_clock_system(), &opened->local, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    opened->store.jobs = dic_local_jobs(opened->local);
    opened->store.queue = dic_local_queue(opened->local);
    return &opened->store;
}

void dic_suite_close(struct dic_store_under_test *store)
{
    struct opened *opened = (struct opened *)store;
    char command[128];
    dic_local_close(opened->local);
    snprintf(command, sizeof command, "rm -rf %s", opened->folder);
    if (system(command) != 0) {
        abort();
    }
    dic_free(opened);
}

void dic_suite_pass(struct dic_store_under_test *store, int64_t ms)
{
    (void)store; /* retention is counted from the time given to sweep */
    (void)ms;
}

int main(void)
{
    return dic_run_job_store_suite();
}
