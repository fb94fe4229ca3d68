/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Head lines of the shards that this process wrote last. Whoever books a segment's last chunk sums
 * the labels of all its shards, and has mostly written them itself: those need no request. Holds
 * a bounded number of bounded texts. Any thread may call; without one (NULL) nothing is held.
 */
#ifndef DIC_STORE_LEDGER_HEADS_H
#define DIC_STORE_LEDGER_HEADS_H

#include "base/buf.h"

#include <stdbool.h>

struct dic_ledger_heads;

struct dic_ledger_heads *dic_ledger_heads_new(void);
void dic_ledger_heads_destroy(struct dic_ledger_heads *heads); /* NULL is fine */
/* Copies; a head that is too long is not kept. */
void dic_ledger_heads_put(struct dic_ledger_heads *heads, const char *object, struct dic_str head);
/* Appends the head of this object to out; false when it is not held. */
bool dic_ledger_heads_get(struct dic_ledger_heads *heads, const char *object, struct dic_buf *out);

#endif
