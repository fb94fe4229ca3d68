/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on a folder. */
#include "blob_store_suite.h"

#include "blob_store_fs.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[64];

struct dic_blob_store dic_blob_suite_open(void)
{
    struct dic_blob_store store = {0};
    struct dic_err err = {0};
    snprintf(folder, sizeof folder, "/tmp/dic-blobs-XXXXXX");
    if (mkdtemp(folder) == NULL || dic_blob_store_fs_new(folder, &store, &err) != DIC_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return store;
}

void dic_blob_suite_close(struct dic_blob_store store)
{
    char command[128];
    store.ops->destroy(store.impl);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) {
        abort();
    }
}

int main(void)
{
    return dic_run_blob_store_suite();
}
