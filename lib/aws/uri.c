/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/uri.h"

static bool is_unreserved(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void dic_aws_uri_encode(struct dic_buf *out, struct dic_str text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (is_unreserved(byte) || (keep_slash && byte == '/')) {
            dic_buf_append_byte(out, byte);
        } else {
            unsigned char value = (unsigned char)byte;
            char code[3] = {'%', digits[value >> 4], digits[value & 15]};
            dic_buf_append(out, code, sizeof code);
        }
    }
}

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

void dic_aws_uri_decode(struct dic_buf *out, struct dic_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
        if (text.ptr[i] == '%' && low >= 0) {
            dic_buf_append_byte(out, (char)(high * 16 + low));
            i += 2;
        } else {
            dic_buf_append_byte(out, text.ptr[i]);
        }
    }
}
