/* SPDX-License-Identifier: Apache-2.0 */
/* Files of POST /uploads that are taken have names that lead nowhere else; and tickets for them. */
#include "fuzz.h"
#include "upload_request.h"
#include "upload_ticket.h"

#include <string.h>

static const struct dic_upload_signer signer = {"0123456789abcdef0123456789abcde"};

/* What is signed reads the same, and not with one bit changed. */
static void check_ticket(const struct dic_upload_file *file)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf token;
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf memory;
    const struct dic_upload_ticket ticket = {file->name, file->content_type, file->size_bytes, 9};
    struct dic_upload_ticket read = {0};
    dic_buf_init(&token, 2 * DIC_MAX_UPLOAD_TICKET_BYTES);
    dic_buf_init(&memory, DIC_MAX_UPLOAD_TICKET_BYTES + 64);
    dic_upload_ticket_write(&signer, &ticket, &token);
    FUZZ_CHECK(!token.poisoned);
    FUZZ_CHECK(dic_upload_ticket_read(&signer, dic_buf_view(&token), &memory, &read, NULL) ==
               DIC_OK);
    FUZZ_CHECK(dic_str_eq(read.key, ticket.key) && read.size_bytes == ticket.size_bytes);
    FUZZ_CHECK(dic_str_eq(read.content_type, ticket.content_type) && read.expires_ms == 9);
    token.ptr[(size_t)file->size_bytes % token.len] ^= 1;
    FUZZ_CHECK(dic_upload_ticket_read(&signer, dic_buf_view(&token), &memory, &read, NULL) ==
               DIC_E_DENIED);
}

static void check_file(const struct dic_upload_file *file)
{
    FUZZ_CHECK(file->name.len >= 1 && file->name.len <= DIC_MAX_UPLOAD_NAME_BYTES);
    FUZZ_CHECK(file->name.ptr[0] != '.' && dic_fuzz_is_utf8(file->name));
    for (size_t i = 0; i < file->name.len; i++) {
        FUZZ_CHECK((unsigned char)file->name.ptr[i] >= 0x20 && file->name.ptr[i] != '/');
    }
    FUZZ_CHECK(dic_str_starts_with(file->content_type, DIC_STR_LIT("image/")));
    FUZZ_CHECK(file->size_bytes >= 1 && file->size_bytes <= DIC_MAX_IMAGE_BYTES);
    check_ticket(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    DIC_CLEANUP(dic_upload_request_clean_up) struct dic_upload_request request;
    struct dic_err err = {0};
    enum dic_code code = dic_upload_request_parse(dic_fuzz_view(bytes, len), &request, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(code != DIC_OK || (request.count >= 1 && request.count <= DIC_MAX_UPLOADS));
    for (size_t i = 0; code == DIC_OK && i < request.count; i++) {
        check_file(&request.files[i]);
    }
    return 0;
}
