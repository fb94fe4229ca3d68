/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"

static void a_buffer_holds_its_ceiling_and_not_a_byte_more(void **state)
{
    (void)state;
    for (size_t len = 9; len <= 11; len++) {
        struct dic_buf buf;
        dic_buf_init(&buf, 10);
        dic_buf_append(&buf, "01234567890", len);
        assert_int_equal(dic_buf_check(&buf, NULL), len <= 10 ? DIC_OK : DIC_E_TOO_LARGE);
        assert_int_equal(buf.len, len <= 10 ? len : 0);
        dic_buf_clean_up(&buf);
    }
}

static void a_poisoned_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct dic_buf buf;
    dic_buf_init(&buf, 4);
    dic_buf_append_text(&buf, "abc");
    dic_buf_append_text(&buf, "de");
    dic_buf_append_text(&buf, "f");
    assert_view(dic_buf_view(&buf), "abc");
    assert_code(dic_buf_check(&buf, NULL), DIC_E_TOO_LARGE);
    dic_buf_clear(&buf);
    dic_buf_append_text(&buf, "wxyz");
    assert_ok(dic_buf_check(&buf, NULL));
    dic_buf_clean_up(&buf);
}

static void numbers_and_formats_are_appended(void **state)
{
    (void)state;
    struct dic_buf buf;
    size_t len = 0;
    dic_buf_init(&buf, 1000);
    dic_buf_append_u64(&buf, 0);
    dic_buf_append_byte(&buf, ' ');
    dic_buf_append_u64(&buf, UINT64_MAX);
    dic_buf_printf(&buf, " %s=%d", "x", -5);
    char *text = dic_buf_detach(&buf, &len);
    assert_string_equal(text, "0 18446744073709551615 x=-5");
    assert_int_equal(len, strlen(text));
    dic_free(text);
    dic_buf_clean_up(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_holds_its_ceiling_and_not_a_byte_more),
        cmocka_unit_test(a_poisoned_buffer_stays_as_it_was),
        cmocka_unit_test(numbers_and_formats_are_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
