/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_ticket.h"

#include "base/mem.h"
#include "test.h"

static const struct dic_upload_signer signer = {.secret = "0123456789abcdef0123456789abcdef"};
static const struct dic_upload_ticket cup = {
    .key = {"uploads/default/x/cup.jpg", 25},
    .content_type = {"image/jpeg", 10},
    .size_bytes = 26214400,
    .expires_ms = 1893456000000,
};

static void write(const struct dic_upload_signer *by, const struct dic_upload_ticket *ticket,
                  struct dic_buf *token)
{
    dic_buf_init(token, 8192);
    dic_upload_ticket_write(by, ticket, token);
    assert_ok(dic_buf_check(token, NULL));
}

static enum dic_code read(struct dic_str token, struct dic_buf *memory,
                          struct dic_upload_ticket *out)
{
    dic_buf_init(memory, DIC_MAX_UPLOAD_TICKET_BYTES);
    return dic_upload_ticket_read(&signer, token, memory, out, NULL);
}

static enum dic_code judge(struct dic_str token)
{
    struct dic_buf memory;
    struct dic_upload_ticket ticket;
    const enum dic_code code = read(token, &memory, &ticket);
    dic_buf_clean_up(&memory);
    return code;
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct dic_buf token;
    struct dic_buf memory;
    struct dic_upload_ticket out;
    write(&signer, &cup, &token);
    assert_ok(read(dic_buf_view(&token), &memory, &out));
    assert_view(out.key, "uploads/default/x/cup.jpg");
    assert_view(out.content_type, "image/jpeg");
    assert_int_equal(out.size_bytes, 26214400);
    assert_int_equal(out.expires_ms, 1893456000000);
    dic_buf_clean_up(&memory);
    dic_buf_clean_up(&token);
}

static void the_longest_key_fits(void **state)
{
    (void)state;
    struct dic_buf token;
    struct dic_buf memory;
    struct dic_upload_ticket out;
    char key[DIC_MAX_KEY_BYTES];
    memset(key, '\n', sizeof key); /* and lines in it are its own */
    const struct dic_upload_ticket longest = {
        .key = {key, sizeof key},
        .content_type = {"image/jpeg", 10},
        .size_bytes = INT64_MAX,
        .expires_ms = INT64_MAX,
    };
    write(&signer, &longest, &token);
    assert_ok(read(dic_buf_view(&token), &memory, &out));
    assert_true(dic_str_eq(out.key, longest.key));
    dic_buf_clean_up(&memory);
    dic_buf_clean_up(&token);
}

static void no_changed_byte_and_no_shorter_token_is_taken(void **state)
{
    (void)state;
    struct dic_buf token;
    write(&signer, &cup, &token);
    for (size_t i = 0; i < token.len; i++) {
        const char byte = token.ptr[i];
        assert_code(judge(dic_str_len(token.ptr, i)), DIC_E_DENIED);
        token.ptr[i] = byte == '0' ? '1' : '0';
        assert_code(judge(dic_buf_view(&token)), DIC_E_DENIED);
        token.ptr[i] = 'g';
        assert_code(judge(dic_buf_view(&token)), DIC_E_DENIED);
        token.ptr[i] = byte;
    }
    assert_ok(judge(dic_buf_view(&token)));
    dic_buf_append_text(&token, "00");
    assert_code(judge(dic_buf_view(&token)), DIC_E_DENIED);
    dic_buf_clean_up(&token);
}

static void another_secret_signs_nothing_for_us(void **state)
{
    (void)state;
    struct dic_upload_signer other = signer;
    struct dic_buf token;
    other.secret[31] ^= 1;
    write(&other, &cup, &token);
    assert_code(judge(dic_buf_view(&token)), DIC_E_DENIED);
    dic_buf_clean_up(&token);
}

static void a_token_longer_than_any_ticket_is_no_ticket(void **state)
{
    (void)state;
    const size_t len = 2 * DIC_MAX_UPLOAD_TICKET_BYTES + 2;
    char *text = dic_calloc(len + 1, 1);
    memset(text, 'a', len);
    assert_code(judge(dic_str_len(text, len)), DIC_E_DENIED);
    assert_code(judge(dic_str_len(text, len + 1)), DIC_E_DENIED); /* with a NUL in it */
    dic_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_longest_key_fits),
        cmocka_unit_test(no_changed_byte_and_no_shorter_token_is_taken),
        cmocka_unit_test(another_secret_signs_nothing_for_us),
        cmocka_unit_test(a_token_longer_than_any_ticket_is_no_ticket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
