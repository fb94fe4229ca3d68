/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of items and objects; the tenant is part of each. */
#include "store/ledger_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void dic_ledger_job_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id)
{
    snprintf(out, DIC_LEDGER_PK_SIZE, "M#" DIC_TENANT "#%s", job_id);
}

void dic_ledger_tally_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id)
{
    snprintf(out, DIC_LEDGER_PK_SIZE, "T#" DIC_TENANT "#%s", job_id);
}

void dic_ledger_segment_pk(char out[DIC_LEDGER_PK_SIZE], const char *job_id, uint32_t segment)
{
    snprintf(out, DIC_LEDGER_PK_SIZE, "S#" DIC_TENANT "#%s#%" PRIu32, job_id, segment);
}

void dic_ledger_idempotency_pk(char out[DIC_LEDGER_PK_SIZE], struct dic_str key)
{
    snprintf(out, DIC_LEDGER_PK_SIZE, "I#" DIC_TENANT "#%.*s", DIC_STR_ARGS(key));
}

void dic_ledger_child_pk(char out[DIC_LEDGER_PK_SIZE], struct dic_str parent)
{
    snprintf(out, DIC_LEDGER_PK_SIZE, "R#" DIC_TENANT "#%.*s", DIC_STR_ARGS(parent));
}

void dic_ledger_keys_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id)
{
    snprintf(out, DIC_LEDGER_KEY_SIZE, "keys/" DIC_TENANT "/%s", job_id);
}

void dic_ledger_manifest_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id, uint32_t segment)
{
    snprintf(out, DIC_LEDGER_KEY_SIZE, "manifests/" DIC_TENANT "/%s/%" PRIu32, job_id, segment);
}

void dic_ledger_shard_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id, uint32_t chunk,
                             struct dic_str attempt)
{
    snprintf(out, DIC_LEDGER_KEY_SIZE, "results/" DIC_TENANT "/%s/%" PRIu32 ".%.*s", job_id, chunk,
             DIC_STR_ARGS(attempt));
}

void dic_ledger_labels_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id, uint32_t segment)
{
    snprintf(out, DIC_LEDGER_KEY_SIZE, "labels/" DIC_TENANT "/%s/%" PRIu32, job_id, segment);
}

void dic_ledger_all_labels_object(char out[DIC_LEDGER_KEY_SIZE], const char *job_id)
{
    snprintf(out, DIC_LEDGER_KEY_SIZE, "labels/" DIC_TENANT "/%s/all", job_id);
}

enum dic_code dic_ledger_pk_job(struct dic_str pk, char id_out[DIC_ID_SIZE], struct dic_err *err)
{
    const struct dic_str prefix = DIC_STR_LIT("M#" DIC_TENANT "#");
    struct dic_str id = dic_str_skip(pk, prefix.len);
    if (!dic_str_starts_with(pk, prefix) || !dic_job_id_valid(id)) {
        return dic_fail(err, DIC_E_INTERNAL, "the table has '%.*s' in an index of jobs",
                        (int)(pk.len < 60 ? pk.len : 60), pk.len > 0 ? pk.ptr : "");
    }
    memcpy(id_out, id.ptr, DIC_ID_LEN);
    id_out[DIC_ID_LEN] = '\0';
    return DIC_OK;
}

int64_t dic_ledger_outbox_shard(const char *job_id)
{
    return (unsigned char)job_id[0] % DIC_LEDGER_OUTBOX_SHARDS; /* random, as the id is */
}
