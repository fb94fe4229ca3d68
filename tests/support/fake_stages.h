/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding and inference for tests of what is around them. A "picture" is a text whose first letter
 * says what becomes of it and whose number is the class it is recognised as: "g7". Linked instead
 * of the decoder processes (same names), so that tests run under every checker. g good    p good,
 * but partial    c corrupt    i its inference fails    n its scores are no numbers
 */
#ifndef DIC_FAKE_STAGES_H
#define DIC_FAKE_STAGES_H

#include "classifier.h"
#include "gate.h"

#include <stdatomic.h>

enum { DIC_FAKE_CLASSES = 10, DIC_FAKE_LANES_MAX = 8 };

struct dic_fake_stages {
    struct dic_gate decode; /* passed by each decoding before it does anything */
    struct dic_gate infer;
    atomic_uint decodes_begun;
    atomic_uint decoded_bytes; /* of those begun */
    atomic_bool lane_busy[DIC_FAKE_LANES_MAX];
    atomic_uint lane_runs[DIC_FAKE_LANES_MAX];
    atomic_uint clashes; /* calls of a lane that was in use */
};

/* One at a time: there is only one pool of decoders, as it has no address of its own here. */
void dic_fake_stages_init(struct dic_fake_stages *stages);
void dic_fake_stages_clean_up(struct dic_fake_stages *stages);
struct dic_classifier dic_fake_stages_classifier(struct dic_fake_stages *stages, uint32_t lanes);

#endif
