/* SPDX-License-Identifier: Apache-2.0 */
#include "s3_fake.h"

#define CREATED                                                                   \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult>" \
    "<Bucket>photos</Bucket><Key>k</Key><UploadId>u+/=1</UploadId></"             \
    "InitiateMultipartUploadResult>"
#define COMPLETED                                                                 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult>" \
    "<ETag>\"9-3\"</ETag></CompleteMultipartUploadResult>"
#define FAILED(code) \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code "</Code></Error>"

enum { MIB = 1024 * 1024 };

static char *bytes;

static int open_fake(void **state)
{
    (void)state;
    fake_open("http://127.0.0.1:9000", "photos");
    bytes = dic_calloc(17 * MIB, 1);
    return 0;
}

static int close_fake(void **state)
{
    dic_free(bytes);
    return fake_close(state);
}

/* 16 MiB and one byte: parts of 8, 8, and one byte. */
static enum dic_code put(bool if_absent, struct dic_err *err)
{
    return dic_s3_put(fake.bucket, dic_str("k"), dic_str_len(bytes, 16 * MIB + 1), if_absent, err);
}

static void fake_parts(void)
{
    fake_answers(200, "", CREATED);
    fake_answers(200, "etag: \"1\"\n", "");
    fake_answers(200, "etag: \"2\"\n", "");
    fake_answers(200, "etag: a<&\n", "");
}

static void sixteen_mebibytes_are_one_put_and_one_byte_more_is_three_parts(void **state)
{
    (void)state;
    fake_answers(200, "", "");
    assert_ok(dic_s3_put(fake.bucket, dic_str("k"), dic_str_len(bytes, 16 * MIB), true, NULL));
    assert_int_equal(fake.http.records[0].body.len, 16 * MIB);
    fake_parts();
    fake_answers(200, "", COMPLETED);
    assert_ok(put(true, NULL));
    fake_assert_request(1, "POST", "http://127.0.0.1:9000/photos/k?uploads=");
    fake_assert_request(2, "PUT",
                        "http://127.0.0.1:9000/photos/k?partNumber=1&uploadId=u%2B%2F%3D1");
    fake_assert_request(4, "PUT",
                        "http://127.0.0.1:9000/photos/k?partNumber=3&uploadId=u%2B%2F%3D1");
    assert_int_equal(fake.http.records[2].body.len, 8 * MIB);
    assert_int_equal(fake.http.records[3].body.len, 8 * MIB);
    assert_int_equal(fake.http.records[4].body.len, 1);
    fake_assert_request(5, "POST", "http://127.0.0.1:9000/photos/k?uploadId=u%2B%2F%3D1");
    fake_assert_header(5, "if-none-match", "*");
    assert_view(dic_buf_view(&fake.http.records[5].body),
                "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                "<Part><ETag>&quot;1&quot;</ETag><PartNumber>1</PartNumber></Part>"
                "<Part><ETag>&quot;2&quot;</ETag><PartNumber>2</PartNumber></Part>"
                "<Part><ETag>a&lt;&amp;</ETag><PartNumber>3</PartNumber></Part>"
                "</CompleteMultipartUpload>");
}

static void a_put_without_a_condition_completes_without_one(void **state)
{
    (void)state;
    fake_parts();
    fake_answers(200, "", "\r\n \t\n" COMPLETED); /* sent to keep the connection alive */
    assert_ok(put(false, NULL));
    fake_assert_no_header(4, "if-none-match");
}

static void assert_aborted(size_t index)
{
    fake_assert_request(index, "DELETE", "http://127.0.0.1:9000/photos/k?uploadId=u%2B%2F%3D1");
}

static void a_part_that_fails_aborts_the_upload(void **state)
{
    (void)state;
    fake_answers(200, "", CREATED);
    fake_answers(200, "etag: \"1\"\n", "");
    fake_error(403, "AccessDenied", "");
    fake_answers(204, "", "");
    assert_code(put(true, NULL), DIC_E_DENIED);
    assert_aborted(3);
    fake_answers(200, "", CREATED);
    fake_answers(200, "", ""); /* no ETag */
    fake_error(403, "AccessDenied", "");
    assert_code(put(true, NULL), DIC_E_UPSTREAM); /* the first error is the one that counts */
    assert_aborted(6);
}

static void an_upload_that_does_not_begin_leaves_nothing_to_abort(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_error(404, "NoSuchBucket", "");
    assert_code(put(true, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "no bucket 'photos'"));
    static const char *const bad[] = {"", "<html/>", "<InitiateMultipartUploadResult/>",
                                      FAILED("InvalidRequest"), "<Initiate"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fake_answers(200, "", bad[i]);
        assert_code(put(true, NULL), DIC_E_UPSTREAM);
    }
}

static void an_object_that_is_there_is_a_conflict_and_nothing_stays(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_parts();
    fake_error(412, "PreconditionFailed", "");
    fake_answers(204, "", "");
    assert_code(put(true, &err), DIC_E_CONFLICT);
    assert_string_equal(err.msg, "there is an object with this key already");
    assert_aborted(5);
    fake_parts();
    fake_answers(200, "", FAILED("PreconditionFailed"));
    fake_answers(204, "", "");
    assert_code(put(true, NULL), DIC_E_CONFLICT);
    assert_aborted(11);
}

static void an_error_in_an_answer_of_200_is_an_error(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_parts();
    fake_answers(200, "", FAILED("InternalError"));
    fake_answers(200, "", FAILED("SlowDown"));
    fake_answers(200, "", COMPLETED);
    assert_ok(put(true, NULL));
    fake_parts();
    fake_answers(200, "", FAILED("InvalidPart")); /* not again */
    fake_answers(204, "", "");
    assert_code(put(true, &err), DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "CompleteMultipartUpload: InvalidPart"));
    assert_aborted(12);
}

static void an_answer_of_200_that_cannot_be_read_is_asked_for_again(void **state)
{
    (void)state;
    fake_parts();
    fake_answers(200, "", "<CompleteMultipartUploadRes");
    fake_answers(200, "", "");
    fake_answers(200, "", "<html></html>");
    fake_answers(200, "content-length: 5\n", ""); /* HEAD: not ours */
    fake_answers(204, "", "");
    assert_code(put(true, NULL), DIC_E_UPSTREAM);
    assert_string_equal(fake.http.records[7].method, "HEAD");
    assert_aborted(8);
}

static void what_was_completed_although_the_answer_was_lost_is_known_again(void **state)
{
    (void)state;
    fake_parts();
    fake_answers(200, "", "<Complete");
    fake_error(404, "NoSuchUpload", "");
    fake_answers(200, FAKE_ECHO, "");
    assert_ok(put(true, NULL));
    fake_parts();
    fake_answers(200, "", "<Complete");
    fake_error(412, "PreconditionFailed", "");
    fake_answers(200, "content-length: 5\nx-amz-meta-write-id: somebody-else\n", "");
    fake_answers(204, "", "");
    assert_code(put(true, NULL), DIC_E_CONFLICT);
}

static void what_was_not_completed_after_all_says_why(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_parts();
    fake_error(500, "InternalError", "");
    fake_error(500, "InternalError", "");
    fake_error(500, "InternalError", "");
    fake_answers(404, "", ""); /* to HEAD: it is not there */
    fake_answers(204, "", "");
    assert_code(put(false, &err), DIC_E_UPSTREAM);
    assert_int_equal(err.code, DIC_E_UPSTREAM);
    assert_non_null(strstr(err.msg, "CompleteMultipartUpload: InternalError"));
}

static void an_upload_that_somebody_ended_says_so(void **state)
{
    (void)state;
    struct dic_err err = {0};
    fake_parts();
    fake_error(404, "NoSuchUpload", "");
    fake_error(404, "NoSuchUpload", "");
    assert_code(put(false, &err), DIC_E_UPSTREAM);
    assert_string_equal(err.msg, "the upload in parts was ended by somebody else");
}

static void a_race_begins_the_upload_anew(void **state)
{
    (void)state;
    fake_parts();
    fake_error(409, "ConditionalRequestConflict", "");
    fake_answers(204, "", "");
    fake_parts();
    fake_answers(200, "", FAILED("ConditionalRequestConflict"));
    fake_answers(204, "", "");
    fake_parts();
    fake_answers(200, "", COMPLETED);
    assert_ok(put(true, NULL));
    assert_aborted(5);
    assert_aborted(11);
    assert_int_equal(fake.clock.sleeps, 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_fake, close_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sixteen_mebibytes_are_one_put_and_one_byte_more_is_three_parts),
        CASE(a_put_without_a_condition_completes_without_one),
        CASE(a_part_that_fails_aborts_the_upload),
        CASE(an_upload_that_does_not_begin_leaves_nothing_to_abort),
        CASE(an_object_that_is_there_is_a_conflict_and_nothing_stays),
        CASE(an_error_in_an_answer_of_200_is_an_error),
        CASE(an_answer_of_200_that_cannot_be_read_is_asked_for_again),
        CASE(what_was_completed_although_the_answer_was_lost_is_known_again),
        CASE(what_was_not_completed_after_all_says_why),
        CASE(an_upload_that_somebody_ended_says_so),
        CASE(a_race_begins_the_upload_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
