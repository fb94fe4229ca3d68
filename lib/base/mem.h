/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap memory. Running out aborts the process with a message: the services are crash-only, and the
 * kill tests prove that a crash loses nothing. Limits are enforced at the border, so sizes are
 * sane.
 */
#ifndef DIC_BASE_MEM_H
#define DIC_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; the caller frees it with dic_free. Never NULL. */
void *dic_calloc(size_t count, size_t size);
void *dic_realloc(void *memory, size_t size);
void dic_free(void *memory);

/* A NUL-terminated copy of len bytes; the caller frees it. */
char *dic_strdup_len(const char *text, size_t len);

/* For DIC_CLEANUP on a pointer variable of any type. */
void dic_free_cleanup(void *pointer_to_pointer);

#endif
