/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is one file, <name>_fuzz.c: it hands libFuzzer's bytes to a
 * parser and checks what must hold whatever they are. llvm.org/docs/LibFuzzer.html
 */
#ifndef DIC_FUZZ_H
#define DIC_FUZZ_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A finding: says what does not hold, and ends the process as a crash. */
#define FUZZ_CHECK(holds) ((holds) ? (void)0 : dic_fuzz_finding(#holds, __FILE__, __LINE__))
_Noreturn void dic_fuzz_finding(const char *what, const char *file, int line);

/* The text that is not NULL says why; it is one line and ends within its array. */
void dic_fuzz_check_err(enum dic_code code, const struct dic_err *err);

struct dic_str dic_fuzz_view(const uint8_t *bytes, size_t len);
/* Takes the next part of an input that has several: up to a byte 0xFF, which is in no UTF-8 text.
 * Empty when all is used up. */
struct dic_str dic_fuzz_part(struct dic_str *rest);
/* Takes one byte; 0 when all is used up. */
uint8_t dic_fuzz_byte(struct dic_str *rest);

/* Written from RFC 8259 and RFC 3629, and not with the code that is tested. */
bool dic_fuzz_is_utf8(struct dic_str text);
bool dic_fuzz_is_json(struct dic_str text);

#endif
