/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a new bucket with the sample photos, so that the README's first request has an answer. */
#ifndef DIC_LOCAL_SAMPLES_H
#define DIC_LOCAL_SAMPLES_H

#include "base/err.h"

/*
 * Makes data_dir if it is not there; its parent must be. When data_dir/bucket does not exist yet:
 * makes it, and copies samples_dir/image.jpg to test/image.jpg and every picture of samples_dir to
 * samples/. An existing bucket is never touched; a missing samples_dir leaves the bucket empty and
 * is only logged.
 */
DIC_MUST_USE enum dic_code dic_samples_seed(const char *data_dir, const char *samples_dir,
                                            struct dic_err *err);

#endif
