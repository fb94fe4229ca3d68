/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the XML that S3 answers with, with expat behind it: elements and their text, nothing else.
 * A document type is refused, and so there are no entities but XML's own five and characters by
 * number. Nothing is kept in memory but the path of names and one element's text. Any thread may
 * call. Errors: MALFORMED (with the line), TOO_LARGE (a ceiling below), or what a visitor returns.
 */
#ifndef DIC_AWS_XML_READ_H
#define DIC_AWS_XML_READ_H

#include "base/err.h"
#include "base/str.h"

enum {
    DIC_XML_MAX_DEPTH = 16,
    DIC_XML_MAX_PATH = 512,       /* bytes of all open elements' names, with '/' between them */
    DIC_XML_MAX_TEXT = 64 * 1024, /* of one element */
};

struct dic_xml_visitor {
    void *context;
    /* Where an element begins; path is like "ListBucketResult/Contents/Key". May be NULL. */
    enum dic_code (*begin)(void *context, struct dic_str path, struct dic_err *err);
    /* Where it ends, with the text that stands directly in it, in UTF-8. Views last for the call.
     */
    enum dic_code (*end)(void *context, struct dic_str path, struct dic_str text,
                         struct dic_err *err);
};

DIC_MUST_USE enum dic_code dic_xml_read(struct dic_str document,
                                        const struct dic_xml_visitor *visitor, struct dic_err *err);

#endif
