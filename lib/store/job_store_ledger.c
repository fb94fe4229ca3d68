/* SPDX-License-Identifier: Apache-2.0 */
#include "store/job_store_ledger.h"

#include "base/mem.h"
#include "store/ledger_impl.h"

static enum dic_code ping(void *impl, struct dic_err *err)
{
    const struct dic_table *table = &((struct dic_ledger *)impl)->options.table;
    return table->ops->ping(table->impl, err);
}

static void destroy(void *impl)
{
    struct dic_ledger *ledger = impl;
    if (ledger != NULL) {
        dic_ledger_progress_destroy(ledger->progress);
        dic_ledger_heads_destroy(ledger->heads);
        dic_ledger_lanes_destroy(ledger->lanes);
        dic_free(ledger);
    }
}

struct dic_job_store dic_job_store_ledger_new(const struct dic_ledger_options *options)
{
    static const struct dic_job_store_ops ops = {
        .is_local = false,
        .create = dic_ledger_create,
        .get = dic_ledger_get,
        .peek = dic_ledger_peek,
        .list = dic_ledger_list,
        .begin_plan = dic_ledger_begin_plan,
        .get_keys = dic_ledger_get_keys,
        .add_segment = dic_ledger_add_segment,
        .fail_plan = dic_ledger_fail_plan,
        .get_chunk = dic_ledger_get_chunk,
        .book = dic_ledger_book,
        .rows = dic_ledger_rows,
        .labels = dic_ledger_labels,
        .stop = dic_ledger_stop,
        .seal = dic_ledger_seal,
        .sweep = dic_ledger_sweep,
        .ping = ping,
        .destroy = destroy,
    };
    struct dic_ledger *ledger = dic_calloc(1, sizeof *ledger);
    ledger->options = *options;
    if (ledger->options.look_ms == 0) {
        ledger->options.look_ms = DIC_LEDGER_LOOK_MS;
    }
    ledger->progress = dic_ledger_progress_new();
    ledger->heads = dic_ledger_heads_new();
    ledger->lanes = dic_ledger_lanes_new(options->lanes == 0 ? DIC_LEDGER_LANES : options->lanes);
    return (struct dic_job_store){&ops, ledger};
}
