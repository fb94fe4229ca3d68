/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ledger_heads.h"

#include "base/mem.h"
#include "base/thread.h"
#include "store/ledger_impl.h"

#include <stdio.h>
#include <string.h>

enum { HEADS = 256, MAX_HEAD_BYTES = 32 * 1024 }; /* 8 MiB at most; a usual head is 1 KiB */

struct head {
    char object[DIC_LEDGER_KEY_SIZE]; /* empty: unused */
    char *text;
    size_t len;
};

struct dic_ledger_heads {
    pthread_mutex_t lock; /* guards all below */
    struct head heads[HEADS];
    size_t next; /* the oldest, which the next one replaces */
};

struct dic_ledger_heads *dic_ledger_heads_new(void)
{
    struct dic_ledger_heads *heads = dic_calloc(1, sizeof *heads);
    dic_mutex_init(&heads->lock);
    return heads;
}

void dic_ledger_heads_destroy(struct dic_ledger_heads *heads)
{
    if (heads == NULL) {
        return;
    }
    for (size_t i = 0; i < HEADS; i++) {
        dic_free(heads->heads[i].text);
    }
    pthread_mutex_destroy(&heads->lock);
    dic_free(heads);
}

void dic_ledger_heads_put(struct dic_ledger_heads *heads, const char *object, struct dic_str head)
{
    if (heads == NULL || head.len > MAX_HEAD_BYTES) {
        return;
    }
    char *text = dic_strdup_len(head.ptr, head.len);
    DIC_GUARD(&heads->lock);
    struct head *slot = &heads->heads[heads->next];
    heads->next = (heads->next + 1) % HEADS;
    dic_free(slot->text);
    slot->text = text;
    slot->len = head.len;
    snprintf(slot->object, sizeof slot->object, "%s", object);
}

bool dic_ledger_heads_get(struct dic_ledger_heads *heads, const char *object, struct dic_buf *out)
{
    if (heads == NULL) {
        return false;
    }
    DIC_GUARD(&heads->lock);
    for (size_t i = 0; i < HEADS; i++) {
        if (strcmp(heads->heads[i].object, object) == 0) {
            dic_buf_append(out, heads->heads[i].text, heads->heads[i].len);
            return true;
        }
    }
    return false;
}
