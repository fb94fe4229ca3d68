/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory == NULL && size != 0) {
        fprintf(stderr, "out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

void *dic_calloc(size_t count, size_t size)
{
    return checked(calloc(count, size), count * size);
}

void *dic_realloc(void *memory, size_t size)
{
    return checked(realloc(memory, size), size);
}

void dic_free(void *memory)
{
    free(memory);
}

char *dic_strdup_len(const char *text, size_t len)
{
    char *copy = dic_calloc(len + 1, 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

void dic_free_cleanup(void *pointer_to_pointer)
{
    void *memory = NULL;
    memcpy(&memory, pointer_to_pointer, sizeof memory);
    free(memory);
}
