/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "test.h"

#include "capture.h"
#include "json/json_read.h"

#include <stdio.h>
#include <unistd.h>

static int set_up(void **state)
{
    (void)state;
    dic_log_set_level(DIC_LOG_INFO);
    dic_log_set_service("tests");
    return 0;
}

/* The one line that was written, parsed; the caller destroys it. */
static struct dic_json *parsed(const char *text)
{
    struct dic_json *json = NULL;
    struct dic_err err = {0};
    size_t len = strlen(text);
    assert_true(len > 0 && text[len - 1] == '\n');
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    assert_true(len <= DIC_LOG_LINE_BYTES);
    if (dic_json_parse(dic_str(text), &json, &err) != DIC_OK) {
        print_error("%s\n%s\n", err.msg, text);
        fail();
    }
    return json;
}

static void assert_member(const struct dic_json *line, const char *name, const char *value)
{
    struct dic_str text = {0};
    assert_non_null(dic_json_member(line, name));
    assert_ok(dic_json_get_str(dic_json_member(line, name), name, &text, NULL));
    assert_view(text, value);
}

static void a_line_is_a_json_object_with_its_fields_in_order(void **state)
{
    (void)state;
    struct dic_log log;
    const struct dic_err err = {.code = DIC_E_NOT_FOUND, .field = "f", .msg = "gone"};
    dic_capture_begin(STDERR_FILENO);
    dic_log_begin(&log, DIC_LOG_WARN, "happened");
    dic_log_str(&log, "text", "plain");
    dic_log_view(&log, "view", dic_str_len("abcdef", 3));
    dic_log_int(&log, "least", INT64_MIN);
    dic_log_ms(&log, "spent_ms", 1234567);
    dic_log_bool(&log, "yes", true);
    dic_log_bool(&log, "no", false);
    dic_log_err(&log, &err);
    dic_log_end(&log);
    const char *text = dic_capture_end();
    assert_non_null(strstr(text, "\"level\":\"warn\",\"service\":\"tests\",\"event\":\"happened\","
                                 "\"text\":\"plain\",\"view\":\"abc\","
                                 "\"least\":-9223372036854775808,\"spent_ms\":1.235,"
                                 "\"yes\":true,\"no\":false,\"error\":\"NOT_FOUND\","
                                 "\"field\":\"f\",\"message\":\"gone\"}\n"));
    struct dic_json *line = parsed(text);
    assert_int_equal(strspn(text, "{\"time:"), 9); /* begins with the time */
    dic_json_destroy(line);
}

static void what_could_break_a_line_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *read_back;
    } cases[] = {
        {"quote\" back\\slash", "quote\" back\\slash"},
        {"two\nlines\r\t\x01\x1F\x7F", "two\nlines\r\t\x01\x1F\x7F"},
        {"caf\xC3\xA9 \xF0\x9F\x98\x80", "caf\xC3\xA9 \xF0\x9F\x98\x80"},
        {"\"}\n{\"event\":\"forged\"}", "\"}\n{\"event\":\"forged\"}"},
        {"bad \xC3( \xFF", "bad \xC3\x83( \xC3\xBF"}, /* bytes of no UTF-8: as Latin-1 */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_log log;
        dic_capture_begin(STDERR_FILENO);
        dic_log_begin(&log, DIC_LOG_INFO, "e");
        dic_log_str(&log, "value", cases[i].value);
        dic_log_end(&log);
        struct dic_json *line = parsed(dic_capture_end());
        assert_member(line, "value", cases[i].read_back);
        dic_json_destroy(line);
    }
}

/* Values of every length around what fits: the line stays JSON, and a field is whole or absent. */
static void a_line_that_is_too_long_loses_its_last_fields_and_says_so(void **state)
{
    (void)state;
    static char value[DIC_LOG_LINE_BYTES + 10];
    int whole = 0;
    int cut = 0;
    for (size_t len = DIC_LOG_LINE_BYTES - 300; len < DIC_LOG_LINE_BYTES; len++) {
        struct dic_log log;
        memset(value, 'v', len);
        value[len] = '\0';
        dic_capture_begin(STDERR_FILENO);
        dic_log_begin(&log, DIC_LOG_INFO, "long");
        dic_log_str(&log, "first", "kept");
        dic_log_str(&log, "value", value);
        dic_log_int(&log, "last", 7);
        dic_log_end(&log);
        struct dic_json *line = parsed(dic_capture_end());
        assert_member(line, "first", "kept");
        bool truncated = dic_json_member(line, "truncated") != NULL;
        assert_int_equal(dic_json_member(line, "last") == NULL, truncated);
        if (dic_json_member(line, "value") != NULL) {
            assert_member(line, "value", value);
        } else {
            assert_true(truncated);
        }
        whole += !truncated;
        cut += truncated;
        dic_json_destroy(line);
    }
    assert_true(whole > 0 && cut > 0);
}

static void a_value_of_escapes_only_does_not_overrun_a_line(void **state)
{
    (void)state;
    static char value[DIC_LOG_LINE_BYTES];
    struct dic_log log;
    memset(value, 1, sizeof value - 1);
    dic_capture_begin(STDERR_FILENO);
    dic_log_begin(&log, DIC_LOG_ERROR, "long");
    dic_log_str(&log, "value", value);
    dic_log_end(&log);
    struct dic_json *line = parsed(dic_capture_end());
    assert_non_null(dic_json_member(line, "truncated"));
    dic_json_destroy(line);
}

static void below_its_level_nothing_is_written(void **state)
{
    (void)state;
    static const enum dic_log_level levels[] = {DIC_LOG_DEBUG, DIC_LOG_INFO, DIC_LOG_WARN,
                                                DIC_LOG_ERROR};
    for (int threshold = DIC_LOG_DEBUG; threshold <= DIC_LOG_OFF; threshold++) {
        for (size_t i = 0; i < 4; i++) {
            struct dic_log log;
            dic_log_set_level((enum dic_log_level)threshold);
            dic_capture_begin(STDERR_FILENO);
            dic_log_begin(&log, levels[i], "e");
            dic_log_str(&log, "s", "x");
            dic_log_int(&log, "i", 1);
            dic_log_end(&log);
            dic_log_message(levels[i], "e", "%d", 5);
            bool silent = dic_capture_end()[0] == '\0';
            assert_int_equal(silent, levels[i] < (enum dic_log_level)threshold);
        }
    }
}

static void a_message_is_formatted_and_cut(void **state)
{
    (void)state;
    static char long_text[3000];
    struct dic_str text = {0};
    memset(long_text, 'x', sizeof long_text - 1);
    dic_capture_begin(STDERR_FILENO);
    dic_log_message(DIC_LOG_INFO, "m", "%d %s", 7, "seven");
    struct dic_json *line = parsed(dic_capture_end());
    assert_member(line, "message", "7 seven");
    dic_json_destroy(line);
    dic_capture_begin(STDERR_FILENO);
    dic_log_message(DIC_LOG_INFO, "m", "%s", long_text);
    line = parsed(dic_capture_end());
    assert_ok(dic_json_get_str(dic_json_member(line, "message"), "message", &text, NULL));
    assert_int_equal(text.len, 1023);
    dic_json_destroy(line);
}

static void levels_have_words(void **state)
{
    (void)state;
    static const char *const words[] = {"debug", "info", "warn", "error", "off"};
    enum dic_log_level level = DIC_LOG_DEBUG;
    struct dic_err err = {0};
    for (int i = 0; i < 5; i++) {
        assert_ok(dic_log_level_parse(dic_str(words[i]), &level, NULL));
        assert_int_equal(level, i);
    }
    assert_code(dic_log_level_parse(dic_str("loud"), &level, &err), DIC_E_INVALID);
    assert_string_equal(err.msg, "'loud' is not one of debug, info, warn, error, off");
    assert_code(dic_log_level_parse(dic_str("INFO"), &level, NULL), DIC_E_INVALID);
    assert_code(dic_log_level_parse(dic_str(""), &level, NULL), DIC_E_INVALID);
}

#define CASE(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_line_is_a_json_object_with_its_fields_in_order),
        CASE(what_could_break_a_line_is_escaped),
        CASE(a_line_that_is_too_long_loses_its_last_fields_and_says_so),
        CASE(a_value_of_escapes_only_does_not_overrun_a_line),
        CASE(below_its_level_nothing_is_written),
        CASE(a_message_is_formatted_and_cut),
        CASE(levels_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
