/* SPDX-License-Identifier: Apache-2.0 */
/* What MODEL_URI may say besides a folder: s3://bucket/folder/. Pure functions. */
#ifndef DIC_ML_MODEL_URI_H
#define DIC_ML_MODEL_URI_H

#include "base/err.h"

/* Both bounds are S3's ("Bucket naming rules", "Naming Amazon S3 objects" in its User Guide). */
enum { DIC_MODEL_BUCKET_BYTES = 63, DIC_MODEL_KEY_BYTES = 1024 };

struct dic_model_uri {
    char bucket[DIC_MODEL_BUCKET_BYTES + 1];
    char prefix[DIC_MODEL_KEY_BYTES + 1]; /* of the keys: empty, or with a '/' at its end */
};

/* Whether it is a URI of any scheme; other texts are folders. */
bool dic_model_uri_is_remote(const char *text);
/* DIC_E_INVALID for another scheme, what is no bucket's name, or a folder that no key has. Keys are
 * taken byte for byte, as the AWS CLI does: "%20" is three characters. */
DIC_MUST_USE enum dic_code dic_model_uri_parse(const char *text, struct dic_model_uri *out,
                                               struct dic_err *err);

#endif
