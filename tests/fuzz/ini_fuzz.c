/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting of an ini file is a trimmed line's part of the text; and its profiles. */
#include "aws/credentials_profile.h"
#include "aws/credentials_source.h"
#include "aws/ini_read.h"
#include "aws_environment.h"
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_part(struct dic_str whole, struct dic_str part)
{
    if (part.len > 0) {
        FUZZ_CHECK(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
        FUZZ_CHECK(memchr(part.ptr, '\n', part.len) == NULL);
        FUZZ_CHECK(dic_str_trim(part).len == part.len);
    }
}

static enum dic_code visit(void *context, struct dic_str section, struct dic_str name,
                           struct dic_str value, struct dic_err *err)
{
    const struct dic_str *whole = context;
    (void)err; /* nothing fails here */
    check_part(*whole, section);
    check_part(*whole, name);
    check_part(*whole, value);
    FUZZ_CHECK(name.len > 0 && dic_str_find(name, '=') == name.len);
    FUZZ_CHECK(dic_str_find(section, ']') == section.len);
    return DIC_OK;
}

/* A file without a name, which has one in /proc. */
static void put_file(int fd, struct dic_str text)
{
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
}

static void read_profile(struct dic_str text)
{
    static int fd = -1;
    static char path[64];
    struct dic_aws_credentials credentials = {0};
    struct dic_aws_environment environment = empty_aws_environment();
    const struct dic_aws_credentials_context context = {.environment = &environment};
    char region[DIC_AWS_REGION_SIZE] = "";
    struct dic_err err = {0};
    if (fd < 0) {
        fd = memfd_create("ini", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    put_file(fd, text);
    environment.shared_credentials_file = path;
    environment.config_file = path;
    environment.profile = "work";
    enum dic_code code = dic_aws_credentials_from_profile(&context, &credentials, &err);
    dic_fuzz_check_err(code, &err);
    if (code == DIC_OK) {
        FUZZ_CHECK(credentials.key_id[0] != '\0' && credentials.secret[0] != '\0');
    }
    code = dic_aws_profile_region(&environment, region, &err);
    FUZZ_CHECK(code != DIC_OK || dic_aws_region_check(dic_str(region), "", NULL) == DIC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dic_str text = dic_fuzz_view(bytes, len);
    struct dic_err err = {0};
    enum dic_code code = dic_ini_read(text, visit, &text, &err);
    dic_fuzz_check_err(code, &err);
    FUZZ_CHECK(code == DIC_OK || code == DIC_E_MALFORMED);
    if (len > 0) {
        read_profile(text);
    }
    return 0;
}
