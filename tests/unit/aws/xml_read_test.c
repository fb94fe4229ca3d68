/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/xml_read.h"

#include "base/buf.h"
#include "test.h"

#include <stdlib.h>

/* Writes down all it sees: "(a(a/b" at beginnings, ")a/b=text" at ends. */
struct seen {
    struct dic_buf text;
    enum dic_code answer; /* of every end */
};

static enum dic_code on_begin(void *context, struct dic_str path, struct dic_err *err)
{
    (void)err;
    struct seen *seen = context;
    dic_buf_append_byte(&seen->text, '(');
    dic_buf_append_str(&seen->text, path);
    return DIC_OK;
}

static enum dic_code on_end(void *context, struct dic_str path, struct dic_str text,
                            struct dic_err *err)
{
    struct seen *seen = context;
    dic_buf_append_byte(&seen->text, ')');
    dic_buf_append_str(&seen->text, path);
    dic_buf_append_byte(&seen->text, '=');
    dic_buf_append_str(&seen->text, text);
    return seen->answer == DIC_OK ? DIC_OK : dic_fail(err, seen->answer, "enough");
}

static enum dic_code read(struct dic_str document, struct seen *seen)
{
    dic_buf_init(&seen->text, 1024 * 1024);
    struct dic_xml_visitor visitor = {.context = seen, .begin = on_begin, .end = on_end};
    return dic_xml_read(document, &visitor, NULL);
}

static void assert_seen(const char *document, const char *expected)
{
    struct seen seen = {0};
    assert_ok(read(dic_str(document), &seen));
    assert_view(dic_buf_view(&seen.text), expected);
    dic_buf_clean_up(&seen.text);
}

static void assert_refused(struct dic_str document, enum dic_code code)
{
    struct seen seen = {0};
    assert_code(read(document, &seen), code);
    dic_buf_clean_up(&seen.text);
}

static void elements_come_with_their_paths_and_own_text(void **state)
{
    (void)state;
    assert_seen("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<L xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><K a='1'>x</K><K/>y</L>",
                "(L(L/K)L/K=x(L/K)L/K=)L=y");
}

static void text_around_children_is_put_together(void **state)
{
    (void)state;
    assert_seen("<a>1<b>2</b>3<c>4<d/></c>5</a>", "(a(a/b)a/b=2(a/c(a/c/d)a/c/d=)a/c=4)a=135");
}

static void entities_of_xml_and_numbers_are_decoded(void **state)
{
    (void)state;
    assert_seen("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x1234;<![CDATA[<&]]></a>",
                "(a)a=<&>\"'A\xE1\x88\xB4<&");
}

static void a_document_type_is_refused(void **state)
{
    (void)state;
    assert_refused(dic_str("<!DOCTYPE a><a/>"), DIC_E_MALFORMED);
    assert_refused(dic_str("<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]>"
                           "<a>&c;&c;&c;</a>"),
                   DIC_E_MALFORMED);
    assert_refused(dic_str("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"), DIC_E_MALFORMED);
    assert_refused(dic_str("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"),
                   DIC_E_MALFORMED);
}

static void what_is_no_xml_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "  ",
                                      "text",
                                      "<a>",
                                      "</a>",
                                      "<a></b>",
                                      "<a/><b/>",
                                      "<a>&b;</a>",
                                      "<a b=c/>",
                                      "<a b='1' b='2'/>",
                                      "<a>\x01</a>",
                                      "<a>\xff</a>",
                                      "<a>&#0;</a>",
                                      "{\"a\":1}",
                                      "<html><br></html>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(dic_str(bad[i]), DIC_E_MALFORMED);
    }
    assert_refused(dic_str_len("<a>\0</a>", 8), DIC_E_MALFORMED);
}

static void a_document_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    const char *document = "<?xml version=\"1.0\"?><List><Key>a&amp;b</Key><Size>12</Size></List>";
    for (size_t len = 0; len < strlen(document); len++) {
        char *copy = malloc(len + 1); /* exactly so long, for the sanitizer to watch its end */
        memcpy(copy, document, len);
        assert_refused(dic_str_len(copy, len), DIC_E_MALFORMED);
        free(copy);
    }
}

static struct dic_buf nested(size_t depth)
{
    struct dic_buf text;
    dic_buf_init(&text, 4096);
    for (size_t i = 0; i < depth; i++) {
        dic_buf_append_text(&text, "<a>");
    }
    for (size_t i = 0; i < depth; i++) {
        dic_buf_append_text(&text, "</a>");
    }
    return text;
}

static void one_level_over_the_limit_is_refused(void **state)
{
    (void)state;
    for (size_t depth = DIC_XML_MAX_DEPTH - 1; depth <= DIC_XML_MAX_DEPTH + 1; depth++) {
        struct dic_buf text = nested(depth);
        struct seen seen = {0};
        assert_code(read(dic_buf_view(&text), &seen),
                    depth <= DIC_XML_MAX_DEPTH ? DIC_OK : DIC_E_TOO_LARGE);
        dic_buf_clean_up(&seen.text);
        dic_buf_clean_up(&text);
    }
}

static enum dic_code read_sized(size_t name_len, size_t text_len)
{
    struct dic_buf text;
    dic_buf_init(&text, 1024 * 1024);
    dic_buf_append_byte(&text, '<');
    for (size_t i = 0; i < name_len; i++) {
        dic_buf_append_byte(&text, 'n');
    }
    dic_buf_append_byte(&text, '>');
    for (size_t i = 0; i < text_len; i++) {
        dic_buf_append_byte(&text, 't');
    }
    dic_buf_append_text(&text, "</");
    for (size_t i = 0; i < name_len; i++) {
        dic_buf_append_byte(&text, 'n');
    }
    dic_buf_append_byte(&text, '>');
    struct seen seen = {0};
    enum dic_code code = read(dic_buf_view(&text), &seen);
    dic_buf_clean_up(&seen.text);
    dic_buf_clean_up(&text);
    return code;
}

static void one_byte_of_text_over_the_limit_is_refused(void **state)
{
    (void)state;
    assert_ok(read_sized(1, DIC_XML_MAX_TEXT - 1));
    assert_ok(read_sized(1, DIC_XML_MAX_TEXT));
    assert_code(read_sized(1, DIC_XML_MAX_TEXT + 1), DIC_E_TOO_LARGE);
}

static void one_byte_of_names_over_the_limit_is_refused(void **state)
{
    (void)state;
    assert_ok(read_sized(DIC_XML_MAX_PATH - 1, 1));
    assert_ok(read_sized(DIC_XML_MAX_PATH, 1));
    assert_code(read_sized(DIC_XML_MAX_PATH + 1, 1), DIC_E_TOO_LARGE);
}

static void reading_ends_with_the_visitors_error(void **state)
{
    (void)state;
    struct seen seen = {.answer = DIC_E_CONFLICT};
    assert_code(read(dic_str("<a><b>1</b><c>2</c></a>"), &seen), DIC_E_CONFLICT);
    assert_view(dic_buf_view(&seen.text), "(a(a/b)a/b=1");
    dic_buf_clean_up(&seen.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_with_their_paths_and_own_text),
        cmocka_unit_test(text_around_children_is_put_together),
        cmocka_unit_test(entities_of_xml_and_numbers_are_decoded),
        cmocka_unit_test(a_document_type_is_refused),
        cmocka_unit_test(what_is_no_xml_is_refused),
        cmocka_unit_test(a_document_cut_at_any_byte_is_refused),
        cmocka_unit_test(one_level_over_the_limit_is_refused),
        cmocka_unit_test(one_byte_of_text_over_the_limit_is_refused),
        cmocka_unit_test(one_byte_of_names_over_the_limit_is_refused),
        cmocka_unit_test(reading_ends_with_the_visitors_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
