/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/xml_read.h"

#include "base/buf.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

struct reader {
    XML_Parser parser;
    const struct dic_xml_visitor *visitor;
    struct dic_buf path;
    size_t depth;
    struct dic_buf texts; /* of all open elements, the innermost last */
    size_t text_starts[DIC_XML_MAX_DEPTH];
    enum dic_code code; /* why the parser was stopped */
    struct dic_err *err;
};

static void stop(struct reader *reader, enum dic_code code)
{
    reader->code = code;
    XML_StopParser(reader->parser, XML_FALSE);
}

static void on_begin(void *context, const XML_Char *name, const XML_Char **attributes)
{
    (void)attributes; /* S3 puts no data there */
    struct reader *reader = context;
    if (reader->code != DIC_OK) { /* expat may call once more after it was stopped */
        return;
    }
    if (reader->depth == DIC_XML_MAX_DEPTH) {
        stop(reader, dic_fail(reader->err, DIC_E_TOO_LARGE, "XML is nested deeper than %d",
                              DIC_XML_MAX_DEPTH));
        return;
    }
    dic_buf_append_text(&reader->path, reader->depth == 0 ? "" : "/");
    dic_buf_append_text(&reader->path, name);
    if (reader->path.poisoned) {
        stop(reader, dic_fail(reader->err, DIC_E_TOO_LARGE, "XML names are longer than %d bytes",
                              DIC_XML_MAX_PATH));
        return;
    }
    reader->text_starts[reader->depth++] = reader->texts.len;
    if (reader->visitor->begin != NULL) {
        enum dic_code code = reader->visitor->begin(reader->visitor->context,
                                                    dic_buf_view(&reader->path), reader->err);
        if (code != DIC_OK) {
            stop(reader, code);
        }
    }
}

static void on_end(void *context, const XML_Char *name)
{
    struct reader *reader = context;
    if (reader->code != DIC_OK) {
        return;
    }
    size_t start = reader->text_starts[reader->depth - 1];
    struct dic_str text = dic_str_len(reader->texts.len == start ? "" : reader->texts.ptr + start,
                                      reader->texts.len - start);
    enum dic_code code = reader->visitor->end(reader->visitor->context, dic_buf_view(&reader->path),
                                              text, reader->err);
    if (code != DIC_OK) {
        stop(reader, code);
        return;
    }
    reader->depth--;
    reader->texts.len = start;
    reader->path.len -= strlen(name) + (reader->depth > 0 ? 1 : 0);
}

static void on_text(void *context, const XML_Char *bytes, int len)
{
    struct reader *reader = context;
    if (reader->code != DIC_OK) {
        return;
    }
    dic_buf_append(&reader->texts, bytes, (size_t)len);
    if (reader->texts.poisoned) {
        stop(reader, dic_fail(reader->err, DIC_E_TOO_LARGE, "XML text is longer than %d bytes",
                              DIC_XML_MAX_TEXT));
    }
}

static void on_document_type(void *context, const XML_Char *name, const XML_Char *system_id,
                             const XML_Char *public_id, int has_internal_subset)
{
    (void)name; /* expat's signature */
    (void)system_id;
    (void)public_id;
    (void)has_internal_subset;
    struct reader *reader = context;
    stop(reader, dic_fail(reader->err, DIC_E_MALFORMED, "XML has a document type"));
}

enum dic_code dic_xml_read(struct dic_str document, const struct dic_xml_visitor *visitor,
                           struct dic_err *err)
{
    if (document.len > INT_MAX) {
        return dic_fail(err, DIC_E_TOO_LARGE, "XML is longer than %d bytes", INT_MAX);
    }
    struct reader reader = {.visitor = visitor, .err = err};
    reader.parser = XML_ParserCreate(NULL);
    if (reader.parser == NULL) {
        return dic_fail(err, DIC_E_INTERNAL, "expat has no memory for a parser");
    }
    dic_buf_init(&reader.path, DIC_XML_MAX_PATH);
    dic_buf_init(&reader.texts, DIC_XML_MAX_TEXT);
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, on_begin, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_document_type);
    const char *bytes = document.len == 0 ? "" : document.ptr;
    bool parsed = XML_Parse(reader.parser, bytes, (int)document.len, XML_TRUE) == XML_STATUS_OK;
    enum dic_code code = reader.code;
    if (!parsed && code == DIC_OK) {
        code = dic_fail(err, DIC_E_MALFORMED, "XML: %s",
                        XML_ErrorString(XML_GetErrorCode(reader.parser)));
    }
    XML_ParserFree(reader.parser);
    dic_buf_clean_up(&reader.path);
    dic_buf_clean_up(&reader.texts);
    return code;
}
